"""Training on sound without speech: batches are a function of the seed, and blanks get likelier."""

from dataclasses import replace

import numpy as np
import torch
from training_fixtures import tiny_network

from pipelines.speech_en.no_speech import NoSpeech, Silences, silence_loss
from transducer.training.encoded import Encoded

BINS = 80


class Noise:
    """A store of random features, one of them shorter than a row."""

    utterances = ("long", "short")

    def features(self, utterance: int, variant: int = 0) -> np.ndarray:
        return np.random.default_rng(utterance).normal(-5, 2, ((90, 20)[utterance], BINS)).astype(np.float16)


def silences(seed: int = 1) -> Silences:
    statistics = np.full(BINS, -6, np.float32), np.full(BINS, 3, np.float32)
    return Silences(Noise(), statistics, seed, rows=3, frames=40)


def test_batches_are_a_function_of_seed_and_number():
    first, again, other = (silences().draw(number)[0] for number in (4, 4, 5))
    reseeded = silences(2).draw(4)[0]
    assert first.shape == (3, 40, BINS) and torch.equal(first, again)
    assert not torch.equal(first, other) and not torch.equal(first, reseeded)
    assert torch.isfinite(first).all()


def test_shards_share_a_batch():
    objective, network = replace(NoSpeech(lambda folder: None), silences=silences()), tiny_network().eval()
    found = [objective.loss(network, Encoded(network, None, False, 4, shard, shards=4)) for shard in range(4)]
    assert found[3] is None  # there are three rows
    whole = objective.loss(network, Encoded(network, None, False, 4))
    assert sum(loss.count for loss in found[:3]) == whole.count
    torch.testing.assert_close(sum(loss.total for loss in found[:3]), whole.total)


def test_nothing_is_quieter_than_digital_silence():
    floor = (np.log(1e-8) + 6) / 3
    for number in range(20):
        assert silences().draw(number)[0].min() >= floor - 1e-4


def test_the_loss_makes_blanks_likelier():
    torch.manual_seed(0)
    network = tiny_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for number in range(12):
        loss = silence_loss(network, silences().draw(number), bf16=False)
        optimizer.zero_grad()
        loss.mean.backward()
        optimizer.step()
        losses.append(loss.mean.item())
    assert losses[-1] < 0.5 * losses[0]
