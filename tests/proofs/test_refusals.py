"""Laws of a real system that refuses: a full or read-only file system, and the limits of a process.

The command line says why in one line and nothing has changed; once there is room again, everything works.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import snapshot
from tests.proofs.audit import audit
from tests.proofs.effort import count
from tests.proofs.scenes import chat

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux namespaces and limits")

MANY = 300
FULL = """
set -e
mount -t tmpfs -o size=512k tmpfs "$1"
$2 --root "$1" insert cases < "$3" >/dev/null 2>&1 && { echo "there was room"; exit 9; }
$2 --root "$1" insert cases < "$4" >/dev/null
dd if=/dev/zero of="$1/ballast" bs=1k count=4096 2>/dev/null || true
for command in "insert cases" "drop --yes cases" "update cases --set-name x $($2 --root "$1" list cases --format jsonl \
  | sed -n 's/.*"id":"\\([^"]*\\)".*/\\1/p')"; do
  $2 --root "$1" $command < "$4" && { echo "there was room"; exit 9; }
  $2 --root "$1" list cases --format jsonl | wc -l
done
rm "$1/ballast"
$2 --root "$1" drop --yes cases >/dev/null
$2 --root "$1" list cases --format jsonl | wc -l
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    root.mkdir()
    return root


def items(number: int) -> str:
    return json.dumps([chat(f"text {n}") for n in range(number)])


def run(words: list[object], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], input=text, capture_output=True, text=True, check=False)


def command(root: Path, *words: object) -> list[object]:
    return [sys.executable, "-m", "filestore", "--root", root, *words]


def assert_refused(done: subprocess.CompletedProcess[str], reason: str) -> None:
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert reason in line
    count("refusals of a real system")


def test_a_full_file_system_changes_nothing_and_what_needs_no_room_goes_on(root: Path, tmp_path: Path) -> None:
    unshare = ["unshare", "--mount", "--map-root-user"]
    if shutil.which("unshare") is None or run([*unshare, "mount", "-t", "tmpfs", "tmpfs", root]).returncode:
        pytest.skip("needs user namespaces")
    many, few = tmp_path / "many.json", tmp_path / "few.json"
    many.write_text(items(MANY))
    few.write_text(items(3))
    filestore = f"{sys.executable} -m filestore"
    done = run([*unshare, "sh", "-c", FULL, "sh", root, filestore, many, few])
    assert done.returncode == 0, done
    assert [word for word in done.stdout.split() if word.isdecimal()] == ["3", "3", "3", "0"]
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 3
    assert all("No space left on device" in line for line in lines)
    assert "Traceback" not in done.stderr
    count("refusals of a real system", 3)


LIMITS = """
import os, resource, sys
kind, limit = sys.argv[1:3]
resource.setrlimit(getattr(resource, kind), (int(limit), int(limit)))
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


def limited(kind: str, limit: int, root: Path, *words: object) -> list[object]:
    """Return the words that start a command with a limit of getrlimit(2)."""
    return [sys.executable, "-c", LIMITS, kind, limit, *command(root, *words)[1:]]


def test_a_file_that_may_not_be_so_large_changes_nothing(root: Path) -> None:
    assert run(command(root, "insert", "cases"), items(3)).returncode == 0
    before = snapshot(root)
    large = json.dumps([chat("small"), chat("large" * 10_000)])
    assert_refused(run(limited("RLIMIT_FSIZE", 20_000, root, "insert", "cases"), large), "File too large")
    assert snapshot(root) == before
    assert run(command(root, "insert", "cases"), large).returncode == 0
    audit(root)


@pytest.mark.parametrize("descriptors", [5, 6, 7])
def test_a_process_with_hardly_any_descriptors_fails_in_words_or_not_at_all(root: Path, descriptors: int) -> None:
    """With fewer than five Python itself does not start."""
    assert run(command(root, "insert", "cases"), items(30)).returncode == 0
    for words in (["list", "cases", "--format", "jsonl"], ["insert", "cases"], ["drop", "--yes", "cases"]):
        before = snapshot(root)
        done = run(limited("RLIMIT_NOFILE", descriptors, root, *words), items(5))
        if done.returncode:
            assert_refused(done, "Too many open files")
            assert snapshot(root) == before
    audit(root)


def test_a_read_only_file_system_is_served_and_refuses_writes_in_words(root: Path) -> None:
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    unshare = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, root]
    assert run(command(root, "insert", "cases"), items(3)).returncode == 0
    if shutil.which("unshare") is None or run([*unshare, "true"]).returncode:
        pytest.skip("needs user namespaces")
    listed = run([*unshare, *command(root, "list", "cases", "--format", "jsonl")])
    assert len(listed.stdout.splitlines()) == 3
    for words in (["insert", "cases"], ["drop", "--yes", "cases"], ["insert", "new"]):
        assert_refused(run([*unshare, *command(root, *words)], items(1)), "Read-only file system")


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        (".", ["insert", "new"]),
        (".", ["init", "STORE/inner"]),
        ("cases", ["insert", "cases"]),
        ("cases", ["purge", "--yes", "cases"]),
        (".filestore", ["insert", "new"]),
        (".filestore/cases", ["insert", "cases"]),
        (".filestore/cases", ["drop", "--yes", "cases"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_directory_that_may_not_be_written_to_is_named_and_nothing_changes(
    root: Path, closed: str, words: list[str]
) -> None:
    stranger = ["unshare", "--user"]  # nobody there is above permissions
    if shutil.which("unshare") is None or run([*stranger, "true"]).returncode:
        pytest.skip("needs user namespaces")
    ids = run(command(root, "insert", "cases"), items(3)).stdout.split()
    run(command(root, "delete", "cases", ids[0]))
    before = snapshot(root)
    words = [word.replace("STORE", str(root)) for word in words]
    (root / closed).chmod(0o555)
    assert_refused(run([*stranger, *command(root, *words)], items(1)), "Permission denied")
    (root / closed).chmod(0o755)
    assert snapshot(root) == before
    assert run(command(root, *words), items(1)).returncode == 0
    if words[0] == "init":
        shutil.rmtree(words[1])  # no dataset
    audit(root)


@pytest.mark.parametrize("words", [["list", "cases"], ["drop", "--yes", "cases"], ["insert", "cases"], ["datasets"]])
def test_what_may_not_be_read_is_named_and_not_left_out(root: Path, words: list[str]) -> None:
    stranger = ["unshare", "--user"]
    if shutil.which("unshare") is None or run([*stranger, "true"]).returncode:
        pytest.skip("needs user namespaces")
    run(command(root, "insert", "cases"), items(3))
    (root / "cases").chmod(0)
    assert_refused(run([*stranger, *command(root, *words)], items(1)), "Permission denied")
    (root / "cases").chmod(0o755)
    audit(root)
