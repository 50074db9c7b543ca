"""The datasets of a store: which directories they are, and the one object for each."""

from __future__ import annotations

import stat

from filestore.attachments import ATTACHMENT_NAME, has_digest_of_name
from filestore.errors import DatasetNameError, FileContentError, NotFoundError, ReservedDatasetNameError, StorageError
from filestore.ids import parse_directory_name
from filestore.storage.dataset import Dataset, Shared
from filestore.storage.files import Disk
from filestore.storage.layout import INTERNAL, DatasetLayout, Entry

__all__ = ["Datasets"]

_MOST_REMEMBERED = 1000
"""Names come from requests: what is remembered for them is bounded."""


class Datasets:
    """The dataset directories below one root.

    Args:
        root: The store's root, absolute and free of links.
        disk: The door to the disk.
        lock_timeout: Seconds a write waits for other writers of the same dataset.
        watch: Whether to let the kernel tell what changes, where it can.
    """

    def __init__(self, root: str, disk: Disk, lock_timeout: float, *, watch: bool = True) -> None:
        self._root = root
        self._disk = disk
        self._lock_timeout = lock_timeout
        self._known: dict[str, Dataset] = {}
        self._shared = Shared(root, watch=watch)
        self._shared.check_root(disk)

    def get(self, name: str) -> Dataset:
        """Return the dataset of a name, whether or not it exists.

        Raises:
            DatasetNameError: The name cannot be a dataset's.
        """
        if not isinstance(name, str):
            raise DatasetNameError(f"Invalid dataset name: {name!r}. A name is text")
        dataset = self._known.get(name)
        if dataset is None:
            layout = DatasetLayout.of(self._root, name)
            if len(self._known) >= _MOST_REMEMBERED:
                self.forget()
            made = Dataset(layout, self._disk, self._lock_timeout, self._shared)
            # Without a lock, which a fork could leave locked: of two threads' objects one is kept.
            dataset = self._known.setdefault(name, made)
        return dataset

    def forget(self) -> None:
        """Forget all that is remembered of datasets, and the feed of changes.

        In a forked child it must be: the feed is one queue with the parent's, and whoever reads from it takes away.
        """
        self._known.clear()
        self._shared.renew()

    def find(self, name: str) -> Dataset | None:
        """Return the dataset of a name, None for a reserved one: it is nobody's, and asking for it is no mistake.

        Raises:
            DatasetNameError: The name cannot be a dataset's, for another reason.
        """
        try:
            return self.get(name)
        except ReservedDatasetNameError:
            return None

    def names(self) -> list[str]:
        """Return the names of all dataset directories, sorted; some may hold no live datapoint.

        A committed change that waits for its recovery makes a dataset, too: git may have removed the directory.

        Raises:
            StorageError: The file system refused.
        """
        self._shared.check_root(self._disk)
        try:
            directories = set(filter(self._is_directory, self._disk.names(self._root)))
            directories.update(filter(self._has_pending, self._disk.names(f"{self._root}/{INTERNAL}")))
        except OSError as error:
            raise StorageError(f"{error.filename or self._root}: {error.strerror}") from error
        return sorted(name for name in map(parse_directory_name, directories) if name is not None)

    def _has_pending(self, directory: str) -> bool:
        name = parse_directory_name(directory)
        return name is not None and self._disk.status(DatasetLayout.of(self._root, name).pending) is not None

    def _is_directory(self, directory: str) -> bool:
        status = self._disk.status(f"{self._root}/{directory}")
        root = self._disk.status(self._root)
        if status is None or root is None:
            return False
        return stat.S_ISDIR(status.st_mode) and status.st_dev == root.st_dev  # no link, which is never followed

    def find_attachment(self, directory: str, name: str) -> bytes | None:
        """Return the bytes of an attached file, by the directory name of its dataset and its own, or None."""
        dataset_name = parse_directory_name(directory)
        if dataset_name is None or ATTACHMENT_NAME.fullmatch(name) is None:
            return None
        return self.get(dataset_name).read(lambda view: view.find_bytes(Entry("file", name)), absent=None)

    def attachment(self, directory: str, path: str) -> bytes:
        """Return the bytes of an attached file.

        Args:
            directory: The directory name of its dataset.
            path: `files/<sha256>.<extension>`.

        Raises:
            NotFoundError: There is no such file.
            FileContentError: Its content is not the one that its name is made of.
        """
        kind, _, name = path.partition("/")
        found = self.find_attachment(directory, name) if kind == "files" else None
        if found is None:
            raise NotFoundError(f"No attached file {path} in {directory}")
        if not has_digest_of_name(found, name):
            reason = "this file was altered: its content no longer has the digest in its name (restore it from git)"
            raise FileContentError(f"{directory}/{path}", 1, 1, reason)
        return found
