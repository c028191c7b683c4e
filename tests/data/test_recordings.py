"""Recordings as training examples: features from the cache, tokens, and what cannot be trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tones import TEXTS, tone, write_tones
from training_fixtures import UNITS, tones

from transducer.data.augment.features import AugmentConfig
from transducer.data.pairs import fixed_pair
from transducer.data.recordings import Dataset, Recordings
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig


def prepared(source: Recordings, folder) -> Recordings:
    source.prepare(folder / "cache", progress=False)
    return source


def test_pairs_are_the_features_of_the_cache_and_the_tokens_of_each_head(tmp_path):
    source = prepared(tones(tmp_path, ["one", "two"], speeds=(0.9, 1.0), variants=(("codec", 1.0),)), tmp_path)
    assert len(source) == len(TEXTS) and source.lengths.shape == (len(TEXTS), 3) and source.enters == "encoder"
    for number, text in enumerate(TEXTS):
        for variant in range(3):
            pair = source.pair(3 * number + variant, np.random.default_rng(0))
            assert pair.x.dtype == np.float32 and len(pair.x) == source.lengths[number, variant]
            assert np.array_equal(pair.x, source.store.features(number, variant))
            assert pair.y == dict.fromkeys(["one", "two"], UNITS["characters"].encode(text))
    assert source.plain == 1 and np.isfinite(source.statistics()[1]).all()


def test_augmentation_is_a_function_of_the_pair_and_its_random_numbers(tmp_path):
    noise = Dataset(write_tones(tmp_path / "noise", ("abcde",), "noise.tsv"))
    source = prepared(tones(tmp_path, augment=AugmentConfig(noise_probability=1.0), noise=noise), tmp_path)
    one, same, other = (source.pair(2, np.random.default_rng(seed)).x for seed in (1, 1, 2))
    plain = source.store.features(2)
    assert one.shape == plain.shape and np.array_equal(one, same)
    assert not np.array_equal(one, other) and not np.array_equal(one, plain)
    assert np.array_equal(fixed_pair(source, 2).x, fixed_pair(source, 2).x)
    assert source.describe()[-1] == {"name": "noise", "licence": "", "hours": "noise"}


def test_rows_are_spread_and_texts_are_normalised(tmp_path):
    table = write_tones(tmp_path)
    table.write_text(table.read_text().replace("\tace bad", "\tAce, bad!"))
    dataset = Dataset(table, "Tones", "CC0", rows=2)
    source = prepared(Recordings((dataset,), {"head": UNITS["characters"]}), tmp_path)
    assert [item.text for item in source.store.utterances] == ["abc de", "ace bad"]
    hours = sum(len(tone(text)) for text in ("abc de", "ace bad")) / 16000 / 3600
    assert source.hours() == [pytest.approx(hours, rel=0.02)]
    assert source.describe() == [{"name": "Tones", "licence": "CC0", "hours": round(hours, 2)}]


def test_a_table_is_parted_by_speakers(tmp_path):
    table = write_tones(tmp_path)
    rows = table.read_text().splitlines()
    speakers = "abcabc"
    table.write_text("\n".join([rows[0] + "\tspeaker", *map("\t".join, zip(rows[1:], speakers, strict=True))]) + "\n")
    parts = [Dataset(table, split=split, share=0.34).read() for split in ("train", "dev")]
    names = [{item.speaker for item in part} for part in parts]
    assert all(names) and not names[0] & names[1] and sum(map(len, parts)) == 6
    assert Dataset(table, split="dev", share=0.34).read() == parts[1]


def test_data_sets_are_told_apart(tmp_path):
    plain = tones(tmp_path)
    dataset = plain.datasets[0]
    others = [
        Recordings((replace(dataset, rows=3),), plain.spelling),
        tones(tmp_path, speeds=(0.9, 1.0)),
        tones(tmp_path, variants=(("reverb", 1.0),)),
        tones(tmp_path, augment=AugmentConfig()),
        tones(tmp_path, normalise=False),
    ]
    assert all(other.fingerprint != plain.fingerprint for other in others)
    assert tones(tmp_path / "elsewhere").fingerprint == plain.fingerprint  # a data folder may move


def test_what_cannot_be_trained_on_is_told(tmp_path):
    source = tones(tmp_path)
    table = source.datasets[0].path
    with pytest.raises(UsageError, match="front-end's default floor"):
        Recordings(source.datasets, source.spelling, LogMelConfig(floor=1e-6))
    table.write_text(table.read_text().replace("\tcab", "\tcab 9"))
    with pytest.raises(UsageError, match="utterance train-cab: no token for the character '9'"):
        prepared(source, tmp_path)
    with pytest.raises(UsageError, match=r"none\.tsv"):
        prepared(Recordings((Dataset(tmp_path / "none.tsv"),), source.spelling), tmp_path)
