"""Unmodified clients of both generations side by side: what one does through its routes, the other sees through its own."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
from tensorzero import (
    AndFilter,
    AsyncTensorZeroGateway,
    CreateDatapointRequestChat,
    CreateDatapointRequestJson,
    Input,
    InputMessage,
    InputMessageContentText,
    JsonDatapointOutputUpdate,
    ListDatapointsRequest,
    NotFilter,
    TagFilter,
    TensorZeroError,
    TensorZeroGateway,
    TimeFilter,
    UpdateDatapointMetadataRequest,
)
from tensorzero.generated_types import (
    DatapointOrderBySearchRelevance,
    DatapointOrderByTimestamp,
    UpdateChatDatapointRequest,
    UpdateJsonDatapointRequest,
)

from filestore import FileStore
from filestore.gateway import serve
