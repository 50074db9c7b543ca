"""Releases of the TensorZero client to test against: the current one from this environment, old ones from their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests import client_driver

__all__ = ["CURRENT_RELEASE", "OLD_RELEASES", "Client", "ClientError", "Send", "running_release"]

CURRENT_RELEASE = "2026.1.8"
OLD_RELEASES = ("2025.9.6", "2025.10.7", "2025.11.3")

_CACHE = Path(os.environ.get("FILESTORE_TEST_CACHE", Path(__file__).parents[1] / ".cache" / "clients"))
_PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"

Send = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""Calls a method with arguments on the gateway of a URL; returns the outcome as `client_driver.perform` does."""


class ClientError(Exception):
    """What a client raised: `status_code` is None where the client itself refused."""

    def __init__(self, status_code: int | None, text: str) -> None:
        super().__init__(f"{status_code}: {text}")
        self.status_code = status_code
        self.text = text

    @property
    def body(self) -> Any:
        """The JSON body of the gateway's answer."""
        return json.loads(self.text)


class Client:
    """One release of the client, connected to one gateway."""

    def __init__(self, release: str, send: Send, url: str) -> None:
        self.release = release
        self._send = send
        self._url = url

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method and return its result as JSON.

        Raises:
            ClientError: The client raised one of its own errors.
        """
        outcome = self._send(self._url, method, arguments)
        if "error" in outcome:
            raise ClientError(**outcome["error"])
        return outcome["result"]

    def insert(self, *items: dict[str, Any]) -> list[str]:
        """Insert items into the dataset `demo` and return their ids."""
        ids: list[str] = self.call("bulk_insert_datapoints", dataset_name="demo", datapoints=list(items))
        return ids

    def get(self, datapoint_id: str) -> Any:
        """Return a datapoint of `demo`: as the client prints it, and its attributes."""
        return self.call("get_datapoint", dataset_name="demo", datapoint_id=datapoint_id)

    def delete(self, datapoint_id: str) -> None:
        """Delete a datapoint of `demo`."""
        self.call("delete_datapoint", dataset_name="demo", datapoint_id=datapoint_id)

    def list(self, dataset_name: str = "demo", **arguments: Any) -> Any:
        """List a dataset the way this release does."""
        if self.release != CURRENT_RELEASE:
            return self.call("list_datapoints", dataset_name=dataset_name, **arguments)
        request = {"$new": ["ListDatapointsRequest", arguments]}
        return self.call("list_datapoints", dataset_name=dataset_name, request=request)["datapoints"]

    def list_ids(self, dataset_name: str = "demo", **arguments: Any) -> Any:
        """List the ids of a dataset."""
        return [datapoint["id"] for datapoint in self.list(dataset_name, **arguments)]


@contextmanager
def running_release(release: str) -> Iterator[Send]:
    """Make one release of the client callable, the current one from this process."""
    if release == CURRENT_RELEASE:
        yield _send_from_here
        return
    command: list[str | Path] = [_make_environment(release) / _PYTHON, "-I", client_driver.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None and stdout is not None

        def send(url: str, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
            print(json.dumps([url, method, arguments]), file=stdin, flush=True)
            answer: dict[str, Any] = json.loads(stdout.readline() or '"the client has died"')
            return answer

        yield send


def _send_from_here(url: str, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return client_driver.perform(client_driver.connect(url), method, arguments)


def _make_environment(release: str) -> Path:
    """Return a virtual environment that holds a release of the client, made by the first to ask for it."""
    directory = _CACHE / release
    _CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(_CACHE / f"{release}.lock"):
        if not (directory / _PYTHON).exists():
            shutil.rmtree(directory, ignore_errors=True)  # an interpreter that is gone leaves a dangling link
            with tempfile.TemporaryDirectory(dir=_CACHE, prefix=f"{release}-", ignore_cleanup_errors=True) as made:
                new = Path(made, "environment")
                subprocess.run([sys.executable, "-m", "venv", new], check=True)
                subprocess.run([new / _PYTHON, "-m", "pip", "install", "-q", f"tensorzero=={release}"], check=True)
                new.rename(directory)
    return directory
