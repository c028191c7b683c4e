"""A causal language model: it scores, goes on with texts, and helps a beam search."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import transducer
from transducer.cli import main
from transducer.cores.bidirectional import BidirectionalConfig
from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.transformer import TransformerConfig
from transducer.data.sequences import Sequences
from transducer.encoders.projection import ProjectionConfig
from transducer.engine.model import Model
from transducer.errors import UsageError
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.attention import AttentionConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.language import LanguageConfig, next_tokens
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.characters import Characters
from transducer.training.evaluation import measure, rates

LETTERS = Characters("abc")
CORES = {
    "gru": RecurrentConfig("gru", 8, 1),
    "transformer": TransformerConfig(8, 2, 12, 1, 1, 20),
}


def network(core, head=None, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    config = ModelConfig(
        frontend=SymbolsConfig(len(LETTERS), "letters", 6),
        encoder=ProjectionConfig(),
        core=core,
        heads={"text": head or LanguageConfig("letters")},
        units={"letters": len(LETTERS)},
        chunks=(1,),
    )
    made = Network(config).eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        parameter *= 3.0 if name.startswith("heads") else 1.5
    return made


def saved(folder: Path, made: Network) -> Model:
    save_checkpoint(folder, made, made.config, {"letters": LETTERS})
    return transducer.load(folder)


@pytest.fixture(scope="module", params=CORES)
def model(request, tmp_path_factory) -> Model:
    return saved(tmp_path_factory.mktemp("lm") / request.param, network(CORES[request.param]))


def test_a_score_is_the_sum_over_tokens_and_the_end(model):
    """Each from the network offline on what is before it; and all texts together are certain."""
    language = model.language_model()
    text, total = LETTERS.encode("ab ca"), 0.0
    for count in range(len(text) + 1):
        found = language.scorer.log_probs([tuple(text[:count])])[0]
        total += float(found[(*text, 0)[count]])
        assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)
    score = language.score("ab ca")
    assert score.log_prob == pytest.approx(total, abs=1e-4) and score.tokens == 6
    assert score.perplexity == pytest.approx(math.exp(-total / 6), rel=1e-4)
    two = language.perplexity(["ab ca", [2]])
    both = score.log_prob + language.score("a").log_prob
    assert two == pytest.approx(math.exp(-both / 8), rel=1e-5)


def test_greedy_completion_is_what_is_likeliest_step_by_step(model):
    language, text = model.language_model(), LETTERS.encode("ab")
    expected: list[int] = []
    while len(expected) < 12 and (best := int(language.scorer.log_probs([(*text, *expected)])[0].argmax())):
        expected.append(best)
    assert language.complete("ab", 12) == LETTERS.decode(expected)
    assert language.complete("ab", 12, search="sample", top_k=1) == LETTERS.decode(expected)


def test_a_wide_beam_finds_the_likeliest_completions(model):
    language = model.language_model()
    found = language.completions("c", 3, search="beam", beam=400, nbest=4, length_penalty=0.0)
    before, everything = language.score("c"), []
    for length in range(4):
        for text in itertools.product(range(1, len(LETTERS)), repeat=length):
            log_prob = language.score([4, *text]).log_prob
            everything.append((log_prob, LETTERS.decode(text)))
    everything = sorted(everything, reverse=True)[:4]
    first = float(language.scorer.log_probs([()])[0, 4])
    assert [text for text, _ in found] == [text for _, text in everything]
    assert [score for _, score in found] == pytest.approx([score - first for score, _ in everything], abs=1e-4)
    assert before.tokens == 2


def test_sampling_by_a_seed(model):
    language = model.language_model()
    drawn = [language.complete("", 20, search="sample", temperature=1.5, seed=seed) for seed in range(12)]
    assert len(set(drawn)) > 6
    assert drawn[3] == language.complete("", 20, search="sample", temperature=1.5, seed=3)


def test_it_learns_and_is_measured_by_its_perplexity():
    """A text that can be foretold but for its first letter: three choices, and nothing to hesitate about after that."""
    texts = [LETTERS.encode(letter * 3) for letter in "abc"]
    pairs = [next_tokens(text) for text in texts]
    source = Sequences([x for x, _ in pairs], [y for _, y in pairs])
    made = network(RecurrentConfig("gru", 16, 1)).requires_grad_(True)
    before = measure(made, source, ["text"])["text"]
    assert before.total == 12 and rates({"text": before})["perplexity:text"] > 2
    optimizer = torch.optim.AdamW(made.parameters(), 0.02)
    x, mask = torch.from_numpy(np.stack([x for x, _ in pairs])), torch.ones(3, 4) > 0
    for _ in range(150):
        frames = made.encoder(*made.frontend(x, mask))
        loss = made.heads["text"].loss(*made.heads["text"](*frames), [y for _, y in pairs]).mean
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert measure(made, source, ["text"])["text"].rate == pytest.approx(3**0.25, abs=0.03)


@pytest.mark.parametrize("head", [CTCConfig("letters"), AttentionConfig("letters", channels=8, heads=2, layers=1)])
def test_it_is_heard_in_a_beam_search_by_its_weight(head, tmp_path, capsys):
    """One that likes nothing but the letter c leaves nothing else of what is written."""
    writer = saved(tmp_path / "writer", network(RecurrentConfig("gru", 8, 1), head, 4))
    fond = network(CORES["gru"])
    fond.heads["text"].module[0].weight.zero_()
    fond.heads["text"].module[0].bias.copy_(torch.tensor([-2.0, -30.0, -30.0, -30.0, 0.0]))
    language = saved(tmp_path / "fond", fond).folder

    def written(**options) -> list[str]:
        return [writer.predict(text, search="beam", **options).text for text in ("abcabcabc", "cab abc", "aaaabbbb")]

    plain = written()
    assert set("".join(plain)) - set("c ")
    assert written(language_model=language, language_weight=0.0) == plain
    fused = written(language_model=str(language), language_weight=5.0)
    assert not set("".join(fused)) - {"c"} and "c" in "".join(fused)
    options = ["--language-model", str(language), "--language-weight", "5"]
    assert main(["predict", str(writer.folder), "abcabcabc", *options]) == 0
    assert capsys.readouterr().out == f"{fused[0]}\n"


def test_what_does_not_fit_is_refused(model, tmp_path):
    language = model.language_model()
    for options, message in (
        ({"beam": 3}, "beam goes with search='beam'"),
        ({"hotwords": ("a",)}, "hotwords: a language model has beam, length_penalty"),
        ({"temperature": 0.0}, "temperature"),
    ):
        with pytest.raises(UsageError, match=message):
            language.complete("a", **options)
    with pytest.raises(UsageError, match="no token for the character 'x'"):
        language.complete("x")
    with pytest.raises(UsageError, match="1 to 100000 tokens, got 0"):
        language.complete("a", 0)
    with pytest.raises(UsageError, match="there is no token 9"):
        language.score([1, 9])
    both = saved(tmp_path / "both", network(BidirectionalConfig("gru", 8, 1)))
    with pytest.raises(UsageError, match="must step from token to token and not look ahead"):
        both.language_model()
    writer = saved(tmp_path / "writer", network(CORES["gru"], CTCConfig("letters")))
    with pytest.raises(UsageError, match="writer is no language model"):
        writer.language_model()
    with pytest.raises(UsageError, match="goes with a beam search"):
        writer.predict("a", search="greedy", language_model=model.folder)
    with pytest.raises(UsageError, match="language_weight needs a language_model"):
        writer.predict("a", search="beam", language_weight=0.3)


def test_other_tokens_are_refused(model, tmp_path):
    made = network(CORES["gru"], CTCConfig("letters"))
    save_checkpoint(tmp_path / "other", made, made.config, {"letters": Characters("xyz")})
    with pytest.raises(UsageError, match="has other tokens than the model other"):
        transducer.load(tmp_path / "other").predict("x", search="beam", language_model=model.folder)


def test_commands(model, capsys):
    folder, language = str(model.folder), model.language_model()
    assert main(["complete", folder, "ab", "c", "--max-tokens", "9"]) == 0
    assert capsys.readouterr().out == "".join(f"{text}{language.complete(text, 9)}\n" for text in ("ab", "c"))
    assert main(["complete", folder, "a", "--json", "--seed", "3", "--temperature", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "prompt": "a",
        "completion": language.complete("a", search="sample", seed=3, temperature=2.0),
    }
    assert main(["score", folder, "ab", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["log_prob"] == pytest.approx(language.score("ab").log_prob, abs=1e-3)
    assert main(["score", folder, "xyz"]) == 2
    assert capsys.readouterr().err.startswith("transducer: error: no token for the character 'x'")
    assert main(["complete", "speech-en", "ab"]) == 2
    assert "speech-en is no language model" in capsys.readouterr().err


def test_info_knows_it(model):
    assert replace(model.config).heads["text"] == LanguageConfig("letters")
    assert model.info()["parameters"] > 0
