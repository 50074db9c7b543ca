"""Programs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILESTORE = str(Path(sys.executable).with_name("filestore"))
"""The installed command."""
_ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
"""Programs may keep what they compile, as an installed one has."""
_REPOSITORY = Path(__file__).parents[2]


def module(name: str) -> tuple[str, ...]:
    """Return the command that runs a module of this package."""
    return (sys.executable, "-m", f"tests.benchmarks.{name}")


def call(*command: str) -> None:
    """Run a program to its end, whatever it prints."""
    null = subprocess.DEVNULL
    subprocess.run(command, cwd=_REPOSITORY, env=_ENVIRONMENT, check=True, stdout=null, stderr=null)


def run(*command: str, given: str = "") -> str:
    """Run a program to its end; return what it printed."""
    return subprocess.run(
        command, cwd=_REPOSITORY, env=_ENVIRONMENT, check=True, input=given, stdout=subprocess.PIPE, text=True
    ).stdout


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """Run a server for the length of a `with` block, which gets the URL that its first line ends with."""
    with subprocess.Popen(command, cwd=_REPOSITORY, env=_ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
