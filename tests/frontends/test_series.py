"""Rows of numbers, normalised, and series as a medium."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from contract import verify_contract

from transducer.errors import MediaError, UsageError
from transducer.frontends.series import SeriesConfig
from transducer.media.counted import counts_steps

CONFIG = SeriesConfig(("speed", "height"))
ROWS = [[1.0, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def test_contract_and_normalisation():
    series = CONFIG.build().double()
    series.mean.copy_(torch.tensor([1.0, 2]))
    series.std.copy_(torch.tensor([2.0, 4]))
    verify_contract(series, 2, [9, 4, 1], [2, 3], seed=0, inner=False)
    y, _ = series(torch.tensor([ROWS], dtype=torch.float64), torch.ones(1, 5, dtype=torch.bool))
    assert y[0].tolist() == [[0, 0], [1, 0.5], [2, 1], [3, 1.5], [4, 2]]


@pytest.mark.parametrize("columns", [(), ("a", "a")])
def test_columns_that_make_no_sense(columns):
    with pytest.raises(UsageError, match="columns, each with a name of its own"):
        SeriesConfig(columns)


def read(source, **options) -> np.ndarray:
    with CONFIG.medium().open(source, **options) as reader:
        blocks = [block.inputs for block in reader]
        assert reader.position == sum(map(len, blocks))
        return np.concatenate(blocks)


@pytest.mark.parametrize("block", [1, 2, 99])
def test_series_of_every_kind(block, tmp_path):
    medium = CONFIG.medium()
    assert counts_steps(medium) and medium.channels == 2
    table = tmp_path / "a.csv"
    table.write_text("time,height,speed\n" + "".join(f"0,{b},{a}\n" for a, b in ROWS) + "\n")
    tabs = tmp_path / "a.tsv"
    tabs.write_text("".join(f"{a}\t{b}\n" for a, b in ROWS))
    np.save(tmp_path / "a.npy", np.array(ROWS))
    for source in (table, str(tabs), tmp_path / "a.npy", ROWS, np.array(ROWS, np.float32), tabs.open()):
        np.testing.assert_array_equal(read(source, block=block), np.array(ROWS, np.float32))
    assert read(io.StringIO("1,2\n3,4\n")).tolist() == [[1, 2], [3, 4]]


def test_rows_that_follow_each_other_are_given_at_once(tmp_path):
    class Slow:
        def __init__(self):
            self.given = 0

        def read(self):
            raise AssertionError("not all at once")

        def __iter__(self):
            for _ in range(3):
                self.given += 1
                yield "1,2\n"

        def close(self):
            pass

    slow = Slow()
    reader = CONFIG.medium().open(slow)
    next(reader)
    assert slow.given == 1 and reader.duration is None and CONFIG.medium().block_for(reader) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed,width\n1,2\n", r"line 1: the column 'height' is missing: there are speed, width"),
        ("1,2,3\n", r"line 1: there are 3 columns, and the model takes 2"),
        ("speed,height\n1,2\n1,x\n", r"line 3: 'x' is no number"),
        ("speed,height\n1,2\n1\n", r"line 3: there are 1 cells where 2 were expected"),
        ("speed,height\n1,nan\n", r"line 2: 'nan' is no finite number"),
        ("speed,height\n1,\n", r"line 2: '' is no number"),
    ],
)
def test_files_that_hold_no_rows(text, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(MediaError, match=message):
        read(path)


def test_files_that_cannot_be_read(tmp_path):
    for name in ("none.csv", "none.npy"):
        with pytest.raises(MediaError, match="cannot be read"):
            read(tmp_path / name)
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    (tmp_path / "bad.csv").write_bytes(b"speed,height\n\xff\xff\n")
    for name in ("bad.npy", "bad.csv"):
        with pytest.raises(MediaError, match=r"is no array|is no CSV"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([["a", "b"]], "rows must be numbers"),
        ([[1, 2], [1]], "rows must be numbers"),
        (np.zeros((3, 3)), "2 numbers each"),
        (np.array([[1, np.nan]]), "row 1 has NaN or infinity"),
        ("text", "rows must be numbers"),
        (None, "rows must be numbers"),
    ],
)
def test_what_is_no_series(wrong, message):
    with pytest.raises(UsageError, match=message):
        CONFIG.medium().check(wrong)


def test_one_column_needs_no_second_axis():
    assert SeriesConfig(("x",)).medium().check([1, 2, 3]).tolist() == [[1], [2], [3]]
    assert CONFIG.medium().check([1, 2]).tolist() == [[1, 2]]
