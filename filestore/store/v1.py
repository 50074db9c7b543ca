"""The operations of the v1 generation."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from filestore.codec import JSONValue, to_json_value
from filestore.datapoint import Datapoint
from filestore.errors import (
    DatasetNameError,
    RequestError,
    ShapeError,
)
from filestore.functions import FunctionConfig
from filestore.garbage import collected_later
from filestore.ids import created_at, is_datapoint_id
from filestore.shapes import parse_list
from filestore.storage import changes
from filestore.storage.change import Change
from filestore.storage.dataset import Dataset
from filestore.storage.view import DatasetView
from filestore.store.base import Id, StoreBase, insert, naming_item, parse_id, require_live

if TYPE_CHECKING:
    from filestore.query import ListQuery
    from filestore.requests_v1 import UpdateItem

__all__ = ["V1Operations"]

Item = TypeVar("Item")


class V1Operations(StoreBase):
    """One method per operation of the v1 generation."""

    def create_datapoints(self, *, dataset_name: str, requests: Sequence[object]) -> list[uuid.UUID]:
        """Create datapoints: all of them or none.

        Args:
            dataset_name: The dataset; it need not exist yet.
            requests: Items of the v1 form, each with its `type`.

        Returns:
            The new ids, one for each item, in order; they ascend.

        Raises:
            RequestError: An item is wrong, or there is none; nothing was created.
        """
        from filestore.requests_v1 import build_created, parse_create_item  # reads do without
        from filestore.schema import limited

        with collected_later(), limited():
            items = self._parse_items(dataset_name, requests, parse_create_item)
            dataset = self._datasets.get(dataset_name)
            _refuse_empty(items)
            config = self.config
            ids = self._id_maker.make(len(items))
            built = []
            for index, (item, new_id) in enumerate(zip(items, ids, strict=True)):
                with naming_item(index):
                    datapoint = build_created(item, dataset_name, new_id, config)
                    built.append(self.bring_along(datapoint, item.files, dataset))
        insert(dataset, built)
        return ids

    def query_datapoints(self, *, dataset_name: str, query: ListQuery) -> list[Datapoint]:
        """Return the page of live datapoints that a v1 list query asks for.

        Raises:
            FileContentError: A file of a live datapoint cannot be read.
        """
        dataset = self._datasets.get(dataset_name)
        query.check()
        if query.limit == 0:
            return []
        return dataset.read(lambda view: self._lists(view).select(query), absent=[])

    def get_datapoints(self, *, ids: Iterable[Id], dataset_name: str | None = None) -> list[Datapoint]:
        """Return datapoints by id, live and stale, the one updated last first; unknown ids are left out.

        Args:
            ids: The ids; a repeated one counts once.
            dataset_name: The dataset, or None for any.

        Raises:
            FileContentError: A file of theirs cannot be read.
        """
        wanted = list(dict.fromkeys(map(parse_id, ids)))
        found: list[Datapoint] = []
        for name in self._datasets.names() if dataset_name is None else [dataset_name]:
            found += self._datasets.get(name).read(lambda view: self._lists(view).find_all(wanted), absent=[])
        return sorted(found, key=lambda datapoint: (datapoint.updated_at, datapoint.id), reverse=True)

    def find_datapoints(self, *, dataset_name: str, ids: Iterable[Id]) -> dict[uuid.UUID, datetime | None]:
        """Return which of the ids there are, each with the time when it was deleted (None: live); no file is read."""
        wanted = [one for one in dict.fromkeys(map(parse_id, ids)) if is_datapoint_id(one)]
        dataset = self._datasets.get(dataset_name)

        def action(view: DatasetView) -> dict[uuid.UUID, datetime | None]:
            return {one: view.staled_at(one) for one in wanted if view.is_there(one)}

        return dataset.read(action, absent={})

    def update_datapoints(
        self, *, dataset_name: str, requests: Sequence[object], new_ids: bool = True, merge_tags: bool = False
    ) -> list[uuid.UUID]:
        """Update datapoints: all of them or none.

        Args:
            dataset_name: Their dataset.
            requests: Items of the v1 form: `type`, `id` and the fields to change.
            new_ids: Whether a successor with a new id takes over, and the old datapoint becomes stale, as in the API;
                otherwise the file is changed in place.
            merge_tags: Whether `tags` are added to those that are there, rather than taking their place as in the API.

        Returns:
            The ids that the datapoints have now, in order.

        Raises:
            DatapointNotFoundError: There is no live datapoint with one of the ids.
            RequestError: An item is wrong, stands twice, or there is none.
        """
        from filestore.requests_v1 import in_place, parse_update_item, successor
        from filestore.schema import limited

        items = self._parse_items(dataset_name, requests, parse_update_item)
        dataset = self._datasets.get(dataset_name)
        _refuse_empty(items)
        _refuse_repeated([item.id for item in items])
        config = self.config

        def plan(view: DatasetView) -> tuple[Change, list[uuid.UUID]]:
            change = Change()
            with limited():
                updated = self._updated(view, items, config, merge_tags=merge_tags)
            if new_ids:
                ids = self._id_maker.make(len(items), after=max(item.id for item in items))
                updated = [successor(datapoint, new_id) for datapoint, new_id in zip(updated, ids, strict=True)]
                changes.supersede(change, view, [item.id for item in items], self._clock())
            else:
                now = self._clock()
                updated = [in_place(datapoint, now) for datapoint in updated]
            for datapoint, item in zip(updated, items, strict=True):
                complete, files = self.bring_along(datapoint, item.files, dataset)
                changes.put(change, view, complete, files, replaces=not new_ids)
            return change, [datapoint.id for datapoint in updated]

        return self._write_existing(dataset, plan, items[0].id)

    def _updated(
        self, view: DatasetView, items: Sequence[UpdateItem], config: FunctionConfig, *, merge_tags: bool
    ) -> list[Datapoint]:
        updated = []
        for index, item in enumerate(items):
            with naming_item(index):
                current = require_live(view, item.id, self._load_config)
                updated.append(_updated(current, item, config, merge_tags=merge_tags))
        return updated

    def update_datapoints_metadata(self, *, dataset_name: str, requests: Sequence[object]) -> list[uuid.UUID]:
        """Rename datapoints in place: all of them or none; return their ids.

        Args:
            dataset_name: Their dataset.
            requests: Items of the v1 form: `id`, and `name` (None clears it).

        Raises:
            DatapointNotFoundError: There is no live datapoint with one of the ids.
            RequestError: An item is wrong, stands twice, or there is none.
        """
        from filestore.requests_v1 import in_place, parse_metadata_item

        items = self._parse_items(dataset_name, requests, lambda value, _: parse_metadata_item(value))
        dataset = self._datasets.get(dataset_name)
        _refuse_empty(items)
        _refuse_repeated([item.id for item in items])

        def plan(view: DatasetView) -> tuple[Change, list[uuid.UUID]]:
            change = Change()
            now = self._clock()
            for item in items:
                current = require_live(view, item.id, self._load_config)
                renamed = replace(current, name=item.name if item.sets_name else current.name)
                changes.put(change, view, in_place(renamed, now), {}, replaces=True)
            return change, [item.id for item in items]

        return self._write_existing(dataset, plan, items[0].id)

    def delete_datapoints(self, *, dataset_name: str, ids: Iterable[Id]) -> int:
        """Soft-delete datapoints; return how many of the ids were live.

        Raises:
            RequestError: There is no id.
        """
        wanted = list(dict.fromkeys(map(parse_id, ids)))
        self._datasets.get(dataset_name)
        if not wanted:
            raise RequestError("ids must be a non-empty list")
        return self._stale(dataset_name, lambda view: (one for one in wanted if changes.is_live(view, one)))

    def clone_datapoints(self, *, dataset_name: str, ids: Iterable[Id]) -> list[uuid.UUID | None]:
        """Copy live datapoints of any dataset into one.

        Args:
            dataset_name: The dataset the copies go into.
            ids: The datapoints to copy; a repeated one is copied once.

        Returns:
            The id of the copy for each id, in order; None where there is no such live datapoint.
        """
        wanted = list(map(parse_id, ids))
        dataset = self._datasets.get(dataset_name)
        copies: dict[uuid.UUID, tuple[Datapoint, dict[str, bytes]]] = {}
        for name in self._datasets.names():
            copies.update(self._read_copies(name, [one for one in wanted if one not in copies], dataset))
        ordered = [one for one in dict.fromkeys(wanted) if one in copies]
        new_ids = dict(zip(ordered, self._id_maker.make(len(ordered)), strict=True))
        insert(dataset, [(_cloned(copies[one][0], new_ids[one], dataset_name), copies[one][1]) for one in ordered])
        return [new_ids.get(one) for one in wanted]

    def _read_copies(
        self, dataset_name: str, ids: Iterable[uuid.UUID], target: Dataset
    ) -> dict[uuid.UUID, tuple[Datapoint, dict[str, bytes]]]:
        load = self._load_config

        def action(view: DatasetView) -> dict[uuid.UUID, tuple[Datapoint, dict[str, bytes]]]:
            found = ((one, changes.find_live(view, one, load)) for one in dict.fromkeys(ids))
            return {one: self.bring_along(datapoint, {}, target) for one, datapoint in found if datapoint is not None}

        return self._datasets.get(dataset_name).read(action, absent={})

    def count_datapoints(self, *, dataset_name: str, function_name: str | None = None) -> int:
        """Count live datapoints, of one function or of all."""
        dataset = self._datasets.find(dataset_name)
        if dataset is None:
            return 0
        return dataset.read(lambda view: self._lists(view).count(function_name), absent=0)

    def _parse_items(
        self, dataset_name: str, requests: Sequence[object], parse: Callable[[JSONValue, str], Item]
    ) -> list[Item]:
        """Check the shape of request items, before anything else about the request."""
        try:
            directory = self._datasets.get(dataset_name).layout.directory
        except DatasetNameError:
            directory = ""  # refused by the caller, after the items' shape
        try:
            return parse_list(to_json_value(requests), lambda value: parse(value, directory))
        except ShapeError as error:
            # Not by way of a name: what knows its frame, and is known there, keeps the whole request in memory.
            raise _in_list(error) from None


def _in_list(error: ShapeError) -> ShapeError:
    placed = error.within("datapoints")
    placed.item = next((step for step in error.pointer if isinstance(step, int)), None)
    return placed


def _updated(current: Datapoint, item: UpdateItem, config: FunctionConfig, *, merge_tags: bool) -> Datapoint:
    from filestore.requests_v1 import build_updated

    updated = build_updated(current, item, config)
    return replace(updated, tags={**current.tags, **updated.tags}) if merge_tags else updated


def _cloned(datapoint: Datapoint, new_id: uuid.UUID, dataset_name: str) -> Datapoint:
    return replace(datapoint, id=new_id, dataset_name=dataset_name, updated_at=created_at(new_id), replaces=None)


def _refuse_empty(items: Sequence[object]) -> None:
    if not items:
        raise RequestError("At least one datapoint must be provided")


def _refuse_repeated(ids: Sequence[uuid.UUID]) -> None:
    seen: set[uuid.UUID] = set()
    for one in ids:
        if one in seen:
            raise RequestError(f"Duplicate datapoint id provided: {one}")
        seen.add(one)
