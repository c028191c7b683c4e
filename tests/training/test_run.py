"""Whole runs: recipes, the folder, resuming, the checkpoint and the report."""

from __future__ import annotations

import json
import signal
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tones import TEXTS, tone, write_tones
from training_fixtures import LETTERS, corpus_of, tiny_model, tone_recipe, without_times

import transducer
from transducer.cli import main
from transducer.errors import TransducerError, UsageError
from transducer.model.checkpoint import load_checkpoint
from transducer.training.corpus import open_corpus
from transducer.training.folder import RunFolder
from transducer.training.interrupt import Interrupt
from transducer.training.log import Log, read_log
from transducer.training.recipe import Phase, Recipe, Table
from transducer.training.run import build_network, train, train_command

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"

PHASES = (
    Phase("frames", 6, {"frames": 1.0, "frames:phones": 1.0}, aligned_only=True, frames_per_batch=500, realign=True),
    Phase("joint", 8, {"ctc:characters": 1.0, "ctc:phones": 0.5, "frames": 0.5}, frames_per_batch=500),
)
TEXT_PHASE = Phase(
    "texts",
    6,
    {"ctc:characters": 1.0, "text:characters": 0.7, "silence": 0.3},
    frames_per_batch=500,
    text_frames=60,
    text_renewal=4,
)


def weights_of(folder: Path, phase: str) -> dict[str, torch.Tensor]:
    return torch.load(folder / "phases" / f"{phase}.pt", weights_only=True)["average"]["weights"]


def stop_after(calls: int):
    """Says stop when asked for the time after so many."""
    asked = iter(range(calls))
    return lambda: next(asked, None) is None


def quiet(folder: Path) -> Table:
    """A table of one recording in which there is nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / "quiet.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    (folder / "quiet.tsv").write_text("path\nquiet.wav\n")
    return Table(folder / "quiet.tsv")


def test_a_run_stopped_twice_is_the_run_that_was_not(tmp_path):
    recipe = tone_recipe(tmp_path / "data", tiny_model(chunks=(2, 4), dropout=0.1), (*PHASES, TEXT_PHASE))
    recipe = replace(recipe, texts=lambda: ["dead cab", "abc bee", "never read"], silence=quiet)
    cache = tmp_path / "cache"
    assert train(recipe, tmp_path / "whole", cache=cache) == tmp_path / "whole" / "tones"
    assert train(recipe, tmp_path / "parts", cache=cache, stop=stop_after(3)) is None
    assert train(recipe, tmp_path / "parts", cache=cache, resume=True, stop=stop_after(7)) is None
    assert train(recipe, tmp_path / "parts", cache=cache, resume=True, stop=stop_after(6)) is None
    assert train(recipe, tmp_path / "parts", cache=cache, resume=True) == tmp_path / "parts" / "tones"

    for phase in ("frames", "joint", "texts"):
        whole, parts = weights_of(tmp_path / "whole", phase), weights_of(tmp_path / "parts", phase)
        assert all(torch.equal(whole[name], parts[name]) for name in whole)
    logs = [[without_times(row) for row in read_log(tmp_path / name / "log.jsonl")] for name in ("whole", "parts")]
    assert logs[0] == logs[1] and len(logs[0]) == 20 and logs[0][-1]["text:characters"] > 0
    assert logs[0][-1]["silence"] > 0
    files = [tmp_path / name / "phases" / "frames.alignments.tsv" for name in ("whole", "parts")]
    assert files[0].read_text() == files[1].read_text()
    assert len(files[0].read_text().splitlines()) == 1 + len(TEXTS) // 2  # those that came without

    with pytest.raises(UsageError, match="has a run already: go on with it by --resume"):
        train(recipe, tmp_path / "parts", cache=cache)
    with pytest.raises(UsageError, match="has no run to go on with"):
        train(recipe, tmp_path / "none", cache=cache, resume=True)
    with pytest.raises(UsageError, match=r"another recipe \(other seed, phase joint\)"):
        other = replace(recipe, seed=2, phases=(PHASES[0], replace(PHASES[1], steps=9), TEXT_PHASE))
        train(other, tmp_path / "parts", cache=cache, resume=True)


def test_auxiliary_heads_are_trained_and_do_not_ship(tmp_path):
    phase = Phase("both", 3, {"ctc:characters": 1.0, "ctc:phones": 0.5}, frames_per_batch=500)
    align = Phase("align", 0, {}, realign=True)
    recipe = replace(tone_recipe(tmp_path / "data", tiny_model(), (align, phase)), auxiliary=("characters",))
    folder = train(recipe, tmp_path / "run", cache=tmp_path / "cache")
    network, units = load_checkpoint(folder)
    assert list(network.heads) == ["phones"] and list(units) == ["phones"]
    trained = weights_of(tmp_path / "run", "both")
    assert {name for name in trained if name not in network.state_dict()} == {
        "heads.characters.module.0.weight",
        "heads.characters.module.0.bias",
    }
    torch.testing.assert_close(network.state_dict()["frontend.mean"], trained["frontend.mean"])
    with pytest.raises(UsageError, match="auxiliary: the model has no decoder 'letters', but characters, phones"):
        train(replace(recipe, auxiliary=("letters",)), tmp_path / "other", cache=tmp_path / "cache")


def test_a_run_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tones(tmp_path / "data")
    write_tones(tmp_path / "data", TEXTS[:2], "dev.tsv")
    settings = [
        "channels=32", "layers=1", "steps=4", "frames-per-batch=2000", f"alphabet={LETTERS}", "licence=CC0"
    ]  # fmt: skip
    command = ["train", str(PIPELINES / "characters_ctc.py"), "--data", "data", "--output", "run"]
    assert main([*command, *(part for setting in settings for part in ("--set", setting))]) == 0
    run = tmp_path / "run"
    said = capsys.readouterr().err
    assert "phase 1 of 1: ctc, step 4 of 4: loss" in said and "phase 1 of 1: ctc, step 4: WER" in said

    model = transducer.load(run / "speech")
    facts = model.info()
    seconds = sum(len(tone(text)) for text in TEXTS) / 16000
    assert list(facts["trained_on"]) == [{"name": "train", "licence": "CC0", "hours": round(seconds / 3600, 2)}]
    assert facts["training_steps"] == 4 and facts["measured"][0].startswith("WER ")
    assert model.transcribe([tone("cab")]).duration == pytest.approx(len(tone("cab")) / 16000)

    rows = read_log(run / "log.jsonl")
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "wer:ctc" in row] == [4]
    report = (run / "report.md").read_text()
    for part in ("M parameters", "| train |", "| ctc | 4 |", "abc de", "640 ms", "--set channels=32"):
        assert part in report
    for picture in ("loss.png", "error_rates.png", "alignment.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG") and picture in report
    assert list((run / "tensorboard").glob("events*"))

    assert main([*command, *(part for setting in settings for part in ("--set", setting))]) == 2
    assert "has a run already" in capsys.readouterr().err


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    write_tones(tmp_path)
    settings = ("channels=32", "layers=1", "steps=50", f"alphabet={LETTERS}", "dev=none")
    recipe, output = str(PIPELINES / "characters_ctc.py"), str(tmp_path / "run")
    write = Log.__call__

    def interrupted(self: Log, step: int, numbers: dict[str, float]) -> None:
        write(self, step, numbers)
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Log, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_command(recipe, data=str(tmp_path), output=output, settings=settings)
    said = capsys.readouterr().err
    assert "stopped after step 3; it is saved" in said
    assert f"To go on: transducer train {recipe} --data {tmp_path} --output {output} --set channels=32" in said
    assert said.rstrip().endswith("--set dev=none --resume")
    assert torch.load(tmp_path / "run" / "phases" / "ctc.pt", weights_only=True)["step"] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_interrupt_is_not_waited_for():
    interrupt = Interrupt()
    with pytest.raises(KeyboardInterrupt), interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt()
        signal.raise_signal(signal.SIGINT)
    assert not Interrupt()()


def test_a_run_can_start_from_a_checkpoint(tmp_path):
    phases = (replace(PHASES[1], steps=1),)
    recipe = tone_recipe(tmp_path / "data", tiny_model(), phases)
    checkpoint = train(recipe, tmp_path / "first")
    corpus = corpus_of(recipe, tmp_path / "first")
    first = weights_of(tmp_path / "first", "joint")
    second = build_network(replace(recipe, initial=checkpoint), corpus).state_dict()
    for name, value in second.items():
        torch.testing.assert_close(value, first[name], atol=1e-3, rtol=1e-3)  # float16 on disk


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path):
    recipe = tone_recipe(tmp_path / "data", tiny_model(), PHASES)
    folder = RunFolder(tmp_path / "run")
    with folder.claim(recipe, resume=False):
        pass  # nothing begun: the data was wrong, say
    with folder.claim(recipe, resume=False):
        folder.begin(recipe)
        with pytest.raises(UsageError, match="another process is training"):
            folder.claim(recipe, resume=True).__enter__()
    with folder.claim(recipe, resume=True):
        pass
    later = replace(recipe, phases=(PHASES[0], replace(PHASES[1], steps=99)))  # has not begun: may change
    with folder.claim(later, resume=True):
        folder.begin(later)
        assert json.loads(folder.description.read_text())["phases"]["joint"]["steps"] == 99
    with pytest.raises(UsageError, match="has files in it that are no run"):
        RunFolder(tmp_path / "data").claim(recipe, resume=False).__enter__()
    with pytest.raises(UsageError, match="is no folder"):
        RunFolder(tmp_path / "data" / "train.tsv").claim(recipe, resume=False).__enter__()


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


# --- data


def test_what_cannot_be_trained_on_is_told(tmp_path):
    recipe = tone_recipe(tmp_path, tiny_model(), PHASES)
    table = recipe.train[0].path

    def problem(changed: Recipe) -> str:
        with pytest.raises(UsageError) as error:
            open_corpus(changed, tmp_path / "cache", progress=False)
        return str(error.value)

    assert "train-abc_de.wav is in " in problem(replace(recipe, dev=Table(table, rows=2)))
    assert "has a text loss, but no texts" in problem(replace(recipe, phases=(TEXT_PHASE,)))
    assert "phones need a pronouncing dictionary" in problem(replace(recipe, lexicon=None))
    model = replace(recipe.model, frontend=replace(recipe.model.frontend, floor=1e-6))
    assert "front-end's default low_hz and floor" in problem(replace(recipe, model=model))
    table.write_text(table.read_text().replace("\tcab", "\tcab 9"))
    assert "utterance train-cab: no token for the character '9'" in problem(recipe)


def test_rows_are_spread_and_texts_are_normalised(tmp_path):
    recipe = tone_recipe(tmp_path, tiny_model(), PHASES)
    table = recipe.train[0].path
    table.write_text(table.read_text().replace("\tace bad", "\tAce, bad!"))
    recipe = replace(recipe, train=(replace(recipe.train[0], rows=2),), lexicon=recipe.lexicon)
    corpus = corpus_of(recipe, tmp_path)
    assert [utterance.text for utterance in corpus.train.utterances] == ["abc de", "ace bad"]
    assert corpus.targets.tokens("abc ace", "phones") == [1, 2, 3, 1, 3, 5]
    assert corpus.targets.tokens("abc xyz", "phones") is None
    heard = replace(recipe, pronounce=lambda words, lexicon: {word: [["E", "E"], ["A"]] for word in words})
    recipe.lexicon.write_text("abc A B C\nde D E\nace A C E\n")
    assert corpus_of(heard, tmp_path).targets.tokens("ace bad", "phones") == [1, 3, 5, 5, 5]
    assert corpus.hours["Tones"] == pytest.approx(
        sum(len(tone(text)) for text in ("abc de", "ace bad")) / 16000 / 3600, rel=0.02
    )
    assert np.isfinite(build_network(recipe, corpus).frontend.std.numpy()).all()


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
