"""Archives with models of real networks: short clips in a batch, long files, predictions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from archive_fixtures import inject, results
from media_fixtures import wav
from tiny_models import LETTERS, MODELS, RATE, build_network, speech

import transducer
from transducer.cli import main
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import DecodingConfig


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    config, seed = MODELS["ctc"]
    save_checkpoint(folder, build_network(config, seed), config, {"letters": LETTERS})
    return str(folder)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty clips, one of more than a minute, and one that crashes what decodes it."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(20):
        (folder / f"{number}.wav").write_bytes(wav(speech(number, words=2), RATE))
    long = np.concatenate([speech(number, words=3) for number in range(40)])
    (folder / "long.wav").write_bytes(wav(np.resize(long, 62 * RATE), RATE))
    return folder


def test_results_are_those_of_single_files(model, clips, tmp_path, capsys, monkeypatch):
    for name, value in inject(tmp_path / "site", fake=False).items():
        monkeypatch.setenv(name, value)
    (clips / "killer.wav").write_bytes((clips / "0.wav").read_bytes())
    arguments = ["transcribe", "-m", model, str(clips), "--json", "-o"]
    assert main([*arguments, str(tmp_path / "two"), "--jobs", "2"]) == 1
    error, summary = capsys.readouterr().err.splitlines()
    assert error.endswith("killer.wav: ends what works on it: it was killed by SIGSEGV")
    assert summary.startswith("transducer: summary: 21 files done; 1 failed. ")
    found = results(tmp_path / "two")
    (clips / "killer.wav").unlink()
    assert main([*arguments, str(tmp_path / "one"), "--jobs", "1"]) == 0
    assert results(tmp_path / "one") == found  # to the bit, whoever else was in the batch
    assert main([*arguments, str(tmp_path / "plain")]) == 0
    plain = results(tmp_path / "plain")
    assert plain.keys() == found.keys() and plain["long.json"] == found["long.json"]
    for name in plain:
        one, other = json.loads(plain[name]), json.loads(found[name])
        for document in (one, other):  # which may differ by rounding
            for segment in document["segments"]:
                for word in segment["words"]:
                    del word["confidence"]
        assert one == other
    assert sum(bool(json.loads(document)["text"]) for document in plain.values()) > 15


def test_predictions(model, clips, tmp_path):
    out = tmp_path / "out"
    assert main(["predict", model, f"{clips}/1*.wav", "--jobs", "1", "-o", str(out)]) == 0
    sound = clips / "17.wav"
    document = {"x": str(sound), "y": transducer.load(model).transcribe(sound).text}
    assert json.loads(results(out)["17.json"]) == document
    assert len(results(out)) == 11


def test_workers_share_a_long_file(tmp_path):
    """With pauses in which the state is renewed: the result is that of one process, to the bit."""
    config, seed = MODELS["ctc"]
    config = replace(config, decoding=DecodingConfig(renew_after=0.3))
    model, path = tmp_path / "tiny", tmp_path / "long.wav"
    save_checkpoint(model, build_network(config, seed), config, {"letters": LETTERS})
    pause = np.zeros(8 * RATE, np.float32)
    path.write_bytes(wav(np.concatenate([part for n in range(7) for part in (speech(n, words=5), pause)]), RATE))
    arguments = ["transcribe", "-m", str(model), str(path), "--json", "-o"]
    assert main([*arguments, str(tmp_path / "shared"), "--jobs", "2"]) == 0
    assert main([*arguments, str(tmp_path / "plain")]) == 0
    assert results(tmp_path / "shared") == results(tmp_path / "plain")
    assert json.loads(results(tmp_path / "shared")["long.json"])["text"]
