"""Lists wherever they are, without what has a result already; and their items as text, on their way to workers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict

from transducer.archive.addresses import folder_of, locate
from transducer.archive.manifest import BadLine, Item, Manifest
from transducer.archive.names import Fingerprints, fingerprint
from transducer.errors import UsageError

_KINDS = {kind.__name__: kind for kind in (Item, BadLine)}


def read_list(manifest: str) -> Iterator[Item | BadLine]:
    """The items of a list at a path or an address. Raises UsageError where it cannot be read."""
    system, place = locate(manifest)
    try:
        file = io.BufferedReader(system.open_input_file(place))
    except OSError as error:
        raise UsageError(f"{manifest}: the list cannot be read: {str(error).splitlines()[0]}") from None
    with file:
        yield from Manifest(file, manifest, folder_of(manifest))


def missing(manifest: str, known: Fingerprints) -> Iterator[Item | BadLine]:
    """Those of a list whose `key` is not known."""
    return (item for item in read_list(manifest) if known.get(key(item.line, item.name)) is None)


def key(line: int, name: str) -> int:
    """What an item of a list is known by: its line, and the path as it was listed."""
    return fingerprint(line, name)


def as_item(item: Item | BadLine) -> Item:
    """A line that cannot be meant as an item, to say of it that it failed."""
    return Item("", item.name, line=item.line) if isinstance(item, BadLine) else item


def encode(item: Item | BadLine) -> str:
    """As JSON."""
    return json.dumps({"kind": type(item).__name__, **asdict(item)})


def decode(text: str) -> Item | BadLine:
    """The inverse of `encode`."""
    values = json.loads(text)
    return _KINDS[values.pop("kind")](**values)
