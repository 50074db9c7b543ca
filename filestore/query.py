"""What a v1 list asks for: filters, search, order and page, as one value that selects from datapoints."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from filestore.codec import JSONValue, compact
from filestore.datapoint import Datapoint
from filestore.errors import RequestError, ShapeError
from filestore.shapes import ObjectReader, describe, expect_text, expect_u32, parse_list

__all__ = ["Instant", "ListQuery", "Predicate", "parse_filter", "parse_instant", "parse_list_query"]

Predicate = Callable[[Datapoint], bool]
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
class Order:
    """One term of an order."""

    by: str
    """`timestamp` (of the last update) or `search_relevance`."""
    is_descending: bool


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
    filter: Predicate | None = None
    order: tuple[Order, ...] = ()
    search: str | None = None

    def check(self) -> None:
        """Check what the terms of the query ask of each other.

        Raises:
            RequestError: An order asks for the relevance of no search.
        """
        if self.search is None and any(term.by == "search_relevance" for term in self.order):
            raise RequestError("OrderBy::SearchRelevance requires search_query_experimental to be provided")

    def select(self, datapoints: Iterable[Datapoint]) -> list[Datapoint]:
        """Return the page that the query asks for."""
        needle = search_text(self.search) if self.search else None
        found = [
            (datapoint, count_occurrences(datapoint, needle) if needle else 0)
            for datapoint in datapoints
            if (self.function_name is None or datapoint.function_name == self.function_name)
            and (self.filter is None or self.filter(datapoint))
        ]
        if needle:
            found = [pair for pair in found if pair[1]]
        found.sort(key=lambda pair: pair[0].id, reverse=True)
        for term in reversed(self.order or (Order("timestamp", is_descending=True),)):
            if term.by == "timestamp":
                found.sort(key=lambda pair: pair[0].updated_at, reverse=term.is_descending)
            else:
                found.sort(key=lambda pair: pair[1], reverse=term.is_descending)
        return [datapoint for datapoint, _ in found[self.offset : self.offset + self.limit]]


def search_text(query: str) -> str:
    r"""Return the text that a search looks for: the query as JSON spells it inside a string, without letter case.

    >>> search_text('Say "Hi"')
    'say \\"hi\\"'
    """
    return _fold(compact(query)[1:-1])


def _fold(text: str) -> str:
    """Return a text without letter case; the two small sigmas are one letter."""
    return text.lower().replace("ς", "σ")


def count_occurrences(datapoint: Datapoint, needle: str) -> int:
    """Count a search text in the compact JSON text of the wire form of input and output."""
    wire = datapoint.to_dict()
    return sum(_fold(compact(wire[key])).count(needle) for key in ("input", "output") if key in wire)


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


def parse_filter(value: JSONValue) -> Predicate:
    """Read a filter tree.

    Raises:
        ShapeError: A node of an unknown type, or with a key that is missing or of the wrong type.
    """
    reader = ObjectReader(value, "an object with a `type`")
    kind = reader.require("type", lambda one: _one_of(one, _FILTERS))
    return _FILTERS[kind](reader)


def _parse_tag(reader: ObjectReader) -> Predicate:
    key, wanted = reader.require("key", expect_text), reader.require("value", expect_text)
    if reader.require("comparison_operator", lambda one: _one_of(one, ("=", "!="))) == "=":
        return lambda datapoint: datapoint.tags.get(key) == wanted
    return lambda datapoint: datapoint.tags.get(key, wanted) != wanted


def _parse_time(reader: ObjectReader) -> Predicate:
    instant = reader.require("time", parse_instant)
    compare = _COMPARISONS[reader.require("comparison_operator", lambda one: _one_of(one, _COMPARISONS))]
    return lambda datapoint: compare(_instant_of(datapoint.updated_at), instant)


def _parse_and(reader: ObjectReader) -> Predicate:
    children = reader.require_list("children", parse_filter)
    return lambda datapoint: all(child(datapoint) for child in children)


def _parse_or(reader: ObjectReader) -> Predicate:
    children = reader.require_list("children", parse_filter)
    return lambda datapoint: any(child(datapoint) for child in children)


def _parse_not(reader: ObjectReader) -> Predicate:
    child = reader.require("child", parse_filter)
    return lambda datapoint: not child(datapoint)


_FILTERS: dict[str, Callable[[ObjectReader], Predicate]] = {
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
