"""The law of permissions: what a store makes is as open as the umask says, and what it replaces as open as it was.

Proven is, for each umask, that every file and directory of a store has exactly the bits that the umask leaves; that a
file is replaced by one of its own permissions, and that nobody whom these keep out could read the new content at any
instant before; and that two users of one group can share a store.
"""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from filestore import FileStore
from filestore.errors import FilestoreError
from tests.proofs.effort import choose, count
from tests.proofs.processes import Mailbox, receive, running
from tests.proofs.scenes import age

if sys.platform == "win32":
    pytest.skip("Windows has other permissions", allow_module_level=True)

UMASKS = (0o022, 0o027, 0o077, 0o002)
MODES = (0o600, 0o640, 0o644, 0o664, 0o444, 0o400, 0o755, 0o777)
PICTURE = {"type": "file", "file_type": "base64", "mime_type": "image/png", "data": base64.b64encode(b"x").decode()}
ITEM: dict[str, Any] = {
    "type": "json",
    "function_name": "f",
    "input": {"messages": [{"role": "user", "content": [PICTURE]}]},
    "output": {"raw": "1"},
    "output_schema": {"type": "integer"},
}
ALL_KINDS = """
import json, sys
from filestore import FileStore
store = FileStore(sys.argv[1], durable=False)
ids = store.create_datapoints(dataset_name="d", requests=[json.loads(sys.argv[2])] * 3)
store.delete_datapoints(dataset_name="d", ids=ids[:1])
store.update_datapoints(dataset_name="d", requests=[{"type": "json", "id": str(ids[1]), "tags": {"a": "b"}}])
store.update_datapoints_metadata(dataset_name="d", requests=[{"id": str(ids[2]), "name": "n"}])
store.delete_dataset(dataset_name="d")
store.restore_datapoints(dataset_name="d", ids=ids[2:])
"""


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def umask(bits: int) -> Iterator[None]:
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


def run(program: str, *arguments: object, bits: int) -> tuple[str, str]:
    """Run a program in a process of its own, with a umask; return what it prints and what it complains of."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, umask=bits)
    return done.stdout, done.stderr


@pytest.mark.parametrize("bits", UMASKS, ids=oct)
def test_everything_that_a_store_makes_has_what_the_umask_leaves(tmp_path: Path, bits: int) -> None:
    root = tmp_path / "store"
    assert run(ALL_KINDS, root, json.dumps(ITEM), bits=bits) == ("", "")
    init = [sys.executable, "-m", "filestore", "--root", str(root), "init"]
    subprocess.run(init, check=True, capture_output=True, umask=bits)
    made = [root, *root.rglob("*")]
    kinds = {path.name for path in made} | {path.parent.name for path in made}
    assert kinds >= {"d", "files", "schemas", "tombstones", "lock", "seq", ".filestore", ".gitignore", ".gitattributes"}
    wrong = {
        str(path): oct(permissions(path))
        for path in made
        if permissions(path) != (0o777 if path.is_dir() else 0o666) & ~bits
    }
    assert wrong == {}
    count("files whose permissions were compared", len(made))


@pytest.mark.parametrize("bits", UMASKS, ids=oct)
@pytest.mark.parametrize("mode", MODES[:: choose(2, 1)], ids=oct)
@pytest.mark.parametrize("number", [1, 3])
def test_a_file_is_replaced_by_one_of_its_permissions(tmp_path: Path, mode: int, bits: int, number: int) -> None:
    store = FileStore(tmp_path, durable=False)
    ids = store.create_datapoints(dataset_name="d", requests=[ITEM] * number)
    paths = [tmp_path / "d" / f"{one}.json" for one in ids]
    for path in paths:
        path.chmod(mode)
    with umask(bits):
        store.update_datapoints_metadata(dataset_name="d", requests=[{"id": str(one), "name": "n"} for one in ids])
        age(tmp_path)
        [changed] = store.list_datapoints(dataset_name="d", limit=1)
    assert changed.to_dict()["name"] == "n"
    assert [permissions(path) for path in paths] == [mode] * number
    count("files whose permissions were compared", number)


WATCHED = """
import json, os, stat, sys
from filestore import FileStore

root, ids = sys.argv[1], json.loads(sys.argv[2])
seen = 0

def look(event, arguments):
    # Before each call that opens, renames or changes a file, each file of the store with the secret in it is looked at.
    global seen
    if event not in ("open", "os.rename", "os.chmod", "os.remove", "os.link") or look.busy:
        return
    look.busy = True
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                if b"not for others" in file.read():
                    seen += 1
                    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                    if mode & 0o077:
                        print("open to others:", path, oct(mode), event, file=sys.stderr)
    look.busy = False

look.busy = False
store = FileStore(root)
store.list_datapoints(dataset_name="d")
sys.addaudithook(look)
requests = [{"type": "chat", "id": one, "tags": {"secret": "not for others"}} for one in ids]
store.update_datapoints(dataset_name="d", requests=requests, new_ids=False)
print(seen)
look.busy = True
"""


@pytest.mark.parametrize("number", [1, 2, 20])
def test_what_is_staged_is_never_open_to_more_than_what_it_replaces(tmp_path: Path, number: int) -> None:
    store = FileStore(tmp_path, durable=False)
    item = {"type": "chat", "function_name": "f", "input": {"messages": []}}
    ids = store.create_datapoints(dataset_name="d", requests=[item] * number)
    for path in (tmp_path / "d").glob("*.json"):
        path.chmod(0o600)
    looks, complaint = run(WATCHED, tmp_path, json.dumps([str(one) for one in ids]), bits=0)
    assert complaint == ""
    assert int(looks) >= number
    count("looks at files on their way", int(looks))


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="becomes other users")
ANN, BOB, TEAM = 23001, 23002, 23100


def write(root: Path, item: object, name: str) -> str:
    """Make, change and delete datapoints; return the complaint, if there is one."""
    try:
        store = FileStore(root)
        [one] = store.create_datapoints(dataset_name="d", requests=[item])
        for each in store.list_datapoints(dataset_name="d"):
            store.update_datapoints_metadata(dataset_name="d", requests=[{"id": str(each.id), "name": name}])
        store.delete_datapoints(dataset_name="d", ids=[one])
    except FilestoreError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def write_as(user: int, bits: int, root: Path, name: str, own: Path, mailbox: Mailbox) -> None:
    """Become a user of the team, with a umask, and write. Modules are loaded before, as the user may not reach them."""
    write(own, ITEM, "first")
    os.setgroups([])
    os.setgid(TEAM)
    os.setuid(user)
    os.umask(bits)
    mailbox.send(write(root, ITEM, name))


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory of a team, as `git init --shared` makes them; every user may reach it.

    Not below pytest's own directory, which each run of pytest closes to all other users.
    """
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        root = Path(name) / "shared"
        root.mkdir()
        os.chown(root, ANN, TEAM)
        root.chmod(0o2775)
        yield root


@needs_root
def test_two_users_of_a_group_share_a_store(shared: Path, tmp_path: Path) -> None:
    for round in range(2):
        for user in (ANN, BOB):
            own = tmp_path / f"{user} {round}"
            with running(write_as, user, 0o002, shared, own.name, own) as mailbox:
                assert receive(mailbox) == ""
    made = list(shared.rglob("*"))
    assert {path.lstat().st_gid for path in made} == {TEAM}
    assert all(permissions(path) & 0o060 == 0o060 for path in made)
    assert all(permissions(path) & stat.S_ISGID for path in made if path.is_dir())
    count("files whose permissions were compared", len(made))


def states(root: Path) -> dict[Path, tuple[int, ...]]:
    found = {path: path.lstat() for path in root.rglob("*")}
    return {path: (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns) for path, status in found.items()}


@needs_root
def test_a_user_who_is_kept_out_is_told_by_what(shared: Path, tmp_path: Path) -> None:
    """Whoever works under a umask of 077 keeps the others out, who learn that at once and change nothing."""
    with running(write_as, ANN, 0o077, shared, "ann", tmp_path / "ann") as mailbox:
        assert receive(mailbox) == ""
    before = states(shared)
    with running(write_as, BOB, 0o002, shared, "bob", tmp_path / "bob") as mailbox:
        complaint = receive(mailbox)
    assert complaint.startswith("StorageError: ")
    assert "Permission denied" in complaint
    assert str(shared) in complaint or ".filestore" in complaint
    assert states(shared) == before
