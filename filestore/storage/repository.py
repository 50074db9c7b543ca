"""The git repository around a store: which commit its HEAD is at."""

from __future__ import annotations

import errno
import os
import re

from filestore.storage.files import Disk

__all__ = ["read_head"]

_NO_FILE = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.ENXIO, errno.EFBIG),
        *(errno.EACCES, errno.EPERM, errno.ENAMETOOLONG),
    }
)
"""Errors that say that there is no such file, or none for us; others say nothing of what HEAD is."""
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def read_head(disk: Disk, root: str) -> str | None:
    """Return the commit that HEAD of the repository around `root` names, or None outside a repository.

    Read from the files git keeps (gitrepository-layout(5)), as starting git for every write would cost more than the
    write. A branch without a commit is named by its ref.

    Raises:
        OSError: The file system failed, so that nobody knows.
    """
    directory = root
    while True:
        git_directory = _resolve_git_directory(disk, directory)
        if git_directory is not None:
            return _resolve_head(disk, git_directory)
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent


def _read_text(disk: Disk, path: str) -> str | None:
    try:
        return disk.read(path)[0].decode(errors="replace").strip()
    except ValueError:  # a ref with a NUL was to be the path
        return None
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        return None


def _resolve_git_directory(disk: Disk, directory: str) -> str | None:
    path = os.path.join(directory, ".git")
    if os.path.isdir(path):
        return path
    text = _read_text(disk, path)
    if text is None or not text.startswith("gitdir: "):
        return None
    return os.path.join(directory, text.removeprefix("gitdir: "))


def _resolve_head(disk: Disk, git_directory: str) -> str | None:
    head = _read_text(disk, os.path.join(git_directory, "HEAD"))
    if head is None or not head.startswith("ref: "):
        return head
    ref = head.removeprefix("ref: ")
    shared = _read_text(disk, os.path.join(git_directory, "commondir"))
    for base in (git_directory, *([os.path.join(git_directory, shared)] if shared else [])):
        commit = _read_text(disk, os.path.join(base, ref))
        if commit is not None and _COMMIT.fullmatch(commit):
            return commit
        for line in (_read_text(disk, os.path.join(base, "packed-refs")) or "").splitlines():
            commit, _, name = line.partition(" ")
            if name == ref:
                return commit
    return head
