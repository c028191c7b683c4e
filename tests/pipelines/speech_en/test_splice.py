"""Sentences spliced from the inner features of recorded phones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from speech_fixtures import speech_recipe, tone_speech
from training_fixtures import UNITS, tiny_model, trainer_of, with_units

from pipelines.speech_en.speech import Speech
from pipelines.speech_en.splice import SpliceBank, SplicedText, SplicedTexts, lower_stages, spliced_loss
from pipelines.speech_en.targets import IGNORE
from transducer.errors import UsageError
from transducer.heads.ctc import SelfConditioning
from transducer.model.network import Network
from transducer.training.initial import build_network
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase

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
def speech_and_network(tmp_path_factory) -> tuple[Speech, Network]:
    speech = tone_speech(tmp_path_factory.mktemp("tones"), prepare=True)
    phase = Phase("p", 1, (HeadLoss("characters"),))
    return speech, build_network(speech_recipe(speech, tiny_model(chunks=(2, 4)), (phase,)))


def test_a_bank_holds_the_frames_of_aligned_recordings(speech_and_network):
    speech, network = speech_and_network
    bank = SpliceBank.build(network, speech, None, seed=1)
    again = SpliceBank.build(network, speech, None, seed=1)
    np.testing.assert_array_equal(bank.features, again.features)
    assert bank.features.shape[1] == 32
    aligned = [i for i, u in enumerate(speech.store.utterances) if u.id in speech.spoken.alignments]
    assert len(aligned) == 3
    frames = -(-speech.store.frames[aligned] // 4)
    assert frames.min(axis=1).sum() <= len(bank.features) <= frames.max(axis=1).sum()
    phones = [speech.spoken.tokens(word, "phones") for word in ("abc", "cab", "dead", "bee")]
    assert all(bank.draw(sequence, np.random.default_rng(0)) is not None for sequence in phones)


def texts_of(speech: Speech, network: Network, sentences: list[str], renewal: int = 3) -> SplicedTexts:
    def build(weights: dict[str, torch.Tensor], seed: int) -> SpliceBank:
        copy = Network(network.config)
        copy.load_state_dict(weights)
        return SpliceBank.build(copy, speech, None, seed)

    return SplicedTexts(build, sentences, speech.spoken, seed=5, frames=80, renewal=renewal)


def assert_same_batch(a: tuple, b: tuple) -> None:
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) and a[2] == b[2]


def test_batches_go_on_the_same_after_a_load(speech_and_network):
    speech, network = speech_and_network
    weights = network.state_dict()
    texts = texts_of(speech, network, ["dead cab", "abc", "zzz"])
    texts.renew(0, weights)
    texts.renew(2, {})  # not yet time: keeps what it has
    batch = texts.draw(7)
    assert batch[0].shape == (len(batch[2]), batch[1].shape[1], 32)
    assert batch[1].sum() >= 80
    said = {text for number in range(12) for text in texts.draw(number)[2]}
    assert said == {"dead cab", "abc"}  # nobody knows how "zzz" is pronounced
    assert not batch[0][~batch[1]].any()

    continued = texts_of(speech, network, ["dead cab", "abc", "zzz"])
    continued.load_state_dict(texts.state_dict())
    continued.renew(2, {})
    assert_same_batch(continued.draw(7), batch)
    texts.renew(3, {name: value + 1 if "conv" in name else value for name, value in weights.items()})
    assert not torch.equal(texts.draw(7)[0], batch[0])


def test_texts_that_cannot_be_spliced_are_told(speech_and_network):
    speech, network = speech_and_network
    texts = texts_of(speech, network, ["zzz"])
    texts.renew(0, network.state_dict())
    with pytest.raises(UsageError, match="nearly all sentences of the texts"):
        texts.draw(0)


def test_only_the_upper_layers_learn_from_spliced_sentences():
    torch.manual_seed(0)
    network = Network(with_units(tiny_model()))
    x, mask = torch.randn(2, 24, 32), torch.arange(24) < torch.tensor([[24], [18]])
    tokens = [UNITS["characters"].encode(text) for text in ("abc", "cab")]
    loss = spliced_loss(network, "characters", x, mask, tokens, bf16=False)
    assert loss.count == 6
    loss.mean.backward()
    stages = network.encoder.stages
    lower = lower_stages(network)
    assert isinstance(stages[lower], SelfConditioning) and lower == 2  # after the CNN and one layer
    learning = [any(p.grad is not None for p in stage.parameters()) for stage in stages]
    assert learning == [False] * lower + [True] * (len(stages) - lower)
    alone = spliced_loss(network, "characters", x[1:, :18], mask[1:, :18], tokens[1:], bf16=False)
    rest = spliced_loss(network, "characters", x[:1], mask[:1], tokens[:1], bf16=False)
    assert loss.total.item() == pytest.approx(alone.total.item() + rest.total.item(), rel=1e-4)


def test_an_objective_needs_sentences_and_an_intermediate_head(tmp_path):
    phase = Phase("texts", 1, (SplicedText("characters"),), batch_frames=500)
    recipe = speech_recipe(tone_speech(tmp_path), tiny_model(), (phase,))
    with pytest.raises(UsageError, match="text:characters: it needs an intermediate head, and sentences"):
        trainer_of(recipe, tmp_path)
    recipe = speech_recipe(tone_speech(tmp_path, texts=("ab", "cab")), tiny_model(), (phase,))
    with pytest.raises(UsageError, match="text:characters: it needs an intermediate head"):
        trainer_of(replace(recipe, model=replace(recipe.model, conditioning=None)), tmp_path)
