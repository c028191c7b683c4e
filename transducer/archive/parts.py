"""Results of many items in one folder, as JSON lines or Parquet: files of some hundreds of items that appear whole.

What a killed process leaves is whole files; the items that were in none of them count as not done.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from transducer.archive.addresses import locate
from transducer.archive.listed import key
from transducer.archive.manifest import Item
from transducer.archive.names import Fingerprints
from transducer.archive.results import Done
from transducer.archive.summary import FAILED
from transducer.errors import UsageError
from transducer.results import Event, Labelling, Scene, Segment, Transcript, Word

FORMATS = ("jsonl", "parquet")
ROWS = 500  # items in a file, at most
SECONDS = 30.0  # after which a file is written anyway
_NAME = re.compile(r"part-(\d{6,})\.(jsonl|parquet)")
_UNFINISHED = ".unfinished"


class Parts:
    """The results in a folder, open for one run. A context manager, which writes what is left at its end.

    Args:
        folder: path or address; made if need be.
        format: one of `FORMATS`.
        kind: of results, `Transcript` or `Labelling`: the columns of Parquet.
        resume: keep what earlier runs have done; items that failed are taken out, to be tried again.
        rows, seconds: see `ROWS` and `SECONDS`.

    Attributes:
        known: the key of each item, see `listed.key`, that has a result when the run begins.

    Raises:
        UsageError: the folder has results and `resume` is False; it cannot be read or written.
    """

    def __init__(
        self, folder: str, format: str, kind: type, resume: bool = False, rows: int = ROWS, seconds: float = SECONDS
    ):
        self.folder, self.format = folder, format
        self.known = Fingerprints()
        self._schema = schema_of(kind) if format == "parquet" else None
        self._rows, self._seconds = rows, seconds
        self._waiting: list[dict[str, Any]] = []
        self._since = time.monotonic()
        self._system, self._place = locate(folder)
        self._next = self._safely(lambda: self._open(resume))

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *exception: object) -> None:
        self.flush()

    def add(self, fields: dict[str, Any]) -> None:
        """What became of an item, see `Done.fields`."""
        self._waiting.append(fields)
        if len(self._waiting) >= self._rows or time.monotonic() - self._since > self._seconds:
            self.flush()

    def flush(self) -> None:
        """Write a file of what is waiting."""
        if self._waiting:
            name = f"part-{self._next:06}.{self.format}"
            self._safely(lambda: self._write(name, self._waiting))
            self._next += 1
            self._waiting = []
        self._since = time.monotonic()

    def _open(self, resume: bool) -> int:
        """Take in what is there; the number of the next file."""
        from pyarrow import fs

        self._system.create_dir(self._place, recursive=True)
        last = -1
        for info in self._system.get_file_info(fs.FileSelector(self._place)):
            found = _NAME.fullmatch(info.base_name)
            if info.base_name.endswith(_UNFINISHED):
                self._system.delete_file(info.path)
            if found is None:
                continue
            if not resume:
                raise UsageError(
                    f"{self.folder}: has results already: go on with them by --resume, or choose another --output"
                )
            if found[2] != self.format:
                raise UsageError(f"{self.folder}: has results as {found[2]}: go on with --format {found[2]}")
            last = max(last, int(found[1]))
            self._take(info.base_name)
        return last + 1

    def _take(self, name: str) -> None:
        rows = list(self._read(name))
        done = [row for row in rows if row["status"] != FAILED]
        if not done:
            self._system.delete_file(f"{self._place}/{name}")
        elif len(done) < len(rows):
            self._write(name, done)
        for row in done:
            self.known.put(key(row["line"], row["path"]), 1)

    def _read(self, name: str) -> Iterator[dict[str, Any]]:
        with self._system.open_input_file(f"{self._place}/{name}") as file:
            if self.format == "parquet":
                from pyarrow import parquet

                yield from parquet.read_table(file).to_pylist()
            else:
                yield from map(json.loads, file.read().splitlines())

    def _write(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        unfinished = f"{self._place}/{name}{_UNFINISHED}"
        with self._system.open_output_stream(unfinished) as file:
            if self.format == "parquet":
                from pyarrow import Table, parquet

                parquet.write_table(Table.from_pylist(list(rows), schema=self._schema), file)
            else:
                for row in rows:
                    file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n")
        self._system.move(unfinished, f"{self._place}/{name}")

    def _safely(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (OSError, ValueError, KeyError, TypeError) as error:  # ValueError: of no JSON, and pyarrow's own
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UsageError(f"{self.folder}: cannot be read or written: {reason}") from None


def schema_of(kind: type) -> Any:
    """Of a table of results of a kind, as pyarrow has it: that of a result with all that there can be in one."""
    import pyarrow

    example = Done(Item("", "", line=1), _EXAMPLES[kind], 0.5).fields
    schema = pyarrow.Table.from_pylist([example]).schema
    return schema.set(schema.get_field_index("error"), pyarrow.field("error", pyarrow.string()))


_SEGMENT = Segment((Word("a", 0.5, 0.5, 0.5),), True, 0.5, 0.5, 1, (("a", 0.5),))
_EVENT, _SCENE = Event("a", 0.5, 0.5, 1, 1, 0.5, None, (0.5,)), Scene("a", 0.5, 0.5, 1, 1, 0.5, (0.5,))
_EXAMPLES: dict[type, Transcript | Labelling] = {
    Transcript: Transcript((_SEGMENT,), 0.5, "", "", ("",)),
    Labelling: Labelling("", 0.5, 1, 0.5, (_EVENT,), (_SCENE,), ("",), "spans", ("a",), (0.5,), ((0.5,),), ""),
}
