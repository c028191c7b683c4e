"""Greedy search, beam search and sampling over tiny decoders, against enumeration."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from transducer.errors import UsageError
from transducer.heads.decoders.decoder import Decoder
from transducer.heads.decoders.recurrent import RecurrentDecoder
from transducer.heads.decoders.transformer import TransformerDecoder
from transducer.model.packing import is_packed, pack_linears
from transducer.search.tokens.attention.decoding import Decoding, monotonic_path, sampler
from transducer.search.tokens.attention.settings import Settings

MEMORY = 4


def decoder(kind: str = "transformer", tokens: int = 4, seed: int = 0, channels: int = 8) -> Decoder:
    """One that says different things of different memories."""
    torch.manual_seed(seed)
    made = (
        TransformerDecoder(tokens, channels, MEMORY, 2, 2)
        if kind == "transformer"
        else RecurrentDecoder(tokens, channels, MEMORY, "gru", "additive")
    )
    made = made.eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, nn.Linear):
            module.weight *= 2.0
    return made


def memories(seed: int, *lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 2, (length, MEMORY)).astype(np.float32) for length in lengths]


def brute_force(model: Decoder, memory: np.ndarray, limit: int, how: Settings) -> list[tuple[float, tuple[int, ...]]]:
    """Score and tokens of every sequence up to a length, best first, by teacher forcing and the formula."""
    found = []
    prepared = model.attend_to(torch.from_numpy(memory)[None], torch.ones(1, len(memory)) > 0)
    for length in range(limit + 1):
        for text in itertools.product(range(1, model.tokens), repeat=length):
            logits, weights = model(torch.tensor([[0, *text]]), prepared)
            log_prob = logits[0].log_softmax(-1)[range(length + 1), [*text, 0]].sum().item()
            coverage = weights[0].mean(dim=(0, 1)).sum(0).clamp(max=1).log().sum().item()
            score = log_prob / ((5 + length + 1) / 6) ** how.length_penalty + how.coverage_penalty * coverage
            found.append((score, text))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("kind", ["transformer", "gru"])
@given(st.integers(0, 50), st.sampled_from([0.0, 0.6, 1.0]), st.sampled_from([0.0, 0.2]))
@settings(max_examples=8)
def test_a_wide_beam_finds_what_enumeration_finds(kind, seed, length_penalty, coverage_penalty):
    model, (memory,) = decoder(kind, seed=seed), memories(seed, 3)
    how = Settings("beam", 200, length_penalty, coverage_penalty, nbest=6)
    (found,) = Decoding(model, lambda steps: steps, how)([memory])
    expected = brute_force(model, memory, 3, how)
    assert [hypothesis.tokens for hypothesis in found] == [text for _, text in expected[:6]]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for score, _ in expected[:6]], abs=1e-4)


@pytest.mark.parametrize("kind", ["transformer", "gru"])
@given(st.integers(0, 200), st.integers(1, 6))
@settings(max_examples=15)
def test_a_beam_of_one_is_greedy(kind, seed, steps):
    model, (memory,) = decoder(kind, 6, seed), memories(seed, steps)
    limit = lambda count: 2 * count  # noqa: E731
    (beam,), (greedy,) = (Decoding(model, limit, Settings(name, 1))([memory]) for name in ("beam", "greedy"))
    assert beam == greedy
    (sampled,) = Decoding(model, limit, Settings("sample", top_k=1, seed=seed))([memory])
    assert sampled == greedy


def test_there_is_something_to_search():
    """The models above say different things, and a beam finds better ones than greedy search does."""
    greedy, better = set(), 0
    for seed in range(20):
        model, (memory,) = decoder("transformer", 6, seed), memories(seed, 5)
        found = [
            Decoding(model, lambda steps: 2 * steps, Settings(kind, 6))([memory])[0][0] for kind in ("greedy", "beam")
        ]
        greedy.add(found[0].tokens)
        better += found[1].score > found[0].score + 1e-4
        assert found[1].score >= found[0].score - 1e-4 or len(found[0].tokens) == 10
    assert len(greedy) > 8 and better > 3


@pytest.mark.parametrize("kind", ["greedy", "beam", "sample"])
def test_a_decoder_that_never_ends_is_stopped(kind):
    model = decoder()
    model.out.bias[0] = -100.0
    found = Decoding(model, lambda steps: 3 * steps + 1, Settings(kind, 3))(memories(0, 4, 1))
    assert [len(each[0].tokens) for each in found] == [13, 4]


def test_no_steps_are_no_tokens():
    assert Decoding(decoder(), lambda steps: 5)([np.zeros((0, MEMORY), np.float32)])[0][0].tokens == ()


@pytest.mark.parametrize("kind", ["transformer", "gru"])
@pytest.mark.parametrize("search", ["greedy", "beam", "sample"])
@pytest.mark.parametrize("packed", [True, False])
def test_no_client_changes_a_bit_of_another(kind, search, packed):
    model = decoder(kind, 6, channels=16)
    if packed:
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
        pack_linears(model)
        assert model.exact == (kind == "transformer" and is_packed(model))
    how = Settings(search, 3, coverage_penalty=0.1, nbest=3 if search == "beam" else 1)
    decode = Decoding(model, lambda steps: steps + 4, how)
    given = memories(1, 5, 16, 0, 17, 3, 20, 9, 1)
    numbers = list(range(len(given)))
    together = decode(given, numbers)
    assert together == [decode([memory], [number])[0] for memory, number in zip(given, numbers, strict=True)]
    assert len({hypotheses[0].tokens for hypotheses in together}) > 3


def test_confidences_and_times():
    """Of each token its probability, and a step of the memory that never goes back."""
    model, (memory,) = decoder("transformer", 6, 3), memories(3, 6)
    for how in (Settings("greedy"), Settings("beam", 4), Settings("sample", temperature=2.0)):
        (hypothesis,) = Decoding(model, lambda steps: 2 * steps, how)([memory])[0][:1]
        prepared = model.attend_to(torch.from_numpy(memory)[None], torch.ones(1, 6) > 0)
        logits, weights = model(torch.tensor([[0, *hypothesis.tokens]]), prepared)
        probs = logits[0].softmax(-1)[range(len(hypothesis.tokens)), list(hypothesis.tokens)]
        assert hypothesis.confidences == pytest.approx(probs.tolist(), abs=1e-5)
        path = monotonic_path(weights.mean(dim=(1, 2))[0, :-1].numpy())
        assert list(hypothesis.frames) == path == sorted(path)
        assert list(hypothesis.ends) == [frame + 1 for frame in path]


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6))
@settings(max_examples=40)
def test_times_are_on_the_best_path_that_never_goes_back(tokens, steps, seed):
    weights = np.random.default_rng(seed).dirichlet([0.5] * steps, tokens).astype(np.float32)
    score = lambda path: sum(math.log(weights[u, s] + 1e-6) for u, s in enumerate(path))  # noqa: E731
    paths = [path for path in itertools.product(range(steps), repeat=tokens) if list(path) == sorted(path)]
    found = monotonic_path(weights)
    assert tuple(found) in paths and score(found) == pytest.approx(max(map(score, paths)), abs=1e-4)


def test_sampling_draws_as_often_as_is_probable():
    log_probs = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))

    def shares(**how: float) -> list[float]:
        draw = sampler(replace(Settings("sample"), **how), 0)
        return (np.bincount([draw(log_probs) for _ in range(4000)], minlength=4) / 4000).tolist()

    assert shares() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    cold = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    assert shares(temperature=0.5) == pytest.approx((cold / cold.sum()).tolist(), abs=0.03)
    assert shares(top_k=2) == pytest.approx([5 / 8, 3 / 8, 0, 0], abs=0.03)
    assert shares(top_p=0.8) == pytest.approx([5 / 8, 3 / 8, 0, 0], abs=0.03)
    assert shares(top_p=0.81) == pytest.approx([50 / 95, 30 / 95, 15 / 95, 0], abs=0.03)
    assert shares(top_p=0.1) == [1, 0, 0, 0]


def test_a_seed_says_what_is_drawn():
    model, (memory,) = decoder("transformer", 6), memories(0, 6)

    def drawn(seed: int, number: int = 0) -> tuple[int, ...]:
        how = Settings("sample", temperature=3.0, seed=seed)
        return Decoding(model, lambda steps: 8, how)([memory], [number])[0][0].tokens

    assert drawn(1) == drawn(1) and len({drawn(seed) for seed in range(20)}) > 10
    assert len({drawn(1, number) for number in range(20)}) > 10


class Favourite:
    """A language model that likes one token, and nothing else."""

    def __init__(self, token: int):
        self.token = token

    def log_probs(self, texts):
        probs = np.full((len(texts), 4), 1e-4, np.float32)
        for row, text in zip(probs, texts, strict=True):
            row[0 if len(text) == 3 else self.token] = 1.0
        return np.log(probs)


def test_a_language_model_is_heard_by_its_weight():
    model, (memory,) = decoder(), memories(0, 4)
    for token in (1, 2, 3):
        how = Settings("beam", 4, scorer_weight=20.0)
        assert Decoding(model, lambda steps: 5, how, Favourite(token))([memory])[0][0].tokens == (token,) * 3
        how = Settings("beam", 4, scorer_weight=0.0)
        assert Decoding(model, lambda steps: 5, how, Favourite(token))([memory]) == Decoding(
            model, lambda steps: 5, how
        )([memory])


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "best"}, {"beam": 0}, {"top_k": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"length_penalty": -1.0}],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(UsageError):
        Settings(**wrong)
