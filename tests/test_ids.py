"""Laws of ids, of the names of files and datasets, and of the spelling of times."""

from __future__ import annotations

import itertools
import re
import unicodedata
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filestore.errors import DatasetNameError, InvalidIdError, ReservedDatasetNameError
from filestore.ids import (
    MAX_DIRECTORY_BYTES,
    IdMaker,
    check_tensorzero_uuid,
    created_at,
    file_name,
    fold_dataset_name,
    format_file_time,
    format_time,
    format_wire_time,
    parse_directory_name,
    parse_file_name,
    parse_file_time,
    parse_time,
    parse_uuid,
    spell_dataset_name,
)

TEXT = "019c0a11-22bb-7aaa-8ccc-0123456789ab"
ID = uuid.UUID(TEXT)
NOW = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)


def uuid7(time: datetime, rest: int = 0) -> uuid.UUID:
    milliseconds = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | rest)


# --- UUIDs


@pytest.mark.parametrize(
    "text",
    [TEXT, TEXT.upper(), TEXT.replace("-", ""), f"{{{TEXT}}}", f"urn:uuid:{TEXT}", f"urn:uuid:{TEXT.upper()}"],
    ids=["hyphenated", "upper", "simple", "braced", "urn", "urn-upper"],
)
def test_every_spelling_of_upstream_is_read(text: str) -> None:
    assert parse_uuid(text) == ID


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid length: expected length 32 for simple format, found 0"),
        ("0190", "invalid length: expected length 32 for simple format, found 4"),
        (f"{{{TEXT.replace('-', '')}}}", "invalid group count: expected 5, found 1"),
        (f"urn:uuid:{TEXT.replace('-', '')}", "invalid group count: expected 5, found 1"),
        (TEXT[:-13], "invalid group count: expected 5, found 4"),
        (f"{TEXT}-", "invalid group count: expected 5, found 6"),
        (TEXT[1:], "invalid group length in group 0: expected 8, found 7"),
        (TEXT[:-1], "invalid group length in group 4: expected 12, found 11"),
        (f"019c0a1122bb-{TEXT[9:]}", "invalid group length in group 0: expected 8, found 12"),
        (f" {TEXT}", "invalid character: {}found ` ` at 1"),
        (f"{TEXT}\n", "invalid character: {}found `\n` at 37"),
        (f"URN:UUID:{TEXT}", "invalid character: {}found `U` at 1"),
        (f"{{{TEXT}", "invalid character: {}found `{{` at 1"),
        (f"{{x{TEXT[1:]}}}", "invalid character: {}found `x` at 2"),
        (f"urn:uuid:{TEXT[:-1]}g", "invalid character: {}found `g` at 45"),
        (f"{TEXT[:-1]}１", "invalid character: {}found `１` at 36"),
        ("not-a-uuid", "invalid character: {}found `n` at 1"),
    ],
    ids=lambda item: repr(item)[:48],
)
def test_any_other_text_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        parse_uuid(text)
    expected = "expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], "
    assert str(caught.value) == "UUID parsing failed: " + reason.format(expected)


@given(st.text("0123456789abcdefABCDEF-{}urn:id x", max_size=50) | st.text(max_size=40))
def test_any_text_is_a_uuid_or_refused(text: str) -> None:
    try:
        assert parse_uuid(text) == uuid.UUID(text)
    except InvalidIdError as error:
        assert str(error).startswith("UUID parsing failed: invalid ")


def test_the_time_of_an_id_is_in_it_to_the_millisecond() -> None:
    assert created_at(uuid7(NOW, rest=123)) == NOW


@pytest.mark.parametrize(
    "id",
    [
        uuid.UUID(int=0),
        uuid.uuid4(),
        uuid.UUID("019c0a11-22bb-7aaa-0ccc-0123456789ab"),
        uuid.UUID(int=(1 << 128) - 1),
        uuid.UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"),
    ],
    ids=["nil", "v4", "variant", "max", "beyond-9999"],
)
def test_an_id_without_a_time_has_none(id: uuid.UUID) -> None:
    with pytest.raises(ValueError):
        created_at(id)


@pytest.mark.parametrize(
    ("id", "detail"),
    [
        (uuid.UUID("7f5a1a45-8a5c-4d3c-a9b9-0123456789ab"), "Version must be 7, got 4"),
        (uuid.UUID(int=0), "Version must be 7, got 0"),
        (uuid.UUID("019c0a11-22bb-4aaa-0ccc-0123456789ab"), "Version must be 7, got 4"),
        (uuid.UUID("019c0a11-22bb-7aaa-0ccc-0123456789ab"), "Timestamp is missing"),
        (uuid7(datetime(2020, 1, 23, 3, 59, 19, 999000, tzinfo=UTC)), "Timestamp is too early"),
        (uuid7(NOW + timedelta(seconds=1)), "Timestamp is in the future"),
        (uuid.UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"), "Timestamp is in the future"),
    ],
    ids=lambda item: str(item),
)
def test_a_chosen_id_is_a_version_7_with_a_time_that_has_been(id: uuid.UUID, detail: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        check_tensorzero_uuid(id, NOW)
    assert str(caught.value) == f"Invalid Datapoint ID: {detail}"


@pytest.mark.parametrize(
    "time",
    [datetime(2020, 1, 23, 3, 59, 20, tzinfo=UTC), NOW, NOW.replace(microsecond=999000)],
    ids=["first-second", "now", "later-in-this-second"],
)
def test_a_chosen_id_may_be_as_old_as_2020_and_as_new_as_this_second(time: datetime) -> None:
    check_tensorzero_uuid(uuid7(time), NOW)


# --- new ids


class Clock:
    """Returns the given times, the last one for ever."""

    def __init__(self, *times: datetime) -> None:
        self._times = itertools.chain(times, itertools.repeat(times[-1]))

    def __call__(self) -> datetime:
        return next(self._times)


def assert_ascending_uuid7s(ids: list[uuid.UUID]) -> None:
    assert all(id.version == 7 and id.variant == uuid.RFC_4122 for id in ids)
    assert all(a < b and str(a) < str(b) for a, b in itertools.pairwise(ids))


@pytest.mark.parametrize("bits", [lambda n: 0, lambda n: (1 << n) - 1], ids=["least", "most"])
def test_new_ids_ascend_while_the_clock_moves_stands_and_goes_back(bits: object) -> None:
    assert callable(bits)
    second = timedelta(seconds=1)
    maker = IdMaker(Clock(NOW, NOW + second, NOW + second, NOW - second, NOW + 2 * second, NOW), bits)
    ids = [*maker.make(3), *maker.make(), *maker.make(500)]
    assert len(ids) == 504
    assert_ascending_uuid7s(ids)
    assert [created_at(id) for id in ids[:5]] == [NOW, *[NOW + second] * 3, NOW + 2 * second]


def test_a_new_millisecond_brings_74_bits_whose_first_is_0() -> None:
    asked: list[int] = []

    def bits(count: int) -> int:
        asked.append(count)
        return (1 << count) - 1

    [new_id] = IdMaker(Clock(NOW), bits).make()
    assert asked == [73]
    assert new_id == uuid7(NOW, rest=0x7FF << 64 | (1 << 62) - 1)


def test_a_millisecond_that_is_full_borrows_from_the_next() -> None:
    last = uuid7(NOW, rest=0xFFF << 64 | (1 << 62) - 1)
    ids = IdMaker(Clock(NOW)).make(2, after=last)
    assert_ascending_uuid7s([last, *ids])
    assert created_at(ids[0]) == NOW + timedelta(milliseconds=1)


def test_new_ids_are_greater_than_the_one_they_come_after() -> None:
    maker = IdMaker(Clock(NOW))
    future = uuid7(NOW + timedelta(days=1), rest=5)
    assert_ascending_uuid7s([*maker.make(), future, *maker.make(2, after=future)])
    assert_ascending_uuid7s([*maker.make(), *maker.make(2, after=ID)])


def test_an_id_from_the_far_future_has_no_consequences_for_other_ids() -> None:
    maker = IdMaker(Clock(NOW))
    first = maker.make()
    maker.make(after=uuid7(NOW + timedelta(days=1), rest=5))
    assert_ascending_uuid7s([*first, *maker.make()])
    assert created_at(maker.make()[0]) == NOW


def test_after_the_last_of_all_ids_there_is_none_and_the_maker_goes_on() -> None:
    maker = IdMaker(Clock(NOW))
    with pytest.raises(InvalidIdError):
        maker.make(after=uuid.UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"))
    assert created_at(maker.make()[0]) == NOW


def test_new_ids_are_distinct_and_ascend_in_every_thread() -> None:
    maker = IdMaker(lambda: datetime.now(UTC))
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(maker.make, [50] * 64))
    for batch in batches:
        assert_ascending_uuid7s(batch)
    assert_ascending_uuid7s(list(itertools.chain(*sorted(batches))))
    assert maker.make(0) == []


# --- file names


def test_a_file_name_is_the_id_and_json() -> None:
    assert file_name(ID) == f"{TEXT}.json"
    assert parse_file_name(file_name(ID)) == ID


@pytest.mark.parametrize(
    "name",
    [
        TEXT,
        f"{TEXT.upper()}.json",
        f"{TEXT}.JSON",
        f"{TEXT}.json\n",
        f"{TEXT.replace('-', '')}.json",
        "019c0a11-22bb-4aaa-8ccc-0123456789ab.json",
        "019c0a11-22bb-7aaa-cccc-0123456789ab.json",
        f"a{TEXT}.json",
        "case.json",
        "",
    ],
    ids=repr,
)
def test_any_other_file_name_spells_no_id(name: str) -> None:
    assert parse_file_name(name) is None


# --- dataset names


SPELLINGS = [
    ("demo", "demo"),
    ("a-b_c.d e", "a-b_c.d e"),
    ("Größe", "Größe"),
    ("日本 😀", "日本 😀"),
    ("e\u0301", "é"),
    ("a/b\\c", "a%2Fb%5Cc"),
    ("%2F", "%252F"),
    ("a:b*?", "a%3Ab%2A%3F"),
    ("tensorzero:", "tensorzero%3A"),
    ("Builder", "Builder"),
    (".", "%2E"),
    ("..", "%2E%2E"),
    ("...", "%2E.%2E"),
    (".filestore", "%2Efilestore"),
    ("a.", "a%2E"),
    ("a ", "a%20"),
    (" a", " a"),
    (" ", "%20"),
    ("a\nb\0\x7f", "a%0Ab%00%7F"),
    ("a\x85b", "a%C2%85b"),
    ("a\u00a0b\u2028\u3000", "a%C2%A0b%E2%80%A8%E3%80%80"),
    ("a\u200d\u202e\ufeff", "a%E2%80%8D%E2%80%AE%EF%BB%BF"),
    ("x²³¹⁰⁷", "x%C2%B2%C2%B3%C2%B9%E2%81%B0%E2%81%B7"),
    ("x₂½", "x₂½"),
    ("con", "%63on"),
    ("CON.txt", "%43ON.txt"),
    ("Aux .json", "%41ux .json"),
    ("nul ", "%6Eul%20"),
    ("com0", "%63om0"),
    ("LPT9.a.b", "%4CPT9.a.b"),
    ("COM¹", "COM%C2%B9"),
    ("console", "console"),
    ("com10", "com10"),
    (".con", "%2Econ"),
    ("x" * 120, "x" * 120),
    ("*\u0301", "%2A%CC%81"),
    (".\u0334\u0301a\u0334\u0301", "%2E%CC%B4%CC%81\xe1\u0334"),
]


@pytest.mark.parametrize(("name", "directory"), SPELLINGS, ids=[ascii(row[0])[:40] for row in SPELLINGS])
def test_a_dataset_name_is_spelled_as_a_directory_and_read_back(name: str, directory: str) -> None:
    assert spell_dataset_name(name) == directory
    assert parse_directory_name(directory) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "directory",
    [
        ".git",
        ".",
        "..",
        "",
        "a%2f",
        "a%",
        "a%2",
        "a%GG",
        "%61",
        "%FF",
        "%ED%A0%80",
        "a/b",
        "a@b",
        "a%40b",
        "a+",
        "con",
        "a ",
        "e\u0301",
        "a\udcff",
        "builder",
        "tensorzero%3A%3Ax",
        "x" * 121,
    ],
    ids=ascii,
)
def test_any_other_directory_is_no_dataset(directory: str) -> None:
    assert parse_directory_name(directory) is None


@pytest.mark.parametrize("name", ["builder", "tensorzero::", "tensorzero::x"])
def test_the_names_that_upstream_reserves_are_refused_in_its_words(name: str) -> None:
    with pytest.raises(ReservedDatasetNameError) as caught:
        spell_dataset_name(name)
    assert str(caught.value) == (
        f'Invalid dataset name: {name}. Datasets cannot be named "builder" or begin with "tensorzero::"'
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "Invalid dataset name: . The name is empty"),
        ("a@b", "Invalid dataset name: a@b. `@` is kept for revisions"),
        ("a\ud800", r"Invalid dataset name: a\ud800. It is not Unicode text: it has a lone surrogate"),
        ("/" * 41, f"Invalid dataset name: {'/' * 41}. It takes more than 120 bytes as the name of a directory"),
        ("é" * 61, f"Invalid dataset name: {'é' * 61}. It takes more than 120 bytes as the name of a directory"),
    ],
    ids=["empty", "at", "surrogate", "long-encoded", "long-utf8"],
)
def test_a_name_that_cannot_be_a_directory_is_refused_with_the_reason(name: str, text: str) -> None:
    with pytest.raises(DatasetNameError) as caught:
        spell_dataset_name(name)
    assert str(caught.value) == text


@given(st.text(max_size=30) | st.text("aC.oON1 %/@²e\u0301\u212b:-", max_size=8))
@example("%")
def test_spelling_is_a_bijection_between_names_and_directories(name: str) -> None:
    try:
        directory = spell_dataset_name(name)
    except DatasetNameError:
        return
    assert parse_directory_name(directory) == unicodedata.normalize("NFC", name)
    assert spell_dataset_name(unicodedata.normalize("NFD", name)) == directory
    assert len(directory.encode()) <= MAX_DIRECTORY_BYTES
    assert not re.search(r"[\x00-\x1f\x7f/\\:*?\"<>|]|^\.|[. ]$|^$", directory)
    assert unicodedata.is_normalized("NFC", directory), "a file system that composes names would make another of it"


@given(st.text(max_size=12) | st.text("aCoN.%2Ff0 é", max_size=8))
def test_a_directory_that_is_a_dataset_is_the_one_spelling_of_its_name(directory: str) -> None:
    name = parse_directory_name(directory)
    if name is not None:
        assert spell_dataset_name(name) == directory


def test_names_that_differ_in_case_or_composition_fold_to_one() -> None:
    assert fold_dataset_name("STRASSE É") == fold_dataset_name("straße e\u0301")
    assert fold_dataset_name("a") != fold_dataset_name("b")


# --- times


TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])).filter(
    lambda time: 1 < time.year < 9999
)


@given(TIMES)
def test_times_come_back_as_they_were_in_utc(time: datetime) -> None:
    assert parse_time(format_time(time)) == parse_file_time(format_file_time(time)) == time
    assert parse_time(format_time(time)).tzinfo is UTC
    assert format_wire_time(time) == format_time(time)[:19] + "Z"


def test_times_are_spelled_in_the_order_of_time() -> None:
    assert format_time(NOW) == "2026-02-03T04:05:06.789000Z"
    assert format_file_time(NOW) == "20260203T040506.789000Z"
    assert format_wire_time(datetime(7, 1, 1, tzinfo=UTC)) == "0007-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-03",
        "2026-02-03T04:05:06Z",
        "2026-02-03T04:05:06.789Z",
        "2026-02-03T04:05:06.789000",
        "2026-02-03T04:05:06.789000z",
        "2026-02-03 04:05:06.789000Z",
        "2026-02-03T04:05:06.789000+00:00",
        "2026-02-30T04:05:06.789000Z",
        "2026-02-03T24:00:00.000000Z",
        "2026-02-03T04:05:06.789000Z\n",
        "２026-02-03T04:05:06.789000Z",
        "2026-W06-2T04:05:06.789000Z",
        "20260203T040506.789000",
        "20260203t040506.789000Z",
    ],
    ids=repr,
)
def test_a_time_spelled_otherwise_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)
    with pytest.raises(ValueError):
        parse_file_time(text)


@pytest.mark.parametrize("spell", [format_time, format_wire_time, format_file_time], ids=lambda spell: spell.__name__)
def test_a_time_without_a_zone_is_not_spelled(spell: object) -> None:
    assert callable(spell)
    with pytest.raises(ValueError):
        spell(datetime(2026, 1, 1))
