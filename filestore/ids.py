"""Names of things: datapoint ids (UUIDv7), their file names, dataset names and their directories, and times."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from filestore.errors import DatasetNameError, InvalidIdError, ReservedDatasetNameError

__all__ = [
    "MAX_DIRECTORY_BYTES",
    "IdMaker",
    "check_tensorzero_uuid",
    "created_at",
    "file_name",
    "fold_dataset_name",
    "format_file_time",
    "format_time",
    "format_wire_time",
    "is_canonical_uuid",
    "is_datapoint_id",
    "is_draft_name",
    "is_file_name",
    "is_id_shaped",
    "parse_canonical_uuid",
    "parse_directory_name",
    "parse_file_name",
    "parse_file_names",
    "parse_file_time",
    "parse_time",
    "parse_uuid",
    "random_bits",
    "spell_dataset_name",
]

MAX_DIRECTORY_BYTES = 120
"""Bytes that the name of a dataset's directory may have."""

_HYPHENATED = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUID = re.compile(rf"(?:urn:uuid:)?({_HYPHENATED})|\{{({_HYPHENATED})\}}|([0-9a-fA-F]{{32}})")
_NOT_IN_UUID = r"[^0-9a-fA-F-]"
_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_DRAFT_NAME = re.compile(r"(?!\.)[^/\\\x00]{1,240}\.json")
_FILE_NAME = re.compile(rf"({_CANONICAL.pattern})\.json")
_FILE_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})\.([0-9]{6})Z")
_WINDOWS_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9]) *(?:\.|\Z)", re.IGNORECASE | re.ASCII)
_set_uuid_int = uuid.UUID.__dict__["int"].__set__
_set_uuid_safety = uuid.UUID.__dict__["is_safe"].__set__
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_SECOND = 1579751960
"""The second from which on upstream takes the time in an id for a real one (January 2020)."""
_MILLISECOND = timedelta(milliseconds=1)
_RANDOM_BITS = 74
_STEP_BITS = 32
_LAST_MILLISECOND = (datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC) - _EPOCH) // _MILLISECOND
"""The last time that an id may hold: no calendar here goes beyond the year 9999."""
_LAST_TIME_TEXT = "{:.8}-{:.4}".format(f"{_LAST_MILLISECOND:012x}", f"{_LAST_MILLISECOND:012x}"[8:])
_COUNTER_LIMIT = (_LAST_MILLISECOND + 1) << _RANDOM_BITS
_MAX_CLOCK_SKEW_MS = 60_000


def parse_uuid(text: str) -> uuid.UUID:
    """Return the UUID that `text` spells, in one of the forms of upstream's parser (Rust's `uuid`).

    These are 32 hex digits, hyphenated or not, and the hyphenated form in braces or after `urn:uuid:`.

    Raises:
        InvalidIdError: It is none of these, with that parser's reason.

    >>> parse_uuid("{019C0A11-22bb-7aaa-8ccc-0123456789ab}")
    UUID('019c0a11-22bb-7aaa-8ccc-0123456789ab')
    """
    match = _UUID.fullmatch(text)
    if match is None:
        raise InvalidIdError(f"UUID parsing failed: {_explain_no_uuid(text)}")
    return uuid.UUID(match[1] or match[2] or match[3])


def _explain_no_uuid(text: str) -> str:
    offset, digits = 0, text
    if text.startswith("urn:uuid:"):
        offset, digits = 9, text[9:]
    elif text.startswith("{") and text.endswith("}"):
        offset, digits = 1, text[1:-1]
    if match := re.search(_NOT_IN_UUID, digits):
        place = offset + match.start() + 1
        return (
            "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], "
            f"found `{match[0]}` at {place}"
        )
    groups = digits.split("-")
    if len(groups) == 1 and not offset:
        return f"invalid length: expected length 32 for simple format, found {len(digits)}"
    if len(groups) != 5:
        return f"invalid group count: expected 5, found {len(groups)}"
    sizes = zip(groups, (8, 4, 4, 4, 12), strict=True)
    number, group, size = next((i, group, size) for i, (group, size) in enumerate(sizes) if len(group) != size)
    return f"invalid group length in group {number}: expected {size}, found {len(group)}"


def created_at(id: uuid.UUID) -> datetime:
    """Return the time in a UUIDv7, UTC, in whole milliseconds.

    Raises:
        ValueError: `id` has another version, or its time is after the year 9999.

    >>> created_at(uuid.UUID("019c0a11-22bb-7aaa-8ccc-0123456789ab")).isoformat()
    '2026-01-29T14:03:41.115000+00:00'
    """
    if (id.int >> 76 & 0xF, id.int >> 62 & 0x3) != (7, 2):  # faster than `id.version`: every read comes through here
        raise ValueError(f"{id} is no UUIDv7 and holds no time")
    try:
        return _time_of(id.int >> 80)
    except OverflowError:
        raise ValueError(f"the time in {id} is after the year 9999") from None


@lru_cache(maxsize=1024)
def _time_of(millisecond: int) -> datetime:
    """Return a time; ids that are made together have the same, and share it."""
    return _EPOCH + timedelta(milliseconds=millisecond)


def check_tensorzero_uuid(id: uuid.UUID, now: datetime) -> None:
    """Check an id that a client chose, as upstream does.

    Args:
        id: The id.
        now: The current time.

    Raises:
        InvalidIdError: It is not of version 7, or its time is not between January 2020 and `now`.
    """
    version = id.int >> 76 & 0xF  # also where `id.version` is None, for variants that RFC 9562 does not define
    if version != 7:
        raise InvalidIdError(f"Invalid Datapoint ID: Version must be 7, got {version}")
    if id.version is None:
        raise InvalidIdError("Invalid Datapoint ID: Timestamp is missing")
    second = (id.int >> 80) // 1000
    if second < _EARLIEST_SECOND:
        raise InvalidIdError("Invalid Datapoint ID: Timestamp is too early")
    if second > now.timestamp():
        raise InvalidIdError("Invalid Datapoint ID: Timestamp is in the future")


def random_bits(count: int) -> int:
    """Return a random integer of so many bits that nobody can guess."""
    import secrets  # reads need none, and it loads OpenSSL

    return secrets.randbits(count)


class IdMaker:
    """Makes UUIDv7s that ascend, whatever the clock does, for any number of threads.

    Args:
        clock: Returns the current time, UTC.
        random_bits: Returns a random integer of so many bits.
    """

    def __init__(self, clock: Callable[[], datetime], random_bits: Callable[[int], int] = random_bits) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._lock = threading.Lock()
        # Milliseconds and random bits of the newest id as one number, so that a step too far counts the time up.
        self._newest = 0
        self._latest = 0

    def renew_lock(self) -> None:
        """Start with a free lock: in a forked child the thread that held it is not there."""
        self._lock = threading.Lock()

    def make(self, count: int = 1, after: uuid.UUID | None = None) -> list[uuid.UUID]:
        """Return new ids in ascending order, each greater than all that were made before.

        Args:
            count: How many.
            after: A UUIDv7 that the new ones must be greater than, too.

        Raises:
            InvalidIdError: No UUIDv7 is greater.
        """
        with self._lock:
            newest = self._newest if after is None else max(self._newest, _counter_of(after))
            counters = []
            for _ in range(count):
                newest = self._next(newest)
                counters.append(newest)
            if newest >= _COUNTER_LIMIT:
                raise InvalidIdError("no greater id is left")
            is_far_ahead = after is not None and newest >> _RANDOM_BITS > self._latest + _MAX_CLOCK_SKEW_MS
            if not is_far_ahead:  # an `after` from the far future stays without consequences for other ids
                self._newest = newest
        return [_uuid_of(counter) for counter in counters]

    def _next(self, newest: int) -> int:
        self._latest = millisecond = (self._clock() - _EPOCH) // _MILLISECOND
        if millisecond > newest >> _RANDOM_BITS:
            # The top bit stays 0: room to count within the millisecond.
            return millisecond << _RANDOM_BITS | self._random_bits(_RANDOM_BITS - 1)
        return newest + 1 + self._random_bits(_STEP_BITS)


def _counter_of(id: uuid.UUID) -> int:
    return id.int >> 80 << _RANDOM_BITS | (id.int >> 64 & 0xFFF) << 62 | id.int & (1 << 62) - 1


def _uuid_of(counter: int) -> uuid.UUID:
    high, low = counter >> 62, counter & (1 << 62) - 1
    return uuid.UUID(int=high >> 12 << 80 | 7 << 76 | (high & 0xFFF) << 64 | 2 << 62 | low)


def file_name(id: uuid.UUID) -> str:
    """Return the name of a datapoint's file."""
    return f"{id}.json"


def parse_canonical_uuid(text: str) -> uuid.UUID:
    """Return the UUID that a text spells of which `is_canonical_uuid` holds, without checking that again."""
    id = uuid.UUID.__new__(uuid.UUID)
    # Past `UUID.__init__`, which looks for what cannot be here: five times as fast.
    _set_uuid_int(id, int(text.replace("-", ""), 16))
    _set_uuid_safety(id, uuid.SafeUUID.unknown)
    return id


def is_canonical_uuid(text: str) -> bool:
    """Tell whether a text spells a UUIDv7 as the names of datapoint files do."""
    return _CANONICAL.fullmatch(text) is not None


def is_file_name(name: str) -> bool:
    """Tell whether a name is that of a datapoint's file."""
    return bool(parse_file_names((name,)))


def parse_file_names(names: Iterable[str]) -> list[str]:
    """Return the ids, as text, that those of the names spell which are a datapoint's file."""
    ids = [match[1] for match in map(_FILE_NAME.fullmatch, names) if match is not None]
    if ids and max(ids)[:13] > _LAST_TIME_TEXT:
        ids = [one for one in ids if one[:13] <= _LAST_TIME_TEXT]
    return ids


def parse_file_name(name: str) -> uuid.UUID | None:
    """Return the id that the name of a datapoint's file spells, or `None` for any other name."""
    match = _FILE_NAME.fullmatch(name)
    id = uuid.UUID(int=int(match[1].replace("-", ""), 16)) if match else None  # not its text, which it parses again
    return id if id is not None and is_datapoint_id(id) else None


def is_datapoint_id(id: uuid.UUID) -> bool:
    """Tell whether a datapoint may have an id: it is a UUIDv7 of a time up to the year 9999."""
    return id.version == 7 and id.int >> 80 <= _LAST_MILLISECOND


def is_draft_name(name: str) -> bool:
    """Tell whether a file of this name in a dataset's directory is a draft.

    It is neither a datapoint nor somebody's mistake in the spelling of an id, nor hidden, and it is text.

    >>> [is_draft_name(name) for name in ("a case.json", "019C0A11-22bb-7aaa-8ccc-0123456789ab.json", ".a.json")]
    [True, False, False]
    """
    if _DRAFT_NAME.fullmatch(name) is None or is_id_shaped(name.removesuffix(".json")):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return True


def is_id_shaped(stem: str) -> bool:
    """Tell whether a file name without its ending is a UUID, of whatever version and in whatever spelling."""
    return re.fullmatch(_HYPHENATED, stem) is not None


@lru_cache(maxsize=256)
def spell_dataset_name(name: str) -> str:
    """Return the directory of a dataset: its name after NFC, percent-encoded where a file system could object.

    Raises:
        DatasetNameError: The name is reserved, or cannot be a directory.

    A mark behind something encoded is encoded, too: composed with its last digit it would be another name.

    >>> spell_dataset_name("Größe 1/2"), spell_dataset_name(".hidden"), spell_dataset_name("con.txt")
    ('Größe 1%2F2', '%2Ehidden', '%63on.txt')
    """
    if name == "builder" or name.startswith("tensorzero::"):
        raise ReservedDatasetNameError(name)
    if not name:
        raise _name_error(name, "The name is empty")
    if "@" in name:
        raise _name_error(name, "`@` is kept for revisions")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _name_error(name, "It is not Unicode text: it has a lone surrogate") from None
    text = name if name.isascii() else _compose(name)
    first, last = 0, len(text) - 1
    parts: list[str] = []
    for at, character in enumerate(text):
        is_kept = (
            _is_kept(character)
            and not (at == first and (character == "." or _WINDOWS_DEVICE.match(text)))
            and not (at == last and character in ". ")
            and not (parts and parts[-1].startswith("%") and _is_mark(character))
        )
        parts.append(character if is_kept else _percent_encode(character))
    directory = "".join(parts)
    if len(directory.encode()) > MAX_DIRECTORY_BYTES:
        raise _name_error(name, f"It takes more than {MAX_DIRECTORY_BYTES} bytes as the name of a directory")
    return directory


def parse_directory_name(directory: str) -> str | None:
    """Return the dataset name that a directory spells, or `None` where `spell_dataset_name` would spell it otherwise.

    >>> parse_directory_name("a%2Fb"), parse_directory_name("a%2fb"), parse_directory_name(".git")
    ('a/b', None, None)
    """
    try:
        name = _unquote(directory) if "%" in directory else directory
        return name if spell_dataset_name(name) == directory else None
    except (UnicodeDecodeError, DatasetNameError):
        return None


def _unquote(text: str) -> str:
    from urllib.parse import unquote  # slow to load, and few names need it

    return unquote(text, errors="strict")


def fold_dataset_name(name: str) -> str:
    """Return what names that differ only in letter case or composition have in common."""
    return _compose(_compose(name).casefold())


def _compose(text: str) -> str:
    import unicodedata  # most names are ASCII

    return unicodedata.normalize("NFC", text)


def _is_kept(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in "-_. "
    import unicodedata

    is_superscript_digit = character.isdigit() and unicodedata.decomposition(character).startswith("<super>")
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"} and not is_superscript_digit


def _is_mark(character: str) -> bool:
    """Tell whether a character may become one with the letter before it, such as the last digit of `%2A`."""
    if character.isascii():
        return False
    import unicodedata

    return unicodedata.combining(character) != 0


def _percent_encode(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _name_error(name: str, reason: str) -> DatasetNameError:
    printable = name.encode(errors="backslashreplace").decode()
    return DatasetNameError(f"Invalid dataset name: {printable}. {reason}")


def format_time(time: datetime) -> str:
    """Spell an aware time in UTC, in microseconds, as files do.

    >>> format_time(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    '2026-01-02T03:04:05.000006Z'
    """
    return _in_utc(time).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """Return the time that `format_time` spells so.

    Raises:
        ValueError: It spells no time so.
    """
    time = datetime.fromisoformat(text)
    # `fromisoformat` takes many spellings, and more with each version of Python.
    if time.tzinfo is None or format_time(time) != text:
        raise ValueError(f"{text!r} is not spelled {format_time(_EPOCH)!r}, as times are here")
    return time.astimezone(UTC)


def format_wire_time(time: datetime) -> str:
    """Spell an aware time in UTC, in whole seconds, as answers do.

    >>> format_wire_time(datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    return _in_utc(time).isoformat(timespec="seconds") + "Z"


def format_file_time(time: datetime) -> str:
    """Spell an aware time in UTC, in microseconds, without the colons that Windows forbids in file names.

    >>> format_file_time(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    '20260102T030405.000006Z'
    """
    return format_time(time).replace("-", "").replace(":", "")


def parse_file_time(text: str) -> datetime:
    """Return the time that `format_file_time` spells so.

    Raises:
        ValueError: It spells no time so.
    """
    match = _FILE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not spelled {format_file_time(_EPOCH)!r}, as times are here")
    year, month, day, hour, minute, second, microsecond = map(int, match.groups())
    return datetime(year, month, day, hour, minute, second, microsecond, UTC)


def _in_utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone")
    return time.astimezone(UTC).replace(tzinfo=None)
