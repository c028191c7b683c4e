"""From the memories of many clients to token sequences: greedy, sampling; the beam is in `beam`.

Legend of axis suffixes: N rows, S steps of a memory, C channels, U tokens, V vocabulary with the end at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_numpy, on_device, select, without_gradients
from transducer.search.tokens.attention.beam import beam_search
from transducer.search.tokens.attention.memories import Memories, Written, log_softmax
from transducer.search.tokens.attention.settings import Decodes, Limit, Settings, TokenScorer
from transducer.search.tokens.hypothesis import Hypothesis, Token
from transducer.text.tokenizers.tokenizer import BLANK

_PADDED = 16  # memories are filled up to a multiple of so many steps


class Decoding:
    """Decodes memories.

    Clients are decoded together where no row of a batch changes a bit of another one (`Decodes.exact`), and their
    memories fill up to as many steps; else one after the other. So what a client gets never depends on the others.

    Args:
        decoder: of the model.
        limit: how many tokens there are at most, which is what ends a decoder that goes round in circles.
        settings: how to search.
        scorer: a language model for a beam search.
        together: whether clients are decoded together even if that may change the last bits of some: for measuring.
    """

    def __init__(
        self,
        decoder: Decodes,
        limit: Limit,
        settings: Settings | None = None,
        scorer: TokenScorer | None = None,
        together: bool = False,
    ):
        self.decoder, self.limit, self.settings = decoder, limit, settings or Settings()
        self.scorer, self.together = scorer, together

    def __call__(
        self, memories: Sequence[NDArray[np.float32]], numbers: Sequence[int] | None = None
    ) -> list[list[Hypothesis]]:
        """The hypotheses for each of N memories (S_i, C), best first, at least one each.

        Args:
            numbers: of the segments in their streams, so that each is sampled with random numbers of its own.
        """
        together = self.together or self.decoder.exact
        groups: dict[int, list[int]] = {}
        for number, memory in enumerate(memories):
            group = -(-len(memory) // _PADDED) if together else ~number
            groups.setdefault(group, []).append(number)
        found: list[list[Hypothesis]] = [[Hypothesis()]] * len(memories)
        for members in groups.values():
            if not len(memories[members[0]]):
                continue
            with without_gradients():
                prepared = self._prepare([memories[number] for number in members])
                drawn = [numbers[number] if numbers else 0 for number in members]
                written = search_tokens(self.decoder, prepared, self.settings, drawn, self.scorer)
                for row, (number, texts) in enumerate(zip(members, written, strict=True)):
                    found[number] = [self._align(text, memories[number], prepared, row) for text in texts]
        return found

    def _prepare(self, memories: Sequence[NDArray[np.float32]]) -> Memories:
        lengths = np.array([len(memory) for memory in memories])
        padded = np.zeros(
            (len(memories), -(-int(lengths.max()) // _PADDED) * _PADDED, memories[0].shape[1]), np.float32
        )
        for row, memory in zip(padded, memories, strict=True):
            row[: len(memory)] = memory
        exists, device = np.arange(padded.shape[1]) < lengths[:, None], self.decoder.device
        prepared = self.decoder.attend_to(on_device(padded, device), on_device(exists, device))
        return Memories(prepared, exists, [self.limit(length) for length in lengths.tolist()], device)

    def _align(self, text: Written, memory: NDArray[Any], memories: Memories, row: int) -> Hypothesis:
        """When each token was said: the monotonic path through the attention that has the most of it."""
        if not text.tokens:
            return Hypothesis(score=text.score)
        if not self.settings.align:
            frames = [0] * len(text.tokens)
        else:
            frames = self._frames(text, len(memory), memories, row)
        tokens = (
            Token(token, frame, frame + 1, log_prob)
            for token, frame, log_prob in zip(text.tokens, frames, text.log_probs, strict=True)
        )
        return Hypothesis.of(tokens, text.score)

    def _frames(self, text: Written, steps: int, memories: Memories, row: int) -> list[int]:
        # All but the last: what a token attends to is told when the one before it has been read.
        read = on_device(np.array([[BLANK, *text.tokens[:-1]]]), memories.device)
        weights = as_numpy(self.decoder(read, select(memories.prepared, [row]))[1])
        return monotonic_path(weights.astype(np.float32).mean(axis=(1, 2))[0, :, :steps])


def search_tokens(
    decoder: Decodes,
    memories: Memories,
    settings: Settings,
    numbers: Sequence[int],
    scorer: TokenScorer | None = None,
) -> list[list[Written]]:
    """The sequences of each client, best first; arguments as of `Decoding`."""
    if settings.kind == "beam":
        return beam_search(decoder, memories, settings, scorer)
    if settings.kind == "greedy":
        return _one_each(decoder, memories, settings, [lambda log_probs: int(log_probs.argmax())] * len(numbers))
    return _one_each(decoder, memories, settings, [sampler(settings, number) for number in numbers])


def _one_each(
    decoder: Decodes,
    memories: Memories,
    settings: Settings,
    choices: Sequence[Callable[[NDArray[np.float32]], int]],
) -> list[list[Written]]:
    """One sequence for each client, whose next token is chosen from the log-probabilities (V,)."""
    count = len(choices)
    texts: list[list[int]] = [[] for _ in range(count)]
    said: list[list[float]] = [[] for _ in range(count)]
    scores = [0.0] * count
    going, prepared, state = list(range(count)), memories.prepared, decoder.start(memories.prepared)
    while going:
        read = np.array([texts[row][-1] if texts[row] else BLANK for row in going])
        logits, _, state = decoder.step(on_device(read, memories.device), prepared, state)
        log_probs = log_softmax(logits)
        kept = []
        for place, row in enumerate(going):
            token = BLANK if len(texts[row]) == memories.limits[row] else choices[row](log_probs[place])
            scores[row] += float(log_probs[place, token])
            if token != BLANK:
                texts[row].append(token)
                said[row].append(float(log_probs[place, token]))
                kept.append(place)
        if len(kept) < len(going):
            going = [going[place] for place in kept]
            rows = on_device(np.array(kept, np.int64), memories.device)
            prepared, state = select(prepared, rows), state.select(rows)
    return [
        [Written(tuple(text), tuple(each), settings.normalised(score, len(text) + 1))]
        for text, each, score in zip(texts, said, scores, strict=True)
    ]


def sampler(settings: Settings, number: int) -> Callable[[NDArray[np.float32]], int]:
    """Draws tokens from log-probabilities (V,), one after the other."""
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(number,)))

    def draw(log_probs: NDArray[np.float32]) -> int:
        order = np.argsort(-log_probs, kind="stable")[: settings.top_k]
        scaled = log_probs[order].astype(np.float64) / settings.temperature
        probs = np.exp(scaled - scaled.max())
        total = np.cumsum(probs / probs.sum())
        # The fewest that have top_p together; the first one always.
        kept = int(np.searchsorted(total, settings.top_p - 1e-12)) + 1
        total = total[:kept]
        return int(order[min(int(np.searchsorted(total, rng.random() * total[-1], side="right")), len(total) - 1)])

    return draw


def monotonic_path(weights: NDArray[np.float32]) -> list[int]:
    """(U, S) attention -> a step for each token that never goes back, with the greatest sum of log-weights."""
    log_weights = np.log(weights + 1e-6)
    best, origins = log_weights[0], []
    steps = np.arange(weights.shape[1])
    for row in log_weights[1:]:
        reached = np.maximum.accumulate(best)
        origins.append(np.maximum.accumulate(np.where(best == reached, steps, 0)))
        best = row + reached
    path = [int(best.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return path[::-1]
