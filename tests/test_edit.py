"""Editing in an editor: what is right is written, what is wrong is told, and nothing that anybody wrote is lost."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.cli.editors import editor_arguments, find_editor
from filestore.codec import dumps, loads_file
from tests.conftest import snapshot

SAMPLES = Path(__file__).parent.parent / "sample_datasets"
HEAD = "import sys\nfrom pathlib import Path\nwords = sys.argv[1:]\npath = Path(words[-1])\n"
DATASET = "email_application"
ID = "019a4903-0e5f-7522-aed5-b912bbcb6b2a"
STALE_ID = "019a4a5e-b2c9-7457-a1be-e992b99eb1f9"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the editors here are shell commands")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return shutil.copytree(SAMPLES, tmp_path / "my samples")


def path_of(root: Path, datapoint_id: str = ID) -> Path:
    return root / DATASET / f"{datapoint_id}.json"


def copies(root: Path) -> list[Path]:
    return sorted((root / ".filestore" / "edits@").rglob("*.json"))


def environment(editor: str | None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("VISUAL", "EDITOR")}
    kept |= {"PYTHONPATH": str(Path(__file__).parents[1]), "TERM": "xterm"}
    return kept if editor is None else {**kept, "EDITOR": editor}


def command(root: Path, datapoint_id: str = ID) -> list[str]:
    return [sys.executable, "-m", "filestore", "--root", str(root), "edit", DATASET, datapoint_id]


def edit(root: Path, editor: str | None, datapoint_id: str = ID) -> subprocess.CompletedProcess[str]:
    """Run the command as a script does, without a terminal."""
    return subprocess.run(
        command(root, datapoint_id),
        env=environment(editor),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def editor(directory: Path, program: str, name: str = "editor.py") -> str:
    """Return a shell command that runs a Python program on the file; `path` is the file, `words` all arguments."""
    script = directory / name
    script.write_text(HEAD + program)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}"


def replacing(old: str, new: str) -> str:
    return f"path.write_text(path.read_text().replace({old!r}, {new!r}))\n"


# --- without a terminal


def test_an_edit_takes_the_files_place_in_canonical_spelling_and_sets_the_time(root: Path, tmp_path: Path) -> None:
    before = snapshot(root)
    store = FileStore(root)
    began = store.now()
    program = "import json\nvalue = json.loads(path.read_text())\nvalue['name'] = 'renamed'\n"
    done = edit(root, editor(tmp_path, program + "path.write_text(json.dumps(value))\n"))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{ID}\n", "")
    found = store.get_datapoint(dataset_name=DATASET, datapoint_id=ID)
    assert found.name == "renamed"
    assert began <= found.updated_at <= store.now()
    expected = loads_file(before[f"{DATASET}/{ID}.json"])
    assert isinstance(expected, dict)
    expected |= {"name": "renamed", "updated_at": found.updated_at.isoformat().replace("+00:00", "Z")}
    assert snapshot(root) == {**before, f"{DATASET}/{ID}.json": dumps(expected)}
    assert copies(root) == []


@pytest.mark.parametrize(
    "program",
    ["", "path.write_text(path.read_text().replace('\\n', '\\r\\n'))\n", "path.write_text(path.read_text() + '\\n')\n"],
    ids=["nothing", "line ends", "a line"],
)
def test_nothing_is_written_when_nothing_changed(root: Path, tmp_path: Path, program: str) -> None:
    before, status = snapshot(root), path_of(root).stat()
    done = edit(root, editor(tmp_path, program))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Nothing was changed.\n")
    after = path_of(root).stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
    assert snapshot(root) == before
    assert copies(root) == []


def test_a_time_that_the_person_sets_stays(root: Path, tmp_path: Path) -> None:
    said = "2026-01-02T03:04:05.000000Z"
    done = edit(root, editor(tmp_path, replacing('"type"', f'"updated_at": "{said}",\n  "type"')))
    assert done.returncode == 0
    assert json.loads(path_of(root).read_bytes())["updated_at"] == said


WRONG = {
    "text": ('"verdict": "one",', '"verdict": one,', "17:16: `one` is not JSON"),
    "key": ('"tags"', '"tagz"', "25:3: tagz: unknown field `tagz`, did you mean `tags`?"),
    "output": (
        '"verdict": "one"',
        '"verdict": "some"',
        '17:16: output.verdict: it does not fit its schema: "some" is not',
    ),
    "input": (
        '"Marta Velasco"',
        "7",
        '7:22: input.system.sender_name: it does not fit its schema: 7 is not of type "string"',
    ),
    "function": (
        '"extract_recipient"',
        '"extract_recipent"',
        "3:20: The function config has no function `extract_recipent`: did you mean `extract_recipient`?",
    ),
}


@pytest.mark.parametrize(("old", "new", "told"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_told_with_its_place_in_the_copy_which_is_kept(
    root: Path, tmp_path: Path, old: str, new: str, told: str
) -> None:
    before = snapshot(root)
    done = edit(root, editor(tmp_path, replacing(old, new)))
    [copy] = copies(root)
    assert (done.returncode, done.stdout) == (1, "")
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"{copy}:{told}")
    assert rest == ["The datapoint stays as it was.", f"What you wrote is kept in {copy}"]
    assert new in copy.read_text()
    assert snapshot(root) == before


def test_a_kept_copy_is_not_replaced_by_the_next(root: Path, tmp_path: Path) -> None:
    for number in range(2):
        edit(root, editor(tmp_path, f"path.write_text('{number}')\n"))
    assert [copy.read_text() for copy in copies(root)] == ["1", "0"]
    assert {copy.name for copy in copies(root)} == {f"{ID}.json", f"{ID}-2.json"}


def test_what_was_wrong_before_keeps_no_edit_out(root: Path, tmp_path: Path) -> None:
    path = path_of(root)
    path.write_text(path.read_text().replace('"verdict": "one"', '"verdict": "some"'))
    done = edit(root, editor(tmp_path, replacing("recipient-spelled-out", "renamed")))
    assert (done.returncode, done.stdout) == (0, f"{ID}\n")
    assert json.loads(path.read_bytes())["name"] == "renamed"


def test_a_file_that_cannot_be_read_is_repaired(root: Path, tmp_path: Path) -> None:
    path = path_of(root)
    right = path.read_bytes()
    path.write_bytes(b"<<<<<<< HEAD\n" + right)
    done = edit(root, editor(tmp_path, replacing("<<<<<<< HEAD\n", "")))
    assert (done.returncode, done.stdout) == (0, f"{ID}\n")
    assert {**json.loads(right), "updated_at": None} == {**json.loads(path.read_bytes()), "updated_at": None}


def test_an_output_counts_where_its_old_text_stays_beside_it(root: Path, tmp_path: Path) -> None:
    path = path_of(root)
    value = json.loads(path.read_bytes())
    text = json.dumps(value["output"])
    path.write_text(json.dumps({**value, "output_raw": text}, indent=2))
    assert edit(root, editor(tmp_path, replacing('"verdict": "one",\n', '"verdict": "none",\n'))).returncode == 0
    found = json.loads(path.read_bytes())
    assert found["output"]["verdict"] == "none"
    assert "output_raw" not in found
    path.write_text(json.dumps({**value, "output_raw": text}, indent=2))
    refused = edit(root, editor(tmp_path, replacing('\\"one\\"', '\\"none\\"')))
    assert refused.returncode == 1
    assert "`output` counts and this says something else" in refused.stderr


def test_what_somebody_else_saves_meanwhile_stays_and_the_copy_is_kept(root: Path, tmp_path: Path) -> None:
    path = path_of(root)
    theirs = path.read_text().replace("recipient-spelled-out", "theirs")
    program = replacing("recipient-spelled-out", "mine") + f"Path({str(path)!r}).write_text({theirs!r})\n"
    done = edit(root, editor(tmp_path, program))
    [copy] = copies(root)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r".*\.json was changed by somebody else while you edited it: it stays as it is now\.\n"
        rf"What you wrote is kept in {re.escape(str(copy))}\n",
        done.stderr,
    )
    assert path.read_text() == theirs
    assert '"mine"' in copy.read_text()


def test_a_deletion_meanwhile_stays_and_the_copy_is_kept(root: Path, tmp_path: Path) -> None:
    delete = [sys.executable, "-m", "filestore", "--root", str(root), "delete", DATASET, ID]
    program = (
        replacing("recipient-spelled-out", "mine") + f"import subprocess\nsubprocess.run({delete!r}, check=True)\n"
    )
    done = edit(root, editor(tmp_path, program))
    assert done.returncode == 1
    assert len(copies(root)) == 1
    assert "recipient-spelled-out" in path_of(root).read_text()


@pytest.mark.parametrize(
    ("program", "kept"),
    [("sys.exit(3)\n", 0), ("path.write_text('half')\nsys.exit(3)\n", 1), ("path.unlink()\n", 0)],
    ids=["at once", "after writing", "without the file"],
)
def test_an_editor_that_fails_changes_nothing(root: Path, tmp_path: Path, program: str, kept: int) -> None:
    before = snapshot(root)
    done = edit(root, editor(tmp_path, program))
    assert (done.returncode, done.stdout) == (1, "")
    assert "The datapoint stays as it was.\n" in done.stderr
    assert snapshot(root) == before
    assert len(copies(root)) == kept


@pytest.mark.parametrize(
    ("editor", "datapoint_id", "code", "told"),
    [
        ("no-such-editor", ID, 1, "The editor 'no-such-editor' ended with exit code 127."),
        (None, ID, 2, "There is no terminal to open an editor in: set EDITOR to a command."),
        ("true", "01991f3c-7d2a-7c4e-9b1d-2f6a8e0c4d53", 1, "Datapoint not found"),
        ("true", "x", 2, "UUID parsing failed"),
        ("true", STALE_ID, 1, "is deleted: `filestore restore` it first"),
    ],
    ids=["no editor", "none set", "unknown id", "no id", "deleted"],
)
def test_a_wrong_use_is_told_and_leaves_nothing_behind(
    root: Path, editor: str | None, datapoint_id: str, code: int, told: str
) -> None:
    before = snapshot(root)
    done = edit(root, editor, datapoint_id)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(root) == before
    assert copies(root) == []


def test_an_edit_in_a_broken_config_keeps_the_copy(root: Path, tmp_path: Path) -> None:
    config = root / "tensorzero.toml"
    program = replacing("recipient-spelled-out", "mine") + f"Path({str(config)!r}).write_text('[')\n"
    done = edit(root, editor(tmp_path, program))
    [copy] = copies(root)
    assert done.returncode == 1
    assert f"What you wrote is kept in {copy}\n" in done.stderr
    assert "Traceback" not in done.stderr


# --- the editor


def test_the_value_is_a_shell_command(root: Path) -> None:
    done = edit(root, "sed -i 's/recipient-spelled-out/by a shell/; s/one/one/'")
    assert (done.returncode, done.stdout) == (0, f"{ID}\n")
    assert json.loads(path_of(root).read_bytes())["name"] == "by a shell"


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"VISUAL": "a", "EDITOR": "b", "TERM": "xterm"}, "a"),
        ({"VISUAL": "a", "EDITOR": "b", "TERM": "dumb"}, "b"),
        ({"VISUAL": "", "EDITOR": "b"}, "b"),
        ({"EDITOR": ""}, None),
    ],
)
def test_the_editor_is_found_as_git_finds_it(environment: dict[str, str], found: str | None) -> None:
    assert find_editor(environment) == found


@pytest.mark.parametrize(
    ("editor", "arguments"),
    [
        ("vi", ["+7", "a b.json"]),
        ("/usr/bin/vim -u NONE", ["+call cursor(7,3)", "a b.json"]),
        ("nano", ["+7", "a b.json"]),
        ("emacsclient -t", ["+7:3", "a b.json"]),
        ("code", ["--wait", "--goto", "a b.json:7:3"]),
        ("'/opt/my code/code' --wait", ["--goto", "a b.json:7:3"]),
        ("subl -w", ["a b.json:7:3"]),
        ("notepad", ["a b.json"]),
        ("it's", ["a b.json"]),
    ],
)
def test_an_editor_opens_at_the_line_where_it_is_known_how(editor: str, arguments: list[str]) -> None:
    assert editor_arguments(editor, "a b.json", (7, 3)) == arguments
    assert editor_arguments(editor, "a b.json", None)[-1] == "a b.json"


# --- at a terminal


@contextmanager
def at_terminal(root: Path, editor: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the command at a terminal of its own; yield it and our end of the terminal."""
    pty = pytest.importorskip("pty")
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command(root),
        env=environment(editor),
        stdin=its,
        stdout=subprocess.PIPE,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    with process:
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def read_until(terminal: int, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 1024)
    return seen


def finish(process: subprocess.Popen[bytes], terminal: int) -> tuple[int, bytes, bytes]:
    seen = b""
    try:
        while data := os.read(terminal, 1024):
            seen += data
    except OSError:  # Linux says so when the other end is closed
        pass
    assert process.stdout is not None
    return process.wait(60), process.stdout.read(), seen


TWICE = """
calls = path.parent.parent.parent.parent / "calls"
with calls.open("a") as file:
    print(*words[:-1], file=file)
text = path.read_text()
path.write_text(text.replace('"one"', "one") if '"one"' in text else text.replace("one,", '"none",'))
"""


def test_after_a_mistake_the_editor_opens_again_at_the_line(root: Path, tmp_path: Path) -> None:
    script = tmp_path / "vi"
    script.write_text(f"#!{sys.executable}\n{HEAD}{TWICE}")
    script.chmod(0o755)
    with at_terminal(root, shlex.quote(str(script))) as (process, terminal):
        seen = read_until(terminal, b"Edit again? [Y/n]: ")
        assert b":17:16: `one` is not JSON" in seen
        os.write(terminal, b"\n")
        code, printed, _ = finish(process, terminal)
    assert (code, printed) == (0, f"{ID}\n".encode())
    assert (root / "calls").read_text() == "\n+17\n"
    assert json.loads(path_of(root).read_bytes())["output"]["verdict"] == "none"
    assert copies(root) == []


@pytest.mark.parametrize("answer", [b"n\n", b"\x04"], ids=["no", "end of input"])
def test_whoever_gives_up_keeps_the_old_file_and_the_copy(root: Path, tmp_path: Path, answer: bytes) -> None:
    before = snapshot(root)
    with at_terminal(root, editor(tmp_path, "path.write_text('half')\n")) as (process, terminal):
        read_until(terminal, b"Edit again? [Y/n]: ")
        os.write(terminal, answer)
        code, printed, seen = finish(process, terminal)
    [copy] = copies(root)
    assert (code, printed) == (1, b"")
    assert f"What you wrote is kept in {copy}".encode() in seen
    assert copy.read_text() == "half"
    assert snapshot(root) == before


def test_an_interrupt_in_the_editor_is_the_editors_own(root: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "caught = []\n"
        "signal.signal(signal.SIGINT, lambda *_: caught.append(1))\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "assert caught\n"
    ) + replacing("recipient-spelled-out", "after it")
    script = editor(tmp_path, program)
    done = edit(root, f"exec {script}")
    assert (done.returncode, done.stdout) == (0, f"{ID}\n")
    assert json.loads(path_of(root).read_bytes())["name"] == "after it"
