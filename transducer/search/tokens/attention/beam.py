"""Beam search over a label-synchronous decoder, with length normalisation, coverage and a language model.

Source: Wu et al. 2016, "Google's Neural Machine Translation System" (arXiv:1609.08144), section 7.

Legend of axis suffixes: N rows, S steps of a memory, V vocabulary with the end at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_numpy, on_device, select
from transducer.search.tokens.attention.memories import Memories, Written, log_softmax
from transducer.search.tokens.attention.settings import Decodes, Settings, TokenScorer
from transducer.text.tokenizers.tokenizer import BLANK


class Entry(NamedTuple):
    """A hypothesis that goes on.

    Attributes:
        row: of the decoder's state.
        tokens, log_probs: so far.
        total: log-probability, with what the language model has added.
        coverage: (S,) attention that each step got.
    """

    row: int = -1
    tokens: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    total: float = 0.0
    coverage: NDArray[np.float32] | None = None


class Beam:
    """The hypotheses of one client.

    Args:
        limit: tokens, at most; then a hypothesis has to end.
        exists: (S,) bool.
    """

    def __init__(self, settings: Settings, limit: int, exists: NDArray[np.bool_]):
        self.settings, self.limit, self.exists = settings, limit, exists
        self.active = [Entry()]
        self.finished: list[Written] = []

    def advance(
        self,
        first: int,
        log_probs: NDArray[np.float32],
        attention: NDArray[np.float32],
        fusion: NDArray[np.float32] | None,
    ) -> None:
        """One more token of all hypotheses.

        Args:
            first: row of the first of them.
            log_probs: (N, V) of the model. attention: (N, S). fusion: (N, V), what a language model adds.
        """
        settings, before = self.settings, self.active
        totals = log_probs.astype(np.float64) + np.array([[entry.total] for entry in before])
        if fusion is not None:
            totals = totals + fusion
        if len(before[0].tokens) == self.limit:
            totals[:, BLANK + 1 :] = -np.inf
        flat = totals.reshape(-1)
        places = np.argpartition(-flat, min(settings.beam, flat.size) - 1)[: settings.beam]
        places = places[np.lexsort((places, -flat[places]))]
        best = flat[places]
        self.active = []
        for total, place in zip(best.tolist(), places.tolist(), strict=True):
            row, token = divmod(place, totals.shape[1])
            if total == -np.inf:
                break
            entry, coverage = before[row], None
            if settings.coverage_penalty:
                coverage = attention[row] if entry.coverage is None else entry.coverage + attention[row]
            if token == BLANK:
                score = settings.normalised(total, len(entry.tokens) + 1) + self._coverage(coverage)
                self.finished.append(Written(entry.tokens, entry.log_probs, score))
            else:
                said = float(log_probs[row, token])
                self.active.append(
                    Entry(first + row, (*entry.tokens, token), (*entry.log_probs, said), total, coverage)
                )
        if len(self.finished) >= settings.beam or self._decided():
            self.active = []

    @property
    def best(self) -> list[Written]:
        """The finished hypotheses, best first."""
        return sorted(self.finished, key=lambda text: -text.score)[: self.settings.nbest]

    def _coverage(self, coverage: NDArray[np.float32] | None) -> float:
        if coverage is None:
            return 0.0
        return self.settings.coverage_penalty * float(np.log(coverage[self.exists].clip(1e-9, 1.0)).sum())

    def _decided(self) -> bool:
        """Whether no hypothesis that goes on can get better than those that are wanted of the ones that have ended."""
        if len(self.best) < self.settings.nbest:
            return False
        most = max((self.settings.normalised(entry.total, self.limit + 1) for entry in self.active), default=-np.inf)
        return self.best[-1].score >= most


def beam_search(
    decoder: Decodes, memories: Memories, settings: Settings, scorer: TokenScorer | None = None
) -> list[list[Written]]:
    """The best finished hypotheses of each client, best first.

    A search is over when as many hypotheses have ended as a beam holds, or none that goes on can win.
    """
    beams = [Beam(settings, limit, there) for limit, there in zip(memories.limits, memories.exists, strict=True)]
    owners: list[int] = list(range(len(beams)))
    prepared: Any = memories.prepared
    state = decoder.start(prepared)
    while going := [beam for beam in beams if beam.active]:
        entries = [entry for beam in going for entry in beam.active]
        read = np.array([entry.tokens[-1] if entry.tokens else BLANK for entry in entries])
        logits, attention, state = decoder.step(on_device(read, memories.device), prepared, state)
        log_probs, seen = log_softmax(logits), as_numpy(attention).astype(np.float32)
        fusion = None if scorer is None else _fusion(scorer, [entry.tokens for entry in entries], settings)
        first = 0
        for beam in going:
            rows = slice(first, first + len(beam.active))
            beam.advance(first, log_probs[rows], seen[rows], None if fusion is None else fusion[rows])
            first = rows.stop
        kept = [(number, entry.row) for number, beam in enumerate(beams) for entry in beam.active]
        if not kept:
            break
        state = state.select(on_device(np.array([row for _, row in kept]), memories.device))
        if owners != (owners := [number for number, _ in kept]):
            prepared = select(memories.prepared, owners)
    return [beam.best for beam in beams]


def _fusion(scorer: TokenScorer, texts: Sequence[tuple[int, ...]], settings: Settings) -> NDArray[np.float32]:
    return np.float32(settings.scorer_weight) * scorer.log_probs(texts)
