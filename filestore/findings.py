"""What can be wrong with a store: the catalogue of codes, and a finding, which names one at a place."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from filestore.errors import Pointer

__all__ = ["RULES", "Finding", "Issue", "Rule", "Severity"]


class Severity(StrEnum):
    """How bad a finding is: an error fails a check, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Rule(NamedTuple):
    """What a code stands for.

    Attributes:
        severity: How bad it is.
        meaning: One sentence, for a table of all codes.
    """

    severity: Severity
    meaning: str


class Issue(NamedTuple):
    """Something wrong in the value of a file.

    Attributes:
        code: One of the catalogue.
        message: What is wrong and what to do, in one sentence.
        pointer: The place in the file's value.
        is_key: Whether the key there is wrong, rather than its value.
    """

    code: str
    message: str
    pointer: Pointer = ()
    is_key: bool = False


class Finding(NamedTuple):
    """Something wrong in a store. Findings sort by place.

    Attributes:
        path: Relative to the root, with `/`; a file, or the directory whose name or absence is wrong.
        line: From 1.
        column: From 1, in code points.
        code: One of the catalogue.
        message: What is wrong and what to do, in one sentence.
        pointer: The place in the file's value, None where it is not in one.
    """

    path: str
    line: int
    column: int
    code: str
    message: str
    pointer: Pointer | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return RULES[self.code].severity

    @property
    def pointer_text(self) -> str | None:
        """The pointer as RFC 6901 spells it.

        >>> Finding("a/b.json", 1, 1, "wrong-type", "", ("tags", "a/b", 0)).pointer_text
        '/tags/a~1b/0'
        """
        if self.pointer is None:
            return None
        return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in self.pointer)


def _errors(**meanings: str) -> dict[str, Rule]:
    return {name.replace("_", "-"): Rule(Severity.ERROR, meaning) for name, meaning in meanings.items()}


def _warnings(**meanings: str) -> dict[str, Rule]:
    return {name.replace("_", "-"): Rule(Severity.WARNING, meaning) for name, meaning in meanings.items()}


_TEXT = _errors(
    conflict_marker="A merge conflict is not resolved.",
    comment="JSON has no comments.",
    trailing_comma="A comma before a closing bracket.",
    duplicate_key="An object has a key twice.",
    not_a_number="`NaN` and `Infinity` are not JSON.",
    big_integer="An integer beyond 64 bits, which readers of JSON would round.",
    big_number="A number beyond the range of a double.",
    lone_surrogate="Half of a surrogate pair, which is no character.",
    invalid_utf8="The file is not UTF-8.",
    too_deep="More levels of brackets than a reader takes.",
    empty_file="There is nothing in the file.",
    invalid_json="Another mistake in the JSON text.",
) | _warnings(
    byte_order_mark="The file begins with a byte-order mark.",
    crlf="Lines end with CRLF.",
)
_SHAPE = _errors(
    unknown_key="A key that nothing reads, most often a slip of the pen.",
    misplaced_key="A key for what the file's name or place says, or that means nothing in this kind of datapoint.",
    missing_key="A key that must be there is not.",
    wrong_type="A value of another type than expected.",
    wrong_value="A value that is none of those that are expected.",
    api_answer="An API answer's `raw`/`parsed` pair in place of the output itself.",
)
_CONFIG = _errors(
    invalid_config="The function config cannot be read.",
    unknown_function="The function config has no function of this name.",
    wrong_kind="A chat datapoint of a json function, or the other way round.",
    input_mismatch="The input does not fit the function's schemas.",
    unknown_template="The function has no template of this name.",
    bad_schema="An output schema, or the parameters of a tool, that are no JSON Schema.",
    output_mismatch="The output does not fit its schema.",
    duplicate_tool="A datapoint offers two tools of one name.",
    unknown_tool="A tool call names no tool that the datapoint offers.",
    tool_call_mismatch="The arguments of a tool call do not fit the tool's schema.",
) | _warnings(
    missing_tool="A tool that the datapoint offers is not configured any more.",
    raw_output_mismatch="`output_raw` alone, which does not fit the schema; v1 requests store such outputs on purpose.",
    raw_output_disagrees="An output and the raw text beside it say different things; the output counts.",
)
_STORE = _errors(
    unreadable="The operating system refuses to read it.",
    link="A link, which is never followed.",
    missing_schema="There is no such file in `schemas/`.",
    altered_schema="A file in `schemas/` no longer has the content that its name is made of.",
    missing_attachment="There is no such file in `files/`.",
    altered_attachment="A file in `files/` no longer has the content that its name is made of.",
    wrong_id="A file name that looks like an id, but is no lower-case UUIDv7.",
    wrong_directory="A directory with datapoints whose name spells no dataset.",
    misplaced_datapoint="A datapoint's file where no reader finds it: in a directory of a dataset, or beside them.",
    misplaced_tombstone="A file in `tombstones/` that no reader finds.",
    two_successors="Two live datapoints took the place of the same one.",
    case_collision="Names that differ in letter case alone, which some file systems cannot tell apart.",
) | _warnings(
    draft="A file that is no datapoint yet.",
    unused_schema="No datapoint refers to this file of `schemas/`.",
    unused_attachment="No datapoint refers to this file of `files/`.",
    orphan_tombstone="A tombstone of a datapoint that is not there.",
    future_id="The time in an id is still to come.",
    edited_and_deleted="A datapoint was edited and deleted at once, on two branches that were merged.",
    same_name="Two live datapoints of a dataset have the same name.",
    same_content="Two live datapoints of a dataset say the same.",
    wrong_suffix="A file whose name nearly ends in `.json`, so that nothing reads it.",
    windows_name="A file name that Windows does not allow.",
    not_canonical="The file is spelled in another way than the store would.",
    unfinished_change="A change was interrupted, and will be completed by the next write.",
)
RULES: dict[str, Rule] = {**_TEXT, **_SHAPE, **_CONFIG, **_STORE}
"""Code to rule, in the order in which they are told."""
