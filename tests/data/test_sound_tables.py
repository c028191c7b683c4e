"""Tables of sounds: labels of any kind are learned from them as from tables of clips."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from beeps import RATE, write_beeps

from transducer.cores.recurrent import RecurrentConfig
from transducer.data.augment.sound import SoundAugment
from transducer.data.clips import decode_clips
from transducer.data.pairs import PairSource, fixed_pair
from transducer.data.table import read_table
from transducer.data.table_pairs import TablePairs
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.media.audio.medium import Samples
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.labels import Labels
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.run import train as train_recipe

HOP = 640  # samples of an output of the network below
UNITS = Labels(["high", "low"])
SOUND = Samples(Fraction(RATE))
HEADS = {
    "events": FramewiseConfig("labels"),
    "labels": FramewiseConfig("labels"),
    "label": PooledConfig("labels"),
}


def pairs_of(table: Path, cache: Path, window: int = 30, augment: SoundAugment | None = None) -> TablePairs:
    found = read_table(table)
    numbers = {label: UNITS.id(label) for label in found.labels}
    return TablePairs(decode_clips(found, SOUND, cache, hop=HOP), numbers, window, augment)


def trained_rates(kind: str, train: PairSource, dev: PairSource, folder: Path) -> dict[str, float]:
    """What the report of a short run says of `dev`."""
    phase = Phase(
        "train",
        60,
        (HeadLoss("out"),),
        batch_frames=12 * RATE,
        learning_rate=0.01,
        warmup=5,
        average_decay=0.9,
    )
    recipe = Recipe(
        name="beeps",
        model=ModelConfig(
            frontend=LogMelConfig(RATE, bins=12),
            encoder=ConvSubsamplingConfig(6),
            core=RecurrentConfig("gru", 24, 1),
            heads={"out": HEADS[kind]},
            chunks=(1,),
        ),
        units={"labels": UNITS},
        train=train,
        dev=dev,
        phases=(phase,),
        workers=0,
        evaluate_every=60,
    )
    train_recipe(recipe, folder)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return next(row for row in reversed(rows) if "loss" not in row)


@pytest.mark.parametrize("kind", HEADS)
def test_every_kind_of_label_is_learned_from_a_table_of_sounds(tmp_path, kind):
    train = pairs_of(write_beeps(tmp_path / "sounds", kind, 24), tmp_path / "cache", augment=SoundAugment())
    dev = pairs_of(write_beeps(tmp_path / "sounds", kind, 6, seed=1), tmp_path / "cache")
    found = trained_rates(kind, train, dev, tmp_path / "run")
    assert found["accuracy:out"] > 0.9


def test_words_are_those_of_the_whole_sound(tmp_path):
    path = write_beeps(tmp_path, "text", 5)
    pairs = pairs_of(path, tmp_path / "cache", window=2)
    assert len(pairs) == 5 and pairs.counts()[0] == 0
    for index, item in enumerate(read_table(path).items):
        pair = fixed_pair(pairs, index)
        assert [UNITS.tokens[number] for number in pair.y] == list(item.words) and len(item.words) > 1
        assert len(pair.x) == pairs.clips[index].steps


def test_pieces_of_sound_cover_it_and_labels_go_with_it(tmp_path):
    pairs = pairs_of(write_beeps(tmp_path, "events", 4), tmp_path / "cache", window=10)
    labels = pairs_of(write_beeps(tmp_path, "labels", 4), tmp_path / "cache", window=10)
    network = Network(
        ModelConfig(
            LogMelConfig(RATE, bins=12), ConvSubsamplingConfig(2), RecurrentConfig("gru", 4, 1),
            {"out": FramewiseConfig("labels")}, {"labels": 3},
        )
    )  # fmt: skip
    assert network.hop == HOP and len(pairs) == len(labels)
    whole = np.concatenate([fixed_pair(pairs, index).x for index in range(len(pairs))])
    assert np.array_equal(whole, np.concatenate([clip.inputs() for clip in pairs.clips]))
    assert whole.dtype == np.float32 and whole.shape[1] == 1
    for index in range(len(pairs)):
        pair, other = fixed_pair(pairs, index), fixed_pair(labels, index)
        assert len(pair.y) == -(-len(pair.x) // HOP) <= 10
        assert np.array_equal(pair.y, other.y) and np.array_equal(pair.x, other.x)
        for step, label in enumerate(pair.y):  # a step has a label where it sounds in its middle
            middle = pair.x[step * HOP + HOP // 2 - 40 : step * HOP + HOP // 2 + 40]
            assert len(middle) < 80 or (np.abs(middle).max() > 0.05) == bool(label) or len(set(pair.y)) > 1
    assert pairs.frames == sum(-(-clip.steps // HOP) for clip in pairs.clips) == pairs.counts().sum()
    assert pairs.media() == [clip.clip.path for clip in pairs.clips]


def test_labels_of_sound_must_be_those_of_its_steps(tmp_path):
    path = write_beeps(tmp_path, "labels", 1, hop=320)
    with pytest.raises(UsageError, match=r"labels-0.jsonl, line 1: \d+ labels for the \d+ steps of .*, 25 a second"):
        pairs_of(path, tmp_path / "cache")
    rows = [json.loads(line) for line in write_beeps(tmp_path, "events", 1).read_text().splitlines()]
    rows[0]["events"] = [{"start": 0.1, "end": 9, "label": "low"}]
    path.write_text(json.dumps(rows[0]))
    with pytest.raises(UsageError, match=r"line 1: the event 'low' at second 0.1 to 9 is outside the clip"):
        pairs_of(path, tmp_path / "cache")


def test_changes_to_sound_are_drawn_and_keep_its_shape():
    samples = np.random.default_rng(0).standard_normal((500, 1)).astype(np.float32)
    augment = SoundAugment()
    changed = augment.change(samples, np.random.default_rng(1))
    assert changed.shape == samples.shape and changed.dtype == np.float32
    assert np.array_equal(changed, augment.change(samples, np.random.default_rng(1)))
    assert not np.array_equal(changed, augment.change(samples, np.random.default_rng(2)))
    levels = [np.abs(SoundAugment(6, None).change(samples, np.random.default_rng(n))).max() for n in range(50)]
    assert 0.5 < min(levels) / np.abs(samples).max() < 0.7 and 1.5 < max(levels) / np.abs(samples).max() < 2
    assert np.array_equal(SoundAugment(0, None).change(samples, np.random.default_rng(1)), samples)
    assert augment.order(7, np.random.default_rng(1)).tolist() == list(range(7))
