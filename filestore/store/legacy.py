"""The operations of the legacy generation."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from filestore.codec import to_json_value
from filestore.datapoint import Datapoint
from filestore.errors import (
    DatapointNotFoundError,
)
from filestore.garbage import collected_later
from filestore.ids import check_tensorzero_uuid
from filestore.shapes import expect_list
from filestore.storage import changes
from filestore.storage.change import Change
from filestore.storage.view import DatasetView
from filestore.store.base import Id, StoreBase, insert, naming_item, parse_id

__all__ = ["LegacyOperations"]


class LegacyOperations(StoreBase):
    """One method per operation of the legacy generation."""

    def bulk_insert_datapoints(self, *, dataset_name: str, datapoints: Sequence[object]) -> list[uuid.UUID]:
        """Insert datapoints: all of them or none.

        Args:
            dataset_name: The dataset; it need not exist yet.
            datapoints: Items of the legacy form: `function_name`, `input`, `output`, `tags`, tool fields for chat
                functions, `output_schema` for JSON functions.

        Returns:
            The new ids, one for each item, in order; they ascend.

        Raises:
            RequestError: An item is wrong; nothing was inserted.
        """
        from filestore.requests_legacy import LegacyRequests  # reads do without
        from filestore.schema import limited

        with collected_later(), limited():
            items = expect_list(to_json_value(datapoints))
            dataset = self._datasets.get(dataset_name)
            requests = LegacyRequests(dataset_name, dataset.layout.directory, self.config)
            ids = self._id_maker.make(len(items))
            parsed = []
            for index, (item, new_id) in enumerate(zip(items, ids, strict=True)):
                with naming_item(index):
                    parsed.append(requests.parse_bulk_item(item, index, new_id))
        insert(dataset, parsed)
        return ids

    def put_datapoint(self, *, dataset_name: str, datapoint_id: Id, datapoint: object) -> uuid.UUID:
        """Create a datapoint under an id of the caller's choice, or replace the one that has it.

        Args:
            dataset_name: The dataset; it need not exist yet.
            datapoint_id: A UUIDv7; if it is stale it becomes live again.
            datapoint: The body of the internal PUT: `function_name`, `input`, `is_custom` and so on.

        Raises:
            InvalidIdError: The id is no UUIDv7 of a sensible time.
            UnknownFunctionError: The function is not configured.
            RequestError: The datapoint is wrong.
        """
        from filestore.requests_legacy import LegacyRequests
        from filestore.schema import limited

        body = to_json_value(datapoint)
        checked_id = parse_id(datapoint_id)
        now = self._clock()
        check_tensorzero_uuid(checked_id, now)
        dataset = self._datasets.get(dataset_name)
        requests = LegacyRequests(dataset_name, dataset.layout.directory, self.config)
        with limited():
            parsed, files = requests.parse_put(body, checked_id, now)

        def plan(view: DatasetView) -> tuple[Change, uuid.UUID]:
            change = Change(removed=view.tombstone_entries(checked_id))
            changes.put(change, view, parsed, files, replaces=True)
            return change, checked_id

        return dataset.write(plan)

    def get_datapoint(self, *, dataset_name: str, datapoint_id: Id) -> Datapoint:
        """Return a live datapoint.

        Raises:
            DatapointNotFoundError: There is none with this id in this dataset, or it is stale.
            FileContentError: Its file cannot be read.
        """
        checked_id = parse_id(datapoint_id)
        dataset = self._datasets.find(dataset_name)
        found = dataset.read(lambda view: self._lists(view).find_live(checked_id), absent=None) if dataset else None
        if found is None:
            raise DatapointNotFoundError(dataset_name, checked_id)
        return found

    def delete_datapoint(self, *, dataset_name: str, datapoint_id: Id) -> int:
        """Soft-delete a datapoint: it becomes stale, its file stays.

        Returns:
            1, or 0 where there is no such live datapoint.
        """
        checked_id = parse_id(datapoint_id)
        return self._stale(dataset_name, lambda view: [checked_id] if changes.is_live(view, checked_id) else [])

    def delete_dataset(self, *, dataset_name: str) -> int:
        """Soft-delete every live datapoint of a dataset; return how many there were."""
        return self._stale(dataset_name, DatasetView.live_ids)
