"""Misuse of all that `transducer` gives: what makes no sense is a UsageError, or another of ours, and never raw."""

from __future__ import annotations

import dataclasses
import io
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transducer
from transducer import EndpointRules, EventRules, TransducerError, UsageError

SAMPLES = Path(__file__).resolve().parents[1] / "sample_media"
SOUND, VIDEO = str(SAMPLES / "island.wav"), str(SAMPLES / "shots.mp4")
ODD = (math.nan, math.inf, -math.inf, -1, 0, "x", None, [], {}, 1.5, True, 10**30, b"x", object, Fraction(1, 3))
FORMATS = ("srt", "json", "vtt", "txt", "edl", "otio", "html", "csv", "tsv", "jsonl", "ffmetadata")
SAMPLES_OF_ZEROS, FRAME = np.zeros(1600, np.float32), np.zeros((20, 30, 3), np.uint8)
SPEECH_OPTIONS = (
    "beam",
    "nbest",
    "search",
    "hotwords",
    "endpoint",
    "track",
    "raw",
    "chunk_ms",
    "align",
    "head",
    "block",
)
SHOTS_OPTIONS = ("start", "length", "threshold", "results", "head", "fps", "frames", "keep", "block")


@pytest.fixture(scope="module")
def speech() -> Any:
    return transducer.load("speech-en")


@pytest.fixture(scope="module")
def shots() -> Any:
    return transducer.load("shots")


def survives(calls: list[tuple[str, Any]]) -> None:
    """Each call does something, or says what is wrong."""
    raw = []
    for name, call in calls:
        try:
            call()
        except TransducerError as error:
            assert "\n" not in str(error), name
        except Exception as error:
            raw.append(f"{name}: {type(error).__name__}: {error}")
    assert not raw, "\n".join(raw)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_of_models_sessions_and_streams(odd: Any, speech: Any, shots: Any) -> None:
    calls = [
        ("load", lambda: transducer.load(odd)),
        ("load, device", lambda: transducer.load("shots", device=odd)),
        ("Model", lambda: transducer.Model(odd)),
        ("annotate", lambda: transducer.annotate(odd)),
        ("annotate, speech", lambda: transducer.annotate(VIDEO, speech=[odd])),
        ("speech.session", lambda: list(speech.session(odd))),
        ("shots.session", lambda: list(shots.session(odd))),
        ("transcribe", lambda: speech.transcribe([odd])),
        ("label", lambda: shots.label([odd])),
        ("label, fps", lambda: shots.label([FRAME], fps=odd)),
        ("align", lambda: speech.align([SAMPLES_OF_ZEROS], odd)),
        ("engine", lambda: speech.engine(head=odd)),
        ("stream, block", lambda: speech.stream(block=odd)),
        ("stream, fps", lambda: shots.stream(fps=odd)),
        ("stream, state", lambda: speech.stream(state=odd)),
        ("push", lambda: speech.stream().push(odd)),
        ("push, in an array", lambda: speech.stream().push(np.array([odd]))),
        ("push, times of samples", lambda: speech.stream().push(SAMPLES_OF_ZEROS, times=odd)),
        ("push, frame", lambda: shots.stream().push(odd)),
        ("push, frames", lambda: shots.stream().push([odd])),
        ("push, time", lambda: shots.stream().push(FRAME, [odd])),
        ("push, times", lambda: shots.stream().push(FRAME, odd)),
        ("push_block", lambda: shots.stream().push_block(odd)),
        ("set_rate", lambda: shots.stream().set_rate(odd)),
        ("set_rate of samples", lambda: speech.stream().set_rate(odd)),
        ("Stream", lambda: transducer.Stream(odd)),
        ("StreamBatch", lambda: transducer.StreamBatch(odd, 1)),
        ("Session", lambda: transducer.Session(odd, odd)),
        ("Session of an engine", lambda: transducer.Session(speech.engine(), odd)),
        *(
            (f"speech, {name}", lambda name=name: speech.session(SOUND, **{name: odd}).close())
            for name in SPEECH_OPTIONS
        ),
        *((f"shots, {name}", lambda name=name: shots.session(VIDEO, **{name: odd}).close()) for name in SHOTS_OPTIONS),
    ]
    survives(calls)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_of_batches(odd: Any, speech: Any, shots: Any) -> None:
    batch = speech.batch(2)
    calls = [
        ("batch", lambda: None if odd == 10**30 else speech.batch(odd)),  # nobody has memory for it
        ("block", lambda: speech.batch(1, block=odd)),
        ("join, start", lambda: batch.join("start", start=odd)),
        ("join, rate", lambda: shots.batch(1).join("a", rate=odd)),
        ("join, state", lambda: speech.batch(1).join("a", state=odd)),
        ("join", lambda: speech.batch(1).join(odd)),
        *(
            (name, lambda name=name: getattr(batch, name)(odd))
            for name in ("leave", "finish", "flush", "end", "judged")
        ),
        *((name, lambda name=name: getattr(batch, name)(odd)) for name in ("state", "position")),
        ("push", lambda: batch.push(odd, SAMPLES_OF_ZEROS)),
        ("set_rate", lambda: batch.set_rate(odd, odd)),
    ]
    survives(calls)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_of_results_rules_and_files(odd: Any, tmp_path: Path) -> None:
    transcript = transducer.Transcript((), 1.0)

    def words() -> Any:
        word = transducer.Word("a", odd, odd, 0.5)
        return transducer.Transcript((transducer.Segment((word,), True, odd, odd, 1),), odd)

    def events() -> Any:
        event, scene = transducer.Event("x", odd, odd, 0, 1, 0.5), transducer.Scene("shot", odd, odd, 0, 1, 1.0)
        return transducer.Labelling("a", 25.0, 2, 0.08, (event,), (scene,))

    calls = [
        ("write", lambda: transducer.write(odd, tmp_path / "a.json")),
        ("write, path", lambda: transducer.write(transcript, odd)),
        ("write, format", lambda: transducer.write(transcript, tmp_path / "a.json", odd)),
        ("write, option", lambda: transducer.write(transcript, tmp_path / "a.srt", karaoke=odd)),
        ("write, no option", lambda: transducer.write(transcript, tmp_path / "a.srt", other=odd)),
        ("scene_at", lambda: transducer.Annotation("a", None, None).scene_at(odd)),
        *((f"words, {kind}", lambda kind=kind: transducer.write(words(), tmp_path / f"w.{kind}")) for kind in FORMATS),
        *(
            (f"events, {kind}", lambda kind=kind: transducer.write(events(), tmp_path / f"e.{kind}"))
            for kind in FORMATS
        ),
        *(
            (f"{rules.__name__}, {field.name}", lambda rules=rules, name=field.name: rules(**{name: odd}))
            for rules in (EndpointRules, EventRules)
            for field in dataclasses.fields(rules)
        ),
    ]
    survives(calls)


def test_odd_sources_and_orders(speech: Any, shots: Any, tmp_path: Path) -> None:
    finished, closed = speech.stream(), speech.session(SOUND)
    finished.finish()
    closed.close()
    transcript = transducer.Transcript((), 1.0)
    names = ("a\0b", "a" * 5000, "http://[", "http://a\0b/", str(tmp_path), "")
    calls = [
        *((repr(name[:9]), lambda name=name: speech.transcribe(name)) for name in names),
        *((f"load {name[:9]!r}", lambda name=name: transducer.load(name)) for name in names),
        ("an open text file", lambda: speech.transcribe(io.StringIO("a"))),
        ("an empty file", lambda: speech.transcribe(io.BytesIO())),
        ("no options", lambda: speech.session(SOUND, nothing=1)),
        ("push after finish", lambda: finished.push(SAMPLES_OF_ZEROS)),
        ("state after finish", lambda: finished.state),
        ("position after finish", lambda: finished.position),
        ("set_rate after finish", lambda: finished.set_rate(25)),
        ("a closed session", lambda: [list(closed), closed.result(), closed.close()]),
        ("times that go back", lambda: shots.stream().push([FRAME, FRAME], [1.0, 0.5])),
        ("too few times", lambda: shots.stream().push([FRAME, FRAME], [1.0])),
        ("float64", lambda: speech.stream().push(np.zeros(9))),
        ("two channels", lambda: speech.stream().push(np.zeros((9, 2), np.float32))),
        ("a frame of floats", lambda: shots.stream().push(np.zeros((4, 4, 3)))),
        ("a frame without pixels", lambda: shots.stream().push(np.zeros((0, 4, 3), np.uint8))),
        ("another model's state", lambda: speech.stream(state=shots.stream().state)),
        ("another model's state", lambda: shots.stream(state=speech.stream().state)),
        ("another search's state", lambda: speech.stream(search="greedy", state=speech.stream().state)),
        ("a file of no format", lambda: transducer.write(transcript, tmp_path / "a")),
        ("a name with a NUL", lambda: transducer.write(transcript, "a\0b.json")),
    ]  # fmt: skip
    survives(calls)


@pytest.mark.parametrize("time", [math.nan, math.inf, "1", None])
def test_results_have_times(time: Any) -> None:
    with pytest.raises(UsageError, match="start of a Word must be seconds"):
        transducer.Word("a", time, 1.0, 0.5)
