"""The bundled Whisper, as it ships: what it hears in the samples, and in any packets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import error_line

import transducer
from transducer.cli import main
from transducer.media.audio.reader import read_audio_at

SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"


@pytest.fixture(scope="module")
def model():
    return transducer.load("whisper-tiny.en")


def test_it_writes_sentences(model):
    text = model.transcribe(SAMPLES / "the-way.mp3").text
    assert "the old mill" in text and "the top of the hill." in text


def test_packets_change_nothing(model):
    (samples,) = read_audio_at(SAMPLES / "the-way.mp3", [16000])
    rng = np.random.default_rng(0)
    stream, found = model.stream(partials=False), []
    cuts = np.cumsum(rng.integers(1, 30_000, 1000))
    for part in np.split(samples, cuts[cuts < len(samples)]):
        found += stream.push(part)
    found += stream.finish()
    assert (
        " ".join(segment.text for segment in found if segment.final) == model.transcribe(SAMPLES / "the-way.mp3").text
    )


def test_info_says_when_words_come(capsys):
    assert main(["info", "whisper-tiny.en", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["latency_ms"] == 650  # the 0.64 s between two readings, and the step that the front-end waits for
    assert "0.64 s up to 8 s" in facts["segments"] and "1.6 s into a pause, after 28 s" in facts["segments"]


@pytest.mark.parametrize("command", ["evaluate", "annotate", "listen"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "translate"], "cannot translate"),
        (["--language", "de"], "has no language 'de'"),
        (["--coverage-penalty", "1"], "coverage is for decoders with one attention"),
    ],
)
def test_commands_have_the_options_of_transcribe(capsys, tmp_path, command, options, message):
    table = tmp_path / "table.tsv"
    table.write_text(f"path\ttext\n{SAMPLES / 'the-way.mp3'}\tthe way\n")
    source = {"evaluate": ["whisper-tiny.en", str(table)]}.get(command, [str(SAMPLES / "the-way.mp3")])
    model = [] if command == "evaluate" else ["--model", "whisper-tiny.en"]
    assert main([command, *source, *model, *options]) == 2
    assert message in error_line(capsys)


def test_a_server_takes_no_options_of_models_of_this_machine(capsys):
    source = str(SAMPLES / "the-way.mp3")
    assert main(["listen", source, "--server", "ws://127.0.0.1:1", "--temperature", "0.5"]) == 2
    assert "--temperature is for models of this machine" in error_line(capsys)
