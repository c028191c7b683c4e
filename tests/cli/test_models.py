"""`transducer models`."""

from __future__ import annotations

import json

import huggingface_hub
import tiny_whisper

from transducer.cli import main
from transducer.published.catalogue import KNOWN


def test_all_there_are(capsys, tmp_path, monkeypatch):
    folder = tiny_whisper.hugging_face(tmp_path / "cached")

    def snapshot_download(repo_id, **options):
        if repo_id != "openai/whisper-base.en":
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert main(["models", "--json"]) == 0
    found = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert found["speech-en"]["where"] == "bundled" and found["speech-en"]["latency"] == "640 ms"
    assert found["speech-en"]["error"].startswith("measured: WER") and found["shots"]["licence"] == "Apache-2.0"
    assert {model.name for model in KNOWN} < found.keys()
    assert {name for name, model in found.items() if model["where"] == "cached"} == {"whisper-base.en"}
    assert found["whisper-small.en"]["error"].startswith("published: 3.1 %")
    assert found["whisper-tiny.en"]["where"] == "bundled" and found["whisper-tiny.en"]["licence"] == "MIT"
    assert main(["models"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["model", "where", "MB", "languages", "latency", "licence", "errors"]
    assert len(rows) == len(found) and all(line == line.rstrip() for line in rows)
