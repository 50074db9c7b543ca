"""`filestore check`: everything that is wrong with a store, for people, programs and pull requests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from filestore.cli.output import print_json
from filestore.cli.settings import Settings, examples
from filestore.cli.targets import find_places, show_path
from filestore.cli.terminal import escape_breaks, escape_controls

if TYPE_CHECKING:
    from filestore.cli.targets import Place
    from filestore.findings import Finding

__all__ = ["check"]


@click.command(
    epilog=examples(
        "filestore check",
        "filestore check support_conversations",
        "filestore check evals/greetings/019a4903-0e5f-7522-aed5-b912bbcb6b2a.json",
        "filestore check --ignore same-content,draft --format json",
    )
)
@click.argument("paths", metavar="[PATH|DATASET]...", nargs=-1)
@click.option("--select", metavar="CODE", multiple=True, help="Tell only of these; several with commas, `*` for any.")
@click.option("--ignore", metavar="CODE", multiple=True, help="Do not tell of these.")
@click.option(
    "--format",
    type=click.Choice(["text", "json", "github"]),
    help="How to tell.  [default: github in GitHub Actions, otherwise text]",
)
@click.option("--list", "lists_codes", is_flag=True, help="List all codes and what they mean; check nothing.")
@click.pass_obj
def check(
    settings: Settings,
    paths: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    format: str | None,
    lists_codes: bool,
) -> None:
    """Tell everything that is wrong with the files of a store.

    Checks the whole store, or files, datasets and stores by PATH, or datasets by name. Each finding is told as
    `path:line:column: severity code message`. The exit code is 1 if there is an error; warnings alone leave it 0.
    The format `github` annotates the lines of a pull request.
    """
    is_told = _parse_codes(select, ignore)
    if lists_codes:
        _list_codes(is_told)
        return
    found, files = _check_all(settings, paths)
    told = [(root, finding) for root, finding in found if is_told(finding.code)]
    chosen = format or ("github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text")
    _tell(told, files, chosen)
    if not files and paths:
        click.echo("There are no datapoints there; --root names another store.", err=True)
    elif not files:
        settings.tell_of_nothing()
    if any(finding.severity == "error" for _, finding in told):
        raise click.exceptions.Exit(1)


def _parse_codes(select: Sequence[str], ignore: Sequence[str]) -> Callable[[str], bool]:
    selected, ignored = (_expand(given) for given in (select, ignore))
    return lambda code: (not select or code in selected) and code not in ignored


def _expand(given: Sequence[str]) -> set[str]:
    from filestore.errors import find_near
    from filestore.findings import RULES

    found: set[str] = set()
    for pattern in (part.strip() for text in given for part in text.split(",")):
        codes = {code for code in RULES if fnmatchcase(code, pattern)}
        if not codes:
            near = find_near(pattern, RULES)
            hint = f"did you mean '{near}'? " if near else ""
            raise click.UsageError(
                f"There is no code '{escape_controls(pattern)}': {hint}`filestore check --list` lists them all."
            )
        found |= codes
    return found


def _list_codes(is_told: Callable[[str], bool]) -> None:
    from filestore.findings import RULES

    width = max(map(len, RULES))
    for code, rule in RULES.items():
        if is_told(code):
            click.echo(f"{code:{width}}  {rule.severity:7}  {rule.meaning}")


def _check_all(settings: Settings, paths: Sequence[str]) -> tuple[list[tuple[Path, Finding]], int]:
    """Return what is found in each store, and how many files were looked at."""
    if not os.path.isdir(settings.root):  # noqa: PTH112 (pathlib is slow to load)
        settings.open_store()  # says what is wrong with it
    places = find_places(settings, paths, any_file=True)
    found: list[tuple[Path, Finding]] = []
    files = 0
    for root in dict.fromkeys(place.root for place in places):
        here = [place for place in places if place.root == root]
        findings, count = _check_places(root, here, settings.config_file)
        found += [(root, finding) for finding in findings]
        files += count
    return found, files


def _check_places(root: Path, places: Sequence[Place], config_file: str | None) -> tuple[list[Finding], int]:
    from filestore.check import StoreCheck

    now = datetime.now(UTC)
    with _progress_bar() as progress, StoreCheck(str(root), config_file, now, _count_cores(), progress) as run:
        if any(place.directory is None for place in places):
            return run.check_all()
        datasets = [place.directory for place in places if place.directory is not None and place.name is None]
        return run.check_parts(datasets, [f"{place.directory}/{place.name}" for place in places if place.name])


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _progress_bar() -> AbstractContextManager[Callable[[int], None]]:
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext(lambda count: None)
    from filestore.cli.progress import Counter

    return Counter("files checked")


def _tell(told: Sequence[tuple[Path, Finding]], files: int, format: str) -> None:
    from filestore.check import report

    findings = [finding for _, finding in told]
    roots = {id(finding): root for root, finding in told}

    workspace = os.environ.get("GITHUB_WORKSPACE") if format == "github" else None

    def show(finding: Finding) -> str:
        shown = show_path(roots[id(finding)], finding.path, Path(workspace) if workspace else None)
        return shown.replace(os.sep, "/")

    if format == "json":
        print_json([report.to_dict(finding) for finding in findings])
        return
    is_github = format == "github"
    lines = report.iter_commands(findings, show) if is_github else (report.render_line(one, show) for one in findings)
    for line in lines:
        click.echo(escape_breaks(line))  # a newline in a file name would begin another command
    click.echo(report.render_summary(report.count_severities(findings), files), err=True)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if is_github and summary:
        _append(summary, report.render_table(findings, files, show))


def _append(path: str, text: str) -> None:
    """Append to a file that is no reason to fail: all that is in it was told already."""
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123
            file.write(text)
    except OSError as error:
        click.echo(f"The summary was not written: {escape_controls(path)}: {error.strerror}", err=True)
