"""Power loss, simulated: which trees of files may be found after it, given the system calls that were made before.

The model is that of the weakest file system that the store is made for, one that journals its names. What it promises:

- Each change of names (a file or directory made, renamed, removed) is there wholly or not at all; a rename never leaves
  two names or none.
- `fsync` of a directory makes the changes of names in it durable that were made before, and whatever they rest on;
  `fsync` of a file its content alone; `syncfs` everything.
- Changes of one name, and of one file's names, come to the disk in their order.

What it does not: of all else that was done since, any part may be there and the rest not, in whatever order it was
done. The content of a file that was not synced is any that it ever had, or cut off, or zeros. (ext4, xfs and btrfs
promise more: the order of changes of names, for one.)
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Loss", "Recorder", "Tree", "write_tree"]

_LONG_AGO = 1_700_000_000

Name = tuple[int, str]
"""A name in a directory: the directory's node, and the name."""


@dataclass(frozen=True)
class Rename:
    """A change of names: a node is at `target` from now on, and at `source` no more; None where it is nowhere."""

    node: int
    source: Name | None
    target: Name | None
    is_directory: bool = False

    @property
    def names(self) -> set[Name]:
        """The names it changes."""
        return {name for name in (self.source, self.target) if name is not None}


@dataclass(frozen=True)
class Write:
    """A file's content is another from now on."""

    node: int
    content: bytes


@dataclass(frozen=True)
class Sync:
    """What was done before is durable: to one node, or, with None, everything."""

    node: int | None


Operation = Rename | Write | Sync


@dataclass
class Tree:
    """The files and directories below a root, by nodes; node 0 is the root."""

    directories: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    files: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> Tree:
        """Return what lies below a directory."""
        tree = cls()
        nodes = itertools.count(1)
        numbers = {root: 0}
        for path in sorted(root.rglob("*")):
            node = numbers[path] = next(nodes)
            tree.directories[numbers[path.parent]][path.name] = node
            if path.is_dir():
                tree.directories[node] = {}
            else:
                tree.files[node] = path.read_bytes()
        return tree

    def copy(self) -> Tree:
        """Return a tree that can be changed alone."""
        return Tree({node: dict(names) for node, names in self.directories.items()}, dict(self.files))

    def apply(self, change: Rename) -> None:
        """Change names."""
        if change.is_directory:
            self.directories.setdefault(change.node, {})
        elif change.node not in self.directories:
            self.files.setdefault(change.node, b"")
        if change.source is not None:
            directory, name = change.source
            self.directories[directory].pop(name, None)
        if change.target is not None:
            directory, name = change.target
            self.directories[directory][name] = change.node

    def find(self, path: str) -> int | None:
        """Return the node at a path relative to the root."""
        node: int | None = 0
        for name in filter(None, path.split("/")):
            node = self.directories.get(node, {}).get(name) if node is not None else None
        return node


def write_tree(tree: Tree, root: Path) -> None:
    """Make the files and directories of a tree at a path where nothing is; they look as if untouched for long."""
    waiting, made = [(0, root)], []
    while waiting:
        node, path = waiting.pop()
        if node in tree.files:
            path.write_bytes(tree.files[node])
        else:
            path.mkdir()
            waiting += [(child, path / name) for name, child in tree.directories[node].items()]
            made.append(path)
    for path in made:
        os.utime(path, (_LONG_AGO, _LONG_AGO))


class Recorder:
    """The module `os` as the door to the disk sees it: every call is made, and noted if it changes what lies below.

    It stands in for `os` in `filestore.storage.files`, and for the C library, of which `syncfs` is called there.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.before = Tree.read(root)
        self.log: list[Operation] = []
        self._tree = self.before.copy()
        self._next = itertools.count(10**6)
        self._open: dict[int, tuple[int, int]] = {}
        """For each descriptor that was opened here, the node and the position in it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        name = self._name(path)
        if name is not None:
            directory, last = name
            node = self._tree.directories[directory].get(last) if last else directory
            if node is None:
                node = next(self._next)
                self._change(Rename(node, None, name))
            self._open[descriptor] = (node, 0)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        count = os.write(descriptor, data)
        node, at = self._open[descriptor]
        old = self._tree.files[node]
        content = old[:at] + bytes(data[:count]) + old[at + count :]
        self._open[descriptor] = (node, at + count)
        self._tree.files[node] = content
        self.log.append(Write(node, content))
        return count

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        os.close(descriptor)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        os.mkdir(path, mode)
        name = self._name(path)
        if name is not None:
            self._change(Rename(next(self._next), None, name, is_directory=True))

    def replace(self, source: str, target: str) -> None:
        os.replace(source, target)
        old = self._known(source)
        self._change(Rename(self._tree.directories[old[0]][old[1]], old, self._known(target)))

    def unlink(self, path: str) -> None:
        os.unlink(path)
        self._forget(path)

    def rmdir(self, path: str) -> None:
        os.rmdir(path)
        self._forget(path)

    def fsync(self, descriptor: int) -> None:
        """Answer at once, as the power goes in the model alone."""
        self.log.append(Sync(self._open[descriptor][0]))

    def syncfs(self, descriptor: int) -> int:
        self.log.append(Sync(None))
        return 0

    def _forget(self, path: str) -> None:
        name = self._known(path)
        self._change(Rename(self._tree.directories[name[0]][name[1]], name, None))

    def _change(self, change: Rename) -> None:
        self._tree.apply(change)
        self.log.append(change)

    def _known(self, path: str) -> Name:
        name = self._name(path)
        assert name is not None, f"{path} is not in {self.root}"
        return name

    def _name(self, path: str) -> Name | None:
        """Return a path below the root as a name; with an empty last part for the root itself."""
        if path != self.root and not path.startswith(f"{self.root}/"):
            return None
        parent, _, last = path.removeprefix(self.root).rpartition("/")
        directory = self._tree.find(parent)
        assert directory is not None, f"{path}: no such directory"
        return directory, last


class Loss:
    """What may be found when the power went after the first operations of a log.

    Args:
        before: The tree before the first of them; all of it is durable.
        log: What was done since, until the power went.
    """

    def __init__(self, before: Tree, log: list[Operation]) -> None:
        self._before = before
        self._changes: list[tuple[int, Rename]] = [(at, one) for at, one in enumerate(log) if isinstance(one, Rename)]
        self._rests_on = self._find_dependencies()
        self._durable = self._find_durable(log)
        self._contents = self._find_contents(log)
        self.open_changes = [at for at, _ in self._changes if at not in self._durable]
        """The changes of names that may be there or not."""

    def _find_dependencies(self) -> dict[int, set[int]]:
        """Return, for each change of names, those it rests on: the last before it of the same node or name.

        A directory is removed when it is empty: that rests on all changes in it.
        """
        found: dict[int, set[int]] = {}
        last: dict[int | Name, int] = {}
        within: dict[int, set[int]] = {}
        for at, change in self._changes:
            keys: set[int | Name] = {change.node, *change.names}
            found[at] = {last[key] for key in keys if key in last}
            if change.target is None:
                found[at] |= within.get(change.node, set())
            last.update(dict.fromkeys(keys, at))
            for directory, _ in change.names:
                within.setdefault(directory, set()).add(at)
        return found

    def _find_durable(self, log: list[Operation]) -> set[int]:
        durable: set[int] = set()
        for at, one in enumerate(log):
            if isinstance(one, Sync):
                for earlier, change in self._changes:
                    if earlier < at and (one.node is None or one.node in {name[0] for name in change.names}):
                        durable |= self._with_dependencies(earlier)
        return durable

    def _with_dependencies(self, change: int) -> set[int]:
        found: set[int] = set()
        waiting = [change]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self._rests_on[one]
        return found

    def _find_contents(self, log: list[Operation]) -> dict[int, list[bytes]]:
        """Return, for each file that was written, the contents it may have."""
        contents: dict[int, list[bytes]] = {}
        for one in log:
            if isinstance(one, Write):
                known = contents.setdefault(one.node, [self._before.files.get(one.node, b"")])
                if len(one.content) > len(known[0]):  # no room was allocated for it: it may come apart
                    known += [one.content[: len(one.content) // 2], bytes(len(one.content))]
                known.append(one.content)
            elif isinstance(one, Sync):
                for node in contents if one.node is None else contents.keys() & {one.node}:
                    contents[node] = contents[node][-1:]
        return contents

    def iter_kept(self, chance: random.Random, most: int) -> Iterator[frozenset[int]]:
        """Yield sets of the changes of names that came to the disk: all there are, or `most` of them.

        Args:
            chance: Chooses where there are more.
            most: How many to yield at the most.
        """
        seen = set()
        for wanted in self._iter_wanted(chance, most):
            kept = frozenset().union(self._durable, *map(self._with_dependencies, wanted))
            if kept not in seen:
                seen.add(kept)
                yield kept

    def _iter_wanted(self, chance: random.Random, most: int) -> Iterator[tuple[int, ...]]:
        open_changes = self.open_changes
        if 2 ** len(open_changes) <= most:
            for length in range(len(open_changes) + 1):
                yield from itertools.combinations(open_changes, length)
            return
        yield ()
        yield tuple(open_changes)
        for _ in range(most - 2):
            share = chance.random()
            yield tuple(change for change in open_changes if chance.random() < share)

    def tree(self, kept: frozenset[int], chance: random.Random) -> Tree:
        """Return a tree with the changes of names that were kept; what unsynced files hold is left to chance."""
        tree = self._before.copy()
        for at, change in self._changes:
            if change.is_directory:
                tree.directories.setdefault(change.node, {})  # where its name is lost, so is all that is in it
            if at in kept:
                tree.apply(change)
        tree.files.update({node: chance.choice(contents) for node, contents in self._contents.items()})
        return tree
