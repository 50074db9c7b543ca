"""The reference: what the same calls cost in the system whose API this is.

TensorZero's gateway embedded in the process, PostgreSQL with default settings, datapoints of about 930 bytes, no HTTP
hop, on two cores; medians, or the range of them where they varied from run to run.
"""

from __future__ import annotations

NAME = "reference"

_SIZES = (1_000, 10_000, 100_000)
_Cell = float | tuple[float, float]

_MILLISECONDS: dict[str, tuple[_Cell, _Cell, _Cell]] = {
    "insert one": (0.66, 0.78, 0.76),
    "list 20": (0.63, 0.95, 1.1),
    "list 100": (1.9, 2.6, 3.7),
    "list 1,000": (16, 19, 24),
    "list 20 at N/2": (0.89, 1.9, 37),
    "list 20 by function": (0.83, 0.94, 1.1),
    "list 20 by a tag of 1 %": (1.2, 4.3, (2, 24)),
    "list 1,000 by a tag of 1 %": (1.2, 9.5, (32, 131)),
    "list by a tag that none has": (0.96, 6.6, (1, 103)),
    "search, no match": (9, 90, (4, 904)),
    "get by id": (0.48, 0.44, 0.52),
    "update one": (1.6, 1.6, 1.7),
    "delete one": (0.76, 0.84, 0.92),
}
_PER_SECOND: dict[str, tuple[float, float, float]] = {
    "bulk insert, in batches of 1,000": (5_600, 4_300, 2_500),
    "update, in batches of 100": (1_290, 1_210, 630),
    "delete, in batches of 100": (3_400, 2_080, 1_350),
}
NAMES = frozenset(_MILLISECONDS) | frozenset(_PER_SECOND)
"""The operations that were measured."""
_FORMS = (", fresh store", ", v1", ", again", ", first time")
_MEGABYTES = (91.0, 119.0, 343.0)


def operation(name: str) -> str:
    """Return what a row measures, whichever form of it.

    >>> operation("get by id, again, v1")
    'get by id'
    """
    for form in _FORMS:
        name = name.removesuffix(form)
    return name


def reference(group: str, name: str, size: int) -> tuple[float, float] | None:
    """Return the lowest and the highest cost of a row, in its unit, or None where it was not measured.

    Args:
        group: The row's group.
        name: The row's operation; its v1 form, and its first call and the later ones, are held to the same.
        size: Datapoints; between the sizes measured the next smaller one counts.
    """
    column = max((place for place, measured in enumerate(_SIZES) if measured <= size), default=0)
    if group == "memory":
        return (_MEGABYTES[column], _MEGABYTES[column])
    if group not in ("read", "write"):
        return None
    call = operation(name)
    if call in _PER_SECOND:
        rate = _PER_SECOND[call][column]
        return (1 / rate, 1 / rate)
    if call not in _MILLISECONDS:
        return None
    cell = _MILLISECONDS[call][column]
    low, high = cell if isinstance(cell, tuple) else (cell, cell)
    return (low / 1000, high / 1000)
