"""The README is the manual: its examples run, its commands print what it says, its tables name what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.findings import RULES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
CONSOLE = re.findall(r"^\$ (filestore .*)\n((?:(?!\$ |```).*\n)*)", README, re.MULTILINE)


def test_the_quick_start_is_two_commands_that_do_all_of_their_own_set_up() -> None:
    commands = re.findall(r"^python3 -m venv \.venv && .*$", README, re.MULTILINE)
    assert len(commands) == 2
    assert "list email_application" in commands[0]
    assert "pytest" in commands[1]
    assert all("pip install" in command for command in commands)


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_a_python_example_runs(block: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(("command", "output"), CONSOLE, ids=[command for command, _ in CONSOLE])
def test_a_command_prints_what_the_page_says(command: str, output: str) -> None:
    words = [sys.executable, "-m", *command.split()]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.stdout == output


def test_the_datapoint_shown_is_the_one_it_is_said_to_be() -> None:
    found = re.search(r"This one is `(.*?)` of the samples:\n\n```json\n(.*?)```", README, re.DOTALL)
    assert found is not None
    assert (ROOT / "sample_datasets" / found[1]).read_text(encoding="utf-8") == found[2]


def test_there_are_examples() -> None:
    assert len(PYTHON) >= 3
    assert CONSOLE


def test_every_command_and_method_is_in_the_page() -> None:
    listed = subprocess.run([sys.executable, "-m", "filestore", "--help"], capture_output=True, text=True).stdout
    commands = re.findall(r"^  ([a-z]+)  ", listed.partition("Commands:")[2].partition("\n\n")[0], re.MULTILINE)
    assert commands
    assert [command for command in commands if f"`filestore {command}" not in README] == []
    methods = [name for name in dir(FileStore) if not name.startswith("_") and callable(getattr(FileStore, name))]
    unlisted = {"find_datapoints", "dataset_names", "query_datapoints", "read_attachment"}
    unlisted |= {"bring_along", "config_paths", "make_id", "now", "open_dataset"}  # for the rooms that work on files
    assert [name for name in methods if name not in README and name not in unlisted] == []


def test_the_table_of_codes_is_the_catalogue() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning) \| (.*) \|$", README, re.MULTILINE)
    assert rows == [(code, rule.severity, rule.meaning) for code, rule in RULES.items()]
