"""Where things lie on the disk and how they are changed: the only rooms that touch it."""
