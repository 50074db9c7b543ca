"""Feed the targets with bytes that a search for new paths through the code makes up (atheris, which is libFuzzer).

`python -m tests.proofs.fuzz` runs all targets, `python -m tests.proofs.fuzz names --seconds 300` one of them. An input
that breaks a law is printed as a literal, for `--input` and for the regressions in `test_fuzz`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

__all__ = ["Search", "is_possible", "search"]

# Nothing of the package is imported up here: what is watched must be imported by atheris.

_HERE = "tests.proofs.fuzz"
_LONGEST = 8192
"""Bytes of an input."""
_HANG_SECONDS = 60
"""A single input that takes so long is a failure; far beyond what the slowest may take on a busy machine."""
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"^#\d+\s+\w+\s+cov: (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Search:
    """What a search over one target did.

    Attributes:
        target: The target.
        tried: How many inputs it took, as libFuzzer counts them.
        covered: Edges covered by the seeds, and at the end.
        broken: The input that broke a law, if one did.
        report: What the fuzzer said.
    """

    target: str
    tried: int
    covered: tuple[int, int]
    broken: bytes | None
    report: str

    def __str__(self) -> str:
        first, last = self.covered
        line = f"{self.target}: {self.tried:,} inputs, {first} edges covered by the seeds, {last} at the end"
        if self.broken is None:
            return line
        command = f'python -m {_HERE} {self.target} --input "$INPUT"'
        return f"{self.report}\n{line}\n\nINPUT=$(cat <<'END'\n{self.broken!r}\nEND\n)\n{command}"


def is_possible() -> bool:
    """Tell whether atheris is there; it has wheels for few platforms."""
    return importlib.util.find_spec("atheris") is not None


def search(target: str, seconds: int) -> Search:
    """Search for an input that breaks the laws of a target, in a process of its own, as libFuzzer ends the process."""
    with tempfile.TemporaryDirectory() as directory:
        options = ["--inside", directory, "--seconds", str(seconds)]
        command = [sys.executable, "-W", "ignore", "-m", _HERE, target, *options]
        # Stores of the targets lie in it, too: libFuzzer ends the process without a last chance to remove them.
        ended = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "TMPDIR": directory})
        report = (ended.stdout + ended.stderr).decode(errors="replace")
        broken = [path.read_bytes() for path in Path(directory).glob("broken/*")]
    executed, covered = _EXECUTED.search(report), [int(edges) for edges in _COVERED.findall(report)]
    if executed is None or not covered or (ended.returncode and not broken):
        raise RuntimeError(f"atheris did not run:\n{report}")
    return Search(target, int(executed[1]), (covered[0], covered[-1]), next(iter(broken), None), report)


def _search_here(target: str, directory: Path, seconds: int) -> None:
    """Run libFuzzer in this process, which it ends."""
    import atheris

    with atheris.instrument_imports(include=["filestore"]):
        _import_package()
        from tests.proofs.fuzz_changes import change
        from tests.proofs.fuzz_seeds import WORDS, seeds
        from tests.proofs.fuzz_targets import TARGETS
    corpus, broken, words = directory / "corpus", directory / "broken", directory / "words"
    for path in (corpus, broken):
        path.mkdir()
    for number, seed in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(seed)
    spelled = ("".join(f"\\x{byte:02x}" for byte in word[:60]) for word in WORDS[target])
    words.write_text("".join(f'"{word}"\n' for word in spelled), encoding="ascii")
    options = {
        "max_total_time": seconds,
        "max_len": _LONGEST,
        "timeout": _HANG_SECONDS,
        "report_slow_units": _HANG_SECONDS,
        "dict": words,
        "artifact_prefix": f"{broken}/",
        "print_final_stats": 1,
        "rss_limit_mb": 3000,
    }

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        """Change values and words in every other input, and leave the others to libFuzzer."""
        random = Random(seed)
        changed = change(random, data, WORDS[target]) if random.random() < 0.5 else atheris.Mutate(data, longest)
        return bytes(changed[:longest])

    arguments = [target, *(f"-{name}={value}" for name, value in options.items()), str(corpus)]
    atheris.Setup(arguments, TARGETS[target], custom_mutator=mutate)
    atheris.Fuzz()


def _import_package() -> None:
    """Import the whole package, of which much is imported late, so that all of it is watched."""
    import filestore

    for module in pkgutil.walk_packages(filestore.__path__, "filestore."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def main() -> int:
    """Search as the arguments say; return 1 if a law was broken."""
    parser = argparse.ArgumentParser(prog=f"python -m {_HERE}", description="Fuzz the targets of the proofs.")
    parser.add_argument("target", nargs="*", help="by default all")
    parser.add_argument("--seconds", type=int, default=60, help="how long each is searched")
    parser.add_argument("--input", help="try this input instead, given as a literal of Python bytes")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside is not None:
        _search_here(arguments.target[0], arguments.inside, arguments.seconds)
    from tests.proofs.fuzz_targets import TARGETS

    targets = arguments.target or list(TARGETS)
    if unknown := [target for target in targets if target not in TARGETS]:
        parser.error(f"no target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if arguments.input is not None:
        for target in targets:
            TARGETS[target](ast.literal_eval(arguments.input))
        return 0
    if not is_possible():
        parser.error("atheris is not installed: pip install -e '.[fuzz]'")
    searches = []
    for target in targets:
        searches.append(search(target, arguments.seconds))
        print(searches[-1], flush=True)
    return int(any(one.broken is not None for one in searches))


if __name__ == "__main__":
    sys.exit(main())
