"""Calling the editor of the person at the terminal, at a line where that is wanted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import click

__all__ = ["Place", "editor_arguments", "find_editor", "run_editor"]

Place = tuple[int, int]
"""A line and a column, from 1."""


def _at_line(path: str, place: Place) -> list[str]:
    return [f"+{place[0]}", path]


def _at_column(path: str, place: Place) -> list[str]:
    return [f"{path}:{place[0]}:{place[1]}"]


def _after_goto(path: str, place: Place) -> list[str]:
    return ["--goto", f"{path}:{place[0]}:{place[1]}"]


def _after_call(path: str, place: Place) -> list[str]:
    return [f"+call cursor({place[0]},{place[1]})", path]


def _after_plus(path: str, place: Place) -> list[str]:
    return [f"+{place[0]}:{place[1]}", path]


_JUMPS: Mapping[str, Callable[[str, Place], list[str]]] = {
    **dict.fromkeys(("vim", "nvim", "gvim", "mvim", "vimx"), _after_call),
    **dict.fromkeys(("vi", "view", "ex", "nano", "pico", "joe", "jed", "mg", "ne", "kak", "mcedit"), _at_line),
    **dict.fromkeys(("emacs", "emacsclient", "micro"), _after_plus),
    **dict.fromkeys(("code", "code-insiders", "codium", "vscodium", "cursor", "windsurf"), _after_goto),
    **dict.fromkeys(("subl", "hx", "helix", "zed", "atom"), _at_column),
}
_WAITING: Mapping[str, str] = {
    **dict.fromkeys(("code", "code-insiders", "codium", "vscodium", "cursor", "windsurf"), "--wait"),
    **dict.fromkeys(("subl", "zed", "atom"), "--wait"),
    **dict.fromkeys(("gvim", "mvim"), "--nofork"),
}
"""What makes an editor with a window of its own wait until the file is closed."""


def find_editor(environment: Mapping[str, str]) -> str | None:
    """Return the shell command that opens an editor, as git finds it; None where only a default is left.

    >>> find_editor({"VISUAL": "code --wait", "EDITOR": "vi", "TERM": "xterm"}), find_editor({})
    ('code --wait', None)
    """
    visual = environment.get("VISUAL") if environment.get("TERM") != "dumb" else None
    return visual or environment.get("EDITOR") or None


def editor_arguments(editor: str, path: str, place: Place | None) -> list[str]:
    """Return the arguments that make an editor open a file, at a place if it is known how to say that.

    >>> editor_arguments("code", "a.json", (3, 5)), editor_arguments("ed", "a.json", (3, 5))
    (['--wait', '--goto', 'a.json:3:5'], ['a.json'])
    """
    words = _split(editor)
    program = os.path.basename(words[0].replace("\\", "/")).lower().removesuffix(".exe") if words else ""  # noqa: PTH119 (no path: a word)
    wait = _WAITING.get(program)
    waits = [] if wait is None or wait in words or "-w" in words else [wait]
    jump = _JUMPS.get(program)
    return waits + (jump(path, place) if jump is not None and place is not None else [path])


def _split(command: str) -> list[str]:
    import shlex

    try:
        return shlex.split(command, posix=sys.platform != "win32")
    except ValueError:  # a quote too few: the shell will say so
        return command.split()


def run_editor(path: str, place: Place | None = None) -> bool:
    """Open a file in the person's editor and wait; tell whether the editor ended well.

    Raises:
        click.UsageError: No editor is set, and there is no terminal to open the usual one in.
    """
    editor = find_editor(os.environ)
    if editor is None and not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to open an editor in: set EDITOR to a command.")
    editor = editor or ("notepad" if sys.platform == "win32" else "vi")
    arguments = editor_arguments(editor, path, place)
    sys.stdout.flush()
    with _interrupts_left_to_the_editor():
        if sys.platform == "win32":
            code = subprocess.call(f"{editor} {subprocess.list2cmdline(arguments)}", shell=True)
        else:
            code = subprocess.call(["sh", "-c", f'{editor} "$@"', editor, *arguments])
    if code:
        click.echo(f"The editor '{editor}' ended with exit code {code}.", err=True)
    return code == 0


@contextmanager
def _interrupts_left_to_the_editor() -> Iterator[None]:
    """Let ^C reach the editor alone; a handler, unlike "ignore", is not handed on to it."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
