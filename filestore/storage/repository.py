"""The git repository around a store: which commit its HEAD is at."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["read_head"]

_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def read_head(root: str) -> str | None:
    """Return the commit that HEAD of the repository around `root` names, or None outside a repository.

    Read from the files git keeps (gitrepository-layout(5)), as starting git for every write would cost more than the
    write. A branch without a commit is named by its ref.
    """
    for directory in (Path(root), *Path(root).parents):
        git_directory = _resolve_git_directory(directory / ".git")
        if git_directory is not None:
            return _resolve_head(git_directory)
    return None


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _resolve_git_directory(path: Path) -> Path | None:
    if path.is_dir():
        return path
    text = _read_text(path)
    if text is None or not text.startswith("gitdir: "):
        return None
    return path.parent / text.removeprefix("gitdir: ")


def _resolve_head(git_directory: Path) -> str | None:
    head = _read_text(git_directory / "HEAD")
    if head is None or not head.startswith("ref: "):
        return head
    ref = head.removeprefix("ref: ")
    shared = _read_text(git_directory / "commondir")
    for base in (git_directory, *([git_directory / shared] if shared else [])):
        commit = _read_text(base / ref)
        if commit is not None and _COMMIT.fullmatch(commit):
            return commit
        for line in (_read_text(base / "packed-refs") or "").splitlines():
            commit, _, name = line.partition(" ")
            if name == ref:
                return commit
    return head
