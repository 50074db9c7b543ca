"""Many ids in little memory, for whoever goes through all of them once, in order, and forgets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["PackedIds", "iter_without"]

_BYTES = 16
_MOST_LOOSE = 1 << 14
"""So many are held as text, each of which takes six times the room; then they are sorted and packed."""


class PackedIds:
    """Ids, 16 bytes each, which iterate newest first as the text they were given as.

    >>> ids = PackedIds(["019a4903-0e5f-7522-aed5-b912bbcb6b2a", "019a4903-0e5f-7522-aed5-b912bbcb6b2b"])
    >>> [one[-2:] for one in ids]
    ['2b', '2a']
    """

    def __init__(self, ids: Iterable[str] = (), most_loose: int = _MOST_LOOSE) -> None:
        self._loose: list[str] = []
        self._chunks: list[bytes] = []
        self._most_loose = most_loose
        self.add(ids)

    def add(self, ids: Iterable[str]) -> None:
        """Take in ids, spelled as the names of datapoint files spell them."""
        self._loose += ids
        if len(self._loose) >= self._most_loose:
            self._chunks.append(bytes.fromhex("".join(sorted(self._loose)).replace("-", "")))
            self._loose.clear()

    def __iter__(self) -> Iterator[str]:
        loose = sorted(self._loose, reverse=True)
        if not self._chunks:
            return iter(loose)
        from heapq import merge  # only here: most datasets fit in one list

        return merge(loose, *map(_iter_chunk, self._chunks), reverse=True)


def _iter_chunk(chunk: bytes) -> Iterator[str]:
    for end in range(len(chunk), 0, -_BYTES):
        text = chunk[end - _BYTES : end].hex()
        yield f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def iter_without(ids: Iterable[str], others: Iterable[str]) -> Iterator[str]:
    """Iterate over those of the ids that are not among the others, each once; both descend.

    >>> list(iter_without(["d", "d", "c", "b"], ["e", "c", "c", "a"]))
    ['d', 'b']
    """
    rest = iter(others)
    other = next(rest, "")
    last = ""
    for one in ids:
        while other > one:
            other = next(rest, "")
        if one not in (other, last):
            yield one
        last = one
