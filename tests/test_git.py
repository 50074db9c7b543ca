"""Laws of datasets under git: different datapoints never conflict, and nothing but real changes shows."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.datapoint import ChatDatapoint, Datapoint
from filestore.errors import FileContentError, RequestError

DATASET = "cases"
EVERYTHING = 10**9
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def git(root: Path, *arguments: str, check: bool = True) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "core.autocrlf=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=check).stdout


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", f"--message={message}")


def status(root: Path) -> str:
    return git(root, "status", "--porcelain", "--untracked-files=all")


def chat(text: str) -> dict[str, Any]:
    return {
        "type": "chat",
        "function_name": "draft_email",
        "input": {"messages": [{"role": "user", "content": text}]},
        "output": f"Dear {text}",
    }


def extraction(text: str) -> dict[str, Any]:
    return {
        "type": "json",
        "function_name": "extract_entities",
        "input": {"messages": [{"role": "user", "content": text}]},
        "output_schema": {"type": "object", "properties": {"name": {"type": "string"}}},
        "output": {"name": text},
    }


class Repository:
    """A store in a git repository, at a branch."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FileStore(root, durable=False)

    def insert(self, *items: dict[str, Any]) -> list[uuid.UUID]:
        return self.store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)

    def delete(self, *ids: uuid.UUID) -> int:
        return self.store.delete_datapoints(dataset_name=DATASET, ids=ids)

    def edit(self, target: uuid.UUID, old: str, new: str) -> None:
        path = self.path(target)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def path(self, target: uuid.UUID) -> Path:
        return self.root / DATASET / f"{target}.json"

    def everything(self) -> list[Datapoint]:
        return self.store.list_datapoints(dataset_name=DATASET, limit=EVERYTHING)

    def texts(self) -> list[str]:
        """Return the outputs of all live datapoints, sorted."""
        outputs = [datapoint.output for datapoint in self.everything() if isinstance(datapoint, ChatDatapoint)]
        return sorted(str(output[0]["text"]) for output in outputs if output)

    def branch(self, name: str, change: Callable[[], object], start: str = "main") -> None:
        git(self.root, "checkout", "--quiet", "-b", name, start)
        change()
        commit(self.root, name)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=empty")
    return Repository(tmp_path)


@pytest.fixture
def ids(repository: Repository) -> list[uuid.UUID]:
    """Six committed datapoints, Ann 0 to Ann 5."""
    made = repository.insert(*(chat(f"Ann {number}") for number in range(6)))
    commit(repository.root, "six")
    return made


# --- merging


def test_branches_that_change_different_datapoints_merge_without_conflict(
    repository: Repository, ids: list[uuid.UUID]
) -> None:
    def ours() -> None:
        repository.insert(chat("ours"), extraction("ours"))
        repository.edit(ids[0], "Dear Ann", "Hello Ann")
        repository.delete(ids[1])

    def theirs() -> None:
        repository.insert(chat("theirs"), extraction("theirs"))
        repository.edit(ids[2], "Dear Ann", "Hello Ann")
        repository.delete(ids[3], ids[4])

    repository.branch("ours", ours)
    repository.branch("theirs", theirs)
    git(repository.root, "merge", "--quiet", "--no-edit", "ours")
    assert repository.texts() == ["Dear Ann 5", "Dear ours", "Dear theirs", "Hello Ann 0", "Hello Ann 2"]
    assert sorted(one.type for one in repository.everything()) == ["chat"] * 5 + ["json"] * 2
    assert len(list((repository.root / DATASET / "schemas").iterdir())) == 1
    assert status(repository.root) == ""


def test_delete_wins_over_an_edit_it_meets_in_a_merge(repository: Repository, ids: list[uuid.UUID]) -> None:
    repository.branch("edit", lambda: repository.edit(ids[0], "Dear Ann", "Hello Ann"))
    repository.branch("delete", lambda: repository.delete(ids[0]))
    git(repository.root, "merge", "--quiet", "--no-edit", "edit")
    assert repository.texts() == [f"Dear Ann {number}" for number in range(1, 6)]
    [stale] = repository.store.get_datapoints(dataset_name=DATASET, ids=[ids[0]])
    assert stale.staled_at is not None
    assert "Hello Ann" in repository.path(ids[0]).read_text()


def test_both_branches_delete_the_same_datapoint_and_the_earliest_counts(
    repository: Repository, ids: list[uuid.UUID]
) -> None:
    def delete_at(moment: datetime) -> Callable[[], object]:
        store = FileStore(repository.root, clock=lambda: moment)
        return lambda: store.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[0])

    repository.branch("late", delete_at(NOW + timedelta(hours=1)))
    repository.branch("early", delete_at(NOW))
    git(repository.root, "merge", "--quiet", "--no-edit", "late")
    assert len(list((repository.root / DATASET / "tombstones").rglob("*@*"))) == 2
    [stale] = repository.store.get_datapoints(dataset_name=DATASET, ids=[ids[0]])
    assert stale.staled_at == NOW
    assert len(repository.texts()) == 5


def test_delete_wins_over_a_restore_it_meets_in_a_merge(repository: Repository, ids: list[uuid.UUID]) -> None:
    repository.delete(ids[0])
    commit(repository.root, "deleted")
    repository.branch("restore", lambda: restore(repository, ids[0]))
    assert len(repository.texts()) == 6

    def delete_again() -> None:
        restore(repository, ids[0])
        repository.delete(ids[0])

    repository.branch("delete-again", delete_again)
    git(repository.root, "merge", "--quiet", "--no-edit", "restore")
    assert len(repository.texts()) == 5


def restore(repository: Repository, target: uuid.UUID) -> None:
    for path in (repository.root / DATASET / "tombstones").rglob(f"{target}@*"):
        path.unlink()


@pytest.fixture
def conflict(repository: Repository, ids: list[uuid.UUID]) -> uuid.UUID:
    """A datapoint that both sides of an unfinished merge have edited."""
    repository.branch("ours", lambda: repository.edit(ids[2], "Dear Ann", "Hello Ann"))
    repository.branch("theirs", lambda: repository.edit(ids[2], "Dear Ann", "Salut Ann"))
    git(repository.root, "merge", "ours", check=False)
    assert status(repository.root) == f"UU {DATASET}/{ids[2]}.json\n"
    return ids[2]


def test_conflict_fails_the_reads_that_need_the_file_and_names_the_place(
    repository: Repository, ids: list[uuid.UUID], conflict: uuid.UUID
) -> None:
    path = repository.path(conflict)
    line = path.read_text().splitlines().index("<<<<<<< HEAD") + 1
    expected = rf"{DATASET}/{conflict}\.json:{line}:1: .*merge conflict marker"
    with pytest.raises(FileContentError, match=expected):
        repository.store.get_datapoint(dataset_name=DATASET, datapoint_id=conflict)
    with pytest.raises(FileContentError, match=expected):
        repository.everything()
    with pytest.raises(FileContentError, match=expected):
        repository.store.list_datapoints(dataset_name=DATASET, limit=1, offset=3)


def test_conflict_leaves_all_else_to_work(repository: Repository, ids: list[uuid.UUID], conflict: uuid.UUID) -> None:
    newest = repository.store.list_datapoints(dataset_name=DATASET, limit=3)
    assert [datapoint.id for datapoint in newest] == ids[:2:-1]
    assert repository.store.get_datapoint(dataset_name=DATASET, datapoint_id=ids[0]).id == ids[0]
    assert repository.store.count_datapoints(dataset_name=DATASET) == 6
    repository.insert(chat("during"))
    assert repository.delete(ids[3]) == 1
    assert repository.delete(conflict) == 1
    assert len(repository.texts()) == 5


# --- status, stash and checkout


def test_reads_and_refused_requests_leave_the_status_clean(repository: Repository, ids: list[uuid.UUID]) -> None:
    store = repository.store
    repository.everything()
    store.get_datapoint(dataset_name=DATASET, datapoint_id=ids[0])
    store.list_datasets()
    assert store.list_datapoints(dataset_name="absent") == []
    assert store.delete_datapoint(dataset_name=DATASET, datapoint_id=uuid.UUID(int=0)) == 0
    assert store.delete_dataset(dataset_name="absent") == 0
    with pytest.raises(RequestError):
        repository.insert(chat("good"), {"type": "chat", "function_name": "bad"})
    with pytest.raises(RequestError):
        store.bulk_insert_datapoints(dataset_name="new", datapoints=[{"no": "function"}])
    assert status(repository.root) == ""
    assert sorted(path.name for path in repository.root.iterdir()) == [".filestore", ".git", DATASET]


def test_internal_directory_never_shows(repository: Repository) -> None:
    repository.insert(chat("Ann"), extraction("Bob"))
    assert (repository.root / ".filestore").is_dir()
    assert ".filestore" not in status(repository.root)
    git(repository.root, "add", "--all")
    assert ".filestore" not in git(repository.root, "ls-files")


def test_stash_takes_a_change_away_and_brings_it_back(repository: Repository, ids: list[uuid.UUID]) -> None:
    before = repository.everything()
    repository.insert(chat("new"))
    repository.edit(ids[0], "Dear Ann", "Hello Ann")
    repository.delete(ids[1])
    after = repository.everything()
    git(repository.root, "stash", "--quiet", "--include-untracked")
    assert repository.everything() == before
    assert status(repository.root) == ""
    git(repository.root, "stash", "pop", "--quiet")
    assert repository.everything() == after


def test_checkout_shows_each_branch_as_it_was(repository: Repository, ids: list[uuid.UUID]) -> None:
    before = repository.everything()

    def change() -> None:
        repository.insert(chat("new"), extraction("new"))
        repository.edit(ids[0], "Dear Ann", "Hello Ann")
        repository.delete(ids[1])

    repository.branch("side", change)
    after = repository.everything()
    for branch, expected in (("main", before), ("side", after), ("main", before), ("HEAD~1", []), ("side", after)):
        git(repository.root, "checkout", "--quiet", branch)
        assert repository.everything() == expected
        assert FileStore(repository.root).list_datapoints(dataset_name=DATASET, limit=EVERYTHING) == expected
        assert status(repository.root) == ""


def test_branch_without_the_dataset_can_be_written_to(repository: Repository, ids: list[uuid.UUID]) -> None:
    git(repository.root, "checkout", "--quiet", "HEAD~1")
    assert not (repository.root / DATASET).exists()
    repository.insert(chat("again"))
    assert repository.texts() == ["Dear again"]


def test_clone_reads_the_same(
    repository: Repository, ids: list[uuid.UUID], tmp_path_factory: pytest.TempPathFactory
) -> None:
    repository.insert(extraction("Bob"))
    repository.delete(ids[0])
    commit(repository.root, "more")
    clone = tmp_path_factory.mktemp("clones") / "clone"
    git(repository.root, "clone", "--quiet", str(repository.root), str(clone))
    store = FileStore(clone)
    assert store.list_datapoints(dataset_name=DATASET, limit=EVERYTHING) == repository.everything()
    original = repository.store.get_datapoints(dataset_name=DATASET, ids=ids)
    assert store.get_datapoints(dataset_name=DATASET, ids=ids) == original


# --- diffs


def fixed_store(root: Path) -> FileStore:
    """Open a store whose ids and times are the same in each run."""
    return FileStore(root, clock=lambda: NOW, random_bits=lambda bits: 0)


INSERTION = """\
diff --git a/cases/019b7ca9-8c88-7000-8000-000000000000.json b/cases/019b7ca9-8c88-7000-8000-000000000000.json
new file mode 100644
--- /dev/null
+++ b/cases/019b7ca9-8c88-7000-8000-000000000000.json
@@ -0,0 +1,13 @@
+{
+  "type": "chat",
+  "function_name": "draft_email",
+  "input": {
+    "messages": [
+      {
+        "role": "user",
+        "content": "Zoë"
+      }
+    ]
+  },
+  "output": "Dear Zoë"
+}
"""


def diff(root: Path) -> str:
    git(root, "add", "--all")
    text = git(root, "diff", "--cached", "--no-renames")
    return re.sub(r"^index [0-9a-f.]+(?: \d+)?\n", "", text, flags=re.MULTILINE)


def test_diff_of_an_insert_reads_well(repository: Repository) -> None:
    store = fixed_store(repository.root)
    store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=[chat("Zoë")])
    assert diff(repository.root) == INSERTION


def test_diff_of_a_delete_is_one_empty_file(repository: Repository, ids: list[uuid.UUID]) -> None:
    fixed_store(repository.root).delete_datapoint(dataset_name=DATASET, datapoint_id=ids[0])
    name = f"{DATASET}/tombstones/{str(ids[0])[-2:]}/{ids[0]}@20260102T030405.000000Z"
    assert diff(repository.root) == f"diff --git a/{name} b/{name}\nnew file mode 100644\n"


def test_diff_of_a_rename_in_place_is_the_lines_that_changed(repository: Repository, ids: list[uuid.UUID]) -> None:
    request = {"id": str(ids[0]), "name": "greeting"}
    fixed_store(repository.root).update_datapoints_metadata(dataset_name=DATASET, requests=[request])
    lines = [line for line in diff(repository.root).splitlines() if re.match(r"[+-](?![+-])", line)]
    assert lines == [
        '+  "name": "greeting",',
        '-  "output": "Dear Ann 0"',
        '+  "output": "Dear Ann 0",',
        '+  "updated_at": "2026-01-02T03:04:05.000000Z"',
    ]
