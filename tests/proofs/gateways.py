"""Gateways in processes of their own, started as a person starts them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["gateway"]


@contextmanager
def gateway(root: Path, *options: str) -> Iterator[str]:
    """Serve a store by `filestore serve`; yield the URL. It must have nothing to complain about."""
    root.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "filestore", "--root", str(root), "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("Listening on "), line
            yield line.split()[-1]
        finally:
            process.terminate()
            complaints = process.communicate()[1]
    assert (process.returncode, complaints) == (0, "")
