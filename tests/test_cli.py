"""The command line: what is typed, what is printed where, and the exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from filestore import FileStore, __version__
from filestore.cli import COMMANDS, main
from filestore.cli.table import Column, render_table
from filestore.cli.terminal import display_width, one_line, shorten
from tests.conftest import watched_directories

UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
UNKNOWN_ID = "01991f3c-7d2a-7c4e-9b1d-2f6a8e0c4d53"


def chat(text: str, **rest: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"type": "chat", "function_name": "reply", "input": {"messages": messages}, **rest}


def run(root: Path, *arguments: str, stdin: str | bytes | None = None, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner(env=env).invoke(main, ["--root", str(root), *arguments], input=stdin)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "filestore", *arguments]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FILESTORE_")}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[1]), **changes}


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run the program for the length of a block, and never longer."""
    defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options = {**defaults, "env": environment(), "text": True, **options}
    with subprocess.Popen(command(*arguments), **options) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[str]) -> None:
    """Press ^C until the program ends: Python sleeps through one that comes just before it starts to read."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)  # the next one, while it ends, would end it by force


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Open a terminal: our end of it, and the program's."""
    pty = pytest.importorskip("pty")
    ours, its = pty.openpty()
    try:
        yield ours, its
    finally:
        os.close(ours)
        os.close(its)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "store"
    directory.mkdir()
    return directory


@pytest.fixture
def store(root: Path) -> FileStore:
    return FileStore(root, durable=False)


# --- the program as a whole


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says(name: str) -> None:
    found = main.get_command(click.Context(main), name)

    assert found is not None
    assert COMMANDS[name][1] == found.get_short_help_str(limit=100)
    assert found.epilog is not None and "Examples:" in found.epilog
    assert [option.name for option in found.params if isinstance(option, click.Option) and not option.help] == []


def test_help_imports_no_command() -> None:
    program = (
        "import sys\nfrom filestore.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print(*sorted(name for name in sys.modules if name.startswith('filestore.cli.')))"
    )
    result = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True)

    assert result.stdout.splitlines()[-1] == "filestore.cli.settings filestore.cli.terminal"


def test_it_runs_as_a_module() -> None:
    result = subprocess.run(command("--version"), env=environment(), capture_output=True, text=True)

    assert (result.returncode, result.stdout, result.stderr) == (0, f"filestore, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        pytest.param(["lst"], "There is no command 'lst'. Did you mean 'list'?", id="misspelt command"),
        pytest.param(["frobnicate"], "There is no command 'frobnicate'.", id="unknown command"),
        pytest.param(["list"], "Missing argument 'DATASET'.", id="no dataset"),
        pytest.param(["get", "demo"], "Missing argument 'ID...'.", id="no id"),
        pytest.param(["list", "demo", "--limit", "-1"], "-1 is not in the range x>=0.", id="negative limit"),
        pytest.param(["list", "demo", "--format", "xml"], "'xml' is not one of", id="unknown format"),
        pytest.param(["get", "demo", "x\x1b[31m"], r"Invalid value for 'ID...': 'x\x1b[31m': UUID", id="get no id"),
        pytest.param(["delete", "demo", UNKNOWN_ID, "1"], "Invalid value for 'ID...': '1': UUID", id="delete no id"),
        pytest.param(["serve", "--port", "70000"], "70000 is not in the range", id="no port"),
        pytest.param(
            ["list", "demo", "--root", "."], "'--root' stands before the command: filestore --root", id="late"
        ),
        pytest.param(["--root", "", "datasets"], "--root is empty", id="empty root"),
        pytest.param(["list", "demo", "--roof", "."], "No such option '--roof'", id="unknown option"),
        pytest.param(["schema", "dem"], "There is no dataset 'dem'. Did you mean 'demo'?", id="no dataset to complete"),
        pytest.param(["serve", "--host", "0.0.0.0"], "lets other machines in", id="open to others"),
    ],
)
def test_what_is_typed_wrong_exits_with_2(root: Path, store: FileStore, typed: list[str], reason: str) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("Hi")])

    result = run(root, *typed)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: main ")
    assert reason in result.stderr
    assert store.count_datapoints(dataset_name="demo") == 1


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "init"])
def test_a_root_that_does_not_exist_exits_with_2_and_says_how_to_make_it(tmp_path: Path, name: str) -> None:
    missing = tmp_path / "missing"
    needed = {name: ["demo", UNKNOWN_ID] for name in ("get", "delete", "clone", "restore")}
    needed |= {"datasets": [], "recover": [], "serve": [], "edit": ["demo", UNKNOWN_ID], "new": ["demo", "reply"]}

    result = run(missing, name, *needed.get(name, ["demo"]))

    assert result.exit_code == 2
    assert f"The root '{missing}' does not exist. To make it a store: filestore init {missing}" in result.stderr
    assert not missing.exists()


def test_a_root_that_is_a_file_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = run(tmp_path / "file", "datasets")

    assert result.exit_code == 2
    assert f"The root '{tmp_path / 'file'}' is not a directory." in result.stderr


def test_what_the_store_refuses_is_one_line_on_stderr_and_exits_with_1(root: Path) -> None:
    result = run(root, "get", "demo", UNKNOWN_ID)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: Datapoint not found for dataset: demo and id: {UNKNOWN_ID}\n"


def test_errors_spell_out_control_characters(root: Path) -> None:
    item = {"function_name": "\x1b[31m\u202ered", "input": {}}

    result = run(root, "insert", "demo", stdin=json.dumps(item))

    assert result.exit_code == 1
    assert "\\x1b[31m\\u202ered" in result.stderr
    assert result.stderr.rstrip("\n").isprintable()


def test_options_come_from_the_environment(root: Path, store: FileStore) -> None:
    ids = store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("a"), chat("b")])
    env = {"FILESTORE_ROOT": str(root), "FILESTORE_LIST_LIMIT": "1", "FILESTORE_LIST_FORMAT": "jsonl"}

    result = CliRunner(env=env).invoke(main, ["list", "demo"])

    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [str(ids[1])]


def test_the_config_file_option_gives_the_functions(root: Path, tmp_path: Path) -> None:
    config = tmp_path / "tensorzero.toml"
    config.write_text("""
[functions.greet]
type = "chat"

[functions.greet.variants.v]
type = "chat_completion"
model = "openai::m"
""")
    item = {"function_name": "greet", "input": {"messages": []}}

    assert run(root, "insert", "demo", stdin=json.dumps(item)).exit_code == 1
    assert run(root, "--config-file", str(config), "insert", "demo", stdin=json.dumps(item)).exit_code == 0


def test_a_mistake_in_the_config_is_one_line(root: Path) -> None:
    (root / "tensorzero.toml").write_text("[functions")

    result = run(root, "datasets")

    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"Error: .*tensorzero\.toml: .*\n", result.stderr)


def test_a_reader_that_has_enough_is_no_error(root: Path, store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("x" * 200_000)])

    with started("--root", str(root), "list", "demo", "--format", "jsonl") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()

        assert process.stderr.read() == ""


def test_an_interrupt_exits_with_130_and_changes_nothing(root: Path, store: FileStore) -> None:
    with started("--root", str(root), "insert", "demo", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(json.dumps(chat("x" * 500_000)))  # more than a pipe holds: the program is reading
        process.stdin.flush()
        interrupt(process)

        assert (process.returncode, process.stderr.read()) == (130, "")
    assert store.dataset_names() == []


def test_a_terminal_of_another_encoding_gets_the_codes_of_characters(root: Path, store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("naïve 日本")])
    env = environment(PYTHONIOENCODING="latin-1")

    table = subprocess.run(command("--root", str(root), "list", "demo"), env=env, capture_output=True, check=True)
    lines = subprocess.run(
        command("--root", str(root), "list", "demo", "--format", "jsonl"), env=env, capture_output=True, check=True
    )

    assert "naïve \\u65e5\\u672c".encode("latin-1") in table.stdout
    assert "naïve 日本".encode() in lines.stdout


def complete(*words: str) -> list[str]:
    *before, incomplete = words
    completion = ShellComplete(main, {}, "filestore", "_FILESTORE_COMPLETE")
    return [item.value for item in completion.get_completions(before, incomplete)]


def test_the_shell_completes_commands_and_dataset_names(root: Path, store: FileStore) -> None:
    for name in ("support", "sums", "other"):
        store.bulk_insert_datapoints(dataset_name=name, datapoints=[chat("Hi")])

    assert complete("de") == ["delete"]
    assert complete("--root", str(root), "list", "su") == ["sums", "support"]
    assert complete("--root", str(root / "missing"), "list", "su") == []


# --- init


def test_init_makes_a_store_and_says_what_it_made(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "store"

    result = CliRunner().invoke(main, ["init", str(root)])

    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [str(root), f"{root}/.gitattributes", f"{root}/.filestore/.gitignore"],
    )
    assert result.stderr.splitlines()[1:] == [
        "Next:",
        "  describe your functions in a tensorzero.toml there, or name one with --config-file",
        f"  filestore --root {root} insert DATASET items.jsonl",
        f"  filestore --root {root} serve",
    ]
    assert (root / ".gitattributes").read_bytes() == b"*.json text eol=lf\n**/files/** -text\n"
    assert (root / ".filestore" / ".gitignore").read_bytes() == b"*\n"


def test_init_of_a_store_changes_nothing(root: Path) -> None:
    run(root, "init")

    result = run(root, "init")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"{root} is a store already.\n")
    assert (root / ".gitattributes").read_bytes() == b"*.json text eol=lf\n**/files/** -text\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"*.png binary", b"*.png binary\n*.json text eol=lf\n**/files/** -text\n", id="no final newline"),
        pytest.param(b"a b\r\n", b"a b\r\n*.json text eol=lf\n**/files/** -text\n", id="CRLF"),
        pytest.param(b"**/files/** -text\n", b"**/files/** -text\n*.json text eol=lf\n", id="one line is there"),
    ],
)
def test_init_adds_to_the_attributes_that_are_there(root: Path, before: bytes, after: bytes) -> None:
    (root / ".gitattributes").write_bytes(before)

    run(root, "init")

    assert (root / ".gitattributes").read_bytes() == after


def test_init_follows_no_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (root / ".gitattributes").symlink_to(tmp_path / "elsewhere")

    result = run(root, "init")

    assert result.exit_code == 1
    assert result.stderr == f"Error: {root}/.gitattributes: it is a symbolic link, which is not followed\n"
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_git_keeps_the_bytes_of_a_store_and_leaves_its_inner_directory_out(root: Path) -> None:
    run(root, "init")
    git = ["git", "-C", str(root)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    names = ["demo/a.json", "demo/files/b.json"]

    attributes = subprocess.run(
        [*git, "check-attr", "text", "--", *names], check=True, capture_output=True, text=True
    ).stdout
    status = subprocess.run([*git, "status", "--porcelain"], check=True, capture_output=True, text=True).stdout

    assert attributes.splitlines() == ["demo/a.json: text: set", "demo/files/b.json: text: unset"]
    assert status == "?? .gitattributes\n"


# --- datasets, list, get


def test_datasets_are_listed_with_their_counts(root: Path, store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="support", datapoints=[chat("a"), chat("b")])

    table = run(root, "datasets")
    values = json.loads(run(root, "datasets", "--format", "json").stdout)
    lines = run(root, "datasets", "--format", "jsonl").stdout

    [value] = values
    assert {**value, "last_updated": ""} == {"dataset_name": "support", "datapoint_count": 2, "last_updated": ""}
    assert table.stdout.splitlines() == [
        "DATASET  DATAPOINTS  LAST UPDATED",
        f"support           2  {value['last_updated']}",
    ]
    assert [json.loads(line) for line in lines.splitlines()] == values


def test_a_store_without_datapoints_prints_nothing_and_says_so(root: Path) -> None:
    result = run(root, "datasets")

    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "",
        f"There are no datapoints in {root}; --root names another store.\n",
    )
    assert run(root, "datasets", "--format", "json").stdout == "[]\n"
    assert run(root, "datasets", "--format", "jsonl").stdout == ""


def test_list_prints_a_table_newest_first(root: Path, store: FileStore) -> None:
    call = {"type": "tool_call", "id": "1", "name": "search", "arguments": '{"q":1}'}
    dialogue = {"messages": [{"role": "user", "content": "Hi\n there"}, {"role": "assistant", "content": [call]}]}
    schema: dict[str, Any] = {}
    first, second = store.bulk_insert_datapoints(
        dataset_name="demo",
        datapoints=[
            chat("日本 \x1b[31m", output="Hello!", tags={"split": "test", "a": "b"}),
            {
                "type": "json",
                "function_name": "find",
                "name": "two turns",
                "input": dialogue,
                "output": [1],
                "output_schema": schema,
            },
        ],
    )

    result = run(root, "list", "demo")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.replace(str(first), "1" * 36).replace(str(second), "2" * 36).splitlines() == [
        "ID                                    FUNCTION  NAME       INPUT"
        "                                        OUTPUT  TAGS",
        '222222222222222222222222222222222222  find      two turns  user: Hi there | assistant: search({"q":1})  [1]',
        "111111111111111111111111111111111111  reply                日本 \\x1b[31m"
        "                                Hello!  split=test a=b",
    ]


def test_list_says_how_many_more_there_are(root: Path, store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat(str(number)) for number in range(5)])

    first = run(root, "list", "demo", "--limit", "2")
    last = run(root, "list", "demo", "--limit", "2", "--offset", "3")

    assert (len(first.stdout.splitlines()), first.stderr) == (3, "2 of 5 shown; --offset 2 for the next\n")
    assert (len(last.stdout.splitlines()), last.stderr) == (3, "")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param(["suport"], "No datapoints found in dataset 'suport'. Did you mean 'support'?\n", id="misspelt"),
        pytest.param(["zebra"], "No datapoints found in dataset 'zebra'.\n", id="unknown"),
        pytest.param(
            ["support", "--offset", "9"],
            "No datapoints found in dataset 'support' after the first 9.\n",
            id="beyond the end",
        ),
        pytest.param(
            ["support", "--function-name", "other"],
            "No datapoints found in dataset 'support' that match.\n",
            id="filter",
        ),
        pytest.param(["support", "--limit", "0"], "", id="none wanted"),
    ],
)
def test_an_empty_list_says_why_it_may_be_empty(root: Path, store: FileStore, typed: list[str], said: str) -> None:
    store.bulk_insert_datapoints(dataset_name="support", datapoints=[chat("Hi")])

    result = run(root, "list", *typed)

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", said)


def test_list_and_get_print_the_wire_form(root: Path, store: FileStore) -> None:
    ids = store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("é\x7f\x9b", output="a"), chat("b")])
    wire = [store.get_datapoint(dataset_name="demo", datapoint_id=one).to_dict() for one in ids]

    listed = run(root, "list", "demo", "--format", "json").stdout
    lines = run(root, "list", "demo", "--format", "jsonl").stdout

    assert json.loads(listed) == wire[::-1]
    assert [json.loads(line) for line in lines.splitlines()] == wire[::-1]
    assert "é\\u007f\\u009b" in listed
    assert json.loads(run(root, "get", "demo", str(ids[0])).stdout) == wire[0]
    assert json.loads(run(root, "get", "demo", str(ids[1]), str(ids[0])).stdout) == wire[::-1]
    assert run(root, "get", "demo", str(ids[0]), "--format", "jsonl").stdout == lines.splitlines(keepends=True)[1]


def test_get_prints_all_or_nothing(root: Path, store: FileStore) -> None:
    [one] = store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("a")])

    result = run(root, "get", "demo", str(one), UNKNOWN_ID)

    assert (result.exit_code, result.stdout) == (1, "")


def read_terminal(*arguments: str, columns: int) -> str:
    """Return what the program prints to a terminal of so many columns."""
    env = environment(COLUMNS=str(columns), LINES="24")
    with terminal() as (ours, its), started(*arguments, stdout=its, env=env) as process:
        process.wait()
        return os.read(ours, 65536).decode().replace("\r\n", "\n")


def test_a_table_fits_the_terminal(root: Path, store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("日本語 " * 100, output="long " * 100)])

    lines = read_terminal("--root", str(root), "list", "demo", columns=90).splitlines()

    assert len(lines) == 2
    assert all(display_width(line) <= 90 for line in lines)
    assert re.fullmatch(rf"{UUID7}  reply     日本語 .*… +long .*…", lines[1])


WIDE = st.text(st.sampled_from("ab \u0301日👍\u200d\ufe0fé"), max_size=30)


@given(text=WIDE, width=st.integers(1, 40))
def test_shortened_text_is_never_wider_than_asked(text: str, width: int) -> None:
    short = shorten(text, width)

    assert display_width(short) <= width
    assert short == text if display_width(text) <= width else short.endswith("…")


@given(rows=st.lists(st.tuples(WIDE, WIDE, WIDE), min_size=1, max_size=5), width=st.integers(40, 100))
def test_a_table_is_never_wider_than_asked(rows: list[tuple[str, ...]], width: int) -> None:
    columns = [Column("A", 10), Column("B", 10), Column("C", 10)]

    lines = render_table(columns, [tuple(map(one_line, row)) for row in rows], width).split("\n")

    assert len(lines) == len(rows) + 1
    assert all(display_width(line) <= width for line in lines)


@given(st.text())
def test_one_line_is_harmless_to_a_terminal(text: str) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", one_line(text))


# --- insert

TWO = [chat("a", output="A"), chat("b", output="B")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps(TWO), id="list"),
        pytest.param(json.dumps(TWO, indent=2), id="indented list"),
        pytest.param("".join(f"{json.dumps(item)}\n" for item in TWO), id="JSON lines"),
        pytest.param("\r\n\r\n".join(map(json.dumps, TWO)), id="JSON lines with CRLF and blank lines"),
        pytest.param(json.dumps({"datapoints": TWO}), id="request body"),
        pytest.param(f"\ufeff{json.dumps(TWO)}", id="byte-order mark"),
    ],
)
def test_insert_reads_every_way_to_write_items(root: Path, store: FileStore, tmp_path: Path, text: str) -> None:
    file = tmp_path / "items"
    file.write_bytes(text.encode())

    from_file = run(root, "insert", "demo", str(file))
    from_stdin = run(root, "insert", "demo", "-", stdin=text.encode())

    ids = from_file.stdout.splitlines() + from_stdin.stdout.splitlines()
    assert (from_file.exit_code, from_stdin.exit_code, from_file.stderr, from_stdin.stderr) == (0, 0, "", "")
    assert all(re.fullmatch(UUID7, one) for one in ids)
    inserted = [store.get_datapoint(dataset_name="demo", datapoint_id=one).output for one in ids]
    assert inserted == [[{"type": "text", "text": text}] for text in "ABAB"]


@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "indented"])
def test_insert_takes_a_single_item(root: Path, store: FileStore, indent: int | None) -> None:
    result = run(root, "insert", "demo", stdin=json.dumps(TWO[0], indent=indent))

    assert [str(one.id) for one in store.list_datapoints(dataset_name="demo")] == result.stdout.splitlines()


def test_insert_prints_ids_as_json_where_asked(root: Path) -> None:
    result = run(root, "insert", "demo", "--format", "json", stdin=json.dumps(TWO))

    assert [bool(re.fullmatch(UUID7, one)) for one in json.loads(result.stdout)] == [True, True]
    assert run(root, "insert", "demo", "--format", "json", stdin="[]").stdout == "[]\n"
    assert run(root, "insert", "demo", stdin="[]").stdout == ""


def test_insert_reads_items_of_the_v1_api_where_asked(root: Path, store: FileStore) -> None:
    item = chat("a", output=[{"type": "text", "text": "A"}], name="first")

    result = run(root, "insert", "demo", "--v1", stdin=json.dumps(item))

    [found] = store.list_datapoints(dataset_name="demo")
    assert (result.stdout, found.name) == (f"{found.id}\n", "first")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("", "stdin is empty", id="empty"),
        pytest.param("\n \n", "stdin is empty", id="blank"),
        pytest.param('"text"', "stdin: expected a list of datapoints", id="no list"),
        pytest.param('{"a": 1}', "stdin: expected a list of datapoints", id="no item"),
        pytest.param('{"datapoints": 1}', "stdin: expected a list of datapoints", id="no list in the body"),
        pytest.param("[\n  {,\n]", "stdin:2:4: ", id="syntax"),
        pytest.param(f'{json.dumps(TWO[0])}\n\n{{"a": x}}', "stdin:3:7: ", id="syntax on a line"),
        pytest.param(f"{json.dumps(TWO[0])}\n[", "stdin:2:", id="unfinished line"),
    ],
)
def test_insert_says_where_its_input_is_wrong(root: Path, store: FileStore, text: str, place: str) -> None:
    result = run(root, "insert", "demo", stdin=text)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {place}")
    assert result.stderr.count("\n") == 1
    assert store.dataset_names() == []


def test_insert_names_a_misspelt_field_also_of_what_is_refused(root: Path) -> None:
    result = run(root, "insert", "demo", stdin='{"functon_name": "reply", "input": {}}')
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Warning: stdin: item 1: `functon_name` is ignored; did you mean `function_name`?\n"
        "Error: stdin: item 1: Expected function name for datapoint 0\n"
    )


def test_insert_takes_all_items_or_none(root: Path, store: FileStore) -> None:
    result = run(root, "insert", "demo", stdin=json.dumps([*TWO, {"type": "chat", "function_name": "reply"}]))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: stdin: item 3: Failed to deserialize chat datapoint 2: missing field `input`\n"
    assert store.dataset_names() == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing.json", "No such file or directory"), (".", "Is a directory")],
    ids=["missing", "directory"],
)
def test_insert_says_why_it_cannot_read_a_file(root: Path, tmp_path: Path, name: str, reason: str) -> None:
    result = run(root, "insert", "demo", str(tmp_path / name))

    assert (result.exit_code, result.stderr) == (1, f"Error: {tmp_path / name}: {reason}\n")


def test_insert_does_not_wait_for_a_person_to_type_json(root: Path) -> None:
    with terminal() as (_, its), started("--root", str(root), "insert", "demo", stdin=its) as process:
        assert process.stderr is not None

        assert "items on stdin: filestore insert DATASET < items.jsonl" in process.stderr.read()
        assert process.wait() == 2


# --- delete, drop


def test_delete_prints_how_many_it_deleted(root: Path, store: FileStore) -> None:
    ids = store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("a"), chat("b"), chat("c")])

    result = run(root, "delete", "demo", str(ids[0]), str(ids[2]), str(ids[0]))

    assert (result.exit_code, result.stdout, result.stderr) == (0, "2\n", "")
    assert [one.id for one in store.list_datapoints(dataset_name="demo")] == [ids[1]]


def test_deleting_again_is_no_failure_but_an_unknown_id_is_one(root: Path, store: FileStore) -> None:
    one, two, three = store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("a"), chat("b"), chat("c")])
    run(root, "delete", "demo", str(one))

    again = run(root, "delete", "demo", str(one), str(two))
    unknown = run(root, "delete", "demo", UNKNOWN_ID, str(three))

    assert (again.exit_code, again.stdout, again.stderr) == (0, "1\n", f"{one}: had been deleted before\n")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert unknown.stderr == f"{UNKNOWN_ID}: there is no such datapoint in dataset 'demo'\nNothing was deleted.\n"
    assert [found.id for found in store.list_datapoints(dataset_name="demo")] == [three]


def test_drop_deletes_all_without_asking_where_told_so(root: Path, store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=TWO)

    result = run(root, "drop", "demo", "--yes")
    again = run(root, "drop", "demo")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "2\n", "")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "0\n", "Dataset 'demo' has no datapoints.\n")


@pytest.mark.parametrize(
    ("answer", "exit_code", "left"),
    [pytest.param(b"y\n", 0, 0, id="yes"), pytest.param(b"\n", 1, 2, id="no"), pytest.param(None, 130, 2, id="^C")],
)
def test_drop_asks_on_a_terminal(root: Path, store: FileStore, answer: bytes | None, exit_code: int, left: int) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=TWO)

    with terminal() as (ours, its), started("--root", str(root), "drop", "demo", stdin=its) as process:
        assert process.stdout is not None and process.stderr is not None
        question = "Delete all 2 datapoints of dataset 'demo'? [y/N]: "
        assert process.stderr.read(len(question)) == question
        if answer is None:
            interrupt(process)
        else:
            os.write(ours, answer)

        assert process.wait() == exit_code
        assert process.stdout.read() == ("2\n" if left == 0 else "")
    assert store.count_datapoints(dataset_name="demo") == left


# --- recover

CRASH = """
import os, sys
from filestore import FileStore
rename = os.replace
def rename_and_die(source, target):
    rename(source, target)
    if target.endswith("/pending"):
        os._exit(9)
os.replace = rename_and_die
item = {"type": "chat", "function_name": "f", "input": {"messages": []}}
FileStore(sys.argv[1]).bulk_insert_datapoints(dataset_name="demo", datapoints=[item] * 3)
"""


def interrupt_an_insert(root: Path) -> None:
    died = subprocess.run([sys.executable, "-c", CRASH, str(root)], env=environment())
    assert died.returncode == 9


def test_recover_completes_what_was_interrupted(root: Path, store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=TWO)
    interrupt_an_insert(root)

    result = run(root, "recover")
    again = run(root, "recover")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "demo\n", "")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "nothing to recover\n")
    assert store.count_datapoints(dataset_name="demo") == 5


@pytest.mark.parametrize(("decision", "count"), [("--apply", 5), ("--discard", 2)])
def test_recover_needs_a_decision_once_the_commit_has_changed(
    root: Path, store: FileStore, decision: str, count: int
) -> None:
    git = ["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "one"], check=True)
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=TWO)
    interrupt_an_insert(root)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "two"], check=True)

    undecided = run(root, "recover")
    decided = run(root, "recover", decision)

    assert (undecided.exit_code, undecided.stdout) == (1, "")
    assert "--apply" in undecided.stderr and "--discard" in undecided.stderr
    assert (decided.exit_code, decided.stdout, decided.stderr) == (0, "demo\n", "")
    assert store.count_datapoints(dataset_name="demo") == count


# --- serve


@contextmanager
def serving(root: Path, *arguments: str, **changes: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with started("--root", str(root), "serve", "--port", "0", *arguments, env=environment(**changes)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"Listening on (http://127\.0\.0\.1:[0-9]+)\n", line)
        assert match, line
        yield process, match[1]


def get(url: str, **headers: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
        return json.loads(response.read())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_serve_says_where_it_listens_and_stops_cleanly_on_a_signal(root: Path, number: signal.Signals) -> None:
    with serving(root) as (process, url):
        assert process.stdout is not None and process.stderr is not None
        assert get(f"{url}/status")["status"] == "ok"

        process.send_signal(number)

        assert (process.wait(timeout=10), process.stdout.read(), process.stderr.read()) == (0, "", "")


def test_serve_takes_the_key_from_the_environment_and_sees_each_write(root: Path, store: FileStore) -> None:
    with serving(root, "--legacy-wire", "old", FILESTORE_API_KEY="secret") as (_, url):
        store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("Hi")])

        [found] = get(f"{url}/datasets/demo/datapoints", authorization="Bearer secret")
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            get(f"{url}/datasets/demo/datapoints")
        refused.value.close()

    assert found["input"]["messages"][0]["content"] == [{"type": "text", "value": "Hi"}]


@pytest.mark.skipif(sys.platform != "linux", reason="this system has no inotify")
@pytest.mark.parametrize(("option", "is_watched"), [("--watch", True), ("--no-watch", False)])
def test_serve_has_the_kernel_tell_what_changes_unless_told_otherwise(
    root: Path, store: FileStore, option: str, is_watched: bool
) -> None:
    store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("Hi")])
    with serving(root, option) as (process, url):
        for number in range(3):
            assert len(get(f"{url}/datasets/demo/datapoints")) == number + 1
            store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("Hi")])
        assert ((root / "demo").stat().st_ino in watched_directories(process.pid)) == is_watched


def test_a_port_that_is_taken_is_one_line(root: Path) -> None:
    with serving(root) as (_, url):
        port = url.rpartition(":")[2]

        result = run(root, "serve", "--port", port)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: Cannot listen on 127.0.0.1, port {port}: Address already in use;"
        " choose another port, or 0 for any that is free\n"
    )
