"""Imports point down only: each room knows the floors below it and nothing above."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "filestore"

FLOORS = [
    {"__init__"},
    {"errors"},
    {"findings"},
    {"ids", "codec", "garbage", "texts"},
    {"shapes"},
    {"attachments", "functions", "skeleton", "toml_tables", "schema"},
    {"content"},
    {"spellings"},
    {"outputs", "tools", "validation", "function_config"},
    {"datapoint"},
    {"datapoint_file", "query", "requests_legacy", "requests_v1"},
    {"drafts", "datapoint_judgement", "editor"},
    {"datapoint_issues"},
    {"storage"},
    {"store"},
    {"check", "formatting"},
    {"gateway", "cli"},
    {"__main__"},
]
"""From the ground up; rooms of one floor do not import each other."""

EXCEPTIONS = {
    ("__init__", "datapoint"): "the package re-exports its public names",
    ("__init__", "errors"): "the package re-exports its public names",
    ("__init__", "storage"): "the package re-exports its public names",
    ("__init__", "store"): "the package re-exports its public names",
    ("cli", "gateway"): "`serve` starts a gateway",
    ("__main__", "cli"): "`python -m filestore` is the command line",
}

STORAGE_FLOORS = [
    {"patience"},
    {"files", "layout", "locks", "packed", "feed", "rows"},
    {"change", "orders", "sequence", "watches", "repository", "ignoring", "config_files"},
    {"names", "placing", "initialize"},
    {"journal"},
    {"recovery"},
    {"index", "clashes"},
    {"view"},
    {"dataset", "changes", "upkeep"},
    {"lists", "datasets"},
    {"scan"},
]


def imports_of(path: Path, package: str) -> set[str]:
    """Return the rooms of `package` that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        if isinstance(node, ast.ImportFrom) and node.module == package:
            names = [f"{package}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.removeprefix(f"{package}.").split(".")[0] for name in names if name.startswith(f"{package}.")}
    return found


def floor_of(room: str, floors: list[set[str]]) -> int:
    """Return the number of a room's floor."""
    return next(number for number, rooms in enumerate(floors) if room in rooms)


def rooms_in(package: Path) -> list[Path]:
    """Return the modules of a package, its subpackages' included."""
    return sorted(package.rglob("*.py"))


@pytest.mark.parametrize("path", rooms_in(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    rooms = {name for floor in FLOORS for name in floor}
    imported = {name for name in imports_of(path, "filestore") if name in rooms and name != room}
    upward = {
        name for name in imported if floor_of(name, FLOORS) >= floor_of(room, FLOORS) and (room, name) not in EXCEPTIONS
    }
    assert not upward


@pytest.mark.parametrize("path", sorted((PACKAGE / "storage").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_imports_within_storage_point_down(path: Path) -> None:
    imported = imports_of(path, "filestore.storage") - {path.stem}
    own = floor_of(path.stem, STORAGE_FLOORS)
    assert all(floor_of(name, STORAGE_FLOORS) < own for name in imported)


def test_every_room_has_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in rooms_in(PACKAGE)}
    assert rooms <= {name for floor in FLOORS for name in floor}


def test_pure_rooms_touch_neither_clock_nor_disk_nor_network() -> None:
    impure = {"os", "socket", "time", "shutil", "tempfile", "subprocess", "io", "urllib.request"}
    below_storage = {name for floor in FLOORS[: floor_of("storage", FLOORS)] for name in floor} - {"__init__"}
    found = {}
    for room in sorted(below_storage):
        path = PACKAGE / f"{room}.py"
        if path.exists():
            tree = ast.parse(path.read_text(encoding="utf-8"))
            modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
            modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            modules |= {
                alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
            }
            found[room] = modules & (impure | {"Path"})
    assert {room: names for room, names in found.items() if names} == {}


def test_the_package_loads_neither_click_nor_http() -> None:
    program = "import sys, filestore; print(sorted({'click', 'http.server', 'socketserver'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
