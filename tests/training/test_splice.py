"""Sentences spliced from the inner features of recorded phones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_fixtures import UNITS, corpus_of, tiny_model, tone_recipe, with_units

from transducer.errors import UsageError
from transducer.heads.ctc import SelfConditioning
from transducer.model.network import Network
from transducer.training.recipe import Phase
from transducer.training.run import build_network
from transducer.training.splice import SpliceBank, SplicedTexts, lower_stages, spliced_losses
from transducer.training.targets import IGNORE, Targets

# Two recordings. Every frame holds its own number, so that it is seen where it came from.
LABELS = np.array([*(0, 1, 1, 2, 0, 3), *(0, 2, 2, 1, IGNORE, 3, 3, 3, 1)])
BREAKS = np.isin(np.arange(15), (0, 6))
BANK = SpliceBank(np.arange(15, dtype=np.float16)[:, None], LABELS, BREAKS)


def drawn(*phones: int) -> set[tuple[int, ...]]:
    rows = (BANK.draw(phones, np.random.default_rng(seed)) for seed in range(40))
    return {tuple(row[:, 0].astype(int)) for row in rows}


def test_a_phone_is_taken_from_between_the_same_neighbours():
    assert drawn(0, 1, 2) == {(0, 1, 2, 3)}
    assert drawn(0, 2, 1) == {(6, 7, 8, 14)}  # of the silences the one before a 2, of the 1s that at an end


def test_where_the_neighbours_never_met_the_one_before_counts_most():
    assert {row[-1] for row in drawn(3, 1)} == {14}  # the 1 after a 3
    assert {row[0] for row in drawn(1, 3)} == {1}  # the 1 at the beginning; 9 is beside what nobody understood


def test_frames_beside_what_is_unknown_are_not_taken():
    taken = {frame for phones in ((1,), (2, 1), (3,), (2, 3), (1, 3)) for row in drawn(*phones) for frame in row}
    assert not taken & {9, 10, 11, 12, 13}


def test_a_phone_that_was_never_recorded_cannot_be_drawn():
    assert BANK.draw([0, 4, 0], np.random.default_rng(0)) is None


@pytest.fixture(scope="module")
def corpus_and_network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    recipe = tone_recipe(folder, tiny_model(chunks=(2, 4)), (Phase("p", 1, {}),))
    corpus = corpus_of(recipe, folder)
    return corpus, build_network(recipe, corpus)


def test_a_bank_holds_the_frames_of_aligned_recordings(corpus_and_network):
    corpus, network = corpus_and_network
    bank = SpliceBank.build(network, corpus.train, corpus.targets, None, seed=1)
    again = SpliceBank.build(network, corpus.train, corpus.targets, None, seed=1)
    np.testing.assert_array_equal(bank.features, again.features)
    assert bank.features.shape[1] == 32
    aligned = [i for i, u in enumerate(corpus.train.utterances) if u.id in corpus.targets.alignments]
    assert len(aligned) == 3
    frames = -(-corpus.train.frames[aligned] // 4)
    assert frames.min(axis=1).sum() <= len(bank.features) <= frames.max(axis=1).sum()
    phones = [corpus.targets.tokens(word, "phones") for word in ("abc", "cab", "dead", "bee")]
    assert all(bank.draw(sequence, np.random.default_rng(0)) is not None for sequence in phones)


def texts_of(corpus, network: Network, sentences: list[str], renewal: int = 3) -> SplicedTexts:
    def build(weights: dict[str, torch.Tensor], seed: int) -> SpliceBank:
        copy = Network(network.config)
        copy.load_state_dict(weights)
        return SpliceBank.build(copy, corpus.train, corpus.targets, None, seed)

    return SplicedTexts(build, sentences, corpus.targets, seed=5, frames=80, renewal=renewal)


def assert_same_batch(a: tuple, b: tuple) -> None:
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) and a[2] == b[2]


def test_batches_go_on_the_same_after_a_load(corpus_and_network):
    corpus, network = corpus_and_network
    weights = network.state_dict()
    texts = texts_of(corpus, network, ["dead cab", "abc", "zzz"])
    texts.renew(0, weights)
    texts.renew(2, {})  # not yet time: keeps what it has
    batch = texts.draw(7)
    assert batch[0].shape == (len(batch[2]), batch[1].shape[1], 32)
    assert batch[1].sum() >= 80
    said = {text for number in range(12) for text in texts.draw(number)[2]}
    assert said == {"dead cab", "abc"}  # nobody knows how "zzz" is pronounced
    assert not batch[0][~batch[1]].any()

    continued = texts_of(corpus, network, ["dead cab", "abc", "zzz"])
    continued.load_state_dict(texts.state_dict())
    continued.renew(2, {})
    assert_same_batch(continued.draw(7), batch)
    texts.renew(3, {name: value + 1 if "conv" in name else value for name, value in weights.items()})
    assert not torch.equal(texts.draw(7)[0], batch[0])


def test_texts_that_cannot_be_spliced_are_told(corpus_and_network):
    corpus, network = corpus_and_network
    texts = texts_of(corpus, network, ["zzz"])
    texts.renew(0, network.state_dict())
    with pytest.raises(UsageError, match="nearly all sentences of the texts"):
        texts.draw(0)


def test_only_the_upper_layers_learn_from_spliced_sentences():
    torch.manual_seed(0)
    network = Network(with_units(tiny_model()))
    x, mask = torch.randn(2, 24, 32), torch.arange(24) < torch.tensor([[24], [18]])
    losses = spliced_losses(network, (x, mask, ["abc", "cab"]), Targets(UNITS), ["characters"], bf16=False)
    assert losses["text:characters"].count == 6
    losses["text:characters"].mean.backward()
    stages = network.encoder.stages
    lower = lower_stages(network)
    assert isinstance(stages[lower], SelfConditioning) and lower == 2  # after the CNN and one layer
    learning = [any(p.grad is not None for p in stage.parameters()) for stage in stages]
    assert learning == [False] * lower + [True] * (len(stages) - lower)
    alone = spliced_losses(network, (x[1:, :18], mask[1:, :18], ["cab"]), Targets(UNITS), ["characters"], bf16=False)
    rest = spliced_losses(network, (x[:1], mask[:1], ["abc"]), Targets(UNITS), ["characters"], bf16=False)
    total = alone["text:characters"].total + rest["text:characters"].total
    assert losses["text:characters"].total.item() == pytest.approx(total.item(), rel=1e-4)
