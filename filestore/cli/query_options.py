"""The options of `list` that filter, search and order, and the v1 arguments they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from filestore.cli.settings import parse_pair
from filestore.cli.terminal import escape_controls
from filestore.codec import JSONObject, JSONValue

__all__ = ["query_arguments", "query_options"]

F = TypeVar("F", bound=Callable[..., Any])
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ORDERS = {"updated": "timestamp", "relevance": "search_relevance"}
_DIRECTIONS = {"asc": "ascending", "desc": "descending"}


def _parse_time(text: str) -> str:
    """Complete a date to the midnight, UTC, that it begins with."""
    from filestore.errors import ShapeError
    from filestore.query import parse_instant

    time = f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text
    try:
        parse_instant(time)
    except ShapeError:
        raise click.BadParameter(
            f"'{escape_controls(text)}': expected a date, or a time with its offset: 2025-11-03T09:00:00Z"
        ) from None
    return time


def _parse_order(text: str) -> JSONObject:
    by, _, direction = text.partition(":")
    if by not in _ORDERS or (direction or "desc") not in _DIRECTIONS:
        raise click.BadParameter(f"'{escape_controls(text)}': expected updated or relevance, and then :asc or :desc")
    return {"by": _ORDERS[by], "direction": _DIRECTIONS[direction or "desc"]}


_OPTIONS = (
    click.option("--tag", "tags", metavar="KEY=VALUE", type=parse_pair, multiple=True, help="Only with this tag."),
    click.option(
        "--not-tag", "not_tags", metavar="KEY=VALUE", type=parse_pair, multiple=True, help="Only without this tag."
    ),
    click.option(
        "--since", metavar="TIME", type=_parse_time, help="Only updated then (a time, or a date, UTC) or later."
    ),
    click.option("--until", metavar="TIME", type=_parse_time, help="Only updated before then."),
    click.option("--search", metavar="TEXT", help="Only with this text in input or output; case does not count."),
    click.option(
        "--order",
        "orders",
        metavar="TERM",
        type=_parse_order,
        multiple=True,
        help="updated or relevance (of --search), with :asc or :desc; repeatable.",
    ),
)


def query_options(command: F) -> F:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def query_arguments(
    *,
    tags: tuple[tuple[str, str], ...],
    not_tags: tuple[tuple[str, str], ...],
    since: str | None,
    until: str | None,
    search: str | None,
    orders: tuple[JSONObject, ...],
) -> dict[str, Any]:
    """Return the v1 arguments that the options stand for; none where there are no options.

    >>> query_arguments(tags=(("k", "v"),), not_tags=(), since=None, until=None, search=None, orders=())["filter"]
    {'type': 'and', 'children': [{'type': 'tag', 'key': 'k', 'value': 'v', 'comparison_operator': '='}]}
    """
    children: list[JSONValue] = [_tag(key, value) for key, value in tags]
    children += [{"type": "not", "child": _tag(key, value)} for key, value in not_tags]
    for operator, time in ((">=", since), ("<", until)):
        if time is not None:
            children.append({"type": "time", "time": time, "comparison_operator": operator})
    arguments: dict[str, Any] = {}
    if children:
        arguments["filter"] = {"type": "and", "children": children}
    if search is not None:
        arguments["search_query"] = search
    if search is None and any(order["by"] == "search_relevance" for order in orders):
        raise click.UsageError("--order relevance is of what --search finds: say what to search for.")
    if orders:
        arguments["order_by"] = list(orders)
    return arguments


def _tag(key: str, value: str) -> JSONObject:
    return {"type": "tag", "key": key, "value": value, "comparison_operator": "="}
