"""The files of a function config: found, read, and read again when they change."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from filestore.errors import ConfigError, SchemaTimeoutError
from filestore.functions import EMPTY_CONFIG, FunctionConfig
from filestore.storage.files import Disk, Signature, is_young, signature
from filestore.storage.patience import GAP_NS, RECENT_NS, Patience, is_near, is_recent

__all__ = ["CONFIG_NAME", "ConfigFiles"]

CONFIG_NAME = "tensorzero.toml"


class ConfigFiles:
    """The function config of a store, always as its files are now.

    A config that lies in the store itself may name files of the store only, since a store may come from strangers; one
    that the user names may name any file.

    Args:
        root: The store's directory.
        pattern: A TOML file, or a glob of several, `**` included; by default `tensorzero.toml` in the root, if there
            is one. A relative one starts at what is the current directory now.
    """

    def __init__(self, root: str | os.PathLike[str], pattern: str | os.PathLike[str] | None) -> None:
        self._base = os.getcwd()
        self._root = os.path.join(self._base, root)
        self._pattern = None if pattern is None else os.fspath(pattern)
        self._default = os.path.join(self._root, CONFIG_NAME)
        self._default_shown = self._shown(self._default)
        self._guard = threading.Lock()
        self._known: _Snapshot | None = None

    def renew_lock(self) -> None:
        """Start with a free lock: in a forked child the thread that held it is not there."""
        self._guard = threading.Lock()

    def current(self) -> FunctionConfig:
        """Return the config, read again if a file of it has changed, come or gone.

        Raises:
            ConfigError: A mistake in the config, or a file of it that cannot be read.
        """
        with self._guard:
            documents = self._find_patiently()
            if self._known is None or self._known.documents != documents or self._known.files.have_changed():
                is_first = self._known is None
                self._known = None  # a mistake is not remembered: the next call looks whether it is still there
                self._known = self._load_patiently(documents, is_first=is_first)
            if self._known.mistake is not None:
                raise self._known.mistake.with_traceback(None)
            return self._known.config

    def paths(self) -> set[str]:
        """Return the absolute paths of all files that the config was read from."""
        return set(self._known.files.signatures) if self._known is not None else set()

    def _find_patiently(self) -> list[str]:
        """Find the TOML files, and give one the time to come back that an editor or git has just taken away."""
        patience = Patience()
        while True:
            since = time.time_ns()
            try:
                documents = self._find_documents()
            except ConfigError:
                if not self._is_any_just_gone([], since) or patience.is_over():
                    raise
            else:
                if not self._is_any_just_gone(documents, since) or patience.is_over():
                    return documents

    def _is_any_just_gone(self, documents: list[str], since_ns: int) -> bool:
        """Tell whether a TOML file is missing that was known, or named, in a directory that has just changed."""
        expected = [] if documents or self._pattern is None else [self._pattern]
        if self._known is not None:
            expected = self._known.documents
        return any(self._is_in_changed_directory(path, since_ns) for path in expected if path not in documents)

    def _is_in_changed_directory(self, path: str, since_ns: int) -> bool:
        try:
            status = os.stat(os.path.dirname(os.path.join(self._base, path)))
        except (OSError, ValueError):
            return False
        return is_recent(status, since_ns)

    def _load_patiently(self, documents: list[str], *, is_first: bool) -> _Snapshot:
        """Load a config, giving an editor that is just writing a file of it the time to finish.

        Args:
            documents: Its TOML files.
            is_first: Whether none was known before; one that is known does not make way for what may be a part of one.
        """
        patience = Patience()
        while True:
            fence = os.path.realpath(self._root) if self._pattern is None else None
            files = _Files(self._base, fence, {}, set(), [])
            try:
                loaded = self._load(documents, files)
                if is_first or not files.is_any_near(GAP_NS) or patience.is_over():
                    return loaded
            except ConfigError:
                if not files.is_any_near(RECENT_NS) or patience.is_over():
                    raise

    def _load(self, documents: list[str], files: _Files) -> _Snapshot:
        if not documents:
            return _Snapshot(documents, files, EMPTY_CONFIG)
        # A store without a config needs no parser of one.
        from filestore.function_config import parse_config
        from filestore.schema import check_schema, limited

        texts = [(path, _read_document(files, path)) for path in documents]
        try:
            with limited():
                return _Snapshot(documents, files, parse_config(texts, files.read, check_schema))
        except ConfigError as error:
            if not isinstance(error.__cause__, SchemaTimeoutError):
                raise
            return _Snapshot(documents, files, EMPTY_CONFIG, error)

    def _find_documents(self) -> list[str]:
        """Return the paths of the TOML files, sorted, as they are shown to the user."""
        if self._pattern is None:
            return [self._default_shown] if self._is_regular(self._default) else []
        documents = sorted({self._shown(path) for path in self._matches(self._pattern)})
        if not documents:
            raise ConfigError(self._pattern, "", "matches no file; expected a TOML file, or a glob of several")
        return documents

    def _matches(self, pattern: str) -> list[str]:
        if self._is_file(pattern):  # first, for a name may hold brackets
            return [pattern]
        import glob

        matches = glob.glob(pattern, root_dir=self._base, recursive=True)
        return [path for path in matches if self._is_file(path)]

    def _is_file(self, path: str) -> bool:
        return self._is_regular(os.path.join(self._base, path))

    def _is_regular(self, place: str) -> bool:
        try:
            return stat.S_ISREG(os.stat(place).st_mode)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL):  # the last for a `*` on Windows
                return False
            raise _unreadable(self._shown(place), error) from error

    def _shown(self, path: str) -> str:
        """Return a path as errors name it: relative to the current directory where it lies below it."""
        return _normalized(path).removeprefix(os.path.join(self._base, ""))


class _Files(NamedTuple):
    """The files that were read for one config.

    Attributes:
        base: Where relative paths start.
        fence: The directory that no file may lie outside of, if there is one; free of links.
        signatures: Absolute path to the state in which the file was first read.
        young: Files that had changed just before.
        gaps: When the directories had last changed in which a file was not found.
    """

    base: str
    fence: str | None
    signatures: dict[str, Signature]
    young: set[str]
    gaps: list[int]

    def read(self, path: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            OSError: It cannot be read, or lies outside of the fence.
        """
        place = os.path.join(self.base, path)
        target = os.path.realpath(place)
        if self.fence is not None and not _is_within(target, self.fence):
            reason = "it lies outside of the store; to allow that, name the config file yourself (--config-file)"
            raise PermissionError(errno.EACCES, reason, path)
        now = time.time_ns()
        try:
            data, status = Disk().read(target)
        except FileNotFoundError:
            with suppress(OSError):
                self.gaps.append(os.stat(os.path.dirname(target)).st_mtime_ns)
            raise
        if is_young(status, now):
            self.young.add(place)
        self.signatures.setdefault(place, signature(status))
        return data

    def is_any_near(self, span_ns: int) -> bool:
        """Tell whether a file changed so lately that somebody may still be writing it."""
        now = time.time_ns()
        changes = (*self.gaps, *(changed for _, _, changed, _ in self.signatures.values()))
        return any(is_near(changed, now, span_ns) for changed in changes)

    def have_changed(self) -> bool:
        """Tell whether a file is no longer as it was read, as far as that can be seen."""
        return bool(self.young) or any(_find_signature(place) != known for place, known in self.signatures.items())


class _Snapshot(NamedTuple):
    """A config and the files it was read from."""

    documents: list[str]
    files: _Files
    config: FunctionConfig
    mistake: ConfigError | None = None
    """One that is known to stay until a file changes, and takes long to find."""


def _is_within(path: str, directory: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(directory, ""))


def _normalized(path: str) -> str:
    if os.path.isabs(path) and os.path.normpath(path) == path:
        return path
    from pathlib import Path  # which leaves `..` alone: after a link it is not what it seems

    return str(Path(path))


def _find_signature(place: str) -> Signature | None:
    try:
        return signature(os.stat(place))
    except OSError:
        return None


def _read_document(files: _Files, path: str) -> bytes:
    try:
        return files.read(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> ConfigError:
    return ConfigError(path, "", f"cannot be read: {error.strerror or error}")
