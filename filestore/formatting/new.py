"""A new draft: what a person fills in to make a new case of a function."""

from __future__ import annotations

import re

from filestore.codec import JSONObject, JSONValue, dumps
from filestore.errors import RequestError, UnknownFunctionError, suggest_name
from filestore.functions import Function, FunctionConfig
from filestore.ids import is_draft_name
from filestore.skeleton import make_skeleton
from filestore.storage.change import Change
from filestore.storage.layout import EDITOR_SCHEMA, Entry
from filestore.storage.view import DatasetView
from filestore.store import FileStore

__all__ = ["write_new_draft"]


def write_new_draft(store: FileStore, dataset_name: str, function_name: str, stem: str | None) -> str:
    """Write a draft to fill in; return its path relative to the root.

    Args:
        store: The store.
        dataset_name: The dataset; it need not exist yet.
        function_name: The function that it is a case of.
        stem: What its file is called, without the ending; None for a name that is free.

    Raises:
        UnknownFunctionError: The function is not configured; the text names the nearest one.
        RequestError: The name can be no draft's, or there is a file that has it.
    """
    function = _get_function(store.config, function_name)
    dataset = store.open_dataset(dataset_name)
    given = None if stem is None else _check_name(stem)

    def plan(view: DatasetView) -> tuple[Change, str]:
        name = _choose_name(view, function_name) if given is None else given
        if view.has_file(name):
            raise RequestError(f"there is a file {view.layout.directory}/{name} already: give the draft another name")
        change = Change()
        entry = Entry("draft", name)
        path = f"schemas/{EDITOR_SCHEMA}"
        change.puts[entry] = dumps({**({"$schema": f"./{path}"} if view.has_file(path) else {}), **_fill_in(function)})
        return change, view.layout.shown(view.layout.final(entry))

    return dataset.write(plan)


def _get_function(config: FunctionConfig, name: str) -> Function:
    try:
        return config.get_function(name)
    except UnknownFunctionError:
        if not config.functions:
            hint = ". There is no function config: describe the function in a tensorzero.toml in the root of the store"
        else:
            hint = f", {suggest_name(name, list(config.functions))}"
        raise UnknownFunctionError(name, hint) from None


def _check_name(stem: str) -> str:
    name = f"{stem.removesuffix('.json')}.json"
    if not is_draft_name(name):
        raise RequestError(f"a draft cannot be called {name!r}: give it a name without slashes that is no id")
    return name


def _choose_name(view: DatasetView, function_name: str) -> str:
    base = "new-" + (re.sub(r"[^\w.-]+", "-", function_name).strip("-.")[:100] or "case")
    number, name = 1, f"{base}.json"
    while view.has_file(name):
        number += 1
        name = f"{base}-{number}.json"
    return name


def _fill_in(function: Function) -> JSONObject:
    """Return a draft of a function with the keys that it must have, and nothing in them."""
    given: JSONObject = {"system": make_skeleton(function.schemas["system"])} if "system" in function.schemas else {}
    content: JSONValue = make_skeleton(function.schemas["user"]) if "user" in function.schemas else ""
    message: JSONObject = {"role": "user", "content": content if isinstance(content, dict) else ""}
    output: JSONValue = "" if function.type == "chat" else make_skeleton(function.output_schema)
    return {
        "function_name": function.name,
        "input": {**given, "messages": [message]},
        "output": output,
        "tags": {},
    }
