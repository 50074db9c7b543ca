"""What keeps git from taking the store's own directory: an ignore file in it."""

from __future__ import annotations

import stat

from filestore.storage.files import Disk
from filestore.storage.layout import INTERNAL

__all__ = ["ignore_internal"]

_EVERYTHING = b"*\n"


def ignore_internal(disk: Disk, root: str) -> bool:
    """Make git ignore the internal directory, which must be there; tell whether that was to be done.

    A crash or a full disk may have left the file empty or cut off. One that a person wrote stays, and one with other
    names, too: these would see what is written.
    """
    path = f"{root}/{INTERNAL}/.gitignore"
    status = disk.status(path)
    is_cut_off = status is not None and stat.S_ISREG(status.st_mode) and status.st_size < len(_EVERYTHING)
    if status is not None and not (is_cut_off and status.st_nlink == 1):
        return False
    disk.overwrite(path, _EVERYTHING)
    return True
