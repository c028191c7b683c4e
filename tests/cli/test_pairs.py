"""train, predict and evaluate of pairs (x, y), from the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import error_line

import transducer
from transducer.cli import main
from transducer.training.frame.choices import Choices
from transducer.training.frame.recipe import frame_recipe
from transducer.training.frame.shown import rows

TAGS = {"the": "DET", "a": "DET", "dog": "NOUN", "cat": "NOUN", "sees": "VERB", "hears": "VERB"}


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tagged(count: int) -> list[dict]:
    rng = np.random.default_rng(0)
    sentences = [rng.choice(list(TAGS), rng.integers(3, 8)).tolist() for _ in range(count)]
    return [{"x": " ".join(words), "y": [TAGS[word] for word in words]} for words in sentences]


def ramps(count: int) -> list[dict]:
    rng = np.random.default_rng(0)
    slopes = [(-1) ** number for number in range(count)]
    series = [(50 + slope * np.arange(9) + rng.normal(0, 1, 9)).round(2).tolist() for slope in slopes]
    return [{"x": x, "y": "up" if slope > 0 else "down"} for x, slope in zip(series, slopes, strict=True)]


def copies(count: int) -> list[dict]:
    rng = np.random.default_rng(0)
    return [{"x": "".join(rng.choice(list("abc"), 5)), "y": f"{number}"} for number in range(count)]


def trained(folder: Path, rows: list[dict], *options: str) -> str:
    table = write(folder / "data.jsonl", rows)
    run = folder / "run"
    assert main(["train", str(table), "--output", str(run), "--threads", "1", "--channels", "32", *options]) == 0
    return str(run / "model")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory) -> str:
    return trained(tmp_path_factory.mktemp("tags"), tagged(60), "--steps", "150", "--set", "learning_rate=0.01")


@pytest.fixture(scope="module")
def ramp(tmp_path_factory) -> str:
    return trained(
        tmp_path_factory.mktemp("ramps"), ramps(60), "--steps", "150", "--core", "tcn", "--set", "learning_rate=0.01"
    )


def test_what_was_inferred_is_shown_and_reported(tmp_path, capsys):
    trained(tmp_path, tagged(40), "--steps", "4", "--core", "lstm", "--set", "encoder.past=1", "--set", "seed=3")
    shown = " ".join(capsys.readouterr().err.split())
    for text in ("n2n: a label for each step", "3 labels: DET, NOUN, VERB", "past 1", "kind lstm", "4 steps at most"):
        assert text in shown, shown
    report = (tmp_path / "run" / "report.md").read_text()
    assert "--core lstm" in report and "--set encoder.past=1" in report and "data.jsonl" in report


def test_labels_of_words(tagger, capsys):
    assert main(["predict", tagger, "the dog sees a cat", "a zebra"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "DET NOUN VERB DET NOUN" and len(second.split()) == 2
    assert main(["predict", tagger, "--json", "the dog"]) == 0
    assert json.loads(capsys.readouterr().out) == {"x": "the dog", "y": ["DET", "NOUN"]}
    assert transducer.load(tagger).predict("the dog").text == "DET NOUN"


def test_lines_of_standard_input_and_of_a_table(tagger, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("the dog\n\nsees\n"))
    assert main(["predict", tagger]) == 0
    assert capsys.readouterr().out == "DET NOUN\nVERB\n"
    table = write(tmp_path / "x.jsonl", [{"x": "the dog"}, {"x": ["a", "cat"]}])
    text = tmp_path / "a.txt"
    text.write_text("the cat sees\n")
    assert main(["predict", tagger, "--json", str(table), str(text)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["y"] for line in lines] == [["DET", "NOUN"], ["DET", "NOUN"], ["DET", "NOUN", "VERB"]]
    assert [line["x"] for line in lines] == ["the dog", ["a", "cat"], str(text)]


def test_a_label_of_a_series(ramp, tmp_path, capsys, monkeypatch):
    table = tmp_path / "a.csv"
    table.write_text("time,x\n" + "".join(f"0,{50 + number}\n" for number in range(9)))
    falling = str([50 - number for number in range(9)])
    assert main(["predict", ramp, str(table), falling]) == 0
    assert capsys.readouterr().out.splitlines() == ["up", "down"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{50 - number}\n" for number in range(9))))
    assert main(["predict", ramp]) == 0
    assert capsys.readouterr().out == "down\n"
    assert main(["predict", ramp]) == 0  # nothing comes any more
    assert capsys.readouterr().out == ""
    assert main(["predict", ramp, "--json", falling]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["y"] == "down" and 0.5 < found["score"] <= 1


def test_rows_get_their_labels_while_they_come(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 2, 12) for _ in range(40)]
    pairs = [{"x": (9 * row).tolist(), "y": [["low", "high"][v] for v in row]} for row in rows]
    model = trained(tmp_path, pairs, "--steps", "40")

    class Source(io.StringIO):
        def __init__(self) -> None:
            super().__init__("".join(f"{v}\n" for v in [0, 9, 9, 0] * 20))
            self.lines = 0

        def readline(self, *arguments) -> str:  # iterating calls it, too
            self.lines += 1
            return super().readline(*arguments)

    source = Source()
    monkeypatch.setattr(sys, "stdin", source)
    found = []

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            found.append((source.lines, text))
            return len(text)

    monkeypatch.setattr(sys, "stdout", Out())
    assert main(["predict", model, "--json"]) == 0
    events = [json.loads(text) for _, text in found]
    assert [event["label"] for event in events] == ["low", "high", "high", "low"] * 20
    assert events[5] | {"score": 0} == {"start": 5, "end": 6, "label": "high", "score": 0}
    assert [lines for lines, _ in found[:3]] == [3, 4, 5]  # the window sees two rows ahead


def test_wrong_x_is_one_line_and_the_others_go_on(ramp, tagger, capsys):
    assert main(["predict", ramp, "none.csv", "[1, 2, null]", "[1,2,3]"]) == 1
    out, err = capsys.readouterr()
    assert out.strip() in ("up", "down")
    assert [line.partition(": error: ")[2] for line in err.splitlines()] == [
        "none.csv: cannot be read: No such file or directory",
        "the series: rows must be numbers, 1 in each",
    ]
    assert main(["predict", tagger, "--beam", "3", "the dog"]) == 2
    assert "that is for models of words" in error_line(capsys)


@pytest.mark.parametrize(
    ("rows", "keys", "value"),
    [(tagged(30), {"accuracy", "steps"}, 1.0), (tagged(30)[:3], {"accuracy", "steps"}, 1.0)],
)
def test_labels_are_measured(rows, keys, value, tagger, tmp_path, capsys):
    assert main(["evaluate", tagger, str(write(tmp_path / "test.jsonl", rows)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert keys <= set(found) and found["accuracy"] == value
    assert found["steps"] == sum(len(row["y"]) for row in rows)


def test_wholes_are_measured(ramp, tmp_path, capsys):
    table = str(write(tmp_path / "test.jsonl", ramps(10)))
    assert main(["evaluate", ramp, table, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0
    assert main(["evaluate", ramp, table]) == 0
    assert "accuracy  100.00 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"x": "the dog", "y": ["DET", "ADV"]}, "line 1: unknown label 'ADV': the model has DET, NOUN, VERB"),
        ({"x": "the dog", "y": ["DET"]}, "line 1: y has 1 labels and x 2 words"),
        ({"x": [1, 2], "y": ["DET", "DET"]}, "line 1: x is series, and the model takes text"),
        ({"x": "", "y": ["DET"]}, "line 1: x is empty"),
        ({"z": "the dog"}, "line 1: there is no 'x'"),
    ],
)
def test_what_cannot_be_measured(row, message, tagger, tmp_path, capsys):
    assert main(["evaluate", tagger, str(write(tmp_path / "test.jsonl", [row]))]) == 2
    assert message in error_line(capsys)


def test_texts_are_measured(tmp_path, capsys):
    rng = np.random.default_rng(0)
    letters = ["".join(rng.choice(list("abc"), 4)) for _ in range(60)]
    pairs = [{"x": "".join(c + "-" for c in text), "y": text.upper()} for text in letters]
    model = trained(tmp_path, pairs, "--steps", "150", "--head", "ctc", "--core", "gru", "--set", "learning_rate=0.01")
    test = write(tmp_path / "test.jsonl", [{"x": "a-b-", "y": "AB"}, {"x": "c-a-", "y": "CB"}])
    capsys.readouterr()
    assert main(["evaluate", model, str(test), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["exact"], found["token_error_rate"], found["tokens"]) == (0.5, 0.25, 4)
    assert main(["predict", model, "a-b-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"x": "a-b-", "y": "AB"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--core", "grru"], "unknown core 'grru': there are .*did you mean 'gru'"),
        (["--head", "ctc"], "the head ctc learns from tokens, a list of integers: it is not for the task n2n"),
        (["--head", "heed"], "unknown head 'heed'"),
        (["--attention", "luong"], "--attention luong: the head is framewise, and has none"),
        (["--input", "sound"], "line 1: x is text, and the model takes sound"),
        (["--input", "letters"], "unknown input 'letters'"),
        (["--input", "bytes"], "--input bytes: there is a label for each of the words of x"),
        (["--output-tokens", "words"], "--output-tokens words: y are labels"),
        (["--task", "n3"], "unknown task 'n3'"),
        (["--set", "core.chanels=3"], "recurrent has no 'chanels', but|gru has no 'chanels', but"),
        (["--set", "steeps=3"], "has no setting 'steeps'"),
        (["--data", "x"], "--data is for recipes"),
        (["--held-out", "0"], "nothing is held out"),
    ],
)
def test_choices_that_make_no_sense(options, message, tmp_path, capsys):
    import re

    table = write(tmp_path / "data.jsonl", tagged(40))
    assert main(["train", str(table), "--output", str(tmp_path / "run"), *options]) == 2
    assert re.search(message, error_line(capsys))
    assert not (tmp_path / "run").exists()


def test_options_of_pairs_are_not_for_recipes(tmp_path, capsys):
    assert main(["train", "pipelines/video_events.py", "--core", "gru"]) == 2
    assert "--core is for pairs, and pipelines/video_events.py is a recipe" in error_line(capsys)
    assert main(["train", str(tmp_path / "none.jsonl")]) == 2
    assert "cannot read the table: No such file" in error_line(capsys)


@pytest.mark.parametrize(
    ("choices", "pairs", "expected"),
    [
        (Choices(), tagged(40), {"core": "recurrent", "head": "framewise", "encoder": "window"}),
        (Choices(core="bigru"), tagged(40), {"core": "bidirectional"}),
        (Choices(), ramps(40), {"head": "pooled", "x": "series of 1 columns"}),
        (Choices(), copies(40), {"head": "attention", "task": "n2m", "y": "10 characters|11 characters"}),
        (Choices(attention="bahdanau"), copies(40), {"head": "attention: .*decoder gru.*attention bahdanau"}),
        (Choices(head="ctc"), copies(40), {"head": "ctc"}),
        (Choices(core="transformer"), copies(40), {"core": "transformer"}),
        (Choices(input="subwords", output="words"), copies(40), {"y": "40 symbols", "x": "subwords"}),
    ],
)
def test_what_is_chosen_and_what_follows(choices, pairs, expected, tmp_path):
    import re

    framed = frame_recipe(write(tmp_path / "data.jsonl", pairs), choices, tmp_path / "cache")
    found = {name: how for name, how, _ in rows(framed)}
    for name, pattern in expected.items():
        assert re.search(pattern, found[name]), found


def test_info_has_a_table_and_a_diagram(tagger, tmp_path, capsys):
    picture = tmp_path / "a.svg"
    assert main(["info", tagger, "--diagram", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "stage      kind" in out and "T x 4" in out and picture.read_text().startswith("<svg")
    row = next(line for line in out.splitlines() if line.startswith("encoder")).split()
    assert row[:2] == ["encoder", "window"] and row[6] == "2" and row[-1] == "yes"
    assert main(["info", tagger, "--json"]) == 0
    assert [stage["stage"] for stage in json.loads(capsys.readouterr().out)["stages"]][-1] == "head y"
    assert main(["info", tagger, "--diagram", str(tmp_path / "a.png")]) == 2
    assert "must be the name of an .svg file" in error_line(capsys)
