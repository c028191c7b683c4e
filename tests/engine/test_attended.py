"""Maps of attention, as numbers and as pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

import transducer
from transducer.cli import main
from transducer.cores.bidirectional import BidirectionalConfig
from transducer.encoders.projection import ProjectionConfig
from transducer.engine.attended import attended
from transducer.errors import UsageError
from transducer.formats.attention_map import draw_attention
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.attention import AttentionConfig
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.characters import Characters

LETTERS = Characters("abc")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    config = ModelConfig(
        frontend=SymbolsConfig(len(LETTERS), "letters", 6),
        encoder=ProjectionConfig(),
        core=BidirectionalConfig("gru", 8, 1),
        heads={"text": AttentionConfig("letters", channels=8, layers=2, heads=2, extra=5, ratio=0.0, max_memory=50)},
        units={"letters": len(LETTERS)},
        chunks=(1,),
    )
    folder = tmp_path_factory.mktemp("attended") / "letters"
    save_checkpoint(folder, Network(config).eval(), config, {"letters": LETTERS})
    return transducer.load(folder)


def test_every_token_attends_to_all_of_the_source(model):
    found = attended(model, "ab cab", "cab")
    assert found.tokens == ("c", "a", "b", "<end>") and found.steps == tuple("ab cab")
    assert found.weights.shape == (2, 2, 4, 6)
    assert found.weights.sum(axis=-1) == pytest.approx(np.ones((2, 2, 4)), abs=1e-5)
    own = attended(model, "ab cab")
    assert "".join(own.tokens[:-1]).split() == model.predict("ab cab").text.split()


def test_what_makes_no_map(model):
    with pytest.raises(UsageError, match="1 to 50 steps, and this one has 51"):
        attended(model, "a" * 51)
    with pytest.raises(UsageError, match="1 to 50 steps, and this one has 0"):
        attended(model, "")
    with pytest.raises(UsageError, match="speech-en has no attention decoder"):
        attended(transducer.load("speech-en"), "sample_media/the-way.mp3")


@pytest.mark.parametrize("each", [True, False])
def test_the_picture_shows_the_diagonal(each, tmp_path):
    """Bright where the weight is."""
    weights = np.tile(np.eye(12, dtype=np.float32), (1, 1, 1, 1))
    draw_attention(tmp_path / "map.png", weights, list("abcdefghijkl"), list("ABCDEFGHIJKL"), each=each)
    picture = cv2.imread(str(tmp_path / "map.png"), cv2.IMREAD_GRAYSCALE)
    dark = picture < 30
    rows, columns = np.flatnonzero(dark.mean(1) > 0.5), np.flatnonzero(dark.mean(0) > 0.5)
    inside = picture[rows[0] : rows[-1], columns[0] : columns[-1]]
    cells = cv2.resize(inside, (12, 12), interpolation=cv2.INTER_AREA)
    assert (cells.argmax(axis=1) == np.arange(12)).all() and cells.diagonal().min() > 150


def test_names_must_fit(tmp_path):
    with pytest.raises(UsageError, match="3 tokens and 4 steps, with 2 and 0 names"):
        draw_attention(tmp_path / "map.png", np.zeros((1, 1, 3, 4), np.float32), ["a", "b"])
    assert not list(tmp_path.iterdir())


def test_the_command(model, tmp_path, capsys):
    out = str(tmp_path / "map.png")
    assert main(["attention", str(model.folder), "ab cab", "--text", "cab", "--each", "-o", out]) == 0
    assert capsys.readouterr().out == f"{out}: 4 tokens over 6 steps, 2 layers with 2 heads\n"
    assert cv2.imread(out) is not None
    assert main(["attention", str(model.folder), "ab", "-o", str(tmp_path / "none" / "map.png")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_predict_has_the_options_of_its_searches(model, capsys):
    def predicted(*options: str) -> str:
        assert main(["predict", str(model.folder), "ab cab", *options]) == 0
        return capsys.readouterr().out.rstrip("\n")

    drawn = {seed: predicted("--temperature", "2", "--top-p", "0.9", "--seed", str(seed)) for seed in range(4)}
    assert len(set(drawn.values())) > 1
    for seed, text in drawn.items():
        assert text == model.predict("ab cab", search="sample", temperature=2.0, top_p=0.9, seed=seed).text
    assert predicted("--top-k", "1") == predicted()
    searched = model.predict("ab cab", search="beam", beam=3, length_penalty=2.0, coverage_penalty=0.5)
    assert predicted("--beam", "3", "--length-penalty", "2", "--coverage-penalty", "0.5") == searched.text
