"""Language models are measured by their perplexity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command_line import error_line

import transducer
from transducer.cli import main
from transducer.cores.recurrent import RecurrentConfig
from transducer.encoders.projection import ProjectionConfig
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.language import LanguageConfig
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.characters import Characters

LETTERS = Characters("abc")
CONFIG = ModelConfig(
    SymbolsConfig(len(LETTERS), "letters", 8), ProjectionConfig(), RecurrentConfig("gru", 8, 1),
    {"text": LanguageConfig("letters")}, {"letters": len(LETTERS)}, chunks=(1,),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "language"
    save_checkpoint(path, Network(CONFIG).eval(), CONFIG, {"letters": LETTERS})
    return path


@pytest.mark.parametrize("whole", [True, False])
def test_perplexity(folder, whole, tmp_path, capsys):
    texts = ["abc a", "cab", "b"]
    rows = [{"text": text} if whole else {"x": text[:1], "y": text[1:]} for text in texts]
    table = tmp_path / "test.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["evaluate", str(folder), str(table), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = transducer.load(folder).language_model().perplexity(texts)
    assert found["perplexity"] == pytest.approx(expected) and found["tokens"] == sum(map(len, texts)) + 3
    assert main(["evaluate", str(folder), str(table)]) == 0
    assert f"perplexity  {expected:.3f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{}", "line 1: there is no text"),
        ('{"text": "xyz"}', "line 1: no token for the character 'x'"),
        ("", "no texts"),
    ],
)
def test_what_cannot_be_measured(folder, row, message, tmp_path, capsys):
    (tmp_path / "test.jsonl").write_text(row + "\n")
    assert main(["evaluate", str(folder), str(tmp_path / "test.jsonl")]) == 2
    assert message in error_line(capsys)
