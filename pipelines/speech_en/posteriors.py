"""Posteriors as training data: what a CTC head says of recordings, and of sentences that nobody recorded.

A head that reads nothing but posteriors (`transducer.heads.cascaded_rnnt`) can be trained on sentences of any text,
spliced from recorded stretches of them: phones in context, and whole words where a word was recorded often enough.
With them come the mistakes that the network makes, since it heard each recording several times under different
augmentation, and the certainty with which it makes them elsewhere, see `hear`. Compare `splice`, which does
the same in the middle of the network, where the features hold more of the voice and of the words around.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.speech_en.speech import Part, Speech
from pipelines.speech_en.splice import BASE, choose_units, sort_units
from transducer.data.augment.features import AugmentConfig
from transducer.data.loader import PairLoader
from transducer.data.workers import PairMaker
from transducer.model.network import Network
from transducer.training.alignment import best_path
from transducer.training.encoded import Encoded

_FRAMES = 12_000  # features in a batch
_CHUNKS = 21  # keeps this random stream apart from those of the data
_LONG = 8  # frames without a phone that are a pause; _EDGE of them belong to the phones on both sides
_EDGE = 3
_SHARPEST = 1.6  # power of the probabilities, at most
_OFTEN = 3  # recordings of a word from which on it is taken as a whole
_PAUSE, _END = 20, 25  # frames of a spliced pause, and of that before and after a sentence, at most


class Heard(NamedTuple):
    """One way through the network of one recording: its words, log-probabilities (T, V), and their alignment (T,)."""

    words: list[str]
    log_probs: NDArray[np.float16]
    path: NDArray[np.int16]


class Row(NamedTuple):
    """A sequence to learn from: log-probabilities (T, V), words, and the frame on which each word is over."""

    log_probs: NDArray[np.float32]
    words: list[str]
    ends: NDArray[np.int64]


@torch.inference_mode()
def hear(
    network: Network, head: str, speech: Speech, augment: AugmentConfig | None, seed: int, bf16: bool = True
) -> Iterator[Heard]:
    """What a CTC head says of every recording whose words have a pronunciation, each at a random speed and chunk.

    Where augmentation makes the network err on recordings that it was trained on, it is in doubt; on others, where it
    errs as often, it is surer of itself. So the probabilities are sharpened, each recording's by another power.
    """
    source = Part(speech, augment)
    loader = PairLoader(source, PairMaker([source]), _FRAMES, seed, prefetch=1)
    texts = {item.id: item.text for item in speech.store.utterances}
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_CHUNKS,)))
    network.eval()
    device = next(network.parameters()).device
    for batch in loader.epoch(0):
        network.set_chunk(int(rng.choice(network.config.chunks)))
        outputs, mask = Encoded(network, batch.to(device), bf16).outputs(head)
        log_probs = outputs.float().cpu()
        log_probs *= torch.from_numpy(rng.uniform(1.0, _SHARPEST, (len(log_probs), 1, 1))).float()
        log_probs = log_probs.log_softmax(dim=-1)
        for pair, row, length in zip(batch.pairs, log_probs, mask.sum(1).tolist(), strict=True):
            path = best_path(row[:length], pair.target(head) or [])
            if path is not None:
                yield Heard(texts[pair.id].split(), row[:length].half().numpy(), path.numpy().astype(np.int16))


class PosteriorBank:
    """Recordings to learn from as they are, and to splice sentences from.

    Args:
        heard: see `hear`; of several passes.
        phones: word -> its tokens, as `hear` aligned them.
    """

    def __init__(self, heard: Sequence[Heard], phones: Mapping[str, Sequence[int]]):
        self.log_probs = np.concatenate([h.log_probs for h in heard])
        self.recordings: list[tuple[int, int, list[str], NDArray[np.int64]]] = []
        units, pauses, words = [], [], []
        first = 0
        for h in heard:
            length = len(h.path)
            lengths = [len(phones[word]) for word in h.words]
            after = np.cumsum(lengths)
            begins, ends, spoken = _cut(h.path)
            units.append(
                np.stack([begins + first, ends + first, _around(np.concatenate([phones[w] for w in h.words]))])
            )
            silence_begins, silence_ends = np.append(0, ends), np.append(begins, length)
            for first_silent, end_silent in zip(silence_begins.tolist(), silence_ends.tolist(), strict=True):
                if end_silent > first_silent:
                    pauses.append((first + first_silent, first + end_silent))
            words += [
                (word, first + begins[a], first + ends[b - 1])
                for word, a, b in zip(h.words, after - lengths, after, strict=True)
            ]
            self.recordings.append((first, first + length, h.words, spoken[after - 1]))
            first += length
        self.recordings.sort(key=lambda recording: recording[1] - recording[0])
        self.first, self.end, triphones = np.concatenate(units, axis=1)
        self._orders, self._keys = sort_units(*_neighbours(triphones))
        self.pauses = np.array(pauses or [(0, 0)])
        names = sorted({word for word, _, _ in words})
        self._number = {name: number for number, name in enumerate(names)}
        numbers = np.array([self._number[word] for word, _, _ in words])
        order = np.argsort(numbers, kind="stable")
        self._word_keys = numbers[order]
        self._words = np.array([(a, b) for _, a, b in words])[order]

    def recorded(self, rng: np.random.Generator, frames: int) -> list[Row]:
        """Recordings of about the same length, so many frames of them in all."""
        index, rows, count = int(rng.integers(len(self.recordings))), [], 0
        while count < frames and index < len(self.recordings):
            first, end, words, ends = self.recordings[index]
            rows.append(Row(self.log_probs[first:end].astype(np.float32), words, ends))
            count += end - first
            index += 1 + int(rng.integers(8))
        return rows

    def splice(
        self,
        words: Sequence[str],
        phones: Sequence[Sequence[int]],
        rng: np.random.Generator,
        whole: float = 0.6,
        pause: float = 0.12,
    ) -> Row | None:
        """A sentence; None where it has a phone that was never recorded.

        Args:
            words, phones: of it, and how each word is pronounced.
            whole: probability that a word is taken as a whole, where it can be.
            pause: probability of one after a word.
        """
        units = choose_units(np.concatenate(phones), self._orders, self._keys, rng)
        if (units < 0).any():
            return None
        numbers = [self._number.get(word, -1) for word in words]
        low, high = (np.searchsorted(self._word_keys, numbers, side) for side in ("left", "right"))
        draws = rng.random((len(words), 3))
        parts, ends, unit = [self._pause(rng, _END)], [], 0
        for word, spoken in enumerate(phones):
            if high[word] - low[word] >= _OFTEN and draws[word, 0] < whole:
                first, end = self._words[low[word] + int(draws[word, 1] * (high[word] - low[word]))]
                parts.append(np.arange(first, end))
            else:
                parts += [np.arange(self.first[u], self.end[u]) for u in units[unit : unit + len(spoken)]]
            unit += len(spoken)
            ends.append(sum(map(len, parts)) - 1)
            if draws[word, 2] < pause:
                parts.append(self._pause(rng, _PAUSE))
        frames = np.concatenate([*parts, self._pause(rng, _END)])
        return Row(self.log_probs[frames].astype(np.float32), list(words), np.array(ends))

    def _pause(self, rng: np.random.Generator, most: int) -> NDArray[np.int64]:
        first, end = self.pauses[int(rng.integers(len(self.pauses)))]
        return np.arange(first, min(end, first + most))


def _cut(path: NDArray[np.int16]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(N,) first frame and end of each aligned token's stretch, and the frame by which the token itself was said.

    CTC says a token on a frame or two, and nothing on those around it; these go half to the token before and half to
    the one after, but for pauses.
    """
    change = np.flatnonzero(np.diff(path, prepend=-1) != 0)
    run_ends = np.append(change[1:], len(path))
    said = path[change] > 0
    starts, stops = change[said], run_ends[said]
    gap = starts[1:] - stops[:-1]
    middle = stops[:-1] + gap // 2
    long = gap > _LONG
    begins = np.append(max(starts[0] - _EDGE, 0), np.where(long, starts[1:] - _EDGE, middle))
    ends = np.append(np.where(long, stops[:-1] + _EDGE, middle), min(stops[-1] + _EDGE, len(path)))
    return begins, ends, stops


def _around(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each token with its neighbours, as one number."""
    return (np.append(0, tokens[:-1]) * BASE + tokens) * BASE + np.append(tokens[1:], 0)


def _neighbours(triphones: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """What `_around` put together: before, token, after."""
    return triphones // BASE**2, triphones // BASE % BASE, triphones % BASE
