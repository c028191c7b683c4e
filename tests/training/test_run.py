"""Whole runs: the folder, resuming, the checkpoint and the report."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lights import Lights, model, recipe_of
from tones import TEXTS, tone, write_tones
from training_fixtures import (
    LETTERS,
    assert_same,
    stop_after,
    tiny_model,
    tone_recipe,
    tones,
    weights_of,
    without_times,
)

import transducer
from transducer.cli import main
from transducer.errors import TransducerError, UsageError
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.model.checkpoint import load_checkpoint
from transducer.training.command import train_command
from transducer.training.folder import RunFolder
from transducer.training.initial import build_network
from transducer.training.interrupt import Interrupt
from transducer.training.log import Log, read_log
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.run import train

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
BOTH = {"out": FramewiseConfig("labels"), "clip": PooledConfig("labels")}


def two_phases(folder: Path) -> Recipe:
    """A phase on colours frame by frame, which notes that it is over; another on other pairs, with two objectives."""
    first = Phase("first", 5, (HeadLoss("out"),), batch_frames=100, after=lambda context: note(folder, context))
    second = Phase("second", 6, (HeadLoss("out"), HeadLoss("clip", 0.5)), Both(9), batch_frames=100)
    return replace(recipe_of(model=model(heads=BOTH), workers=1, dev=Both(3)), phases=(first, second))


class Both(Lights):
    def pair(self, index, rng):
        pair = super().pair(index, rng)
        return replace(pair, y={"out": pair.y, "clip": 1 + index % 3})


def note(folder: Path, context) -> None:
    with open(folder / "notes", "a") as file:
        file.write(f"{context.phase.name} {context.folder.parent.name}\n")


def test_a_run_stopped_in_each_phase_is_the_run_that_was_not(tmp_path):
    recipe = two_phases(tmp_path)
    assert train(recipe, tmp_path / "whole") == tmp_path / "whole" / "lights"
    for resume, calls in ((False, 2), (True, 4), (True, 3)):
        assert train(recipe, tmp_path / "parts", resume=resume, stop=stop_after(calls)) is None
    assert train(recipe, tmp_path / "parts", resume=True) == tmp_path / "parts" / "lights"

    for phase in ("first", "second"):
        states = [
            torch.load(tmp_path / name / "phases" / f"{phase}.pt", weights_only=True) for name in ("whole", "parts")
        ]
        assert_same(*states)
    logs = [[without_times(row) for row in read_log(tmp_path / name / "log.jsonl")] for name in ("whole", "parts")]
    assert logs[0] == logs[1] and sum("loss" in row for row in logs[0]) == 11
    rated = [(row["phase"], row["step"], set(row) - {"phase", "step"}) for row in logs[0] if "loss" not in row]
    one, two = {"accuracy:out"}, {"accuracy:out", "accuracy:clip"}
    assert rated == [("first", 4, one), ("first", 5, one), ("second", 4, two), ("second", 6, two)]
    assert (tmp_path / "notes").read_text().split("\n").count("first whole") == 1

    facts = transducer.load(tmp_path / "parts" / "lights").info()
    assert facts["training_steps"] == 11 and facts["measured"][0].startswith("accuracy (out) ")
    report = (tmp_path / "parts" / "report.md").read_text()
    for part in ("M parameters", "| first | 5 | 1 out |", "| second | 6 | 1 out, 0.5 clip |", "look-ahead"):
        assert part in report
    for picture in ("loss.png", "rates.png", "confusion-out.png", "confusion-clip.png"):
        assert (tmp_path / "parts" / picture).read_bytes().startswith(b"\x89PNG") and picture in report

    with pytest.raises(UsageError, match="has a run already: go on with it by --resume"):
        train(recipe, tmp_path / "parts")
    with pytest.raises(UsageError, match="has no run to go on with"):
        train(recipe, tmp_path / "none", resume=True)
    with pytest.raises(UsageError, match=r"another recipe \(other data, seed, phase second\)"):
        other = replace(recipe.phases[1], objectives=(HeadLoss("out"),))
        train(
            replace(recipe, seed=2, train=Lights(13), phases=(recipe.phases[0], other)), tmp_path / "parts", resume=True
        )


def test_a_run_goes_on_when_parts_have_got_settings_since_it_began(tmp_path):
    recipe, output = two_phases(tmp_path), tmp_path / "run"
    assert train(recipe, output, stop=stop_after(3)) is None
    description = json.loads((output / "run.json").read_text())
    del description["model"]["decoding"]["second_pass"]
    (output / "run.json").write_text(json.dumps(description))
    with pytest.raises(UsageError, match=r"another recipe \(other model\)"):
        train(replace(recipe, model=replace(recipe.model, language="de")), output, resume=True)
    assert train(recipe, output, resume=True) is not None


def test_auxiliary_heads_are_trained_and_do_not_ship(tmp_path):
    recipe = replace(two_phases(tmp_path), auxiliary=("clip",))
    folder = train(recipe, tmp_path / "run")
    network, _ = load_checkpoint(folder)
    assert list(network.heads) == ["out"]
    trained = weights_of(tmp_path / "run", "second")
    assert all(name.startswith("heads.clip.") for name in trained if name not in network.state_dict())
    with pytest.raises(UsageError, match="auxiliary: the model has no head 'letters', but out, clip"):
        replace(recipe, auxiliary=("letters",))


def test_a_run_can_start_from_a_checkpoint_and_measure_by_itself(tmp_path):
    first = train(recipe_of(steps=2), tmp_path / "first")
    asked = []

    def evaluate(network, dev):
        asked.append(len(dev))
        return {"accuracy:mine": 0.25}

    recipe = recipe_of("pooled", steps=1, initial=first, evaluate=evaluate, dev=Lights(2, "pooled"), storage="int8")
    trained, own = transducer.load(first).network.state_dict(), build_network(recipe).state_dict()
    same = {name for name, value in trained.items() if name in own and torch.equal(own[name], value)}
    assert all(name in same for name in trained if name.startswith("encoder."))
    folder = train(recipe, tmp_path / "second")
    assert asked == [2, 2]  # at the end, and once more from the disk
    assert list(load_checkpoint(folder)[0].config.card["measured"]) == ["accuracy (mine) 25.0 % on held-out examples"]


def test_recordings_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tones(tmp_path / "data")
    write_tones(tmp_path / "data", TEXTS[:2], "dev.tsv")
    settings = [
        "channels=32", "layers=1", "steps=4", "batch-frames=2000", f"alphabet={LETTERS}", "licence=CC0", "workers=0"
    ]  # fmt: skip
    command = ["train", str(PIPELINES / "characters_ctc.py"), "--data", "data", "--output", "run"]
    assert main([*command, *(part for setting in settings for part in ("--set", setting))]) == 0
    run = tmp_path / "run"
    said = capsys.readouterr().err
    assert "phase 1 of 1: ctc, step 4 of 4: loss" in said and "phase 1 of 1: ctc, step 4: WER" in said

    network, _ = load_checkpoint(run / "speech")
    card = network.config.card
    seconds = sum(len(tone(text)) for text in TEXTS) / 16000
    assert list(card["trained_on"]) == [{"name": "train", "licence": "CC0", "hours": round(seconds / 3600, 2)}]
    assert card["training_steps"] == 4 and card["measured"][0].startswith("WER (ctc) ")

    rows = read_log(run / "log.jsonl")
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "wer:ctc" in row] == [4]
    report = (run / "report.md").read_text()
    for part in ("M parameters", "| train | CC0 |", "| ctc | 4 |", "abc de", "640 ms", "--set channels=32"):
        assert part in report
    for picture in ("loss.png", "rates.png", "alignment.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG") and picture in report
    assert list((run / "tensorboard").glob("events*"))


def test_one_table_is_parted_and_trained_on(tmp_path, capsys):
    table = write_tones(tmp_path / "data", (*TEXTS, "bad cab", "abba"))
    settings = ("channels=32", "layers=1", f"alphabet={LETTERS}", "steps=2")
    recipe = str(PIPELINES / "characters_ctc.py")
    assert train_command(recipe, data=str(table), output=str(tmp_path / "run"), settings=settings) == 0
    report = (tmp_path / "run" / "report.md").read_text()
    assert "7 examples, 1 held out" in report and "WER (ctc)" in capsys.readouterr().err


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    recipe, output = tmp_path / "lights.py", str(tmp_path / "run")
    recipe.write_text(
        "from pathlib import Path\nfrom lights import recipe_of\n"
        "def recipe(data: Path, quick: bool, *, steps: int = 4, cache: Path | None = None):\n"
        "    assert cache is None or cache.name == 'cache'\n"
        "    return recipe_of(steps=2 if quick else steps)\n"
    )
    write = Log.__call__

    def interrupted(self: Log, step: int, numbers: dict[str, float]) -> None:
        write(self, step, numbers)
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Log, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_command(str(recipe), data=str(tmp_path), output=output, settings=["steps=50", "workers=0"])
    said = capsys.readouterr().err
    # The signal comes after the step is logged, and is seen after the next one.
    assert "stopped after step 3; it is saved" in said
    options = f"--data {tmp_path} --output {output} --set steps=50 --set workers=0 --resume"
    assert said.rstrip().endswith(f"To go on: transducer train {recipe} {options}")
    assert torch.load(tmp_path / "run" / "phases" / "train.pt", weights_only=True)["step"] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(UsageError, match="has a run already"):
        train_command(str(recipe), output=output)


def test_the_second_interrupt_is_not_waited_for():
    interrupt = Interrupt()
    with pytest.raises(KeyboardInterrupt), interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt()
        signal.raise_signal(signal.SIGINT)
    assert not Interrupt()()


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path):
    recipe = two_phases(tmp_path)
    folder = RunFolder(tmp_path / "run")
    with folder.claim(recipe, resume=False):
        pass  # nothing begun: the data was wrong, say
    with folder.claim(recipe, resume=False):
        folder.begin(recipe)
        with pytest.raises(UsageError, match="another process is training"):
            folder.claim(recipe, resume=True).__enter__()
    with folder.claim(recipe, resume=True):
        pass
    later = replace(recipe, phases=(recipe.phases[0], replace(recipe.phases[1], steps=99)))  # has not begun: may change
    with folder.claim(later, resume=True):
        folder.begin(later)
        assert json.loads(folder.description.read_text())["phases"]["second"]["steps"] == 99
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.tsv").touch()
    with pytest.raises(UsageError, match="has files in it that are no run"):
        RunFolder(tmp_path / "data").claim(recipe, resume=False).__enter__()
    with pytest.raises(UsageError, match="is no folder"):
        RunFolder(tmp_path / "data" / "table.tsv").claim(recipe, resume=False).__enter__()


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    folder, recipe = RunFolder(tmp_path), recipe_of()
    old = "cache/.transducer-old.tmp"
    left = ["phases/train.partial", ".transducer-0123456789ab.tmp", ".lights-01234567.new", ".lights-01234567.old"]
    kept = ["phases/train.pt", "cache/features-1.partial", "lights", ".gitignore", "cache/.transducer-new.tmp"]
    with folder.claim(recipe, resume=False):
        folder.begin(recipe)
        for name in (*left, *kept, old):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.mkdir() if "lights" in name or "features" in name else path.touch()
        os.utime(tmp_path / old, (0, 0))
    with folder.claim(recipe, resume=True):
        assert not any((tmp_path / name).exists() for name in (*left, old))
        assert all((tmp_path / name).exists() for name in kept)


def test_a_log_forgets_what_is_about_to_happen_again(tmp_path):
    path = tmp_path / "log.jsonl"
    first, second = Log(path, "one"), Log(path, "two")
    for step in (1, 2):
        first(step, {"loss": 1.0})
    for step in (1, 2, 3):
        second(step, {"loss": 2.0})
    with open(path, "a") as file:
        file.write('{"phase": "two", "st')  # broken off
    second.rewind(1)
    assert [(row["phase"], row["step"]) for row in read_log(path)] == [("one", 1), ("one", 2), ("two", 1)]


def test_a_recording_is_not_both_held_out_and_trained_on(tmp_path):
    recipe = tone_recipe(tmp_path / "data", tiny_model(), (Phase("p", 1, (HeadLoss("characters"),)),))
    recipe = replace(recipe, dev=tones(tmp_path / "data", texts=TEXTS[:2]))
    with pytest.raises(UsageError, match=r"train-abc_de\.wav is held out and trained on as well"):
        train(recipe, tmp_path / "run")


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    write_tones(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "log.jsonl")

    monkeypatch.setattr(Log, "__call__", full)
    settings = ("channels=32", "layers=1", f"alphabet={LETTERS}", "dev=none")
    with pytest.raises(TransducerError, match=r"log\.jsonl: No space left on device"):
        train_command(
            str(PIPELINES / "characters_ctc.py"), data=str(tmp_path), output=str(tmp_path / "run"), settings=settings
        )


def test_a_device_that_is_not_there_is_told(tmp_path, capsys):
    with pytest.raises(UsageError, match="unknown device 'tpu': there are auto, cpu, cuda"):
        train(recipe_of(), tmp_path / "run", device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="torch finds no GPU"):
            train(recipe_of(), tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()
