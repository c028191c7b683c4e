"""Results of many items as files that appear whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from transducer.archive.listed import key
from transducer.archive.manifest import Item
from transducer.archive.parts import FORMATS, Parts
from transducer.archive.results import Done, Failed
from transducer.errors import UsageError
from transducer.results import Labelling, Scene, Segment, Transcript, Word

pytest.importorskip("pyarrow")

WORD = Word("five", 0.25, 0.5, 0.75)
TRANSCRIPT = Transcript((Segment((WORD,), True, 0.25, 0.5, 1),), 2.0, "a.mp3", "en", ("a warning",))
LABELLING = Labelling("a.mp4", 25.0, 50, 2.0, (), (Scene("shot", 0.0, 2.0, 0, 50, 1.0),))


def item(number: int) -> Item:
    return Item(f"/x/{number}.mp3", f"{number}.mp3", line=number)


def rows_of(folder: Path) -> list[dict]:
    """Of all files in a folder; what is null is left out, as JSON has it."""
    if parquet := sorted(folder.glob("*.parquet")):
        from pyarrow.parquet import read_table

        return [without_null(row) for path in parquet for row in read_table(path).to_pylist()]
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [without_null(json.loads(line)) for line in lines]


def without_null(data):
    if isinstance(data, dict):
        return {name: without_null(value) for name, value in data.items() if value is not None}
    return [without_null(value) for value in data] if isinstance(data, list) else data


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("result", [TRANSCRIPT, LABELLING], ids=["words", "events"])
def test_rows_have_the_fields_of_the_results(tmp_path, format, result):
    found = [Done(item(1), result, 0.5), Failed(item(2), "2.mp3: no sound"), Done(item(3), result, 0.5, True)]
    with Parts(str(tmp_path / "out"), format, type(result), rows=2) as parts:
        for outcome in found:
            parts.add(outcome.fields)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"part-{n:06}.{format}" for n in range(2)]
    assert rows_of(tmp_path / "out") == [without_null(outcome.fields) for outcome in found]


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_goes_on_with_what_is_whole(tmp_path, format):
    folder = tmp_path / "out"
    with Parts(str(folder), format, Transcript, rows=3) as parts:
        for number in range(6):
            done, failed = Done(item(number), TRANSCRIPT, 0.5), Failed(item(number), "no sound")
            parts.add((failed if number in (1, 3, 4, 5) else done).fields)
    (folder / f"part-000002.{format}.unfinished").write_bytes(b"half")
    with pytest.raises(UsageError, match="has results already: go on with them by --resume"):
        Parts(str(folder), format, Transcript)
    other = FORMATS[1 - FORMATS.index(format)]
    with pytest.raises(UsageError, match=f"has results as {format}: go on with --format {format}"):
        Parts(str(folder), other, Transcript, resume=True)
    with Parts(str(folder), format, Transcript, resume=True) as parts:
        known = [number for number in range(6) if parts.known.get(key(number, f"{number}.mp3")) is not None]
        assert known == [0, 2]  # what failed is tried again
        parts.add(Done(item(1), replace(TRANSCRIPT, source="again"), 0.5).fields)
    assert [(row["line"], row["source"]) for row in rows_of(folder)] == [(0, "a.mp3"), (2, "a.mp3"), (1, "again")]
    assert not list(folder.glob("*.unfinished"))


def test_results_are_written_as_time_goes_on(tmp_path):
    with Parts(str(tmp_path), "jsonl", Transcript, seconds=0.0) as parts:
        for number in range(2):
            parts.add(Failed(item(number), "no sound").fields)
            assert len(rows_of(tmp_path)) == number + 1


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/out: cannot be read or written"):
        Parts(str(tmp_path / "file" / "out"), "jsonl", Transcript)
    (tmp_path / "part-000000.jsonl").write_text("{")
    with pytest.raises(UsageError, match="cannot be read or written"):
        Parts(str(tmp_path), "jsonl", Transcript, resume=True)
    with pytest.raises(UsageError, match=r"nowhere://x: cannot be opened"):
        Parts("nowhere://x", "jsonl", Transcript)
