"""The sample datasets are a real store: canonical, readable, worth reading."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.codec import JSONValue, dumps, loads_file
from filestore.datapoint_file import FileContext, read_datapoint, read_schema, render_datapoint, schema_reference
from filestore.errors import RequestError
from filestore.shapes import expect_object

ROOT = Path(__file__).parent.parent / "sample_datasets"
DATASETS = ("email_application", "entity_extraction", "support_conversations")
DATAPOINTS = sorted(path for name in DATASETS for path in (ROOT / name).glob("*.json"))
SCHEMAS = sorted(ROOT.glob("*/schemas/*.json"))


def test_there_are_enough_of_them_and_a_few_are_stale() -> None:
    store = FileStore(ROOT)
    assert [summary.dataset_name for summary in store.list_datasets()] == sorted(DATASETS, reverse=True)
    assert len(store.list_datasets(limit=2, offset=1)) == 2
    for page in ({"limit": -1}, {"offset": -1}, {"limit": 1.5}):
        with pytest.raises(RequestError, match="whole numbers from 0 on"):
            store.list_datasets(**page)
    live = {name: store.count_datapoints(dataset_name=name) for name in DATASETS}
    assert sum(live.values()) >= 40
    for name in DATASETS:
        files = [path for path in DATAPOINTS if path.parent.name == name]
        assert len(files) - live[name] == len(list((ROOT / name / "tombstones").glob("*/*"))) > 0


@pytest.mark.parametrize("path", DATAPOINTS, ids=lambda path: f"{path.parent.name}-{path.stem[-6:]}")
def test_a_sample_is_canonical(path: Path) -> None:
    data = path.read_bytes()
    context = FileContext(path.parent.name, lambda: FileStore(ROOT).config, lambda digest: _schema(path.parent, digest))
    datapoint = read_datapoint(data, path.name, uuid.UUID(path.stem), context)
    name = schema_reference(expect_object(loads_file(data)).get("output_schema"))
    assert dumps(render_datapoint(datapoint, name)) == data


def _schema(dataset: Path, digest: str) -> JSONValue:
    path = dataset / "schemas" / f"{digest}.json"
    return read_schema(path.read_bytes(), path.name, digest)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_a_schema_of_the_samples_is_canonical_and_has_its_digest(path: Path) -> None:
    data = path.read_bytes()
    assert dumps(loads_file(data)) == data
    assert hashlib.sha256(data).hexdigest()[:16] == path.stem
    uses = [one for one in path.parent.parent.glob("*.json") if path.stem in one.read_text(encoding="utf-8")]
    assert uses
