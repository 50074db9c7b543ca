"""How findings are told: to people, to programs, and to GitHub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from filestore.codec import JSONValue
from filestore.errors import counted
from filestore.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["count_severities", "iter_commands", "render_line", "render_summary", "render_table", "to_dict"]

Show = Callable[[Finding], str]
"""Spells the path of a finding for a reader."""

_MOST_COMMANDS = 10
"""GitHub shows so many annotations of each severity for a step, and drops the others without a word."""
_MOST_ROWS = 200
"""A summary of a step may have 1 MiB; nobody reads so many rows."""


def render_line(finding: Finding, show: Show) -> str:
    """Return `path:line:column: severity CODE message`."""
    place = f"{show(finding)}:{finding.line}:{finding.column}"
    return f"{place}: {finding.severity} {finding.code} {finding.message}"


def to_dict(finding: Finding) -> dict[str, JSONValue]:
    """Return a finding for a program; the pointer is an RFC 6901 text, null where none is meant."""
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "path": finding.path.encode(errors="backslashreplace").decode(),
        "line": finding.line,
        "column": finding.column,
        "pointer": finding.pointer_text,
        "message": finding.message.encode(errors="backslashreplace").decode(),
    }


def count_severities(findings: Iterable[Finding]) -> Counter[Severity]:
    """Return how many findings there are of each severity."""
    return Counter(finding.severity for finding in findings)


def render_summary(counts: Counter[Severity], files: int) -> str:
    """Return what a person reads last.

    >>> render_summary(Counter({Severity.ERROR: 1}), 52)
    '1 error, 0 warnings in 52 files'
    """
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    words = (counted(errors, "error"), counted(warnings, "warning"), counted(files, "file"))
    return "{}, {} in {}".format(*words)


# --- GitHub


def iter_commands(findings: Sequence[Finding], show: Show) -> Iterator[str]:
    """Yield workflow commands that annotate lines of a pull request, and as plain lines what GitHub would not show.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    told: Counter[Severity] = Counter()
    for finding in findings:
        told[finding.severity] += 1
        if told[finding.severity] > _MOST_COMMANDS:
            yield render_line(finding, show)
            continue
        properties = {
            "file": show(finding),
            "line": str(finding.line),
            "col": str(finding.column),
            "title": finding.code,
        }
        spelled = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items())
        yield f"::{finding.severity} {spelled}::{_escape(finding.message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def render_table(findings: Sequence[Finding], files: int, show: Show) -> str:
    """Return a Markdown table of findings, for the summary of a workflow's step."""
    lines = [f"### filestore check: {render_summary(count_severities(findings), files)}", ""]
    if findings:
        lines += ["| place | severity | code | |", "|---|---|---|---|"]
    for finding in findings[:_MOST_ROWS]:
        place = f"{show(finding)}:{finding.line}:{finding.column}"
        cells = (_code(place), str(finding.severity), _code(finding.code), _cell(finding.message))
        lines.append(f"| {' | '.join(cells)} |")
    if len(findings) > _MOST_ROWS:
        lines += ["", f"… and {len(findings) - _MOST_ROWS:,} more; `filestore check` lists them."]
    return "\n".join([*lines, ""])


def _code(text: str) -> str:
    return f"`{_cell(text).replace('`', '’')}`"


def _cell(text: str) -> str:
    spelled = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(spelled.split())
