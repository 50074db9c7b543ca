"""Laws of SIGKILL: what returned is there, everything else is there wholly or not at all, and nothing is in the way."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from tests.proofs.audit import EVERYTHING, OWN_FILE, audit
from tests.proofs.effort import choose, count
from tests.proofs.kill_clients import Client, LibraryClient
from tests.proofs.kill_model import chat, extraction
from tests.proofs.kills import (
    KILLED,
    State,
    assert_comes_to_rest,
    chosen_by_chance,
    count_moment,
    kill,
    look,
    observe,
    program,
    running,
    untracked,
)
from tests.proofs.processes import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")

ROUNDS = choose(1, 25)
"""How often each command is killed."""
MANY = choose(60, 120)


def pictured(text: str) -> dict[str, Any]:
    """Return a datapoint with an attached file that no other has."""
    one = chat(text)
    data = "".join(letter if letter.isalnum() else "A" for letter in text * 4)
    block = {"type": "file", "file_type": "base64", "mime_type": "image/png", "data": data}
    one["input"]["messages"][0]["content"].append(block)
    return one


def mixed(word: str, number: int) -> list[dict[str, Any]]:
    kinds = [chat, chat, extraction, chat, chat, pictured, chat, chat]
    return [kinds[n % len(kinds)](f"{word} {n}") for n in range(number)]


def live(root: Path) -> list[uuid.UUID]:
    store = FileStore(root, watch=False)
    return [datapoint.id for datapoint in store.list_datapoints(dataset_name="cases", limit=EVERYTHING)]


def stale(root: Path) -> list[str]:
    return sorted(path.name.partition("@")[0] for path in root.glob("cases/tombstones/*/*"))


def changes(root: Path) -> str:
    store = FileStore(root, watch=False)
    found = store.list_datapoints(dataset_name="cases", limit=EVERYTHING)
    return json.dumps([{"type": one.type, "id": str(one.id), "tags": {"is": "new"}} for one in found])


Words = Callable[[Path], tuple[list[object], str]]
"""Returns the arguments of a command for a store, and its input."""

COMMANDS: dict[str, Words] = {
    "insert-many": lambda root: (["insert", "--v1", "cases"], json.dumps(mixed("new", MANY))),
    "insert-one": lambda root: (["insert", "--v1", "cases"], json.dumps([chat("one")])),
    "insert-first": lambda root: (["insert", "--v1", "others"], json.dumps(mixed("first", MANY))),
    "update-many": lambda root: (["update", "cases"], changes(root)),
    "update-one": lambda root: (["update", "cases", live(root)[0], "--set-tag", "a=b"], ""),
    "update-to-new-ids": lambda root: (["update", "cases", "--new-id"], changes(root)),
    "metadata": lambda root: (["update", "cases", *live(root), "--set-name", "all alike"], ""),
    "delete-many": lambda root: (["delete", "cases", *live(root)[::2]], ""),
    "delete-one": lambda root: (["delete", "cases", live(root)[0]], ""),
    "drop": lambda root: (["drop", "--yes", "cases"], ""),
    "clone": lambda root: (["clone", "copies", *live(root)], ""),
    "restore": lambda root: (["restore", "cases", *stale(root)], ""),
    "purge": lambda root: (["purge", "--yes", "cases"], ""),
}


@dataclass(frozen=True)
class Scene:
    """A command, the store it works on, what is there before and after, and how long it takes."""

    template: Path
    words: list[str]
    text: str
    before: State
    after: State
    seconds: float

    def start(self, root: Path) -> list[str]:
        return [word.replace(str(self.template), str(root)) for word in self.words]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in a git repository, with live and stale datapoints."""
    root = tmp_path_factory.mktemp("kill") / "store"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", root], check=True)
    store = FileStore(root, watch=False)
    ids = store.create_datapoints(dataset_name="cases", requests=mixed("old", MANY))
    assert store.delete_datapoints(dataset_name="cases", ids=ids[::3]) == MANY // 3
    audit(root)
    return root


def make_scene(words: Words, template: Path, directory: Path) -> Scene:
    root = directory / "clean"
    shutil.copytree(template, root)
    arguments, text = words(root)
    before = observe(FileStore(root, watch=False))
    command = program("--root", root, *arguments)
    began = time.monotonic()
    subprocess.run(command, input=text, text=True, capture_output=True, check=True)
    seconds = time.monotonic() - began
    after = observe(FileStore(root, watch=False))
    assert before != after
    return Scene(root, command, text, before, after, seconds)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_done_or_not(name: str, template: Path, tmp_path: Path) -> None:
    scene = make_scene(COMMANDS[name], template, tmp_path)
    with chosen_by_chance() as chance:
        for number in range(ROUNDS):
            root = tmp_path / f"store-{number}"
            shutil.copytree(template, root)
            kill_command(scene, root, chance)
            shutil.rmtree(root)


def kill_command(scene: Scene, root: Path, chance: random.Random) -> None:
    with running(scene.start(root), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        feed(process, scene.text)
        kill(process, root, chance, scene.seconds)
    assert process.returncode in (0, KILLED)
    has_returned = process.returncode == 0
    allowed = (scene.after,) if has_returned else (scene.before, scene.after)
    seen = assert_comes_to_rest(root, allowed.__contains__, chance)
    assert [path for path in untracked(root) if not OWN_FILE.fullmatch(path)] == []
    if has_returned:
        count("commands that returned before they could be killed")
    else:
        count("SIGKILL rounds, command line")
        count(f"killed commands that are {'done' if seen == scene.after else 'as if never begun'}")


def feed(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()


# --- the gateway

CLIENTS = 4
STORES = choose(1, 40)
LIVES = 3
"""How many gateways serve one store, each after the last one was killed, before anything else looks after it."""
CONFIG = """
[functions.draft]
type = "chat"
[functions.draft.variants]
[functions.extract]
type = "json"
[functions.extract.variants]
"""


@pytest.mark.parametrize("number", range(STORES))
def test_what_a_killed_gateway_has_answered_is_there_and_the_rest_is_whole_or_absent(
    number: int, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", root], check=True)
    (root / "tensorzero.toml").write_text(CONFIG)
    seen = State()
    with chosen_by_chance() as chance:
        for life in range(LIVES):
            clients = call_until_killed(root, chance, f"life{life}", has_library=(number + life) % 5 == 0)
            before, seen = seen, look(root)
            assert_are_told(clients, before, seen)
            if life < LIVES - 1:
                count_moment(root)
        assert_comes_to_rest(root, seen.__eq__, chance)
    assert [path for path in untracked(root) if not OWN_FILE.fullmatch(path)] == ["tensorzero.toml"]


def call_until_killed(root: Path, chance: random.Random, name: str, *, has_library: bool) -> list[Client]:
    """Let clients call a gateway until it is killed."""
    words = program("--root", root, "serve", "--port", 0)
    with ExitStack() as stack:
        gateway = stack.enter_context(running(words, stdout=subprocess.PIPE))
        assert gateway.stdout is not None
        url = gateway.stdout.readline().removeprefix("Listening on ").strip()
        clients = [Client(url, f"{name}client{one}", chance.randrange(2**32)) for one in range(CLIENTS)]
        clients += [LibraryClient(url, f"{name}library", chance.randrange(2**32))] * has_library
        for client in clients:
            client.start()
        assert not has_library or until(lambda: clients[-1].calls > 0), "the library is slow to load"
        killed_at = kill(gateway, root, chance, seconds=0.8, idle=0.8)
    assert gateway.returncode == KILLED
    for client in clients:
        client.join()
        assert client.failure == ""
        assert client.ended_at > killed_at, "a connection broke while the gateway was alive"
        count("calls by TensorZero's client" if has_library and client is clients[-1] else "calls", client.calls)
    count("SIGKILL rounds, gateway")
    return clients


def assert_are_told(clients: list[Client], before: State, seen: State) -> None:
    """Check that each client finds what it was told, with or without what it asked for last, and others what was."""
    left = State(seen)
    for client in clients:
        own = State({one: number for one, number in seen.items() if client.is_its_own(one)})
        told, *planned = client.allowed()
        assert own in (told, *planned)
        left -= own
        if planned and planned != [told]:
            count(f"calls under way at the kill that are {'as if never begun' if own == told else 'done'}")
    assert left == before, "a call changed what was another's"
