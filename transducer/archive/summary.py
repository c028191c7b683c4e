"""The summary of a run: a line of JSON for each file as soon as it is done, and what a later run goes on from.

A line is written after the results that it tells of have their names, in one piece. What a killed process leaves is
whole lines and at most one half, the last; that file counts as not done.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from transducer.archive.names import Fingerprints, fingerprint
from transducer.atomic import atomic_write
from transducer.errors import UsageError

SUMMARY = "summary.jsonl"
DONE, PARTS_MISSING, FAILED = "done", "parts missing", "failed"


@dataclass(frozen=True)
class Entry:
    """A file in the summary.

    Attributes:
        file: as it was named.
        output: name of its results below the output folder, without suffix; None where it has no name.
        status: one of `DONE`, `PARTS_MISSING`, `FAILED`.
        duration: of the media, or of the part that was worked on, in seconds; None where it is not known.
        error: why it failed.
        seconds: that the work took.
        identity: what the file was and how it was worked on, see `identify`.
    """

    file: str
    output: str | None
    status: str
    duration: float | None = None
    error: str | None = None
    seconds: float = 0.0
    identity: str = ""

    def line(self) -> bytes:
        data = {**vars(self), "seconds": round(self.seconds, 3)}
        return json.dumps(data).encode() + b"\n"


class Summary:
    """The summary file of an output folder, open for one run. A context manager.

    Args:
        folder: of the output; made if need be.
        resume: keep what an earlier run has done. Without it the summary begins anew.

    Raises:
        UsageError: another run is at work in the folder, or the summary cannot be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str], resume: bool = False):
        self.path = Path(folder, SUMMARY)
        self._known = Fingerprints()  # output -> identity of what is done
        self._offsets = Fingerprints()  # output -> where its line begins
        self._superseded: set[int] = set()
        self._file = self._open()
        try:
            if resume:
                self._file.truncate(self._read())
            else:
                self._file.truncate(0)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Summary:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Outputs that are done."""
        return len(self._known)

    def is_done(self, output: str, identity: str) -> bool:
        """Whether an earlier run has done an item as it is now."""
        return self._known.get(fingerprint(output)) == fingerprint(identity)

    def add(self, entry: Entry) -> None:
        """Write what became of a file.

        Raises:
            UsageError: it cannot be written.
        """
        old = None if entry.output is None else self._offsets.get(fingerprint(entry.output))
        if old is not None:
            self._superseded.add(old)
        try:
            self._file.write(entry.line())
        except OSError as error:
            raise self._problem(error) from None

    def tidy(self) -> None:
        """At the end of a run: leave out lines for which there are newer ones."""
        if not self._superseded:
            return
        with atomic_write(self.path, "wb") as file:
            file.writelines(line for offset, line in self._lines() if offset not in self._superseded)

    def close(self) -> None:
        self._file.close()

    def _open(self) -> BinaryIO:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer: a line is one call, which nothing can part but the end of the disk.
            file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise self._problem(error) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise UsageError(
                f"{self.path}: another run writes into this folder; wait for it, or choose another"
            ) from None
        except OSError:
            pass  # a file system without locks
        return file

    def _read(self) -> int:
        """Take in the lines of earlier runs; returns where the last whole line ends."""
        end = 0
        for offset, line in self._lines():
            end = offset + len(line)
            try:
                data: Any = json.loads(line)
                output, status, identity = data["output"], data["status"], data["identity"]
            except (ValueError, TypeError, KeyError):
                continue
            if not isinstance(output, str):
                self._superseded.add(offset)  # of a line of a list that is read again
                continue
            key = fingerprint(output)
            if (old := self._offsets.get(key)) is not None:
                self._superseded.add(old)
            self._offsets.put(key, offset)
            self._known.put(key, 0 if status == FAILED else fingerprint(identity))
        return end

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """(offset, line) of every whole line."""
        try:
            with open(self.path, "rb") as file:
                offset = 0
                for line in file:
                    if line.endswith(b"\n"):
                        yield offset, line
                    offset += len(line)
        except OSError as error:
            raise self._problem(error) from None

    def _problem(self, error: OSError) -> UsageError:
        return UsageError(f"{self.path}: cannot be read or written: {error.strerror}; choose another --output-dir")


def identify(path: str, made: str, part: object = (), by_content: bool = False) -> str:
    """What tells, beside its name, whether a file is still what it was: its size and time, or the hash of its content.

    Args:
        path: of the file; of an address, or of what is no file, there is the name alone.
        made: how it is worked on: of another model, results are others.
        part: of the file.
        by_content: read all of it.

    Raises:
        OSError: it cannot be read.
    """
    if "://" in path or not os.path.isfile(path):
        what = path
    elif by_content:
        with open(path, "rb") as file:
            what = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        status = os.stat(path)
        what = f"{status.st_size} {status.st_mtime_ns}"
    return f"{what} {part} {made}" if part else f"{what} {made}"
