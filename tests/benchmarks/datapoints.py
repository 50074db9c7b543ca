"""The datapoints that are stored: deterministic chats of about 930 bytes each."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Item = dict[str, Any]
"""A datapoint as `bulk_insert_datapoints` takes it."""

FUNCTIONS = ("answer_question", "draft_reply", "summarize_call", "triage_ticket")
RARE = ("review", "needed")
"""The tag that one datapoint in a hundred has."""
ABSENT = ("review_by", "nobody")
"""A tag that none has."""
UNSAID = "zyzzogeton"
"""A text that occurs nowhere."""

_SCHEMA = {
    "type": "object",
    "properties": {"shop_name": {"type": "string"}, "today": {"type": "string"}},
    "required": ["shop_name"],
}
_CONFIG = "".join(
    f"""
[functions.{name}]
type = "chat"
system_schema = "system.json"
[functions.{name}.variants.v]
type = "chat_completion"
model = "m"
"""
    for name in FUNCTIONS
)

_TEXT = (
    "a about account after again and answer any before box broken by call charge customer date day delivery email for"
    " from have help how in invoice is it late letter may name need new not number of on once or order parcel please"
    " price refund reply return since so still street teapot thank that the them there today two until was we week"
    " what when where with without yesterday you"
)
_WORDS = _TEXT.split()


def make_item(number: int) -> Item:
    """Return the datapoint of a number."""
    random_words = random.Random(number).choices(_WORDS, k=105)
    question, answer = " ".join(random_words[:66]), " ".join(random_words[66:])
    tags = {"split": "test" if number % 5 == 0 else "train", "language": "en", "batch": str(number // 1000)}
    if number % 100 == 7:
        tags[RARE[0]] = RARE[1]
    return {
        "function_name": FUNCTIONS[number % len(FUNCTIONS)],
        "name": f"case-{number}",
        "input": {
            "system": {"shop_name": "Kettle & Crumb", "today": f"2025-11-{1 + number % 28:02}"},
            "messages": [{"role": "user", "content": question}],
        },
        "output": [{"type": "text", "text": answer}],
        "tags": tags,
    }


def iter_batches(count: int, size: int) -> Iterator[list[Item]]:
    """Yield the first `count` datapoints in lists of `size`."""
    for first in range(0, count, size):
        yield [make_item(number) for number in range(first, min(first + size, count))]


def tag_filter(tag: tuple[str, str]) -> dict[str, str]:
    """Return the filter of those that have a tag."""
    return {"type": "tag", "key": tag[0], "value": tag[1], "comparison_operator": "="}


def write_config(root: Path) -> None:
    """Make a store's directory with the config of the functions, each with a schema of its system message."""
    root.mkdir(parents=True)
    (root / "tensorzero.toml").write_text(_CONFIG, encoding="utf-8")
    (root / "system.json").write_text(json.dumps(_SCHEMA), encoding="utf-8")
