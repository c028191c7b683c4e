"""Files of a checkpoint that hold tables: a line that says what they are, a line of JSON, and deflated sections.

The line of JSON has a checksum of its own; every section ends in that of its zlib stream.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.errors import CheckpointError
from transducer.text.json_file import CHECKSUM, checksum, parse, read_bytes

# Of a file, and of its sections once inflated: a thousand times as much as deflate makes of it is easily written.
MOST_BYTES = 1 << 28
_MOST_HEADER = 1 << 20


def write_sections(path: str | Path, magic: bytes, header: dict[str, Any], sections: Iterable[bytes]) -> None:
    """Write a file that `read_sections` reads; `magic` ends its first line."""
    packed = [zlib.compress(section, 9) for section in sections]
    fields = {**header, "sections": [len(section) for section in packed]}
    head = json.dumps({**fields, CHECKSUM: checksum(fields)})
    with atomic_write(path, "wb") as file:
        file.write(magic + head.encode() + b"\n" + b"".join(packed))


def read_sections(path: str | Path, magic: bytes, kind: str) -> tuple[dict[str, Any], list[bytes]]:
    """The header and the sections.

    Args:
        kind: of file, for the messages.

    Raises:
        CheckpointError: the file is missing, of another kind or version, or damaged.
    """
    data = read_bytes(path, MOST_BYTES)
    if not data.startswith(magic):
        raise CheckpointError(f"{path} is not a transducer {kind}, or one of another version")
    try:
        end = data.index(b"\n", len(magic), len(magic) + _MOST_HEADER) + 1
        header = parse(data[len(magic) : end])
        sizes = counts(header.get("sections"), "sections")
        if sum(sizes) != len(data) - end:
            raise ValueError(f"{len(data) - end} bytes where there must be {sum(sizes)}")
        sections, left = [], MOST_BYTES
        for size in sizes:
            sections.append(inflate(data[end : end + size], left))
            end, left = end + size, left - len(sections[-1])
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    return header, sections


def inflate(data: bytes, most: int = MOST_BYTES) -> bytes:
    """The inverse of `zlib.compress`. Raises ValueError where it is damaged, or more than so many bytes."""
    stream = zlib.decompressobj()
    try:
        result = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(result) > most:
        raise ValueError(f"it inflates to more than {most >> 20} MB")
    if not stream.eof or stream.unused_data:  # only at its end is the checksum compared
        raise ValueError("a section has no end, or something behind it")
    return result


def counts(value: Any, name: str) -> list[int]:
    """A list of non-negative integers from a header. Raises ValueError for anything else."""
    if not isinstance(value, list) or not all(type(item) is int and item >= 0 for item in value):
        raise ValueError(f"{name} must be a list of counts")
    return value
