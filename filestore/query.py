"""What a v1 list asks for: filters, search, order and page, as one value that selects from rows."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import islice
from typing import Protocol, TypeVar

from filestore.codec import JSONValue, compact
from filestore.errors import RequestError, ShapeError
from filestore.shapes import ObjectReader, describe, expect_text, expect_u32, parse_list

__all__ = [
    "Filter",
    "Instant",
    "ListQuery",
    "Listed",
    "SearchText",
    "parse_filter",
    "parse_instant",
    "parse_list_query",
]


class Listed(Protocol):
    """What a query decides by."""

    @property
    def key(self) -> tuple[datetime, str]:
        """When it last changed, UTC, and its id as text."""

    @property
    def updated_at(self) -> datetime:
        """When it last changed, UTC."""

    @property
    def function_name(self) -> str:
        """The function it is for."""

    @property
    def tags(self) -> Mapping[str, str]:
        """Text to text."""

    def occurrences(self, search: SearchText) -> int:
        """Count a search text in the wire form of input and output."""


L = TypeVar("L", bound=Listed)
Predicate = Callable[[Listed], bool]
Instant = tuple[int, Fraction]
"""Whole seconds since 1970, UTC, and the fraction of a second (1 and more inside a leap second)."""

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|([+-])(\d\d):?(\d\d))", re.ASCII
)
_COMPARISONS: dict[str, Callable[[Instant, Instant], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter tree.

    Attributes:
        accepts: Tells whether it lets something pass.
        tags: Tags that all have which pass: a short cut to them.
    """

    accepts: Predicate
    tags: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Order:
    """One term of an order."""

    by: str
    """`timestamp` (of the last update) or `search_relevance`."""
    is_descending: bool


_NEWEST_FIRST = Order("timestamp", is_descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """A v1 list request.

    Attributes:
        function_name: Only datapoints of this function.
        limit: At most so many.
        offset: After leaving out so many.
        filter: Only datapoints that it accepts.
        order: Terms that decide before the last one, id descending; by default the latest update first.
        search: Only datapoints whose input or output holds this text.
    """

    function_name: str | None = None
    limit: int = 20
    offset: int = 0
    filter: Filter | None = None
    order: tuple[Order, ...] = ()
    search: str | None = None

    def check(self) -> None:
        """Check what the terms of the query ask of each other.

        Raises:
            RequestError: An order asks for the relevance of no search.
        """
        if self.search is None and any(term.by == "search_relevance" for term in self.order):
            raise RequestError("OrderBy::SearchRelevance requires search_query_experimental to be provided")

    @property
    def takes_all(self) -> bool:
        """Whether nothing is left out but for its place in the order, newest first."""
        return self.filter is None and not self.search and self.takes_newest_first

    @property
    def takes_newest_first(self) -> bool:
        """Whether the latest update comes first, so that a page is complete before all have been looked at."""
        return self.order in ((), (_NEWEST_FIRST,))

    def select(self, newest_first: Iterable[L]) -> list[L]:
        """Return the page that the query asks for.

        Args:
            newest_first: All there are, by `key`, descending; the rest is not looked at once the page is complete.
        """
        search = SearchText(self.search) if self.search else None
        is_narrowed = self.function_name is not None or self.filter is not None
        found = filter(self._accepts, newest_first) if is_narrowed else newest_first
        end = self.offset + self.limit
        if self.takes_newest_first:
            return list(
                islice(found if search is None else (one for one in found if one.occurrences(search)), self.offset, end)
            )
        pairs = [(one, one.occurrences(search) if search else 0) for one in found]
        if search:
            pairs = [pair for pair in pairs if pair[1]]
        pairs.sort(key=lambda pair: pair[0].key[1], reverse=True)
        for term in reversed(self.order):
            if term.by == "timestamp":
                pairs.sort(key=lambda pair: pair[0].updated_at, reverse=term.is_descending)
            else:
                pairs.sort(key=lambda pair: pair[1], reverse=term.is_descending)
        return [one for one, _ in pairs[self.offset : end]]

    def _accepts(self, one: Listed) -> bool:
        is_of_function = self.function_name is None or one.function_name == self.function_name
        return is_of_function and (self.filter is None or self.filter.accepts(one))


class SearchText:
    r"""What a search looks for: the query as JSON spells it inside a string, without letter case.

    >>> SearchText('Say "Hi"').count(b'"he said: say \\"hi\\""')
    1
    """

    def __init__(self, query: str) -> None:
        self._text = _fold(compact(query)[1:-1])
        self._ascii = self._text.encode() if self._text.isascii() else None

    def count(self, texts: bytes) -> int:
        """Count it in compact JSON texts, one on each line, in UTF-8."""
        if self._ascii is None:
            return 0 if texts.isascii() else _fold(texts.decode()).count(self._text)
        # Bytes are searched several times faster than text, and all but two letters have small ones beyond ASCII.
        if _KELVIN in texts or _DOTTED_I in texts:
            return _fold(texts.decode()).count(self._text)
        return texts.lower().count(self._ascii)


_KELVIN = "\N{KELVIN SIGN}".encode()
_DOTTED_I = "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}".encode()


def _fold(text: str) -> str:
    """Return a text without letter case; the two small sigmas are one letter."""
    return text.lower().replace("ς", "σ")


def parse_list_query(value: JSONValue) -> ListQuery:
    """Read the body of a v1 list request.

    Raises:
        ShapeError: A key is of the wrong shape.
    """
    reader = ObjectReader(value, "struct ListDatapointsRequest")
    limit = reader.take("limit", expect_u32)
    page_size = reader.take("page_size", expect_u32)
    if limit is None:
        limit = 20 if page_size is None else page_size
    search = reader.take("search_query_experimental", expect_text)
    order = reader.take("order_by", lambda terms: tuple(parse_list(terms, _parse_order))) or ()
    return ListQuery(
        function_name=reader.take("function_name", expect_text),
        limit=limit,
        offset=reader.take("offset", expect_u32) or 0,
        filter=reader.take("filter", parse_filter),
        order=order,
        search=search,
    )


def _parse_order(value: JSONValue) -> Order:
    reader = ObjectReader(value, "struct DatapointOrderBy")
    by = reader.require("by", lambda term: _one_of(term, ("timestamp", "search_relevance")))
    direction = reader.require("direction", lambda term: _one_of(term, ("ascending", "descending")))
    return Order(by, direction == "descending")


def _one_of(value: JSONValue, known: Iterable[str]) -> str:
    text = expect_text(value)
    names = list(known)
    if text not in names:
        raise ShapeError(f"unknown variant `{text}`, expected one of {', '.join(f'`{name}`' for name in names)}")
    return text


def parse_filter(value: JSONValue) -> Filter:
    """Read a filter tree.

    Raises:
        ShapeError: A node of an unknown type, or with a key that is missing or of the wrong type.
    """
    reader = ObjectReader(value, "an object with a `type`")
    kind = reader.require("type", lambda one: _one_of(one, _FILTERS))
    return _FILTERS[kind](reader)


def _parse_tag(reader: ObjectReader) -> Filter:
    key, wanted = reader.require("key", expect_text), reader.require("value", expect_text)
    if reader.require("comparison_operator", lambda one: _one_of(one, ("=", "!="))) == "=":
        return Filter(lambda one: one.tags.get(key) == wanted, frozenset({(key, wanted)}))
    return Filter(lambda one: one.tags.get(key, wanted) != wanted)


def _parse_time(reader: ObjectReader) -> Filter:
    instant = reader.require("time", parse_instant)
    compare = _COMPARISONS[reader.require("comparison_operator", lambda one: _one_of(one, _COMPARISONS))]
    return Filter(lambda one: compare(_instant_of(one.updated_at), instant))


def _parse_and(reader: ObjectReader) -> Filter:
    children = reader.require_list("children", parse_filter)
    tags = frozenset[tuple[str, str]]().union(*(child.tags for child in children))
    return Filter(lambda one: all(child.accepts(one) for child in children), tags)


def _parse_or(reader: ObjectReader) -> Filter:
    children = reader.require_list("children", parse_filter)
    return Filter(lambda one: any(child.accepts(one) for child in children))


def _parse_not(reader: ObjectReader) -> Filter:
    child = reader.require("child", parse_filter)
    return Filter(lambda one: not child.accepts(one))


_FILTERS: dict[str, Callable[[ObjectReader], Filter]] = {
    "tag": _parse_tag,
    "time": _parse_time,
    "and": _parse_and,
    "or": _parse_or,
    "not": _parse_not,
}


def parse_instant(value: JSONValue) -> Instant:
    """Read a time of RFC 3339 with an offset, at full precision.

    >>> parse_instant("1970-01-01 01:00:00.25+01:00")
    (0, Fraction(1, 4))
    """
    match = _INSTANT.fullmatch(expect_text(value))
    if match is None:
        raise ShapeError(f"invalid time {describe(value)}, expected RFC 3339 with an offset")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction = _parse_fraction(match[7] or "0")
    is_leap = second == 60
    try:
        seconds = _seconds(datetime(year, month, day, hour, minute, second - is_leap, tzinfo=UTC))
    except ValueError as error:
        raise ShapeError(f"invalid time {describe(value)}: {error}") from None
    offset = 0
    if match[9]:
        hours, minutes = int(match[10]), int(match[11])
        if hours > 23 or minutes > 59:
            raise ShapeError(f"invalid time {describe(value)}: no such offset")
        offset = (hours * 60 + minutes) * (60 if match[9] == "+" else -60)
    return seconds - offset, fraction + is_leap


def _parse_fraction(digits: str) -> Fraction:
    """Return the fraction that decimals spell; of very many the last ones count only as being there."""
    kept = digits[:_MOST_DIGITS] + ("1" if digits[_MOST_DIGITS:].strip("0") else "")
    return Fraction(int(kept), 10 ** len(kept))


_MOST_DIGITS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _seconds(moment: datetime) -> int:
    span = moment - _EPOCH
    return span.days * 86400 + span.seconds


def _instant_of(moment: datetime) -> Instant:
    return _seconds(moment), Fraction(moment.microsecond, 1_000_000)
