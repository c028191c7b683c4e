"""Home Assistant's protocol, spoken by its own client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from running_server import SAMPLES, RunningServer
from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info

from transducer.media import read_audio

ISLAND = SAMPLES / "island.wav"


async def ask(port: int, *events: Any) -> list[Event]:
    """What the server answers, up to a transcript, an error, or its information."""
    found: list[Event] = []
    async with AsyncTcpClient("127.0.0.1", port) as client:
        for event in events:
            await client.write_event(event.event() if hasattr(event, "event") else event)
        while (event := await client.read_event()) is not None:
            found.append(event)
            if event.type in ("transcript", "error", "info"):
                break
    return found


def spoken() -> list[Any]:
    sound = (read_audio(ISLAND, 16000) * 32767).astype("<i2").tobytes()
    chunks = [AudioChunk(16000, 2, 1, sound[i : i + 2048]) for i in range(0, len(sound), 2048)]
    return [AudioStart(16000, 2, 1), *chunks, AudioStop()]


def test_what_there_is(wyoming: int) -> None:
    (event,) = asyncio.run(ask(wyoming, Describe()))
    (program,) = Info.from_event(event).asr
    assert program.supports_transcript_streaming
    assert [(model.name, model.languages) for model in program.models] == [("speech-en", ["en"])]


def test_a_transcript(wyoming: int, speech: Any) -> None:
    *pieces, last = asyncio.run(ask(wyoming, Transcribe(language="en"), *spoken()))
    text = Transcript.from_event(last).text
    assert text == speech.transcribe(ISLAND).text
    assert "".join(TranscriptChunk.from_event(e).text for e in pieces if TranscriptChunk.is_type(e.type)) == text


@pytest.mark.parametrize(
    "event",
    [
        Event("audio-chunk", payload=bytes(2 << 20)),
        Event("audio-start", {"rate": "much"}),
        AudioStart(16000, 3, 1),
        Transcribe(language="de"),
        Event("transcribe", {"name": 7}),
    ],
)
def test_nonsense_is_refused(wyoming: int, event: Any) -> None:
    found = asyncio.run(ask(wyoming, event, *spoken()[:1], AudioStop()))
    assert [answer.type for answer in found][-1:] == ["error"]


@pytest.fixture(scope="module")
def wyoming(server: RunningServer) -> Iterator[int]:
    """Its port."""
    yield int(server.errors.read_text().partition("Wyoming at ")[2].split()[0].rpartition(":")[2])
