"""Changes that keep most of an input as it was: to values of the JSON in it, to its words, to its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from tests.proofs.fuzz_seeds import KEYS

__all__ = ["change"]

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 5, 2**32 - 1, 2**32, 2**53 + 1, 2**63, -(2**63), 2**64 - 1, 2**64, 10**400),
    *(-0.0, 1.0, 0.1, 1e15, 1e16, 1e-5, 1e-7, 5e-324, 1.7976931348623157e308, float("nan"), float("inf")),
    *(
        "",
        "x",
        "\0",
        "\N{LINE SEPARATOR}",
        "e\u0301",
        "\ufeff",
        "\ud800",
        "../..",
        "files/x",
        "😀",
        "1" * 200,
        "[1e400]",
    ),
    *(' {"a": 1, "a": -0}', "chat", "json", "schemas/0123456789abcdef.json", "9999-12-31T23:59:60.9Z", "auto"),
)
SMALL: tuple[Any, ...] = (*SCALARS, [], {}, [[]], [{}], {"type": "text", "text": "x"}, {"$ref": "#"}, {"raw": None})
DEPTHS = (1, 1, 1, 2, 5, 40, 120, 126, 127, 128, 136)


def change(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    """Return bytes that differ in one place.

    Args:
        random: Where and what is chosen by.
        data: What to change.
        words: What may be put in.
    """
    changed = _change_value(random, data) if random.random() < 0.5 else None
    return _change_bytes(random, data, words) if changed is None else changed


def _change_bytes(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    start = random.randint(0, len(data))
    end = min(len(data), start + random.choice((0, 0, 1, 2, 8, 64)))
    new = random.choice((random.choice(words), data[start:end] * 2, bytes([random.randrange(256)]), b""))
    return data[:start] + new + data[end:]


def _change_value(random: Random, data: bytes) -> bytes | None:
    """Change one value in the JSON document of an input, where it has one."""
    start = min((at for at in (data.find(b"{"), data.find(b"[")) if at >= 0), default=-1)
    if start < 0:
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(text := data[start:].decode())
        places = list(_places(value))
    except (ValueError, RecursionError):
        return None
    if not places:
        return None
    _change_place(random, *random.choice(places), places)
    spelled = json.dumps(value, ensure_ascii=random.random() < 0.3, indent=random.choice((None, None, 2)))
    rest = (spelled + text[end:]).encode("utf-8", "surrogatepass")
    return data[:start] + rest


def _change_place(random: Random, holder: Any, step: Any, places: Sequence[tuple[Any, Any]]) -> None:
    match random.choice(("replace", "replace", "replace", "copy", "remove", "rename", "add", "bury")):
        case "replace":
            holder[step] = random.choice(SMALL)
        case "copy":
            other, at = random.choice(places)
            holder[step] = json.loads(json.dumps(other[at]))
        case "remove":
            del holder[step]
        case "rename" if isinstance(holder, dict):
            holder[random.choice(KEYS)] = holder.pop(step)
        case "add" if isinstance(holder, dict):
            holder[random.choice(KEYS)] = random.choice(SMALL)
        case _:
            for _ in range(random.choice(DEPTHS)):
                holder[step] = [holder[step]]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a JSON value, as the container and the key or index in it."""
    if isinstance(value, dict | list):
        for step, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, step
            yield from _places(item)
