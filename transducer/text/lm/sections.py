"""Files of a checkpoint that hold tables: a line that says what they are, a line of JSON, and deflated sections."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.errors import CheckpointError


def write_sections(path: str | Path, magic: bytes, header: dict[str, Any], sections: Iterable[bytes]) -> None:
    """Write a file that `read_sections` reads; `magic` ends its first line."""
    packed = [zlib.compress(section, 9) for section in sections]
    head = json.dumps({**header, "sections": [len(section) for section in packed]})
    with atomic_write(path, "wb") as file:
        file.write(magic + head.encode() + b"\n" + b"".join(packed))


def read_sections(path: str | Path, magic: bytes, name: str, kind: str) -> tuple[dict[str, Any], list[bytes]]:
    """The header and the sections.

    Args:
        name, kind: what the file holds, and what kind of file it is, for the messages.

    Raises:
        CheckpointError: the file is missing, of another kind or version, or damaged.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read {name} ({error.strerror})") from None
    if not data.startswith(magic):
        raise CheckpointError(f"{path} is not a transducer {kind}, or one of another version")
    try:
        end = data.index(b"\n", len(magic)) + 1
        header = json.loads(data[len(magic) : end])
        bounds = accumulate(header["sections"], initial=end)
        return header, [zlib.decompress(data[a:b]) for a, b in pairwise(bounds)]
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
