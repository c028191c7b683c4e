"""Pairs of any kind: what they are taken for, and one clear line for each thing that is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from transducer.data.pair_table import check_known, read_pairs
from transducer.data.shapes import MOST_LABELS
from transducer.errors import UsageError

TAGS = {"the": "DET", "dog": "NOUN", "sees": "VERB"}


def write(path: Path, rows) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def numbered(count: int, x, y) -> list[dict]:
    return [{"x": x(number), "y": y(number)} for number in range(count)]


KINDS = {
    "labels of words": (lambda n: ["dog", "the dog"][n % 2], lambda n: ["A", "B"][: n % 2 + 1], "n2n", "words"),
    "labels of words as text": (lambda n: "the dog sees", lambda n: "D N V", "n2n", "words"),
    "labels of characters": (lambda n: "abc", lambda n: [0, 1, n % 2], "n2n", "characters"),
    "lists of words": (lambda n: ["the", "dog"], lambda n: ["D", "N"], "n2n", "words"),
    "a label": (lambda n: f"play {n}", lambda n: "music" if n % 2 else "light on", "n21", ""),
    "a number as a label": (lambda n: f"play {n}", lambda n: n % 3, "n21", ""),
    "a truth value": (lambda n: f"play {n}", lambda n: n % 2 == 0, "n21", ""),
    "a text": (lambda n: f"{n}+1", lambda n: str(n + 1), "n2m", ""),
    "a number as a text": (lambda n: f"{n}+1", lambda n: n + 1, "n2m", ""),
    "a list of words": (lambda n: f"{n}+1", lambda n: ["one", "two", "three"][: n % 3 + 1], "n2m", ""),
    "events": (lambda n: "a b c d", lambda n: [{"start": 1, "end": 3, "label": "xy"[n % 2]}], "n2n", "words"),
    "a label of a series": (lambda n: [1, 2, n], lambda n: n % 2, "n21", ""),
    "labels of rows": (lambda n: [[1, 2], [3, n]], lambda n: ["a", "b"], "n2n", "rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_the_shape_of_a_task(name, tmp_path):
    x, y, task, steps = KINDS[name]
    found = read_pairs(write(tmp_path / "a.jsonl", numbered(24, x, y)))
    assert (found.task, found.steps) == (task, steps)
    assert found.input == ("series" if isinstance(x(1), list) and not isinstance(x(1)[0], str) else "text")


def test_files_by_their_endings(tmp_path):
    for number in range(24):
        for ending in ("png", "wav", "csv", "txt"):
            (tmp_path / f"{number}.{ending}").write_text(f"a,b\n1,{number}\n")
    for ending, kind in (("png", "image"), ("wav", "sound"), ("csv", "series"), ("txt", "text")):
        rows = numbered(24, lambda n, ending=ending: f"{n}.{ending}", lambda n: "left" if n % 2 else "right")
        found = read_pairs(write(tmp_path / "a.jsonl", rows))
        assert (found.input, found.task) == (kind, "n21")
        item = found.table.items[3]
        if kind == "series":
            assert item.x.tolist() == [[1, 3]] and found.columns == ("a", "b")
        else:
            assert item.x == ("a,b\n1,3" if kind == "text" else None)
        assert item.path == (tmp_path / f"3.{ending}" if item.x is None else tmp_path / "a.jsonl")


def test_a_folder_for_each_class(tmp_path):
    for number in range(24):
        folder = tmp_path / ("cats" if number % 2 else "dogs")
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.png").touch()
    found = read_pairs(tmp_path)
    assert found.table.labels == ("cats", "dogs") and found.input == "image" and found.task == "n21"
    assert found.table.items[0].path == tmp_path / "cats" / "1.png"


def test_tables_with_columns(tmp_path):
    lines = ["sentence,intent,split", *(f'"play {n}",{"ab"[n % 2]},{"test" if n > 20 else "train"}' for n in range(24))]
    found = read_pairs(write(tmp_path / "a.csv", lines))
    assert found.table.labels == ("a", "b") and found.table.items[0].x == "play 0"
    assert [item.line for item in found.table.parts()[1]] == [23, 24, 25]
    lines = ["a,b,kind,more", *(f"{n},{2 * n},{'xy'[n % 2]},0" for n in range(24))]
    found = read_pairs(write(tmp_path / "b.csv", lines), x="a, b", y="kind")
    assert found.table.items[5].x.tolist() == [[5, 10]] and found.input == "series"
    lines = ["x\ty", *(f"[{n}, 2]\t{n % 2}" for n in range(24))]
    found = read_pairs(write(tmp_path / "c.tsv", lines))
    assert found.table.items[5].x.tolist() == [[5], [2]]


def test_what_is_the_same_stays_on_one_side(tmp_path):
    rows = numbered(60, lambda n: f"play {n % 30}", lambda n: "ab"[n % 2])
    train, dev = read_pairs(write(tmp_path / "a.jsonl", rows)).table.parts(0.3)
    assert 10 < len(dev) < 26 and not {item.x for item in train} & {item.x for item in dev}


GOOD = numbered(24, lambda n: f"play {n}", lambda n: "ab"[n % 2])
SERIES = numbered(24, lambda n: [[1, n]], lambda n: "ab"[n % 2])
TAGGED = numbered(24, lambda n: "the dog", lambda n: ["D", "N"])


def changed(rows: list[dict], number: int, **values) -> list[dict]:
    return [{**row, **values} if index == number else row for index, row in enumerate(rows)]


BAD = {
    "unequal lengths": (changed(TAGGED, 6, y=["D"]), r"line 7: y has 1 labels and x 2 words"),
    "empty x": (changed(GOOD, 6, x=" "), r"line 7: x is empty"),
    "empty y": (changed(GOOD, 6, y=""), r"line 7: y is empty"),
    "no y": (changed(GOOD, 6, y=None), r"line 7: y is empty"),
    "an empty list": (changed(TAGGED, 6, y=[]), r"line 7: y is empty"),
    "an empty series": (changed(SERIES, 6, x=[]), r"line 7: x is empty"),
    "mixed kinds of x": (changed(GOOD, 6, x=[1, 2]), r"line 7: x is series, but text on line 1: all x .* one kind"),
    "mixed kinds of y": (changed(GOOD, 6, y=["a"]), r"line 7: y is a list, but a label or a text on line 1"),
    "one class": (numbered(24, lambda n: f"play {n}", lambda n: "a"), r"lines 1 to 24: all y are 'a'"),
    "NaN in x": (changed(SERIES, 6, x=[[1, float("nan")]]), r"line 7: x: row 1 has NaN or infinity"),
    "NaN in y": (changed(SERIES, 6, y=float("nan")), r"line 7: y is nan, which is no number"),
    "a number in y": (changed(SERIES, 6, y=0.5), r"line 7: y is the number 0.5 where others are labels"),
    "other columns": (changed(SERIES, 6, x=[[1, 2, 3]]), r"line 7: a row of x has 3 numbers, but 2 on line 1"),
    "no rows": (changed(SERIES, 6, x=[[1, 2], [1]]), r"line 7: x: rows must be numbers"),
    "an odd x": (changed(GOOD, 6, x={"a": 1}), r"line 7: x is \{'a': 1\}: it must be a text, a file"),
    "an odd y": (changed(GOOD, 6, y=[[1]]), r"line 7: y is .*: it must be a label"),
    "ten lines": (GOOD[:10], r"line 10: the table ends here with 10 pairs: at least 20"),
    "a file that is not there": (
        numbered(24, lambda n: f"{n}.wav", lambda n: "ab"[n % 2]), r"line 1: no such file: .*0.wav"
    ),
    "a column that is missing": ([{"x": "a", "z": "b"}, *GOOD], r"line 1: there is no 'y': there are x, z"),
    "a value that is missing": ([*GOOD[:6], {"x": "a"}, *GOOD], r"line 7: there is no 'y': there are x"),
    "no JSON": ([*GOOD[:6], "{", *GOOD], r"line 7: not JSON"),
    "an unknown split": (changed(GOOD, 6, split="tset"), r"line 7: unknown split 'tset'"),
    "too many classes": (
        numbered(2 * MOST_LABELS + 2, lambda n: [n], lambda n: n // 2), rf"line {2 * MOST_LABELS + 1}: .* number 10001"
    ),
    "an event outside x": (
        numbered(24, lambda n: "a b c", lambda n: [{"start": 5, "label": "x"}]), r"line 1: the event .* outside x"
    ),
    "an event without a label": (
        numbered(24, lambda n: "a b c", lambda n: [{"start": 1, "end": 2}]), r"line 1: an event has no label"
    ),
    "nothing": ([], r"there are no pairs"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_one_line_with_its_number(name, tmp_path):
    rows, message = BAD[name]
    with pytest.raises(UsageError, match=message) as found:
        read_pairs(
            write(tmp_path / "a.jsonl", rows),
            **({"task": "n21", "output": "labels"} if name == "too many classes" else {}),
        )
    assert str(found.value).startswith(str(tmp_path / "a.jsonl")) and "\n" not in str(found.value)


def test_files_of_rows_that_cannot_be_read(tmp_path):
    for number in range(24):
        (tmp_path / f"{number}.csv").write_text("a,b\n1,2\n")
    rows = numbered(24, lambda n: f"{n}.csv", lambda n: n % 2)
    (tmp_path / "6.csv").write_text("a,c\n1,2\n")
    with pytest.raises(UsageError, match=r"line 7: .*6.csv, line 1: the column 'b' is missing: there are a, c"):
        read_pairs(write(tmp_path / "a.jsonl", rows))
    (tmp_path / "6.csv").unlink()
    with pytest.raises(UsageError, match=r"line 7: .*6.csv: cannot be read"):
        read_pairs(tmp_path / "a.jsonl")
    np.save(tmp_path / "6.npy", np.zeros((3, 2)))
    rows[6]["x"] = "6.npy"
    assert read_pairs(write(tmp_path / "a.jsonl", rows)).table.items[6].x.shape == (3, 2)


def test_columns_that_were_asked_for(tmp_path):
    path = write(tmp_path / "a.csv", ["sentence,kind", *(f"play {n},a" for n in range(24))])
    with pytest.raises(UsageError, match=r"line 1: there is no 'kinds': there are sentence, kind; did you mean 'kind'"):
        read_pairs(path, y="kinds")
    with pytest.raises(UsageError, match="unknown task 'n3': there are n2n, n21, n2m"):
        read_pairs(path, task="n3")


def test_labels_that_a_model_lacks(tmp_path):
    pairs = read_pairs(write(tmp_path / "a.jsonl", changed(GOOD, 6, y="c")), task="n21", fewest=1)
    with pytest.raises(UsageError, match=r"a.jsonl, line 7: unknown label 'c': the model has a, b"):
        check_known(pairs, ("a", "b"))
