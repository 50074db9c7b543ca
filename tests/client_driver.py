"""Call one release of the TensorZero client: a call per line in, its outcome per line out, both JSON.

As a script it runs under the interpreter of that release's own environment, so it knows nothing but the client and the
standard library.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
import os
import sys
import uuid
import warnings
from collections.abc import Mapping
from typing import Any

__all__ = ["connect", "perform"]

tensorzero: Any = importlib.import_module("tensorzero")  # one annotation for all releases, some of which have no types


def perform(gateway: Any, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call a method of the client.

    Args:
        gateway: The client.
        method: The method's name.
        arguments: Its keyword arguments; `{"$new": [class name, fields]}` in them makes an object of the client's.

    Returns:
        `{"result": …}`, or `{"error": {"status_code", "text"}}`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # each release deprecates what the next one renames
        try:
            return {"result": render(getattr(gateway, method)(**build(dict(arguments))))}
        except tensorzero.TensorZeroError as error:
            return {"error": {"status_code": error.status_code, "text": error.text}}
        except tensorzero.TensorZeroInternalError as error:
            return {"error": {"status_code": None, "text": str(error)}}


def build(value: Any) -> Any:
    """Make the objects that a call's arguments ask for."""
    if isinstance(value, list):
        return [build(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$new" in value:
        name, fields = value["$new"]
        return getattr(tensorzero, name)(**build(fields))
    return {key: build(item) for key, item in value.items()}


def render(value: Any) -> Any:
    """Return a client's object as JSON: its attributes, and for a datapoint what it prints as well."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [render(item) for item in value]
    if isinstance(value, dict):
        return {key: render(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: render(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if value is None or isinstance(value, (str, int, float)):
        return value
    fields = {key: render(item) for key, item in inspect.getmembers(value, _is_data) if not key.startswith("_")}
    return {**fields, "printed": json.loads(str(value))} if "dataset_name" in fields else fields


def _is_data(member: object) -> bool:
    return not inspect.isclass(member) and not inspect.isroutine(member)


@functools.lru_cache(maxsize=1)
def connect(url: str) -> Any:
    """Return a client of the gateway at a URL."""
    return tensorzero.TensorZeroGateway.build_http(gateway_url=url)


def main() -> None:
    """Serve calls from standard input until it ends."""
    # The client logs to standard output; the answers keep the descriptor to themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        url, method, arguments = json.loads(line)
        print(json.dumps(perform(connect(url), method, arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
