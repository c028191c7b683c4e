"""OpenAI's interface, asked by OpenAI's client."""

from __future__ import annotations

from typing import Any

import openai
import pysubs2
import pytest
from running_server import SAMPLES, RunningServer

THE_WAY = SAMPLES / "the-way.mp3"


@pytest.fixture(scope="module")
def client(server: RunningServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.http}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def offline(speech: Any) -> Any:
    return speech.transcribe(THE_WAY)


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list().data] == ["speech-en", "shots"]
    assert client.models.retrieve("shots").owned_by == "transducer"


def test_text(client: openai.OpenAI, offline: Any) -> None:
    found = client.audio.transcriptions.create(file=THE_WAY, model="speech-en", language="en", temperature=0)
    assert found.text == offline.text
    text = client.audio.transcriptions.create(file=THE_WAY, model="whisper-1", response_format="text")
    assert text.split() == offline.text.split()


def test_words_and_segments(client: openai.OpenAI, offline: Any) -> None:
    found = client.audio.transcriptions.create(
        file=THE_WAY,
        model="speech-en",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert found.language == "english"
    assert found.duration == pytest.approx(offline.duration)
    assert found.words is not None
    assert [(word.word, word.start, word.end) for word in found.words] == [
        (word.text, word.start, word.end) for word in offline.words
    ]
    assert found.segments is not None
    assert [segment.text for segment in found.segments] == [segment.text for segment in offline.segments]
    assert all(segment.avg_logprob < 0 for segment in found.segments)


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles(client: openai.OpenAI, offline: Any, format: Any) -> None:
    text = client.audio.transcriptions.create(file=THE_WAY, model="speech-en", response_format=format)
    read = pysubs2.SSAFile.from_string(str(text), format_=format)
    assert " ".join(event.plaintext for event in read).split() == offline.text.split()


def test_a_stream_of_deltas(client: openai.OpenAI, speech: Any) -> None:
    alone = speech.transcribe(THE_WAY, second_pass="none")
    given: dict[str, Any] = {"file": THE_WAY, "model": "speech-en", "stream": True}
    for expected, extra in ((speech.transcribe(THE_WAY), {}), (alone, {"second_pass": False})):
        *deltas, done = client.audio.transcriptions.create(**given, extra_body=extra)
        assert len(deltas) > (2 if extra else 0)
        assert "".join(event.delta for event in deltas) == expected.text
        assert done.type == "transcript.text.done"
        assert done.text == expected.text


def test_keywords_are_hotwords(client: openai.OpenAI, speech: Any) -> None:
    sample, alone = SAMPLES / "island.wav", {"second_pass": False}
    plain = speech.transcribe(sample, second_pass="none").text
    biased = speech.transcribe(sample, second_pass="none", hotwords=["warm coat"]).text
    assert biased != plain  # or the test shows nothing
    given: dict[str, Any] = {"file": sample, "model": "speech-en"}
    for hotwords in ({"prompt": "Warm coat. "}, {"keywords": ["warm coat"]}):
        assert client.audio.transcriptions.create(**given, extra_body={**alone, **hotwords}).text == biased
    prose = "A talk about the stars, and the telescopes that are used by people who look at them."
    assert client.audio.transcriptions.create(**given, prompt=prose, extra_body=alone).text == plain


@pytest.mark.parametrize(
    ("given", "status", "param", "what"),
    [
        ({"model": "nothing"}, 404, "model", "does not exist"),
        ({"model": "shots"}, 404, "model", "takes frames"),
        ({"model": "speech-en", "language": "de"}, 400, "language", "knows en only"),
        ({"model": "speech-en", "response_format": "docx"}, 400, "response_format", "must be one of"),
        ({"model": "speech-en", "temperature": 7}, 400, "temperature", "from 0 to 1"),
        ({"model": "speech-en", "stream": True, "response_format": "srt"}, 400, "stream", "json or text"),
        ({"model": "speech-en", "file": b"no media " * 99}, 400, "media", "is text, not sound"),
    ],
)
def test_errors_are_openai_s(client: openai.OpenAI, given: Any, status: int, param: str, what: str) -> None:
    with pytest.raises(openai.APIStatusError, match=what) as caught:
        client.audio.transcriptions.create(**{"file": THE_WAY, **given})
    assert caught.value.status_code == status
    assert caught.value.param == param
    assert "/tmp" not in str(caught.value)
