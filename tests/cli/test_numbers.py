"""train, predict and evaluate of pairs whose y are numbers, from the command line."""

from __future__ import annotations

import io
import json
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from command_line import error_line

import transducer
from transducer.cli import main
from transducer.data.pair_table import read_pairs
from transducer.errors import UsageError


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def averages(count: int, seed: int = 0) -> list[dict]:
    """The mean of the last two values of a noisy series, in units far from 0."""
    rng = np.random.default_rng(seed)
    series = [(1000 + rng.normal(0, 5, rng.integers(6, 12))).round(2) for _ in range(count)]
    return [{"x": x.tolist(), "y": ((x + np.r_[x[:1], x[:-1]]) / 2).round(3).tolist()} for x in series]


@pytest.fixture(scope="module")
def average(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("averages")
    table, run = write(folder / "data.jsonl", averages(60)), folder / "run"
    options = ["--threads", "1", "--channels", "24", "--steps", "150", "--set", "learning_rate=0.01"]
    assert main(["train", str(table), "--output", str(run), *options, "--set", "core.dropout=0"]) == 0
    assert "mean absolute error" in (run / "report.md").read_text()
    return str(run / "model")


def test_numbers_of_steps_are_learned_and_measured(average, tmp_path, capsys):
    table = str(write(tmp_path / "test.jsonl", averages(20, seed=1)))
    assert main(["evaluate", average, table, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["r2"] > 0.9 and found["mean_absolute_error"] < 1, found
    assert main(["evaluate", average, table]) == 0
    assert "mean absolute error" in capsys.readouterr().out


def test_numbers_come_while_rows_come_and_are_the_same(average, capsys, monkeypatch):
    rows = [995.0, 1004.0, 1000.0, 990.0, 1010.0]
    assert main(["predict", average, str(rows)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["predict", average, str(rows), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"x": str(rows), "y": list(map(float, lines))}
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{row}\n" for row in rows)))
    assert main(["predict", average, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["y"] for event in events] == pytest.approx(list(map(float, lines)), abs=0.02)
    assert events[1] | {"y": 0} == {"start": 1.0, "end": 2.0, "y": 0}
    model = transducer.load(average)
    whole = model.label(rows)
    assert whole.kind == "numbers" and [event.values[0] for event in whole.events] == list(map(float, lines))
    stream = model.stream()
    pushed = [event for row in rows for event in stream.push([row])] + stream.finish()
    assert [event.values[0] for event in pushed] == pytest.approx([event.values[0] for event in whole.events], abs=0.02)
    with pytest.raises(UsageError, match="a model of numbers has no threshold"):
        model.label(rows, threshold=0.5)


def test_the_pitch_of_a_tone(tmp_path, capsys):
    """Sound in, two numbers of the whole out: octaves above 200 Hz, and something of other units."""
    rng, rows = np.random.default_rng(0), []
    for number in range(40):
        octaves = float(rng.uniform(0, 3))
        time = np.arange(6400) / 16000
        samples = 0.3 * np.sin(2 * np.pi * 200 * 2**octaves * time) + rng.normal(0, 0.01, len(time))
        with wave.open(str(tmp_path / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        rows.append({"x": f"{number}.wav", "y": [round(octaves, 3), round(1000 * octaves, 1)]})
    table, run = str(write(tmp_path / "data.jsonl", rows)), str(tmp_path / "run")
    options = ["--threads", "1", "--channels", "16", "--layers", "1", "--steps", "60"]
    assert main(["train", table, "--output", run, *options, "--core", "independent"]) == 0
    assert "numbers: y1, y2" in capsys.readouterr().err
    few = str(write(tmp_path / "few.jsonl", rows[:10]))
    assert main(["evaluate", run + "/model", few, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["r2"] > 0.6 and set(found["numbers"]) == {"y1", "y2"}, found
    assert main(["predict", run + "/model", str(tmp_path / "0.wav")]) == 0
    said = [float(part) for part in capsys.readouterr().out.split()]
    assert said == pytest.approx(rows[0]["y"], rel=0.5, abs=500)
    assert main(["predict", run + "/model", str(tmp_path / "0.wav"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["y"] == said


SERIES = [[float(number), 1.0, 2.0] for number in range(24)]


def of(ys: list) -> list[dict]:
    return [{"x": x, "y": y} for x, y in zip(SERIES, ys, strict=False)]


@pytest.mark.parametrize(
    ("ys", "options", "task", "numbers"),
    [
        ([0.5 + n for n in range(24)], {}, "n21", ("y",)),
        ([[n, 0.5, None] for n in range(24)], {}, "n2n", ("y",)),
        ([[n, 0.5, 1] for n in range(24)], {"task": "n21"}, "n21", ("y1", "y2", "y3")),
        ([[n, 0.5] for n in range(24)], {}, "n21", ("y1", "y2")),
        ([[[n, 1], [2, 3], [4, 0.5]] for n in range(24)], {}, "n2n", ("y1", "y2")),
        (list(range(24)), {}, "n21", ("y",)),
        ([n % 3 for n in range(24)], {}, "n21", ()),
        ([n % 3 for n in range(24)], {"output": "numbers"}, "n21", ("y",)),
        ([n % 3 / 2 for n in range(24)], {"output": "labels"}, "n21", ()),
    ],
)
def test_what_numbers_are_taken_for(ys, options, task, numbers, tmp_path):
    pairs = read_pairs(write(tmp_path / "data.jsonl", of(ys)), **options)
    assert (pairs.task, pairs.numbers) == (task, numbers)


def test_columns_of_numbers(tmp_path):
    table = tmp_path / "data.csv"
    table.write_text("text,left,right\n" + "".join(f"word {n},{n}.5,{n}\n" for n in range(24)))
    pairs = read_pairs(table, y="left,right")
    assert pairs.numbers == ("left", "right") and pairs.table.items[3].value == (3.5, 3.0)
    assert read_pairs(table, y="left").numbers == ("left",)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (float("nan"), "y has nan, which is no number to learn"),
        (float("inf"), "y has inf, which is no number to learn"),
        ("high", "y has high where others have numbers"),
        ([1.5, 2.5, 3.5], "y is a list of numbers, but a number on line 1"),
        (None, "y is empty"),
    ],
)
def test_an_odd_number_is_one_line(odd, message, tmp_path, capsys):
    ys = [0.5 + n for n in range(24)]
    table = write(tmp_path / "data.jsonl", of([*ys[:4], odd, *ys[5:]]))
    assert main(["train", str(table), "--output", str(tmp_path / "run")]) == 2
    assert f"line 5: {message}" in error_line(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("ys", "options", "message"),
    [
        ([[0.5, n, 1] for n in range(23)] + [[0.5, 1]], {}, "line 24: y has 2 numbers and x 3 rows"),
        ([[0.5, n] for n in range(23)] + [[0.5]], {"task": "n21"}, "line 24: y has 1 numbers, but 2 on line 1"),
        ([0.5] * 24, {}, "lines 1 to 24: all y are 0.5: there is nothing to learn"),
        ([n + 0.5 for n in range(24)], {"task": "n2n"}, "line 1: y is a number: the task n2n needs a list of numbers"),
        ([[[1.5], [2, 3], [4]]] * 24, {}, "line 1: y is a list whose steps have not the same number of numbers"),
    ],
)
def test_what_cannot_be_learned(ys, options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        read_pairs(write(tmp_path / "data.jsonl", of(ys)), **options)
