"""The WebSocket: whatever way media comes, its results are those of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_server import SAMPLES, RunningServer, collect, finals

import transducer
from transducer.engine.readable import text_stages
from transducer.errors import UsageError
from transducer.media import read_audio
from transducer.server.client import ServerStream


@pytest.mark.parametrize("packet", [1600, 7777])
def test_words_are_those_of_the_file(server: RunningServer, speech: Any, packet: int) -> None:
    samples = read_audio(SAMPLES / "the-way.mp3", 16000)
    with ServerStream(server.ws, format="pcm_f32le", rate=16000) as stream:
        assert stream.ready["model"] == "speech-en"
        assert stream.ready["results"] == "words"
        assert stream.ready["latency_ms"] == 640
        messages = collect(
            stream, lambda: [stream.send_samples(samples[i : i + packet]) for i in range(0, len(samples), packet)]
        )
    offline = speech.transcribe(samples, second_pass="none")
    words = [word for message in messages if message["type"] == "final" for word in message["words"]]
    assert [(word["text"], word["start"]) for word in words] == [(w.text, w.start) for w in offline.words]
    assert [m["segment"] for m in messages if m["type"] == "final"] == list(range(len(offline.segments)))
    assert messages[-1] == {"type": "finished", "duration": pytest.approx(len(samples) / 16000)}


def test_finals_of_a_second_pass_are_for_those_who_ask(server: RunningServer, speech: Any) -> None:
    samples = read_audio(SAMPLES / "the-way.mp3", 16000)
    with ServerStream(server.ws, format="pcm_f32le", options={"second_pass": True}) as stream:
        messages = collect(stream, lambda: stream.send_samples(samples))
    assert finals(messages) == speech.transcribe(samples).text
    assert all(message["stable"] == "" for message in messages if message["type"] == "partial")


def test_stable_text_stays(server: RunningServer) -> None:
    samples = read_audio(SAMPLES / "the-way.mp3", 16000)
    with ServerStream(server.ws, format="pcm_f32le") as stream:
        messages = collect(stream, lambda: stream.send_samples(samples))
    partials = [message for message in messages if message["type"] == "partial"]
    assert partials
    for partial in partials:
        (final,) = [m for m in messages if m["type"] == "final" and m["segment"] == partial["segment"]]
        assert final["text"].startswith(partial["stable"])


def test_other_rates_and_channels(server: RunningServer, speech: Any) -> None:
    samples = read_audio(SAMPLES / "island.wav", 48000)
    sound = (np.stack([samples, samples], axis=1) * 32767).astype("<i2").tobytes()
    with ServerStream(server.ws, format="pcm_s16le", rate=48000, channels=2) as stream:
        # Pieces that end in the middle of a sample.
        messages = collect(stream, lambda: [stream.send(sound[i : i + 9999]) for i in range(0, len(sound), 9999)])
    assert finals(messages) == speech.transcribe(SAMPLES / "island.wav", second_pass="none").text


@pytest.mark.parametrize("name", ["call-back.webm", "tea.m4a", "island.wav", "the-way.mp3", "stars.mp4"])
def test_containers(server: RunningServer, speech: Any, name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    with ServerStream(server.ws, format="container", options={"partials": False}) as stream:
        messages = collect(stream, lambda: [stream.send(data[i : i + 3000]) for i in range(0, len(data), 3000)])
    assert finals(messages) == speech.transcribe(SAMPLES / name, second_pass="none").text
    assert not [message for message in messages if message["type"] == "partial"]


def test_readable_text(server: RunningServer, speech: Any) -> None:
    options = {"punctuate": True, "digits": True}
    with ServerStream(server.ws, format="container", options=options) as stream:
        messages = collect(stream, lambda: stream.send((SAMPLES / "the-way.mp3").read_bytes()))
    offline = speech.transcribe(SAMPLES / "the-way.mp3", second_pass="none").segments
    for stage in text_stages(punctuate=True, digits=True):
        offline = [stage(segment) for segment in offline]
    assert finals(messages) == " ".join(segment.text for segment in offline)
    assert finals(messages)[0].isupper()


def test_pictures(server: RunningServer, tmp_path: Path) -> None:
    import cv2

    from transducer.media import open_video

    with open_video(SAMPLES / "shots.mp4", (90, 160)) as reader:
        jpegs = [cv2.imencode(".jpg", frame.image[:, :, ::-1])[1].tobytes() for frame in reader]
    shown = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1] for jpeg in jpegs]
    offline = transducer.load("shots").label(shown)
    with ServerStream(server.ws, kind="video", format="jpeg", timed=True) as stream:
        assert stream.ready["results"] == "events"
        messages = collect(stream, lambda: [stream.send_picture(jpeg, n / 25) for n, jpeg in enumerate(jpegs)])
    found = [
        (m["label"], m["start"], m["end"], m["start_frame"], m["end_frame"]) for m in messages if m["type"] == "event"
    ]
    assert found == [(e.label, e.start, e.end, e.start_frame, e.end_frame) for e in offline.events]
    assert len(found) == 5
    assert messages[-1]["duration"] == pytest.approx(len(jpegs) / 25)


def test_no_server_is_one_line() -> None:
    for address in ("ws://127.0.0.1:1", "http://127.0.0.1:1", "nonsense", "ws://127.0.0.1:99999"):
        with pytest.raises(UsageError, match=r"no server answers there|is no address of a server"):
            ServerStream(address)


def test_what_cannot_be_meant_is_said(server: RunningServer) -> None:
    for hello, what in [
        ({"model": "nothing"}, "there is no model 'nothing'|there is no model"),
        ({"model": "shots"}, "takes frames, not audio"),
        ({"rate": 5}, "rate must be a whole number"),
        ({"options": {"colour": 1}}, "unknown option colour"),
        ({"options": {"chunk_ms": 333}}, "no multiple"),
        ({"format": "jpeg"}, "unknown format"),
    ]:
        with pytest.raises(UsageError, match=what):
            ServerStream(server.ws, **hello)
