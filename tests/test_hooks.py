"""The hooks, run by the real pre-commit in a repository that uses them as a user's does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_datasets"
DATASET = "support_conversations"


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = {f"GIT_{role}_{key}": "ann@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment = {**os.environ, **nobody, **identity, **path}
    return subprocess.run(list(map(str, words)), cwd=cwd, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that offers the hooks as this one does, at one commit.

    Its environment is this one's, where the package is installed already: `language: system` needs no network.
    """
    repository = tmp_path_factory.mktemp("hooks")
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    (repository / ".pre-commit-hooks.yaml").write_text(text.replace("language: python", "language: system"))
    run("git", "init", "--quiet", cwd=repository)
    run("git", "add", ".", cwd=repository)
    assert run("git", "commit", "--quiet", "-m", "hooks", cwd=repository).returncode == 0
    return repository


@pytest.fixture
def repository(hooks: Path, tmp_path: Path) -> Path:
    """A user's repository with a store in it, all of it staged; it is configured as the README says."""
    root = tmp_path / "repository"
    shutil.copytree(SAMPLES, root / "evals")
    revision = run("git", "rev-parse", "HEAD", cwd=hooks).stdout.strip()
    [config] = re.findall(r"```yaml\n(repos:\n.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    config = re.sub("https://.*", str(hooks), config).replace("v0.1.0", revision)
    (root / ".pre-commit-config.yaml").write_text(config)
    (root / "package.json").write_text('{"name": "no datapoint"}\n')
    run("git", "init", "--quiet", cwd=root)
    run("git", "add", ".", cwd=root)
    return root


def datapoint(root: Path) -> Path:
    return sorted((root / "evals" / DATASET).glob("*.json"))[0]


def commit(root: Path) -> subprocess.CompletedProcess[str]:
    run("git", "add", ".", cwd=root)
    return run(sys.executable, "-m", "pre_commit", "run", cwd=root)


def test_the_samples_pass(repository: Path) -> None:
    done = commit(repository)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Passed") == 2


def test_a_mistake_stops_the_commit_and_is_told_with_its_place(repository: Path) -> None:
    path = datapoint(repository)
    path.write_text(path.read_text().replace('"role": "user"', '"role": "usr"', 1))
    done = commit(repository)
    assert done.returncode == 1
    assert f"evals/{DATASET}/{path.name}:14:17: error wrong-value" in done.stdout


def test_what_is_not_canonical_is_formatted_and_staged_again_by_the_user(repository: Path) -> None:
    path = datapoint(repository)
    canonical = path.read_text()
    path.write_text(canonical.replace("  ", "    "))
    done = commit(repository)
    assert done.returncode == 1
    assert "files were modified by this hook" in done.stdout
    assert path.read_text() == canonical
    assert commit(repository).returncode == 0
