"""Every error the store raises: one tree, each leaf with an exit code and an HTTP status.

The command line and the gateway each turn an error into an answer by one rule: `exit_code` and `str(error)`, or
`status` and `str(error)`. Each leaf is also the standard library's error that a caller would catch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = [
    "CommittedError",
    "ConfigError",
    "DatapointNotFoundError",
    "DatasetNameError",
    "FileContentError",
    "FilestoreError",
    "InvalidIdError",
    "JSONTextError",
    "LockTimeoutError",
    "NotFoundError",
    "RecoveryNeededError",
    "RequestError",
    "ReservedDatasetNameError",
    "SchemaCompileError",
    "SchemaMismatchError",
    "SchemaTimeoutError",
    "ShapeError",
    "StorageError",
    "UnknownFunctionError",
    "counted",
    "find_near",
    "quote_names",
    "render_path",
    "suggest_name",
]

Pointer = tuple[str | int, ...]
"""A place inside a JSON value: the keys and indexes that lead to it."""


class FilestoreError(Exception):
    """Base of all errors that the store raises on purpose."""

    exit_code = 1
    status = 500


class RequestError(FilestoreError, ValueError):
    """A request that cannot be carried out as it stands; nothing was changed."""

    status = 400
    item: int | None = None
    """Which item of the request it is about, from 0, where it is about one."""


class JSONTextError(RequestError):
    """Text that is not the strict JSON the store reads (RFC 8259, no duplicate keys, 64-bit integers)."""

    def __init__(self, reason: str, line: int, column: int, *, code: str = "invalid-json", hint: str = "") -> None:
        super().__init__(f"{reason} at line {line} column {column}")
        self.reason = reason
        self.hint = hint
        """What else helps to find the mistake, such as where a bracket was opened; often empty."""
        self.code = code
        """What it is called in `filestore.findings`."""
        self.line = line
        """Line of the offending character, from 1."""
        self.column = column
        """Column of the offending character in code points, from 1."""


class ShapeError(RequestError):
    """A JSON value of the wrong shape: a wrong type, a missing or an unknown key."""

    def __init__(
        self,
        reason: str,
        pointer: Sequence[str | int] = (),
        *,
        is_key: bool = False,
        code: str = "wrong-value",
        meant: str | None = None,
    ) -> None:
        self.reason = reason
        self.code = code
        """What it is called in `filestore.findings`."""
        self.pointer: Pointer = tuple(pointer)
        self.is_key = is_key
        """Whether the key at the pointer is wrong, rather than its value."""
        self.meant = meant
        """The key that is near to a wrong one."""
        path = render_path(self.pointer)
        super().__init__(f"{path}: {reason}" if path else reason)

    def within(self, *outer: str | int) -> ShapeError:
        """Return the same error seen from a value that holds this one under `outer`."""
        return self.elsewhere((*outer, *self.pointer))

    def elsewhere(self, pointer: Sequence[str | int], reason: str | None = None) -> ShapeError:
        """Return the same error at another place, and perhaps in other words."""
        reason = self.reason if reason is None else reason
        return ShapeError(reason, pointer, is_key=self.is_key, code=self.code, meant=self.meant)


class InvalidIdError(RequestError):
    """Text that spells no UUID, or a UUID that may not be a datapoint id."""


class DatasetNameError(RequestError):
    """A dataset name that is reserved, cannot be a directory, or collides with an existing one."""


class ReservedDatasetNameError(DatasetNameError):
    """A dataset name that upstream reserves."""

    def __init__(self, dataset_name: str) -> None:
        super().__init__(
            f'Invalid dataset name: {dataset_name}. Datasets cannot be named "builder" or begin with "tensorzero::"'
        )


class SchemaCompileError(RequestError):
    """A JSON Schema that does not compile. The text is the engine's message alone."""


class SchemaMismatchError(RequestError):
    """A value that does not fit its JSON Schema. The text names the first failure and quotes the schema."""


class SchemaTimeoutError(RequestError):
    """A schema, or a value to be judged by one, that takes too long. Whether the value fits is not known."""


class NotFoundError(FilestoreError, LookupError):
    """Something named in a request does not exist."""

    status = 404


class DatapointNotFoundError(NotFoundError):
    """No live datapoint has this id in this dataset."""

    def __init__(self, dataset_name: str, datapoint_id: object) -> None:
        super().__init__(f"Datapoint not found for dataset: {dataset_name} and id: {datapoint_id}")


class UnknownFunctionError(NotFoundError):
    """The function config has no function of this name."""

    def __init__(self, function_name: str, hint: str = "") -> None:
        super().__init__(f"Unknown function: {function_name}{hint}")
        self.function_name = function_name


class ConfigError(FilestoreError, ValueError):
    """A mistake in a function config: the text names the file and the key."""

    def __init__(self, path: str, key: str, reason: str) -> None:
        super().__init__(": ".join(part for part in (path, f"`{key}`" if key else "", reason) if part))
        self.path = path
        self.key = key


class FileContentError(FilestoreError, ValueError):
    """A file of the store that a read needs and cannot read: `path:line:column: reason`."""

    def __init__(self, path: str, line: int, column: int, reason: str) -> None:
        super().__init__(f"{path}:{line}:{column}: {reason}")
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason


class StorageError(FilestoreError, OSError):
    """The file system refused, or holds something the store will not follow. Nothing was changed."""


class CommittedError(FilestoreError, OSError):
    """A change that is committed, and will be completed by the next writer, but could not be completed now."""


class LockTimeoutError(FilestoreError, TimeoutError):
    """Another writer held the dataset's lock for longer than the timeout. Nothing was changed."""

    status = 503


class RecoveryNeededError(FilestoreError):
    """A change was interrupted and the repository's HEAD has moved since: a person must decide."""

    status = 503


def render_path(pointer: Sequence[str | int]) -> str:
    """Spell a pointer as upstream's parser does.

    >>> render_path(("datapoints", 0, "input", "messages", 1))
    'datapoints[0].input.messages[1]'
    """
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in pointer)
    return path.removeprefix(".")


def quote_names(names: Iterable[str]) -> str:
    """Spell a list of names for a sentence.

    >>> quote_names(["a", "b"])
    '`a`, `b`'
    """
    return ", ".join(f"`{name}`" for name in names)


def counted(number: int, noun: str) -> str:
    """Spell a number of things, whose plural ends in `s`.

    >>> counted(1, "file"), counted(2000, "file")
    ('1 file', '2,000 files')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def find_near(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to another one, if any is near.

    >>> find_near("tool", ("type", "tools")), find_near("x", ("type", "tools"))
    ('tools', None)
    """
    import difflib  # only a mistake asks for it

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def suggest_name(name: str, known: Sequence[str]) -> str:
    """Say which known name was meant, or which there are.

    >>> suggest_name("tool", ("type", "tools")), suggest_name("x", ("type", "tools"))
    ('did you mean `tools`?', 'expected one of `type`, `tools`')
    """
    near = find_near(name, known)
    if near is not None:
        return f"did you mean `{near}`?"
    return f"expected {'one of ' if len(known) > 1 else ''}{quote_names(known)}"
