"""The public face: load, transcribe, stream, live, batch, info; options and sources."""

from __future__ import annotations

import io
import wave
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from runs import SHORT, finals, run
from tiny_models import LETTERS, MODELS, PLAIN, RATE, build_network, speech, tiny_model

import transducer
from transducer.engine.model import Session
from transducer.errors import CheckpointError, MediaError, UsageError
from transducer.media.io.sources import RawFormat
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import DecodingConfig
from transducer.results import Transcript


@pytest.fixture
def model():
    return tiny_model("ctc")


@pytest.fixture
def folder(tmp_path) -> Path:
    card = {"trained_on": [{"name": "Noise"}]}
    config = replace(PLAIN, language="xx", decoding=DecodingConfig(chunk_ms=80), card=card)
    save_checkpoint(tmp_path / "my-model", build_network(config), config, {"letters": LETTERS})
    return tmp_path / "my-model"


def pcm(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767).clip(-32768, 32767).astype("<i2")


def write_wav(target, samples: np.ndarray) -> None:
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm(samples).tobytes())


def test_load_by_folder(folder, monkeypatch):
    model = transducer.load(folder)
    assert (model.name, model.rate) == ("my-model", RATE)
    assert transducer.load(str(folder)).config == model.config
    monkeypatch.chdir(folder)
    assert transducer.load(".").name == "my-model"


def test_an_unknown_model_says_which_exist(monkeypatch, tmp_path):
    monkeypatch.setattr("transducer.engine.model.models", lambda: ["speech-en", "speech-xx"])
    with pytest.raises(UsageError) as error:
        transducer.load("speech-de")
    assert "'speech-de'" in str(error.value) and "(speech-en, speech-xx)" in str(error.value)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UsageError, match="unknown model"):
        transducer.load(file)


def test_a_folder_that_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        transducer.load(tmp_path)


def test_bundled_models_are_listed_and_loaded_by_name(folder, monkeypatch):
    (folder.parent / "no-model").mkdir()
    monkeypatch.setattr("transducer.engine.model.resources.files", lambda package: folder.parents[0].parent)
    monkeypatch.setattr("transducer.engine.model.MODELS", folder.parent.name)
    assert transducer.models() == ["my-model"]
    assert transducer.load("my-model").folder == folder
    monkeypatch.setattr("transducer.engine.model.MODELS", "nowhere")
    assert transducer.models() == []
    with pytest.raises(UsageError, match=r"bundled models \(none\)"):
        transducer.load("my-model")


def test_the_package_exports_what_it_says():
    for name in transducer.__all__:
        assert getattr(transducer, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = transducer.lode


def test_every_kind_of_source_gives_the_same(model, tmp_path):
    samples = (pcm(speech(2)) / 32768).astype(np.float32)
    expected = finals(run(model.engine(), [samples]))
    assert expected
    write_wav(str(tmp_path / "speech.wav"), samples)
    buffer = io.BytesIO()
    write_wav(buffer, samples)
    buffer.seek(0)
    raw = io.BytesIO(pcm(samples).tobytes())
    for source, options in (
        ([samples], {}),
        (samples, {}),
        (np.array_split(samples, 77), {}),
        ((packet for packet in np.array_split(samples, 7)), {}),
        (tmp_path / "speech.wav", {}),
        (str(tmp_path / "speech.wav"), {}),
        (buffer, {}),
        (raw, {"raw": ("s16le", RATE, 1)}),
        (io.BytesIO(pcm(samples).tobytes()), {"raw": RawFormat("s16le", RATE, 1)}),
    ):
        transcript = model.transcribe(source, **options)
        texts = [segment.text for segment in transcript.segments]
        assert texts == [segment.text for segment in expected], source
        assert transcript.duration == pytest.approx(len(samples) / RATE)
        times = [(word.start, word.end) for word in transcript.words]
        assert times == [(word.start, word.end) for segment in expected for word in segment.words]


def test_transcripts(folder):
    model = transducer.load(folder)
    transcript = model.transcribe([speech(1)])
    assert isinstance(transcript, Transcript) and transcript.final
    assert transcript.language == "xx"
    assert transcript.warnings == ()
    assert transcript.text == " ".join(segment.text for segment in transcript.segments)
    nothing = model.transcribe([])
    assert (nothing.text, nothing.duration, nothing.segments) == ("", 0.0, ())


def test_a_session_is_an_iterator_of_segments(model):
    samples = speech(1)
    with model.session([samples], endpoint=SHORT) as session:
        assert isinstance(session, Session) and iter(session) is session
        assert session.latency == model.stream().latency
        assert session.position == 0.0
        results = [next(session)]
        assert 0 < session.position <= len(samples) / RATE
        results += session
        assert results == run(model.engine(endpoint=SHORT), [samples])
        assert session.position == len(samples) / RATE
        assert session.name and session.duration is None and session.warnings == []
        with pytest.raises(StopIteration):
            next(session)
    session.close()


def test_results_come_while_the_source_is_read(model):
    heard = []

    def source():
        for packet in np.array_split(speech(1), 40):
            heard.append(packet)
            yield packet

    with model.session(source(), endpoint=SHORT) as session:
        next(session)
        assert len(heard) < 10


def test_results_of_a_long_array_come_before_it_is_worked_off(model):
    samples = np.concatenate([speech(seed) for seed in range(10)])
    with model.session([samples]) as session:
        next(session)
        assert session.position < len(samples) / RATE / 5


def test_leaving_a_session_early_closes_the_source(model):
    closed = []

    def source():
        try:
            while True:
                yield speech(1)
        finally:
            closed.append(True)

    packets = source()
    with model.session(packets) as session:
        next(session)
    packets.close()
    assert closed == [True]
    with pytest.raises(StopIteration):
        next(session)


def test_wrong_sources(model, tmp_path):
    with pytest.raises(MediaError, match=r"missing\.wav"):
        model.transcribe(tmp_path / "missing.wav")
    with pytest.raises(UsageError, match="no source"):
        model.transcribe(7)
    with pytest.raises(UsageError, match="float64"):
        model.transcribe([np.zeros(100)])
    with pytest.raises(UsageError, match="raw"):
        model.transcribe([speech(1)], raw=("s16le", RATE, 1))
    with pytest.raises(UsageError):
        model.transcribe(io.BytesIO(b"\0\0"), raw=("s17", RATE, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": "brute"}, "unknown search 'brute': there are greedy, beam"),
        ({"search": "beam", "beam": 0}, "a whole number from 1 to 1000, got 0"),
        ({"nbest": -1}, "a whole number from 0 to 1000, got -1"),
        ({"chunk_ms": 100}, "100 ms is no multiple of the model's step of 40 ms; .* chunks of 80, 160, 320 ms"),
        ({"chunk_ms": 0}, "milliseconds more than 0"),
        ({"chunk_ms": -40}, "milliseconds more than 0"),
        ({"hotwords": [("abba", 3.0)]}, "hotwords need a beam search"),
    ],
)
def test_wrong_options(model, options, message):
    source = [speech(1)]
    for call in (model.engine, model.stream, partial(model.session, source), partial(model.batch, 2)):
        with pytest.raises(UsageError, match=message):
            call(**options)


def test_options_reach_the_search(model):
    samples = speech(2)
    beam = model.transcribe([samples], search="beam", beam=4, nbest=3)
    assert all(1 <= len(segment.alternatives) <= 3 for segment in beam.segments)
    assert all(segment.alternatives[0][0] == segment.text for segment in beam.segments)
    assert any(len(segment.alternatives) > 1 for segment in beam.segments)
    narrow = model.transcribe([samples], search="beam", beam=1, nbest=3)
    assert all(len(segment.alternatives) == 1 for segment in narrow.segments)
    often = model.transcribe([samples], endpoint=SHORT)
    rarely = model.transcribe([samples], endpoint=transducer.EndpointRules(silence_after_words=100.0))
    assert len(rarely.segments) < len(often.segments)


def test_chunks_set_the_latency(folder):
    model = transducer.load(folder)
    assert model.chunks_ms == (80.0, 160.0, 320.0)
    assert model.stream().latency == 0.08  # the card's default
    for chunk_ms in (40, 80, 160.0, 320):
        assert model.stream(chunk_ms=chunk_ms).latency == pytest.approx(chunk_ms / 1000)
    # Another chunk does not touch streams that are running, and weighs nothing.
    stream, truth = model.stream(chunk_ms=320), run(model.engine(chunk_ms=320), [speech(1)])
    results = stream.push(speech(1)[:1000])
    model.transcribe([speech(2)], chunk_ms=40)
    assert results + stream.push(speech(1)[1000:]) + stream.finish() == truth


def test_look_ahead_adds_to_the_latency():
    model = tiny_model("ctc, look-ahead")
    # Chunks of 2 frames; each of 2 layers waits for one more.
    assert model.stream(chunk_ms=80).latency == pytest.approx(3 * 0.08)


@pytest.mark.parametrize("name", MODELS)
def test_info(name):
    model = tiny_model(name)
    facts = model.info()
    assert facts["parameters"] == sum(p.numel() for p in model.network.parameters()) > 1000
    assert facts["rate_hz"] == RATE and facts["stride_ms"] == 40.0
    assert facts["chunk_ms"] in facts["chunks_ms"]
    assert facts["latency_ms"] == pytest.approx(model.stream().latency * 1000)


def test_info_has_the_card_and_the_size_on_disk(folder):
    facts = transducer.load(folder).info()
    assert facts["name"] == "my-model" and facts["chunk_ms"] == 80.0
    assert facts["trained_on"] == [{"name": "Noise"}] and facts["language"] == "xx"
    assert facts["size_bytes"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_live_and_batch(model):
    samples = speech(1)
    stream = model.stream(endpoint=SHORT)
    expected = stream.push(samples) + stream.finish()
    batch = model.batch(1, endpoint=SHORT)
    batch.join("caller")
    batch.push("caller", samples)
    results = []
    while batch.ready:
        results += batch.step().get("caller", [])
    assert results + batch.finish("caller") == expected
