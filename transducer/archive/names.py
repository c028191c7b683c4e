"""What the results of an item are called: settled item by item, with a few bytes of memory for each."""

from __future__ import annotations

import hashlib
from array import array
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from transducer.archive.manifest import Item
from transducer.errors import UsageError

_MASK = (1 << 64) - 1


def fingerprint(*parts: object) -> int:
    """64 bits of a hash of some values, never 0: of a million, two are the same once in 40 million times."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") or 1


class Fingerprints:
    """A map from fingerprints to numbers of 64 bits, in 24 to 48 bytes an entry; a dict takes 130.

    Open addressing with linear probing; fingerprints are random already.
    """

    def __init__(self) -> None:
        self._keys, self._values = _zeros(1024), _zeros(1024)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, key: int) -> int | None:
        place = self._find(key)
        return self._values[place] if self._keys[place] else None

    def put(self, key: int, value: int) -> None:
        if 3 * self._count >= 2 * len(self._keys):
            old = zip(self._keys, self._values, strict=True)
            self._keys, self._values = _zeros(2 * len(self._keys)), _zeros(2 * len(self._keys))
            for other, kept in old:
                if other:
                    place = self._find(other)
                    self._keys[place], self._values[place] = other, kept
        place = self._find(key)
        self._count += not self._keys[place]
        self._keys[place], self._values[place] = key, value & _MASK

    def _find(self, key: int) -> int:
        last = len(self._keys) - 1
        place = key & last
        while self._keys[place] not in (0, key):
            place = (place + 1) & last
        return place


class Names:
    """Gives every item of a run a name of its own.

    `talk.mp3` is `talk`; where another item has that name already, the suffix stays: `talk.mp3`. A part of a file has
    its place in its name: `talk@60` from second 60 on, `talk@60+30` of 30 seconds. The same items in the same order
    have the same names.
    """

    def __init__(self) -> None:
        self._taken = Fingerprints()

    def give(self, item: Item) -> PurePosixPath:
        """The item's name, below the output folder and without a suffix.

        Raises:
            UsageError: its name is another item's, or it is listed twice.
        """
        if item.output is not None:
            choices = [PurePosixPath(item.output)]
        else:
            whole = listed_place(item.name)
            choices = [
                whole.with_name((whole.stem or whole.name) + _part(item)),
                whole.with_name(whole.name + _part(item)),
            ]
        for name in choices:
            key = fingerprint(name)
            if (line := self._taken.get(key)) is None:
                self._taken.put(key, item.line)
                return name
        where = f" of line {line}" if line else ""
        if item.output is not None:
            raise UsageError(f"its results would be written over those{where}: give them another output")
        raise UsageError(f"its results would be written over those{where}: it is listed twice, or needs an output")


def listed_place(name: str) -> PurePosixPath:
    """Where the results of a path or an address go: the folders that it names, below the output folder."""
    if "://" in name:
        parts = urlsplit(name)
        place = PurePosixPath(parts.hostname or "", unquote(parts.path).lstrip("/"))
    else:
        place = PurePosixPath(name)
    inside = [part for part in place.parts if part not in ("/", "//", "..")]
    return PurePosixPath(*inside) if inside else PurePosixPath("stream")


def _part(item: Item) -> str:
    part = "" if item.start is None and item.length is None else f"@{item.start or 0:g}"
    part += "" if item.length is None else f"+{item.length:g}"
    return part + ("" if item.track is None else f"#{item.track}")


def _zeros(count: int) -> array[int]:
    return array("Q", bytes(8 * count))
