"""What a session tells of its source: that nothing was heard, that something is missing, how late it is, its parts."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from tiny_models import RATE, speech, tiny_model

import transducer


def write_wav(path: Path, samples: np.ndarray, keep: int | None = None) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    if keep is not None:
        path.write_bytes(path.read_bytes()[:keep])
    return path


def test_nothing_heard_is_not_nothing_told(tmp_path):
    model = tiny_model("ctc")
    silent = model.transcribe([np.zeros(2 * RATE, np.float32)])
    assert silent.text == "" and silent.warnings == ("arrays: the sound is silent: all of it is 0",)
    faint = model.transcribe([np.full(2 * RATE, 1e-3, np.float32)])
    (warning,) = faint.warnings
    assert faint.text == "" and warning == "arrays: no words were heard, but there is sound: its peak is -60 dB"
    heard = model.transcribe([speech(1)])
    assert heard.text and not heard.warnings
    assert not model.transcribe([np.zeros(0, np.float32)]).warnings  # of no sound there is nothing to tell


def test_a_source_that_breaks_off_is_incomplete(tmp_path):
    model, samples = tiny_model("ctc"), speech(1)
    for keep, missing in ((None, False), (44 + len(samples), True)):
        with model.session(write_wav(tmp_path / "talk.wav", samples, keep)) as session:
            results = [segment for segment in session if segment.final]
        assert session.incomplete is missing and bool(session.warnings) is missing and results


def test_files_are_levelled_and_say_how_much_later_they_are(tmp_path):
    model = tiny_model("ctc")
    path = write_wav(tmp_path / "talk.wav", speech(1))
    latency = model.stream().latency
    for source, options, more in ((path, {}, 0.1), (path, {"level": False}, 0.0), ([speech(1)], {}, 0.0)):
        with model.session(source, **options) as session:
            assert session.latency == pytest.approx(latency + more)


def test_a_part_of_a_source_has_the_times_of_the_source(tmp_path):
    model = tiny_model("ctc")
    samples = np.concatenate([speech(1, words=1), np.zeros(3 * RATE, np.float32), speech(2, words=1)])
    path = write_wav(tmp_path / "talk.wav", samples)
    start = (len(speech(1, words=1)) + 2 * RATE) / RATE
    whole = model.transcribe(path, level=False)
    part = model.transcribe(path, start=start, level=False)
    assert part.words and part.duration == pytest.approx(whole.duration)
    assert part.words[0].start >= start and part.words[-1].end == pytest.approx(whole.words[-1].end, abs=0.1)
    short = model.transcribe(path, start=start, length=1.2, level=False)
    assert short.duration == pytest.approx(start + 1.2, abs=0.01)


WRONG = [{"start": -1}, {"length": 0}, {"start": float("nan")}, {"track": 7}, {"fps": 25}, {"raw": ("s17", 1, 1)}]


@pytest.mark.parametrize("options", WRONG)
def test_options_of_reading_that_make_no_sense(options, tmp_path):
    path = write_wav(tmp_path / "talk.wav", speech(1))
    with pytest.raises(transducer.TransducerError):
        tiny_model("ctc").session(path, **options)


def test_language_is_that_of_the_model():
    assert transducer.load("speech-en").transcribe([np.zeros(16000, np.float32)]).language == "en"
