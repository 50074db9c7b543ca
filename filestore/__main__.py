"""Run the command line as `python -m filestore`."""

from __future__ import annotations

from filestore.cli import main

if __name__ == "__main__":
    main(prog_name="filestore")
