"""Formatting: one spelling for each value, nothing lost, nothing touched that need not be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from filestore import FileStore
from filestore.cli import main
from filestore.codec import dumps
from filestore.datapoint import Datapoint, render_legacy, render_transitional
from filestore.datapoint_file import schema_digest
from filestore.errors import FileContentError
from filestore.formatting.batches import format_dataset
from filestore.formatting.files import Options, Outcome, State
from tests.conftest import snapshot
from tests.test_datapoint_file import FILES, SPELLINGS, texts, values

SAMPLES = Path(__file__).parent.parent / "sample_datasets"
ID = "01995f6a-1c2d-7c11-9d3e-0f5b7a1c2d3e"
OTHER_ID = "01995f6a-1c2d-7c11-9d3e-0f5b7a1c2d3f"
LONG_AGO = 1_700_000_000


def chat(text: str = "Hi", **rest: Any) -> dict[str, Any]:
    return {
        "type": "chat",
        "function_name": "plain_chat",
        "input": {"messages": [{"role": "user", "content": text}]},
        **rest,
    }


def write(path: Path, data: object) -> Path:
    """Write a file as somebody did long ago: nobody waits for the rest of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data, indent=4).encode())
    for one in (path, path.parent):
        os.utime(one, (LONG_AGO, LONG_AGO))
    return path


def run(root: Path, *arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, ["--root", str(root), *arguments])


def states(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return what a write of any file would change: inode, mtime and ctime."""
    return {
        name: (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        for name in snapshot(root)
        for status in [(root / name).stat()]
    }


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    return shutil.copytree(SAMPLES, tmp_path / "samples")


@pytest.fixture
def root(store: FileStore) -> Path:
    (store.root / "demo").mkdir(parents=True)
    return store.root


# --- the property


VALID_FILES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["chat", "json"]),
        "function_name": texts,
        "input": st.fixed_dictionaries(
            {
                "messages": st.lists(
                    st.fixed_dictionaries(
                        {
                            "role": st.sampled_from(["user", "assistant"]),
                            "content": texts
                            | st.dictionaries(texts, values, max_size=2)
                            | st.lists(st.builds(lambda text: {"type": "text", "text": text}, texts), max_size=2),
                        }
                    ),
                    max_size=2,
                )
            },
            optional={"system": values},
        ),
    },
    optional={
        "output": texts,
        "name": texts | st.none(),
        "tags": st.dictionaries(texts, texts, max_size=2) | st.none(),
        "is_custom": st.booleans(),
        "episode_id": st.uuids().map(str) | st.uuids().map(lambda one: str(one).upper()),
        "updated_at": st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z"]),
        "$schema": texts,
    },
)
SCHEMAS = st.dictionaries(texts, values, max_size=2) | st.booleans()


def with_schema(value: dict[str, Any], schema: Any, raw: str | None) -> dict[str, Any]:
    if value["type"] != "json":
        return value
    return {**value, "output_schema": schema, **({} if raw is None else {"output_raw": raw})}


ANY_FILES = st.builds(with_schema, VALID_FILES, SCHEMAS, texts | st.none()) | FILES | values


def wires(store: FileStore) -> tuple[str, Any]:
    """Return what clients of every generation read of the one datapoint, or what they are told."""
    try:
        [found] = store.list_datapoints(dataset_name="demo")
    except FileContentError as error:
        return error.reason, None
    forms: list[Callable[[Datapoint], Any]] = [
        lambda one: one.to_dict(),
        lambda one: render_legacy(one, store.config),
        render_transitional,
    ]
    return repr(found), [form(found) for form in forms]


@given(ANY_FILES, st.sampled_from([*SPELLINGS.values()]))
def test_formatting_is_lossless_and_done_once(value: Any, spell: Callable[[Any], bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        path = write(root / "demo" / f"{ID}.json", spell(value))
        data = path.read_bytes()
        store = FileStore(root, durable=False)
        before = wires(store)
        [outcome] = format_dataset(store, "demo", [path.name], Options())
        assert wires(FileStore(root)) == before
        if outcome.state is State.UNREADABLE:
            assert path.read_bytes() == data
            assert snapshot(root) == {f"demo/{ID}.json": data}
        written = states(root)
        again = {one.state for one in format_dataset(FileStore(root, durable=False), "demo", None, Options())}
        assert again <= {State.UNCHANGED, outcome.state} - {State.CHANGED}
        assert states(root) == written


# --- what is canonical


def formatted(root: Path, value: Any) -> dict[str, Any]:
    path = write(root / "demo" / f"{ID}.json", value)
    result = run(root, "fmt", "demo")
    assert (result.exit_code, result.stderr) == (0, "1 formatted, 0 fine already\n")
    found: dict[str, Any] = json.loads(path.read_bytes())
    assert path.read_bytes() == dumps(found)
    return found


def test_canonical_files_keep_their_inode_and_times(samples: Path) -> None:
    before = states(samples)
    result = run(samples, "fmt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "0 formatted, 58 fine already\n"
    assert states(samples) == before
    assert not (samples / ".filestore").exists()


def test_what_the_config_says_is_written_down(root: Path, config_file: Path) -> None:
    value = {"function_name": "json_success", "input": {"messages": []}}
    path = write(root / "demo" / f"{ID}.json", value)
    result = CliRunner().invoke(main, ["--root", str(root), "--config-file", str(config_file), "fmt"])
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    found = json.loads(path.read_bytes())
    schema = json.loads((config_file.parent / "answer.json").read_bytes())
    reference = {"$ref": f"schemas/{schema_digest(dumps(schema))}.json"}
    assert found == {"type": "json", **value, "output_schema": reference}
    assert (root / "demo" / reference["$ref"]).read_bytes() == dumps(schema)


def test_a_schema_written_out_moves_to_its_file(root: Path) -> None:
    schema = {"type": "object", "required": ["b"]}
    value = chat(type="json", output_schema=schema, output={"b": 1})
    digest = schema_digest(dumps(schema))  # type: ignore[arg-type]
    assert formatted(root, value)["output_schema"] == {"$ref": f"schemas/{digest}.json"}
    assert (root / "demo" / "schemas" / f"{digest}.json").read_bytes() == dumps(schema)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"output": {"a": 1}, "output_raw": '{"a":1}'}, {"output": {"a": 1}}),
        ({"output": {"a": 1}, "output_raw": '{"a": 1}'}, {"output": {"a": 1}, "output_raw": '{"a": 1}'}),
        ({"output": {"a": 1}, "output_raw": None}, {"output": {"a": 1}}),
    ],
    ids=["repeats", "other white space", "null"],
)
def test_a_raw_output_stays_where_it_says_more(root: Path, written: Any, kept: Any) -> None:
    found = formatted(root, {**written, **chat(type="json", output_schema={}, tags={})})
    assert {key: found[key] for key in found if key.startswith("output") and key != "output_schema"} == kept


def test_a_raw_output_that_disagrees_is_for_a_person_to_decide(root: Path) -> None:
    path = write(root / "demo" / f"{ID}.json", chat(type="json", output_schema={}, output=1, output_raw="2"))
    before = snapshot(root)
    result = run(root, "fmt", str(path))
    assert result.exit_code == 1
    shown = str(path)
    assert result.stderr.splitlines()[0] == (
        f"{shown}:14:5: output_raw: it says something else than `output`, which counts: correct it, or take it away"
    )
    assert snapshot(root) == before


def test_a_schema_file_is_formatted_under_its_name_and_an_altered_one_is_told(root: Path) -> None:
    schema = {"type": "object"}
    digest = schema_digest(dumps(schema))  # type: ignore[arg-type]
    good = write(root / "demo" / "schemas" / f"{digest}.json", b'\xef\xbb\xbf{"type":\r\n"object"}')
    bad = write(root / "demo" / "schemas" / "0123456789abcdef.json", schema)
    generated = write(root / "demo" / "schemas" / "datapoint.schema.json", schema)
    others = {path: path.read_bytes() for path in (bad, generated)}
    result = run(root, "fmt", "demo")
    assert result.exit_code == 1
    assert result.stdout == f"{good}\n"
    assert result.stderr.startswith(f"{bad}:1:1: this schema was altered")
    assert good.read_bytes() == dumps(schema)  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in others} == others


def test_permissions_stay(root: Path) -> None:
    paths = [write(root / "demo" / f"{one}.json", chat()) for one in (ID, OTHER_ID)]
    paths[0].chmod(0o640)
    paths[1].chmod(0o664)
    assert run(root, "fmt").exit_code == 0
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o640, 0o664]


def test_stale_datapoints_are_formatted_and_keep_their_times(store: FileStore, root: Path) -> None:
    path = write(root / "demo" / f"{ID}.json", chat())
    store.delete_datapoint(dataset_name="demo", datapoint_id=ID)
    assert run(root, "fmt").exit_code == 0
    assert path.read_bytes() == dumps(chat())


# --- mistakes


def test_what_cannot_be_read_is_named_and_the_others_are_formatted(root: Path) -> None:
    good = write(root / "demo" / f"{OTHER_ID}.json", chat())
    marks = write(root / "demo" / f"{ID}.json", b'{\n<<<<<<< HEAD\n  "type": "chat"\n}')
    upper = write(root / "demo" / f"{ID.upper()}.json", chat())
    link = root / "demo" / "01995f6a-1c2d-7c11-9d3e-0f5b7a1c2d40.json"
    link.symlink_to(marks)
    result = run(root, "fmt", "demo")
    assert result.exit_code == 1
    assert result.stdout == f"{good}\n"
    assert result.stderr.splitlines() == [
        f"{upper}:1:1: this name looks like an id but is no lower-case UUIDv7: rename it, and it is a draft",
        f"{marks}:2:1: merge conflict marker: resolve the conflict",
        f"{link}:1:1: it is a symbolic link, which is not followed",
        "1 formatted, 0 fine already, 3 left as they are: see above",
    ]
    assert good.read_bytes() == dumps(chat())
    assert marks.read_bytes().startswith(b"{\n<<<")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nope"], "neither a path nor a dataset"),
        (["a\x1b[31m"], r"a\x1b[31m"),
        (["dem"], "Did you mean 'demo'?"),
        ([f"demo/{ID}.json"], "Paths are as your shell has them: "),
        (["tensorzero::x"], "neither a path nor a dataset"),
        (["--touch"], "Name the datapoints to --touch"),
        (["--touch", "demo"], "Name the datapoints to --touch"),
        (["--touch", "--check", f"{ID}.json"], "is neither"),
        (["/"], "does not lie in a dataset of the store"),
    ],
    ids=lambda part: " ".join(map(ascii, part)) if isinstance(part, list) else "",
)
def test_a_wrong_use_is_told_and_changes_nothing(root: Path, arguments: list[str], reason: str) -> None:
    write(root / "demo" / f"{ID}.json", chat())
    before = snapshot(root)
    result = run(root, "fmt", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr
    assert snapshot(root) == before


# --- check, diff, touch


def test_check_writes_nothing_and_lists_what_would_change(root: Path) -> None:
    path = write(root / "demo" / f"{ID}.json", chat())
    write(root / "demo" / f"{OTHER_ID}.json", dumps(chat()))
    write(root / "demo" / "idea.json", b"{")
    before = states(root)
    result = run(root, "fmt", "--check")
    assert (result.exit_code, result.stdout) == (1, f"{path}\n")
    assert result.stderr == "1 would be formatted, 1 fine already, 1 draft\n"
    assert states(root) == before
    run(root, "fmt")
    assert run(root, "fmt", "--check").exit_code == 0


def test_diff_prints_what_would_change_and_writes_nothing(root: Path) -> None:
    path = write(root / "demo" / f"{ID}.json", {"input": {}, **chat(), "output": [{"type": "text", "text": "Hé"}]})
    before = states(root)
    result = run(root, "fmt", "--diff")
    assert result.exit_code == 0
    shown = str(path)
    assert result.stdout.splitlines()[:2] == [f"--- {shown}", f"+++ {shown}"]
    assert '+  "output": "Hé"' in result.stdout.splitlines()
    assert run(root, "fmt", "--diff", "--check").exit_code == 1
    assert states(root) == before


def test_diff_is_plain_text_without_a_terminal_and_coloured_on_one(root: Path) -> None:
    pty = pytest.importorskip("pty")
    write(root / "demo" / f"{ID}.json", chat())
    assert "\x1b" not in run(root, "fmt", "--diff").stdout
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "filestore", "--root", str(root), "fmt", "--diff"]
    done = subprocess.run(command, stdout=its, stderr=subprocess.DEVNULL, check=False)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    os.close(its)
    assert done.returncode == 0
    assert b"\x1b[32m+  " in shown
    assert b"\x1b[31m-    " in shown


def test_touch_sets_the_time_of_what_is_named_alone(store: FileStore, root: Path) -> None:
    paths = [write(root / "demo" / f"{one}.json", dumps(chat())) for one in (ID, OTHER_ID)]
    began = store.now()
    result = run(root, "fmt", "--touch", str(paths[0]))
    assert (result.exit_code, result.stdout) == (0, f"{paths[0]}\n")
    first, second = (store.get_datapoint(dataset_name="demo", datapoint_id=one) for one in (ID, OTHER_ID))
    assert began <= first.updated_at <= store.now()
    assert paths[1].read_bytes() == dumps(chat())
    assert [
        one.id
        for one in store.list_datapoints(dataset_name="demo", order_by=[{"by": "timestamp", "direction": "descending"}])
    ] == [
        first.id,
        second.id,
    ]


def test_touch_refuses_a_deleted_datapoint(store: FileStore, root: Path) -> None:
    path = write(root / "demo" / f"{ID}.json", dumps(chat()))
    store.delete_datapoint(dataset_name="demo", datapoint_id=ID)
    result = run(root, "fmt", "--touch", str(path))
    assert result.exit_code == 1
    assert "`filestore restore` it" in result.stderr
    assert path.read_bytes() == dumps(chat())


# --- what is meant


def place(root: Path) -> None:
    for dataset in ("demo", "other"):
        write(root / dataset / f"{ID}.json", chat())


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ([], ["demo", "other"]),
        (["{root}"], ["demo", "other"]),
        (["{root}/demo"], ["demo"]),
        (["{root}/other/{id}.json", "{root}/other"], ["other"]),
        (["{root}/other/{id}.json", "{root}/demo/{id}.json"], ["other", "demo"]),
        (["demo"], ["demo"]),
    ],
    ids=["all", "root", "directory", "file and directory", "files", "name"],
)
@pytest.mark.parametrize("is_root_given", [True, False])
def test_paths_and_names_say_what_is_meant(
    root: Path, arguments: list[str], changed: list[str], is_root_given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(root)
    monkeypatch.chdir(root)
    spelled = [one.format(root=root, id=ID) for one in arguments]
    result = CliRunner().invoke(main, [*(["--root", str(root)] if is_root_given else []), "fmt", *spelled])
    assert result.exit_code == 0
    assert result.stdout == "".join(f"{dataset}/{ID}.json\n" for dataset in changed)


def test_a_path_tells_the_store_it_lies_in(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(root)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result = CliRunner().invoke(main, ["fmt", f"../store/demo/{ID}.json"])
    assert (result.exit_code, result.stdout) == (0, f"{root}/demo/{ID}.json\n")
    monkeypatch.chdir(root.parent)
    place(root)
    assert CliRunner().invoke(main, ["fmt", f"store/demo/{ID}.json"]).stdout == f"store/demo/{ID}.json\n"


# --- many files, and others at work


def test_batches_cover_every_file_once(root: Path) -> None:
    ids = [str(uuid.UUID(int=uuid.UUID(ID).int + number)) for number in range(230)]
    for one in ids:
        write(root / "demo" / f"{one}.json", chat(one))
    result = run(root, "fmt")
    assert result.stdout.splitlines() == [str(root / "demo" / f"{one}.json") for one in ids]
    assert {path.read_bytes() for path in (root / "demo").glob("*.json")} == {dumps(chat(one)) for one in ids}


def outcomes(store: FileStore) -> Iterator[Outcome]:
    return format_dataset(store, "demo", None, Options())


def test_what_is_saved_between_the_look_and_the_write_is_formatted_too(
    store: FileStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(root / "demo" / f"{ID}.json", chat())
    dataset = store.open_dataset("demo")
    write_as_usual = dataset.write

    def save_first(plan: Any) -> Any:
        write(path, chat("saved meanwhile"))
        return write_as_usual(plan)

    monkeypatch.setattr(dataset, "write", save_first)
    assert [one.state for one in outcomes(store)] == [State.CHANGED]
    assert path.read_bytes() == dumps(chat("saved meanwhile"))


def test_a_running_gateway_sees_formatted_files_and_its_writes_stay(store: FileStore, root: Path) -> None:
    [new_id] = store.bulk_insert_datapoints(dataset_name="demo", datapoints=[chat("inserted")])
    write(root / "demo" / f"{ID}.json", chat())
    before = store.list_datapoints(dataset_name="demo")
    assert run(root, "fmt").exit_code == 0
    assert store.list_datapoints(dataset_name="demo") == before
    store.update_datapoints_metadata(dataset_name="demo", requests=[{"id": ID, "name": "after"}])
    assert {one.name for one in store.list_datapoints(dataset_name="demo")} == {"after", None}
    assert store.get_datapoint(dataset_name="demo", datapoint_id=new_id).name is None


def test_the_schemas_of_the_config_are_no_drafts(root: Path) -> None:
    (root / "functions").mkdir()
    (root / "functions" / "out.json").write_text('{"type": "object"}')
    (root / "tensorzero.toml").write_text(
        '[functions.f]\ntype = "json"\noutput_schema = "functions/out.json"\n[functions.f.variants]\n'
    )
    (root / "demo").mkdir(exist_ok=True)
    (root / "demo" / "case.json").write_text('{"function_name": "f", "input": {"messages": []}, "output": {}}')
    result = CliRunner().invoke(main, ["--root", str(root), "fmt", "--adopt"])
    assert result.exit_code == 0
    assert result.stderr == "0 formatted, 1 adopted, 0 fine already\n"
    assert (root / "functions" / "out.json").read_text() == '{"type": "object"}'
