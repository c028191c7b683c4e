"""Times are exact whatever the timestamps do, and resampling does not depend on how sound is cut."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_fixtures import lag, noise, write_media

from transducer.media import open_audio, read_audio
from transducer.media.audio.reader import read_audio_at
from transducer.media.audio.resampling import resample
from transducer.media.audio.samples import Sound
from transducer.media.audio.timeline import JUMP, LASTING, Timeline
from transducer.media.io.decoding import Damage
from transducer.media.io.timing import Length

RATE = 8000


def sounds_at(times, lengths, rate=RATE, tick=None):
    """Sounds with timestamps in seconds; every sample of them is different and none is 0."""
    tick = tick or Fraction(1, rate)
    samples = np.arange(1, sum(lengths) + 1, dtype=np.float32)
    cuts = np.split(samples, np.cumsum(lengths)[:-1])
    return [Sound(None if t is None else round(t / tick), tick, rate, s) for t, s in zip(times, cuts, strict=True)]


def place(sounds, **arguments):
    warnings = []
    timeline = Timeline(lambda text, incomplete=False: warnings.append(text), **arguments)
    pieces = list(timeline.place(sounds))
    return np.concatenate([samples for _, samples in pieces]), warnings, timeline


lengths_of_frames = st.lists(st.integers(1, 400), min_size=1, max_size=30)


@given(lengths_of_frames, st.fractions(-1000, 1000))
def test_sound_without_gaps_passes_unchanged(lengths, origin):
    starts = np.cumsum([0, *lengths[:-1]])
    tick = Fraction(1, RATE)
    origin = round(origin * RATE) * tick
    sounds = sounds_at([origin + int(s) * tick for s in starts], lengths)
    placed, warnings, timeline = place(sounds, origin=origin)
    np.testing.assert_array_equal(placed, np.arange(1, sum(lengths) + 1))
    assert timeline.position == Fraction(sum(lengths), RATE)
    assert warnings == []


@given(
    st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0, 0, 321, 400, 8000, 20001])), min_size=1, max_size=20)
)
def test_gaps_become_silence_of_exactly_their_length(frames):
    expected, times, position = [], [], 0
    count = 0
    for length, gap in frames:
        position += gap
        times.append(Fraction(position, RATE))
        expected += [np.zeros(gap), np.arange(count + 1, count + length + 1)]
        position, count = position + length, count + length
    placed, warnings, _ = place(sounds_at(times, [length for length, _ in frames]), origin=Fraction(0))
    np.testing.assert_array_equal(placed, np.concatenate(expected))
    # The silence before the first sound is no gap.
    assert len(warnings) == sum(gap >= 0.1 * RATE for _, gap in frames[1:])


@given(st.lists(st.integers(-30, 30), min_size=5, max_size=60))
def test_jitter_is_left_alone(offsets):
    times = [Fraction(100 * i + (offset if i else 0), RATE) for i, offset in enumerate(offsets)]
    placed, warnings, _ = place(sounds_at(times, [100] * len(offsets)), origin=Fraction(0))
    assert warnings == []
    np.testing.assert_array_equal(placed, np.arange(1, 100 * len(offsets) + 1))


@pytest.mark.parametrize("step", [-200, -100, 100, 200])
def test_a_small_step_that_lasts_is_real(step):
    assert abs(step) < JUMP * RATE
    count = LASTING + 20
    times = [Fraction(200 * i + (step if i >= 10 else 0), RATE) for i in range(count)]
    placed, _, timeline = place(sounds_at(times, [200] * count), origin=Fraction(0))
    assert len(placed) == 200 * count + step
    assert timeline.position == times[-1] + Fraction(200, RATE)


def test_coarse_timestamps_are_no_gaps():
    tick = Fraction(32, 1225)  # AVI: one tick is a whole frame of MP3
    lengths = [1152] * 50
    times = [Fraction(1152 * i, 44100) for i in range(50)]
    placed, warnings, _ = place(sounds_at(times, lengths, 44100, tick), origin=Fraction(0))
    assert len(placed) == sum(lengths) and warnings == []


@given(st.integers(round(JUMP * RATE), 7000), st.lists(st.integers(50, 400), min_size=40, max_size=60))
def test_an_overlap_is_cut(overlap, lengths):
    starts = [int(s) for s in np.cumsum([0, *lengths[:-1]])]
    half = len(lengths) // 2
    first, second = sum(lengths[:half]), sum(lengths[half:])
    times = [Fraction(s - (overlap if i >= half else 0), RATE) for i, s in enumerate(starts)]
    placed, warnings, _ = place(sounds_at(times, lengths), origin=Fraction(0))
    samples = np.arange(1, first + second + 1)
    np.testing.assert_array_equal(placed, np.concatenate([samples[:first], samples[first + overlap :]]))
    assert len(warnings) == (overlap >= 0.1 * RATE)


@pytest.mark.parametrize("jump", [-5.0, -90000.0, 95443.7, 100000.0])
def test_a_clock_that_is_set_anew_costs_no_sound(jump):
    times = [Fraction(i, 10) + (Fraction(jump) if i >= 10 else 0) for i in range(20)]
    placed, warnings, _ = place(sounds_at(times, [800] * 20), origin=Fraction(0))
    np.testing.assert_array_equal(placed, np.arange(1, 16001))
    assert len(warnings) == 1 and "at 1.00 s" in warnings[0]


@pytest.mark.parametrize("jump", [-500, -5, 5, 300, 90000])
def test_one_damaged_timestamp_moves_nothing(jump):
    times = [Fraction(i, 10) + (jump if i == 10 else 0) for i in range(20)]
    placed, warnings, _ = place(sounds_at(times, [800] * 20), origin=Fraction(0))
    np.testing.assert_array_equal(placed, np.arange(1, 16001))
    assert warnings == []


def test_sound_before_the_origin_is_not_given():
    times = [Fraction(i, 100) - Fraction(1, 40) for i in range(20)]
    placed, warnings, _ = place(sounds_at(times, [80] * 20), origin=Fraction(0))
    np.testing.assert_array_equal(placed, np.arange(201, 1601))
    assert warnings == []


def test_contradicting_timestamps_are_left_aside():
    times = [Fraction(i, 20) for i in range(50)]  # frames of 0.1 s every 0.05 s
    placed, warnings, _ = place(sounds_at(times, [800] * 50), origin=Fraction(0))
    assert len(placed) > 0.8 * 50 * 800
    assert "contradict" in warnings[-1] and len(warnings) < 15


def test_missing_timestamps_follow_the_sound_before():
    times = [None, Fraction(1, 10), None, Fraction(3, 10)]
    placed, warnings, _ = place(sounds_at(times, [800] * 4), origin=Fraction(0))
    np.testing.assert_array_equal(placed, np.arange(1, 3201))
    assert warnings == []


def test_padding_behind_the_end_is_cut_only_if_it_is_the_last():
    times = [Fraction(i, 10) for i in range(3)]
    sounds = sounds_at(times, [800] * 3)
    cut, _, _ = place(sounds, origin=Fraction(0), length=Length(Fraction(1, 4)), trim=True)
    np.testing.assert_array_equal(cut, np.arange(1, 2001))
    whole, _, _ = place(sounds, origin=Fraction(0), length=Length(Fraction(3, 20)), trim=True)
    np.testing.assert_array_equal(whole, np.arange(1, 2401))


def test_damage_is_told_with_its_place():
    first, second = sounds_at([Fraction(0), Fraction(3, 20)], [800, 800])
    placed, warnings, _ = place([first, Damage(), Damage(), second], origin=Fraction(0))
    assert len(placed) == 2000 and not placed[800:1200].any()
    assert len(warnings) == 1 and "from 0.10 s to 0.15 s" in warnings[0]
    _, warnings, _ = place([first, Damage("the connection was lost")], origin=Fraction(0))
    assert warnings == ["reading stopped at 0.10 s: the connection was lost"]
    _, warnings, _ = place([first], origin=Fraction(0), length=Length(Fraction(2), True))
    assert len(warnings) == 1 and "ends at 0.10 s" in warnings[0] and "2.00 s" in warnings[0]
    _, warnings, _ = place([first, Damage()], origin=Fraction(0))
    assert len(warnings) == 1 and "0.10 s" in warnings[0]


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([7350, 8000, 11025, 16000, 22050, 44100, 48000, 192000]),
    st.lists(st.integers(0, 3000), min_size=1, max_size=20),
)
def test_resampling_does_not_depend_on_the_pieces(source_rate, lengths):
    samples = np.random.default_rng(0).normal(0, 0.1, sum(lengths)).astype(np.float32)
    pieces = np.split(samples, np.cumsum(lengths)[:-1])
    whole = list(resample([(source_rate, samples)], 16000))
    cut = list(resample([(source_rate, piece) for piece in pieces], 16000))
    np.testing.assert_array_equal(np.concatenate([*whole, []]), np.concatenate([*cut, []]))
    assert sum(map(len, cut)) == round(Fraction(sum(lengths) * 16000, source_rate))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([8000, 11025, 16000, 44100]), st.integers(1, 5000)), min_size=1, max_size=8))
def test_times_stay_exact_when_the_rate_changes(runs):
    pieces = [(rate, np.ones(count, np.float32)) for rate, count in runs]
    seconds = sum(Fraction(count, rate) for rate, count in runs)
    assert abs(sum(map(len, resample(pieces, 16000))) - seconds * 16000) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("name", "codec"), [("g.mka", "flac"), ("g.webm", "libopus"), ("g.ts", "aac"), ("g.mp4", "aac")]
)
def test_a_gap_in_a_file_becomes_silence(tmp_path, name, codec):
    rate = 48000
    original = noise(2.0, rate)
    path = write_media(tmp_path / name, codec, original, rate=rate, gap_at=1.0, gap=1.5)
    plain = write_media(tmp_path / f"plain-{name}", codec, original, rate=rate)
    with open_audio(path) as reader:
        sound = np.concatenate(list(reader))
    with open_audio(plain) as reader_of_plain:
        without = np.concatenate(list(reader_of_plain))
    assert abs(len(sound) - len(without) - 1.5 * 16000) <= 32
    assert abs(lag(sound[30000:], without[int(1.2 * 16000) :]) - (24000 + 19200 - 30000)) <= 32
    assert np.abs(sound[20000:38000]).max() < 1e-3
    assert len(reader.warnings) == 1 and "no sound from 1.0" in reader.warnings[0]


@pytest.mark.parametrize(("codec", "ending"), [("aac", "mp4"), ("libopus", "ogg"), ("pcm_s16le", "wav")])
def test_several_rates_of_one_decoding_are_those_of_several(tmp_path, codec, ending):
    path = write_media(tmp_path / f"a.{ending}", codec, noise(1.3, 48000), rate=48000)
    rates = [16000, 17778, 48000, 16000]
    for rate, samples in zip(rates, read_audio_at(path, rates), strict=True):
        np.testing.assert_array_equal(samples, read_audio(path, rate))
