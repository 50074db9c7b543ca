"""The commands that revise: `update`, `clone`, `restore`, `purge`, and what `list` can ask for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from filestore import FileStore
from tests.conftest import snapshot
from tests.test_cli import UNKNOWN_ID, chat, run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "store"
    directory.mkdir()
    return directory


@pytest.fixture
def store(root: Path) -> FileStore:
    return FileStore(root, durable=False)


def insert(store: FileStore, *texts: str) -> list[str]:
    items = [chat(text, tags={"text": text}) for text in texts]
    return [str(one) for one in store.bulk_insert_datapoints(dataset_name="demo", datapoints=items)]


def test_update_sets_name_and_tags_in_place(root: Path, store: FileStore) -> None:
    one, other = insert(store, "a", "b")
    done = run(root, "update", "demo", one, "--set-name", "first", "--set-tag", "k=v=w", "--set-tag", "text=c")
    assert (done.exit_code, done.stdout) == (0, f"{one}\n")
    found = store.get_datapoint(dataset_name="demo", datapoint_id=one)
    assert (found.name, found.tags) == ("first", {"text": "c", "k": "v=w"})
    run(root, "update", "demo", one, "--set-name", "")
    assert store.get_datapoint(dataset_name="demo", datapoint_id=one).name is None
    assert store.get_datapoint(dataset_name="demo", datapoint_id=other).tags == {"text": "b"}


def test_update_reads_changes_and_gives_new_ids_when_asked(root: Path, store: FileStore) -> None:
    [one] = insert(store, "a")
    change = json.dumps({"type": "chat", "id": one, "output": [{"type": "text", "text": "x"}]})
    assert run(root, "update", "demo", stdin=change).stdout == f"{one}\n"
    [new] = json.loads(run(root, "update", "demo", "--new-id", "--format", "json", stdin=f"[{change}]").stdout)
    assert new > one
    assert run(root, "get", "demo", one).exit_code == 1
    assert store.get_datapoint(dataset_name="demo", datapoint_id=new).replaces is not None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("update", "demo", "--set-tag", "a=b"), 2),
        (("update", "demo", UNKNOWN_ID), 2),
        (("update", "demo", UNKNOWN_ID, "--set-tag", "ab"), 2),
        (("update", "demo", UNKNOWN_ID, "--set-tag", "a=b"), 1),
        (("restore", "demo", UNKNOWN_ID), 1),
        (("clone", "copy", UNKNOWN_ID), 1),
        (("purge", "demo", "--older-than", "soon"), 2),
        (("list", "demo", "--since", "yesterday"), 2),
        (("list", "demo", "--order", "name"), 2),
        (("list", "demo", "--order", "relevance"), 2),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else None,
)
def test_what_is_typed_wrong_changes_nothing(
    root: Path, store: FileStore, arguments: tuple[str, ...], code: int
) -> None:
    insert(store, "a")
    before = snapshot(root)
    done = run(root, *arguments, stdin="")
    assert done.exit_code == code
    assert "Error: " in done.stderr or "no such datapoint" in done.stderr
    assert snapshot(root) == before


def test_clone_restore_and_purge(root: Path, store: FileStore) -> None:
    one, other = insert(store, "a", "b")
    [copy] = run(root, "clone", "copy", one).stdout.split()
    assert store.get_datapoint(dataset_name="copy", datapoint_id=copy).tags == {"text": "a"}
    run(root, "delete", "demo", one, other)
    assert run(root, "restore", "demo", one).stdout == f"{one}\n"
    before = snapshot(root)
    dry = run(root, "purge", "demo", "--dry-run")
    assert dry.stdout == f"{other}\n"
    assert snapshot(root) == before
    assert run(root, "purge", "demo", "--older-than", "1d").stdout == ""
    done = run(root, "purge", "demo")
    assert done.stdout == f"{other}\n"
    assert "git's history" in done.stderr
    assert [name for name in snapshot(root) if name.startswith("demo/")] == [f"demo/{one}.json"]


def test_list_filters_searches_and_orders(root: Path, store: FileStore) -> None:
    insert(store, "apple", "pear pear", "a pear")

    def listed(*options: str) -> list[str]:
        lines = run(root, "list", "demo", "--format", "jsonl", *options).stdout.splitlines()
        return [json.loads(line)["tags"]["text"] for line in lines]

    assert listed("--tag", "text=apple") == ["apple"]
    assert listed("--not-tag", "text=apple") == ["a pear", "pear pear"]
    assert listed("--since", "2000-01-01", "--until", "2000-01-02T00:00:00Z") == []
    assert listed("--search", "PEAR", "--order", "relevance") == ["pear pear", "a pear"]
    assert len(listed("--order", "updated:asc", "--limit", "2")) == 2


def test_a_refused_item_is_named_by_its_line_and_a_misspelt_field_is_warned_of(root: Path, store: FileStore) -> None:
    good = json.dumps(chat("a"))
    bad = json.dumps({"type": "chat", "function_name": "reply"})
    done = run(root, "insert", "demo", stdin=f"{good}\n\n{bad}\n")
    assert done.stderr == "Error: stdin:3: Failed to deserialize chat datapoint 1: missing field `input`\n"
    done = run(root, "insert", "demo", stdin=json.dumps(chat("a", tagz={})))
    assert done.exit_code == 0
    assert done.stderr == "Warning: stdin: item 1: `tagz` is ignored; did you mean `tags`?\n"


def test_an_output_written_as_the_other_generation_has_it_is_warned_of(root: Path, store: FileStore) -> None:
    """The API leaves no output then, as a v1 output is a text."""
    item = {"type": "json", "function_name": "f", "input": {"messages": []}, "output": {"answer": "yes"}}
    told = 'Warning: stdin: item 1: `output.answer` is ignored; an output is {"raw": "its value as JSON text"} here\n'
    done = run(root, "insert", "--v1", "demo", stdin=json.dumps(item))
    assert (done.exit_code, done.stderr) == (0, told)
    done = run(root, "insert", "demo", stdin=json.dumps({**item, "output_schema": {}}))
    assert (done.exit_code, done.stderr) == (0, "")
    change = {"type": "json", "id": done.stdout.strip(), "output": {"answer": "no"}}
    done = run(root, "update", "demo", stdin=json.dumps([change]))
    assert (done.exit_code, done.stderr) == (0, told)
    done = run(root, "update", "demo", stdin=json.dumps([{**change, "output": {"raw": "{}", "parsed": None}}]))
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_datapoint_whose_file_is_broken_can_be_deleted(root: Path, store: FileStore) -> None:
    [one] = insert(store, "a")
    (root / "demo" / f"{one}.json").write_text("<<<<<<< HEAD", encoding="utf-8")
    assert run(root, "delete", "demo", one).stdout == "1\n"


def test_a_refused_change_is_named_by_its_line_and_ages_have_no_end(root: Path, store: FileStore) -> None:
    one, other = insert(store, "a", "b")
    lines = [{"type": "chat", "id": one}, {"type": "chat", "id": other, "allowed_tools": ["nope"]}]
    done = run(root, "update", "demo", stdin="\n".join(map(json.dumps, lines)))
    assert done.stderr == "Error: stdin:2: Tool not found: nope\n"
    assert run(root, "purge", "demo", "--older-than", "999999d").exit_code == 0
