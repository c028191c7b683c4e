import json
import wave

import numpy as np
import pytest
import torch
from media_fixtures import noise, write_media

from transducer.data.augment.waveform import add_noise, change_speed, reverberate, room_response
from transducer.data.features import FeatureConfig, FeatureStore
from transducer.data.item import Item
from transducer.errors import MediaError, UsageError
from transducer.frontends.logmel import LogMel
from transducer.media import read_audio
from transducer.media.audio.medium import Samples

RATE = 16000
SILENT = {"workers": 1, "progress": False}


def write_wav(path, samples, rate=RATE):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def tone(hertz, seconds, rate=RATE):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def utterances(tmp_path):
    result = []
    for index in range(5):
        path = tmp_path / f"u{index}.wav"
        write_wav(path, tone(300 + 200 * index, 0.5 + 0.11 * index))
        result.append(Item(path.name, path.stem, path, text=f"text {index}"))
    return result


def test_store_holds_what_the_front_end_computes(utterances, tmp_path):
    store = FeatureStore.build(utterances, tmp_path / "cache", **SILENT)
    assert store.utterances == utterances and list(store.speeds) == [0.9, 1.0, 1.1]
    frontend = LogMel()
    for index, utterance in enumerate(utterances):
        samples = read_audio(utterance.path, RATE)
        x = torch.from_numpy(samples)[None, :, None]
        expected = frontend(x, torch.ones(x.shape[:2], dtype=torch.bool))[0][0].numpy()
        got = store.features(index, 1)
        assert got.dtype == np.float16 and got.shape == (-(-len(samples) // 160), 80)
        np.testing.assert_allclose(got, expected, atol=0.01)
        for variant, speed in enumerate(store.speeds):
            assert abs(store.frames[index, variant] - len(samples) / speed / 160) <= 1
            assert len(store.features(index, variant)) == store.frames[index, variant]


@pytest.mark.parametrize(("codec", "ending"), [("aac", "mp4"), ("libopus", "mkv"), ("pcm_s16le", "mkv")])
def test_sound_that_starts_late_is_the_same_in_training_and_in_use(tmp_path, codec, ending):
    path = write_media(
        tmp_path / f"late.{ending}", codec, noise(1.5, 48000), rate=48000, start=0.6, gap_at=0.5, gap=0.4, video=2.6
    )
    store = FeatureStore.build([Item(path.name, "late", path)], tmp_path / "cache", **SILENT)
    with Samples(RATE).open(path) as reader:
        x = torch.from_numpy(np.concatenate([block.inputs for block in reader]))[None]
    expected = LogMel()(x, torch.ones(x.shape[:2], dtype=torch.bool))[0][0].numpy()
    np.testing.assert_array_equal(store.features(0, 1), expected.astype(np.float16))
    for variant, speed in enumerate(store.speeds):
        loud = store.features(0, variant).astype(np.float32).mean(axis=1) > -14
        silent = [int(np.argmax(loud)), int(np.argmin(loud[int(90 / speed) :])) + int(90 / speed)]
        np.testing.assert_allclose(silent, [60 / speed, 110 / speed], atol=8)  # the start, and the gap in the middle


def test_speed_moves_the_pitch(utterances, tmp_path):
    store = FeatureStore.build(utterances, tmp_path / "cache", **SILENT)
    peaks = [store.features(4, v)[10:-10].astype(np.float32).mean(0).argmax() for v in range(3)]
    assert peaks[0] < peaks[1] < peaks[2]


def test_statistics(utterances, tmp_path):
    store = FeatureStore.build(utterances, tmp_path / "cache", FeatureConfig(variants=(("speed", 1.0),)), **SILENT)
    everything = np.concatenate([store.features(i) for i in range(5)]).astype(np.float64)
    mean, deviation = store.statistics()
    np.testing.assert_allclose(mean, everything.mean(0), rtol=1e-5)
    np.testing.assert_allclose(deviation, everything.std(0), rtol=1e-3, atol=2e-3)


def test_a_cache_is_reused_and_a_changed_table_rebuilds(utterances, tmp_path):
    first = FeatureStore.build(utterances, tmp_path / "cache", **SILENT)
    stamp = (first.folder / "features.bin").stat().st_mtime_ns
    again = FeatureStore.build(utterances, tmp_path / "cache", **SILENT)
    assert again.folder == first.folder and (again.folder / "features.bin").stat().st_mtime_ns == stamp
    changed = FeatureStore.build(utterances[:4], tmp_path / "cache", **SILENT)
    assert changed.folder != first.folder and len(changed) == 4
    other = FeatureStore.build(utterances, tmp_path / "cache", FeatureConfig(bins=40), **SILENT)
    assert other.folder != first.folder and other.features(0).shape[1] == 40


@pytest.mark.parametrize("torn", ["index", "data"])
def test_a_broken_off_build_goes_on(utterances, tmp_path, torn, monkeypatch):
    whole = FeatureStore.build(utterances, tmp_path / "whole", **SILENT)

    import transducer.data.features as module

    compute, done = module.utterance_features, []

    def fail_at_the_third(utterance, *rest):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(utterance.id)
        return compute(utterance, *rest)

    monkeypatch.setattr(module, "utterance_features", fail_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        FeatureStore.build(utterances, tmp_path / "cache", **SILENT)
    [partial] = (tmp_path / "cache").iterdir()
    assert partial.name.endswith(".partial")
    if torn == "index":
        text = (partial / "index.jsonl").read_text()
        (partial / "index.jsonl").write_text(text[:-7])
    else:
        data = (partial / "features.bin").read_bytes()
        (partial / "features.bin").write_bytes(data[:-7])

    computed = []
    monkeypatch.setattr(module, "utterance_features", lambda u, *rest: computed.append(u.id) or compute(u, *rest))
    store = FeatureStore.build(utterances, tmp_path / "cache", **SILENT)
    assert computed == ["u2", "u3", "u4"]
    assert (store.folder / "features.bin").read_bytes() == (whole.folder / "features.bin").read_bytes()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [store.folder.name]


def test_worker_processes_give_the_same_file(utterances, tmp_path):
    config = FeatureConfig(variants=(("speed", 1.0), ("reverb", 7), ("codec", 7)))
    alone = FeatureStore.build(utterances, tmp_path / "alone", config, **SILENT)
    together = FeatureStore.build(utterances, tmp_path / "together", config, workers=2, progress=False)
    assert (alone.folder / "features.bin").read_bytes() == (together.folder / "features.bin").read_bytes()
    for variant in (1, 2):
        assert not np.allclose(alone.features(0, 0), alone.features(0, variant), atol=0.5)
    assert alone.speeds.tolist() == [1.0, 1.0, 1.0]


def test_bad_input(utterances, tmp_path):
    with pytest.raises(UsageError, match="at least one utterance"):
        FeatureStore.build([], tmp_path / "cache", **SILENT)
    with pytest.raises(UsageError, match="not unique"):
        FeatureStore.build([utterances[0]] * 2, tmp_path / "cache", **SILENT)
    with pytest.raises(UsageError, match="unknown variant 'pitch'"):
        FeatureConfig(variants=(("pitch", 1.0),))
    with pytest.raises(UsageError, match="not a finished feature cache"):
        FeatureStore(tmp_path)
    utterances[2].path.write_text("no sound at all")
    with pytest.raises(MediaError, match=r"u2\.wav"):
        FeatureStore.build(utterances, tmp_path / "cache", **SILENT)


def test_a_damaged_cache_says_so(utterances, tmp_path):
    store = FeatureStore.build(utterances, tmp_path / "cache", **SILENT)
    data = (store.folder / "features.bin").read_bytes()
    (store.folder / "features.bin").write_bytes(data[:-160])
    with pytest.raises(UsageError, match="damaged"):
        FeatureStore(store.folder)
    description = json.loads((store.folder / "store.json").read_text())
    (store.folder / "store.json").write_text(json.dumps({**description, "format": 99}))
    with pytest.raises(UsageError, match="format 99"):
        FeatureStore(store.folder)


def test_change_speed_is_resampling():
    samples = tone(440, 1.0)
    fast = change_speed(samples, 1.25, RATE)
    assert abs(len(fast) - RATE / 1.25) <= 1
    spectrum = np.abs(np.fft.rfft(fast * np.hanning(len(fast))))
    assert abs(spectrum.argmax() * RATE / len(fast) - 440 * 1.25) < 2
    assert change_speed(samples, 1.0, RATE) is samples
    assert abs(len(change_speed(samples, 0.5, RATE, 8000)) - RATE) <= 1
    with pytest.raises(ValueError, match="outside"):
        change_speed(samples, 0.0, RATE)


def test_add_noise_has_the_ratio_asked_for():
    rng = np.random.default_rng(0)
    speech = tone(200, 1.0)
    noise = rng.standard_normal(3000).astype(np.float32)
    for ratio in (-5.0, 0.0, 20.0):
        added = add_noise(speech, noise, ratio) - speech
        measured = 10 * np.log10(np.mean(speech**2) / np.mean(added**2))
        assert abs(measured - ratio) < 0.01
    assert add_noise(speech, np.zeros(10, np.float32), 0.0) is speech


def test_room_response_decays_by_60_db_in_rt60():
    response = room_response(0.5, 0.0, RATE, np.random.default_rng(1)).astype(np.float64)
    tail = response[1:] ** 2
    assert response[0] == 1 and abs(tail.sum() - 1) < 1e-5
    # Schroeder's backward integral, fitted between -5 and -25 dB.
    decay = 10 * np.log10(np.cumsum(tail[::-1])[::-1])
    decay -= decay[0]
    fitted = np.flatnonzero((decay < -5) & (decay > -25))
    slope = np.polyfit(fitted / RATE, decay[fitted], 1)[0]
    assert abs(-60 / slope - 0.5) < 0.05


def test_reverberation_keeps_length_power_and_onset():
    speech = np.concatenate([np.zeros(4000, np.float32), tone(500, 0.5)])
    wet = reverberate(speech, RATE, np.random.default_rng(3))
    assert wet.shape == speech.shape and wet.dtype == np.float32
    assert abs(np.mean(wet**2) / np.mean(speech**2) - 1) < 1e-3
    assert np.abs(wet[:3999]).max() < 1e-5 and np.abs(wet[4000:4200]).max() > 0.01
    np.testing.assert_array_equal(wet, reverberate(speech, RATE, np.random.default_rng(3)))
