"""Small files of a checkpoint that hold one JSON object, with a checksum of what it says."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.errors import CheckpointError

CHECKSUM = "crc32"
MOST_BYTES = 1 << 24  # of a file; the bundled ones have a thousandth of it


def checksum(document: dict[str, Any]) -> int:
    """CRC-32 of a JSON object, however it is laid out."""
    return zlib.crc32(json.dumps(document, sort_keys=True).encode())


def parse(data: bytes | str) -> dict[str, Any]:
    """The object, without its checksum. Raises ValueError where it is none, or not the one that was written."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        # Files from before there were checksums have none.
        if CHECKSUM in document and document.pop(CHECKSUM) != checksum(document):
            raise ValueError(f"its checksum differs; whoever edits the file removes {CHECKSUM} from it")
    except RecursionError:
        raise ValueError("brackets in brackets without end") from None
    return document


def write_json(path: str | Path, document: dict[str, Any], indent: int = 1) -> None:
    """Write a file that `read_json` reads."""
    with atomic_write(path) as file:
        json.dump({**document, CHECKSUM: checksum(document)}, file, ensure_ascii=False, indent=indent)
        file.write("\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        CheckpointError: the file is missing, too large, or damaged.
    """
    try:
        return parse(read_bytes(path, MOST_BYTES))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {str(error).splitlines()[0]}") from None


def read_bytes(path: str | Path, most: int) -> bytes:
    """The contents of a file. Raises CheckpointError where it is missing, or has more than `most` bytes."""
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > most:
        raise CheckpointError(f"{path} is damaged: it has more than {most >> 20} MB")
    return data
