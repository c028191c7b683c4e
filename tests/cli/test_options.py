"""Options that transcribe, label and annotate share, and sources that are folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fake_label_model
import pytest
from command_line import error_line

import transducer
from transducer.cli import main

COMMANDS = pytest.mark.parametrize("command", ["transcribe", "label", "annotate"])


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    made: dict[str, Any] = {"labels": fake_label_model.FakeLabelModel(), "speech": fake_label_model.FakeSpeechModel()}
    made["loaded"] = []

    def load(name: str, **options: object) -> object:
        made["loaded"].append((name, options))
        return made[name]

    monkeypatch.setitem(vars(transducer), "load", load)
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.mp4", "a.MP3", "notes.txt", ".hidden.mp4", "in/c.wav", "in/deep/b.mp4"):
        path = tmp_path / "media" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("cut 9 10 0.98\nframes 100\nsay hello there\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(command: str, *arguments: str) -> int:
    chosen = {
        "transcribe": ["--model", "speech"],
        "label": ["--model", "labels"],
        "annotate": ["--model", "speech", "--shots", "labels"],
    }
    return main([command, *chosen[command], *arguments])


def calls(models: dict[str, object]) -> list[dict[str, object]]:
    """The options of each call; that nobody wants partial results is said to every model of words."""
    both = (models["labels"], models["speech"])
    left_out = ("source", False), ("partials", False)
    return [
        {k: v for k, v in call.items() if (k, k != "source" and v) not in left_out}
        for model in both
        for call in model.calls
    ]


@pytest.mark.parametrize("command", ["transcribe", "label"])
def test_options_reach_the_model_if_they_are_given(models, folder, command):
    assert call(command, "media/b.mp4") == 0
    common = ["--start", "0:01:30", "--length", "2.5", "--track", "2", "--device", "cpu", "--threads", "1"]
    assert call(command, "media/b.mp4", *common) == 0
    assert calls(models) == [{}, {"start": 90.0, "length": 2.5, "track": 2}]
    assert [options for _, options in models["loaded"]] == [{}, {"device": "cpu"}]


def test_annotate_has_the_options_of_transcribe(models, folder):
    options = ["--beam", "4", "--chunk-ms", "320", "--nbest", "3", "--digits"]
    assert call("annotate", "media/b.mp4", *options, "-o", "out") == 0
    assert models["speech"].calls[0].items() >= {"search": "beam", "beam": 4, "chunk_ms": 320, "nbest": 3}.items()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--search", "sample"], {"search": "sample"}),
        (
            ["--temperature", "0.5", "--top-k", "5", "--top-p", "0.9", "--seed", "7"],
            {"search": "sample", "temperature": 0.5, "top_k": 5, "top_p": 0.9, "seed": 7},
        ),
        (
            ["--length-penalty", "1", "--language-model", "lm", "--language-weight", "0.4"],
            {"search": "beam", "length_penalty": 1.0, "language_model": "lm", "language_weight": 0.4},
        ),
    ],
)
def test_options_of_one_search_say_which_it_is(models, folder, arguments, options):
    assert call("transcribe", "media/b.mp4", *arguments) == 0
    assert calls(models) == [options]


def test_options_of_full_context_models_reach_the_model(models, folder):
    arguments = [
        "--language",
        "de",
        "--task",
        "translate",
        "--prompt",
        "Frau Groß",
        "--partials",
        "--second-pass",
        "base",
    ]
    assert call("transcribe", "media/b.mp4", *arguments) == 0
    options = {"language": "de", "task": "translate", "prompt": "Frau Groß", "partials": True, "second_pass": "base"}
    assert calls(models) == [options]
    arguments.remove("--partials")
    assert call("annotate", "media/b.mp4", *arguments, "--temperature", "0.5", "-o", "out") == 0
    given = models["speech"].calls[-1]
    assert given.items() >= {**options, "partials": False, "temperature": 0.5}.items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--search", "greedy", "--seed", "1"], "--seed is for --search sample, not for greedy"),
        (["--search", "sample", "--beam", "4"], "--beam is for --search beam, not for sample"),
        (["--language-model", "lm", "--top-p", "0.9"], "--top-p is for --search sample, not for beam"),
        (["--length-penalty", "-1"], "Invalid value for '--length-penalty'"),
    ],
)
def test_options_of_different_searches(models, folder, capsys, arguments, message):
    assert call("transcribe", "media/b.mp4", *arguments) == 2
    assert message in error_line(capsys)
    assert calls(models) == []


def test_digits_of_annotate(models, folder, capsys):
    (folder / "n.mp4").write_text("frames 100\nsay twenty one\n")
    assert call("annotate", "n.mp4", "--digits", "-f", "txt") == 0
    assert "21" in capsys.readouterr().out


@COMMANDS
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "soon"], "--start 'soon' is no time"),
        (["--length", "0"], "--length must be more than 0"),
        (["--track", "-1"], "Invalid value for '--track'"),
        (["--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["--threads", "100000"], "--threads 100000 is more than this machine has: use "),
        (["--output", "x.doc"], "x.doc: its name does not say which format it is to have; end it with one of ."),
        (["--output", "media"], "give the format"),
        (["--output", "media", "--json"], "media: is a folder; --output needs a file"),
        (["--output", "media/b.mp4", "--json"], "--output would write over what it reads"),
        (["--output", "x.json", "-o", "y"], "--output names a file and --output-dir a folder"),
        (["--output", "x.json", "-f", "json,txt"], "2 formats (json, txt) do not fit one output"),
        (["--output", "x.json", "media/a.MP3"], "--output is a file for one source"),
        (["--output", "notes/x/y.json", "-f", "doc"], "unknown format 'doc'"),
    ],
)
def test_wrong_usage(models, folder, capsys, command, arguments, message):
    assert call(command, "media/b.mp4", *arguments) == 2
    assert message in error_line(capsys)
    assert calls(models) == []


@pytest.mark.parametrize("command", ["transcribe", "annotate"])
@pytest.mark.parametrize("option", ["--beam", "--nbest", "--chunk-ms"])
def test_numbers_that_ask_for_resources_have_a_bound(models, folder, capsys, command, option):
    assert call(command, "media/b.mp4", option, str(10**9)) == 2
    assert f"Invalid value for '{option}': Input should be less than or equal to " in error_line(capsys)


@COMMANDS
def test_output_is_in_the_format_of_its_suffix(models, folder, capsys, command):
    assert call(command, "media/b.mp4", "--output", "new/x.VTT") == 0
    assert (folder / "new" / "x.VTT").read_text().startswith("WEBVTT")
    assert call(command, "media/b.mp4", "--output", "x.doc", "--format", "vtt") == 0
    assert (folder / "x.doc").read_text() == (folder / "new" / "x.VTT").read_text()
    assert call(command, "media/b.mp4", "-f", "vtt") == 0
    assert capsys.readouterr().out == (folder / "x.doc").read_text()


@pytest.mark.parametrize("command", ["transcribe", "annotate"])
def test_karaoke(models, folder, capsys, command):
    assert call(command, "media/b.mp4", "--karaoke", "-f", "json,srt", "-o", "out") == 0
    assert "<u>hello</u> there" in (folder / "out" / "b.srt").read_text()
    assert call(command, "media/b.mp4", "--karaoke", "--json") == 2
    assert error_line(capsys).startswith("--karaoke changes nothing in json")


def test_paragraphs(models, folder, capsys):
    (folder / "long.mp4").write_text("say one two\nsay three\n")
    assert call("transcribe", "long.mp4", "--paragraphs") == 0
    assert call("transcribe", "long.mp4", "--paragraphs", "--output", "x.txt") == 0
    assert (folder / "x.txt").read_text() == capsys.readouterr().out
    assert call("transcribe", "long.mp4", "--paragraphs", "-f", "srt") == 2


def test_start_timecode(models, folder, capsys):
    assert call("label", "media/b.mp4", "-f", "edl", "--start-timecode", "10:00:00:00") == 0
    assert " 10:00:00:10 10:00:04:00 10:00:00:10 10:00:04:00\n" in capsys.readouterr().out
    assert call("label", "media/b.mp4", "--start-timecode", "ten") == 2
    assert "'ten' is no timecode; write hh:mm:ss:ff" in error_line(capsys)


def test_srt_of_more_than_100_hours_says_so(models, folder, capsys):
    (folder / "long.mp4").write_text("frames 9000001\n")
    assert call("label", "long.mp4", "-f", "srt") == 0
    captured = capsys.readouterr()
    assert "00:00:00,000 --> 100:00:00,040" in captured.out
    assert captured.err.startswith("transducer: warning: long.mp4: is longer than 100 hours")
    assert call("label", "long.mp4", "-f", "vtt") == 0
    assert capsys.readouterr().err == ""


# --- status 3


@COMMANDS
def test_status_says_whether_parts_are_missing(models, folder, capsys, command):
    (folder / "bad.mp4").write_text("cut 9 10 0.98\n?damaged\nframes 100\nsay hello there\n")
    (folder / "worse.mp4").write_text("cut 9 10 0.98\n!breaks off\n")
    assert call(command, "bad.mp4", "media/b.mp4", "-o", "out") == 3
    assert call(command, "bad.mp4", "worse.mp4", "-o", "out") == 1
    assert call(command, "bad.mp4", "none.mp4", "-o", "out") == 1


def test_half_of_a_video_is_all_that_can_be_read(models, folder, capsys):
    (folder / "silent.mp4").write_text("silent\ncut 9 10 0.9\nframes 20\n")
    assert call("annotate", "silent.mp4") == 0
    assert "without sound" in capsys.readouterr().err


# --- folders


@COMMANDS
def test_folders_are_the_media_files_in_them(models, folder, command):
    assert call(command, "media", "-o", "out", "--json") == 0
    assert sorted(os.listdir("out")) == ["a.json", "b.json"]
    assert call(command, "media", "--recursive", "-o", "all", "--json") == 0
    found = sorted(str(path.relative_to("all")) for path in Path("all").rglob("*.json"))
    assert found == ["a.json", "b.json", "in/c.json", "in/deep/b.json"]


def test_a_file_that_is_named_beside_its_folder_is_read_once(models, folder, capsys):
    assert call("transcribe", "media/b.mp4", "media") == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "==>" in line] == [
        "==> media/b.mp4 <==",
        "==> media/a.MP3 <==",
    ]


def test_a_folder_without_media_does_not_stop_the_others(models, folder, capsys):
    (folder / "empty" / "in").mkdir(parents=True)
    assert call("transcribe", "empty", "media/b.mp4", "-o", "out") == 1
    assert error_line(capsys) == "empty: is a folder without media files; see also --recursive"
    assert os.listdir("out") == ["b.txt"]
