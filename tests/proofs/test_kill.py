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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from tests.proofs.audit import audit
from tests.proofs.effort import choose, count
from tests.proofs.kill_clients import Client, LibraryClient
from tests.proofs.kills import State, assert_comes_to_rest, kill, observe, program, running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")

ROUNDS = choose(2, 25)
"""How often each command is killed."""
MANY = 120


def chat(text: str) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    item_input = {"messages": [{"role": "user", "content": content}]}
    tags = {"text": text}
    return {"type": "chat", "function_name": "draft", "input": item_input, "output": content, "tags": tags}


def extraction(text: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {text: {"type": "string"}}}
    return {**chat(text), "type": "json", "function_name": "extract", "output": {"raw": "{}"}, "output_schema": schema}


def mixed(word: str, number: int) -> list[dict[str, Any]]:
    return [chat(f"{word} {n}") if n % 10 else extraction(f"{word} {n}") for n in range(number)]


def live(root: Path, dataset: str = "cases") -> list[uuid.UUID]:
    store = FileStore(root, watch=False)
    return [datapoint.id for datapoint in store.list_datapoints(dataset_name=dataset, limit=10**9)]


def stale(root: Path) -> list[str]:
    return sorted(path.name.partition("@")[0] for path in root.glob("cases/tombstones/*/*"))


def changes(root: Path) -> str:
    store = FileStore(root, watch=False)
    found = store.list_datapoints(dataset_name="cases", limit=10**9)
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
    return Scene(root, command, text, before, after, seconds)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_done_or_not(name: str, template: Path, tmp_path: Path) -> None:
    scene = make_scene(COMMANDS[name], template, tmp_path)
    assert scene.before != scene.after or name == "purge"
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for number in range(ROUNDS):
        root = tmp_path / f"store-{number}"
        shutil.copytree(template, root)
        with running(scene.start(root), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            feed(process, scene.text)
            kill(process, root, chance, scene.seconds)
            has_returned = process.returncode == 0
        allowed = (scene.after,) if has_returned else (scene.before, scene.after)
        assert_comes_to_rest(root, allowed.__contains__)
        assert untracked(root) == []
        shutil.rmtree(root)
        count("SIGKILL rounds, command line")


def feed(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()


def untracked(root: Path) -> list[str]:
    """Return what git would add that is no file of a dataset."""
    words = ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=all"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if not line[3:].startswith(("cases/", "copies/", "others/"))]


# --- the gateway

CLIENTS = 4
GATEWAY_ROUNDS = choose(4, 150)


@pytest.mark.parametrize("part", range(choose(1, 5)))
def test_what_a_killed_gateway_has_answered_is_there_and_the_rest_is_whole_or_absent(part: int, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for number in range(GATEWAY_ROUNDS // choose(1, 5)):
        root = tmp_path / f"store-{number}"
        root.mkdir()
        (root / "tensorzero.toml").write_text('[functions.draft]\ntype = "chat"\n[functions.draft.variants]\n')
        with running(program("--root", root, "serve", "--port", 0), stdout=subprocess.PIPE) as gateway:
            assert gateway.stdout is not None
            url = gateway.stdout.readline().removeprefix("Listening on ").strip()
            clients = [Client(url, f"client{one}", chance.randrange(2**32)) for one in range(CLIENTS)]
            clients += [LibraryClient(url, "library", 0)] if number % 5 == 0 else []
            for client in clients:
                client.start()
            kill(gateway, root, chance, 0.5)
        for client in clients:
            client.join()
        assert [client.failure for client in clients if client.failure] == []
        assert_comes_to_rest(root, partial(are_told, clients))
        shutil.rmtree(root)
        count("SIGKILL rounds, gateway")
        count("calls answered by gateways that were killed", sum(client.calls for client in clients))


def are_told(clients: list[Client], seen: State) -> bool:
    """Tell whether each client finds what it was told, with or without what it asked for last."""
    own = [State({one: number for one, number in seen.items() if client.is_its_own(one)}) for client in clients]
    return all(found in client.allowed() for client, found in zip(clients, own, strict=True))
