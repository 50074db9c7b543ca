"""The command that writes files in their canonical spelling, and makes datapoints of drafts: `fmt`."""

from __future__ import annotations

import sys
from collections import Counter

import click

from filestore.cli.settings import Settings, examples
from filestore.cli.targets import Target, find_targets, show_path
from filestore.cli.terminal import escape_breaks, escape_controls
from filestore.errors import counted
from filestore.formatting.batches import format_dataset
from filestore.formatting.files import Options, Outcome, State
from filestore.ids import is_file_name

__all__ = ["fmt"]


@click.command(
    epilog=examples(
        "filestore fmt",
        "filestore fmt --check datasets/email_application",
        "filestore fmt --adopt datasets/email_application/new-case.json",
    )
)
@click.argument("targets", metavar="[PATH|DATASET]...", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; list what would change, and exit with 1 if anything would.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change, as a unified diff.")
@click.option("--adopt", is_flag=True, help="Make datapoints of drafts.")
@click.option("--touch", is_flag=True, help="Set `updated_at` of the datapoints named to now.")
@click.pass_obj
def fmt(settings: Settings, targets: tuple[str, ...], check: bool, diff: bool, adopt: bool, touch: bool) -> None:
    """Write datapoints and schemas in their canonical spelling.

    PATH is a file, the directory of a dataset, or a whole store, by default the --root. The values stay what they
    are: only their spelling changes, a schema written out moves to a file in schemas/, and what today's function
    config says instead of a missing "type" or "output_schema" is written down. Files that are canonical are not
    touched. One that cannot be read stays as it is and is named on stderr, and the exit code is 1. So is one whose
    "output" and "output_raw" say different things, as one of the two would be lost. Prints the files that changed.

    Drafts are left alone, as somebody is still writing them, unless --adopt makes them datapoints: each gets an id, is
    checked as an insert is, and is called like its file unless it has a name. In the same step the draft goes.

    A hand edit moves no time, and neither does this command, unless --touch says so, for datapoints that you name one
    by one: do so when an edit shall come first where datapoints are listed by the time of their last change.
    """
    found = find_targets(settings, targets)
    if touch:
        _refuse_touch(found, check=check)
    options = Options(adopts=adopt, touches=touch)
    report = _Report(check=check, diff=diff)
    for target in found:
        names = None if target.names is None else sorted(target.names)
        for outcome in format_dataset(target.store, target.dataset, names, options, dry_run=check or diff):
            report.tell(target, outcome)
    if not report.has_told and not targets:
        settings.tell_of_nothing()
    report.finish()


def _refuse_touch(targets: list[Target], *, check: bool) -> None:
    """Refuse to touch more than datapoints that were named one by one: it would change a whole store."""
    if check:
        raise click.UsageError("--touch changes every datapoint that is named; there is nothing to --check.")
    if not all(target.names and all(map(is_file_name, target.names)) for target in targets):
        raise click.UsageError("Name the datapoints to --touch: filestore fmt --touch DATASET/ID.json...")


class _Report:
    """Tells what has become of files: results on stdout, everything else on stderr.

    Args:
        check: Whether files that would change are findings.
        diff: Whether to print how they would.
    """

    def __init__(self, *, check: bool, diff: bool) -> None:
        self._check = check
        self._diff = diff
        self._counts: Counter[State] = Counter()

    @property
    def has_told(self) -> bool:
        """Whether there was any file."""
        return bool(self._counts)

    def tell(self, target: Target, outcome: Outcome) -> None:
        """Tell of one file."""
        self._counts[outcome.state] += 1
        path = self._show(target, outcome.path)
        if outcome.error is not None:
            error = outcome.error
            click.echo(escape_controls(f"{path}:{error.line}:{error.column}: {error.reason}"), err=True)
        elif outcome.is_change and self._diff:
            _print_diff(path, outcome)
        elif outcome.state is State.ADOPTED and not self._check:
            click.echo(f"{path} -> {self._show(target, outcome.new_path)}")
        elif outcome.is_change:
            click.echo(path)
        elif outcome.state is State.DRAFT and target.names is not None:
            click.echo(f"{path} is a draft and stays as it is; --adopt makes it a datapoint", err=True)

    @staticmethod
    def _show(target: Target, path: str) -> str:
        return escape_breaks(show_path(target.store.root, path))

    def finish(self) -> None:
        """Count, and set the exit code."""
        counts = self._counts
        would = "would be " if self._check or self._diff else ""
        parts = [f"{counts[State.CHANGED]} {would}formatted"]
        if counts[State.ADOPTED]:
            parts.append(f"{counts[State.ADOPTED]} {would}adopted")
        parts.append(f"{counts[State.UNCHANGED]} fine already")
        if counts[State.DRAFT]:
            parts.append(counted(counts[State.DRAFT], "draft"))
        if counts[State.UNREADABLE]:
            parts.append(f"{counts[State.UNREADABLE]} left as they are: see above")
        click.echo(", ".join(parts), err=True)
        changes = counts[State.CHANGED] + counts[State.ADOPTED]
        if counts[State.UNREADABLE] or (self._check and changes):
            raise click.exceptions.Exit(1)


_COLORS = {"-": "red", "+": "green", "@": "cyan"}


def _print_diff(path: str, outcome: Outcome) -> None:
    """Print a unified diff, in colours on a terminal."""
    from difflib import unified_diff

    before, after = (_lines(data) for data in (outcome.before, outcome.after))
    new_path = path if outcome.state is State.CHANGED else f"{path} (as a datapoint)"
    is_terminal = sys.stdout.isatty()
    lines = list(unified_diff(before, after, path, new_path, lineterm=""))
    if not lines:
        only = "nothing but its name" if outcome.state is State.ADOPTED else "nothing but the ends of lines"
        lines = [f"--- {path}", f"+++ {new_path}", f"@@ {only} @@"]
    for line in "\n".join(lines).split("\n"):
        color = _COLORS.get(line[:1]) if is_terminal and not line.startswith(("---", "+++")) else None
        click.echo(click.style(escape_controls(line), fg=color) if color else escape_controls(line))


def _lines(data: bytes) -> list[str]:
    """Return the lines of a file as a diff shows them; a last one without an end is marked as such."""
    lines = data.decode(errors="replace").splitlines()
    if lines and not data.endswith(b"\n"):
        lines[-1] += "\n\\ No newline at end of file"
    return lines
