"""The model of readable text: its stream of words, its checkpoint, the bundled one, and the command line with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import fake_model
import numpy as np
import pytest
import torch
from contract import verify_contract
from tiny_readable import UNITS, WORDS, bare, segment, tiny, tiny_config, tiny_network

import transducer
from transducer.cli import main
from transducer.engine.readable import ReadableModel, load_readable
from transducer.engine.torch_networks import TorchNetworks
from transducer.errors import CheckpointError, UsageError
from transducer.frontends.words import Words
from transducer.model.checkpoint import save_checkpoint
from transducer.model.network import Network
from transducer.model.sequence import Serial
from transducer.results import Segment, Word
from transducer.text.readable import Readable
from transducer.text.readable.labels import MARKS
from transducer.text.readable.pauses import PAUSES, Pauses
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.symbols import Symbols


@pytest.mark.parametrize("head", ["marks", "cases"])
def test_the_network_keeps_the_law(head):
    network = tiny_network().double()
    stage = Serial(network.frontend, network.encoder, network.heads[head])
    verify_contract(stage, 7, [9, 3, 1], [2, 1], seed=0)
    verify_contract(stage, 7, [7], [5], seed=1)


def test_words_come_as_they_come():
    """One by one, a few at a time, or at once with the end: the same scores."""
    model = tiny(3)
    whole, _ = model.step(WORDS, model.init_state(), flush=True)
    assert len(whole) == len(WORDS)
    state, found = model.init_state(), []
    for start in range(0, len(WORDS), 3):
        scores, state = model.step(WORDS[start : start + 3], state)
        found += scores
    rest, _ = model.step([], state, flush=True)
    found += rest
    for a, b in zip(whole, found, strict=True):
        np.testing.assert_allclose(a[0], b[0], atol=1e-5)
        np.testing.assert_allclose(a[1], b[1], atol=1e-5)
    assert np.allclose(np.exp(whole[0][0]).sum(), 1) and np.allclose(np.exp(whole[0][1]).sum(), 1)


# --- checkpoints


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    folder = tmp_path / "mine"
    save_checkpoint(folder, tiny_network(), tiny_config(), UNITS, torch.int8)
    Pauses((0.2,), ((0.5,) * len(MARKS), (0.0,) * len(MARKS), (1.0,) * len(MARKS))).save(folder)
    return folder


def test_saved_and_loaded(checkpoint):
    loaded, model = load_readable(checkpoint), tiny()
    assert loaded.pauses == Pauses.load(checkpoint) != Pauses()
    assert loaded.look_ahead == model.look_ahead == 2
    ours, theirs = (m.step(WORDS, m.init_state(), flush=True)[0] for m in (model, loaded))
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(np.exp(a[0]), np.exp(b[0]), atol=0.1)
    (checkpoint / PAUSES).unlink()
    assert load_readable(checkpoint).pauses == Pauses()


def test_embeddings_are_bytes_on_the_disk(checkpoint):
    from safetensors.torch import load_file

    stored = load_file(checkpoint / "model.safetensors")
    assert stored["frontend.word_embedding.weight"].dtype == torch.int8


def test_models_that_cannot_be_used(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="unknown model"):
        load_readable(tmp_path / "none")
    with pytest.raises(UsageError, match="shots does not punctuate"):
        load_readable("shots")
    for name in ("words", "marks", "cases"):
        path = checkpoint / "units" / name / "tokens.json"
        contents = path.read_bytes()
        path.write_bytes(contents[: len(contents) // 2])
        with pytest.raises(CheckpointError, match=r"tokens\.json is damaged"):
            load_readable(checkpoint)
        path.write_bytes(contents)
    (checkpoint / PAUSES).write_text("{")
    with pytest.raises(CheckpointError, match=r"pauses\.json is damaged"):
        load_readable(checkpoint)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({**UNITS, "marks": Labels([f"mark {k}" for k in range(9)])}, "marks"),
        ({**UNITS, "cases": Labels(["upper", "capitalised"])}, "cases"),
        ({**UNITS, "words": Symbols(WORDS[:5])}, "vocabulary"),
    ],
)
def test_parts_of_another_model_are_refused(units, message, tmp_path):
    config = replace(tiny_config(), units={name: len(tokenizer) for name, tokenizer in units.items()})
    save_checkpoint(tmp_path / "mine", Network(config), config, units)
    with pytest.raises(CheckpointError, match=rf"mine is no model of readable text: .*{message}"):
        load_readable(tmp_path / "mine")


def test_it_needs_no_copy_of_the_weights():
    network = tiny_network()
    model = ReadableModel(TorchNetworks(network, UNITS), Pauses())
    frontend = model.network.network.stages[0]
    assert isinstance(frontend, Words)
    assert frontend.word_embedding.weight is network.frontend.word_embedding.weight


# --- the bundled model, and the command line with it


@pytest.fixture(scope="module")
def bundled() -> ReadableModel:
    return load_readable()


def test_bundled_model(bundled):
    folder = Path(transducer.__file__).parent / "checkpoints" / "readable-en"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 3_000_000
    assert bundled.look_ahead <= 4
    model = transducer.load("readable-en")
    facts = model.info()
    assert facts["language"] == "en" and facts["look_ahead_words"] == 4 and facts["trained_on"]
    assert "readable-en" in transducer.models()
    with pytest.raises(UsageError, match="--punctuate"):
        model.label("talk.mp3")
    with pytest.raises(UsageError, match="readable-en"):
        model.transcribe("talk.mp3")
    words, clock = [], 0.0
    for text in "i went to london with mary on monday what did you say he asked i said that it was late".split():
        words.append(Word(text, clock, clock + 0.3, 1.0))
        clock += 0.9 if text in ("monday", "say", "asked") else 0.35
    readable = Readable(bundled)(Segment(tuple(words), True, 0.0, clock, len(words))).text
    assert readable.startswith("I went to London with Mary on Monday. What did you say? ")
    assert readable.endswith(" it was late.")  # a segment ends with a pause


def test_a_pause_tells_of_a_sentence(bundled):
    words, pause = segment(["we", "went", "away", "it", "was", "late"]).words, 1.5
    later = tuple(replace(word, start=word.start + pause, end=word.end + pause) for word in words[3:])
    whole = Segment((*words[:3], *later), True, 0.0, later[-1].end, 6)
    assert Readable(bundled)(whole).text == "We went away. It was late."


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setitem(vars(transducer), "load", fake_model.load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.wav").write_text("~i went\n~i went to london\ni went to london in nineteen eighty four\nyou see\n")
    return tmp_path


def test_command_line(folder, bundled, capsys):
    command = ["transcribe", "--model", "fake", "one.wav"]
    assert main([*command, "--digits"]) == 0
    assert capsys.readouterr().out == "i went to london in 1984\nyou see\n"
    assert main([*command, "--punctuate"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("I went to London in ") and bare(second) == "you see"
    assert main([*command, "--punctuate", "--digits", "-f", "txt,json,srt,vtt,tsv,ctm,jsonl", "-o", "out"]) == 0
    for path in (folder / "out").iterdir():
        assert "London" in path.read_text() and "1984" in path.read_text(), path
    assert capsys.readouterr() == ("", "")


def test_partials_on_the_command_line(folder, bundled, capsys):
    assert main(["transcribe", "--model", "fake", "one.wav", "--punctuate", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["final"] for row in rows] == [False, False, True, True]
    assert rows[1]["text"].startswith("I went to London") and rows[1]["stable"] == 0
