"""Every target of the fuzzers: a function that takes any bytes and asserts the laws of one door they come in by.

A target returns where the laws hold, whether the bytes were taken or refused as documented. Both drivers use them:
Hypothesis in `test_fuzz`, atheris in `fuzz`. The docstring of each states its law.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.proofs.fuzz_datapoints import datapoint_file, function_config, requests, schema
from tests.proofs.fuzz_stores import application, server, stranger
from tests.proofs.fuzz_texts import json_reader, names, raw_reader, request_wire

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    "json-reader": json_reader,
    "raw-reader": raw_reader,
    "names": names,
    "request-wire": request_wire,
    "datapoint-file": datapoint_file,
    "requests": requests,
    "schema": schema,
    "function-config": function_config,
    "stranger": stranger,
    "application": application,
    "server": server,
}
