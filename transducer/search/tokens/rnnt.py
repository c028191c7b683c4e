"""Beam search over the encoder output of an RNN-T model, frame by frame.

Sources:
    A. Graves, "Sequence Transduction with Recurrent Neural Networks", 2012
    W. Kang et al., "Fast and parallel decoding for transducer", 2022 (modified beam search: a bounded number of
        symbols per frame, equal prefixes merged)
    Z. Meng et al., "Internal Language Model Estimation for Domain-Adaptive End-to-End Speech Recognition", 2021

A frame is over after a blank, or after `max_symbols` tokens without one. So the ways through a frame are the
leaves of a tree whose probabilities sum to one, and with `max_symbols` 1 every frame emits one symbol.

Legend: T frames, D features, N hypotheses, V tokens with the blank at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_numpy, split, stack, without_gradients
from transducer.search.tokens.beam import INFINITY, BeamConfig, BeamSearch, BeamState, Scorer, log_add, not_before
from transducer.search.tokens.hypothesis import Token
from transducer.search.tokens.rows import TILE, Joint, Predictor, Rows
from transducer.text.tokenizers.tokenizer import BLANK

# (N, D') predictor output -> (N, V) log-probabilities of the next token where nothing is heard; none is a blank.
InternalLM = Callable[[Any], Any]


class Prefix(NamedTuple):
    """A token sequence in the beam, summed over all its alignments with the frames so far.

    Attributes:
        tokens: ids after the committed ones.
        score: `log_prob` plus fusion.
        log_prob: of all alignments.
        path: log-probability of the best one (Viterbi).
        alignment: that alignment.
        fusion: what scorer and length bonus have added to the score.
        scorer_state: of the scorer after the last token.
        output: (1, D') of the predictor after the last token.
        predictor: its state.
    """

    tokens: tuple[int, ...]
    score: float
    log_prob: float
    path: float
    alignment: tuple[Token, ...]
    fusion: float
    scorer_state: Any
    output: Any
    predictor: Any

    def after(self, committed: tuple[Token, ...]) -> Prefix:
        count = len(committed)
        alignment = not_before(committed[-1].frame, self.alignment[count:])
        return self._replace(tokens=self.tokens[count:], alignment=alignment)


class _Candidate:
    """A prefix in the making. The predictor reads its last token only if it survives.

    Attributes:
        source: the prefix whose predictor state it goes on from.
        token: what the predictor still has to read; the blank for nothing.
    """

    __slots__ = ("alignment", "fusion", "log_prob", "path", "scorer_state", "source", "token")

    source: Prefix

    def __init__(self, fusion: float, scorer_state: Any):
        self.log_prob = self.path = -INFINITY
        self.alignment: tuple[Token, ...] | None = None
        self.token: int | None = None  # until something arrives
        self.fusion = fusion
        self.scorer_state = scorer_state

    @property
    def score(self) -> float:
        return self.log_prob + self.fusion

    def arrive(self, source: Prefix, token: int, log_prob: float, frame: int) -> None:
        """Add the alignments of `source`, with one more symbol on this frame."""
        self.log_prob = log_add(self.log_prob, source.log_prob + log_prob)
        if self.alignment is None or source.path + log_prob > self.path:
            self.path, self.alignment = source.path + log_prob, source.alignment
            if token != BLANK:
                self.alignment += (Token(token, frame, frame + 1, log_prob),)
        # The same tokens mean the same predictor state: go on from where nothing has to be read.
        if self.token is None or token == BLANK:
            self.source, self.token = source, token


@dataclass
class _Frame:
    """A stream on a frame: the encoder's output (D,), the prefixes for which it is not over, and those for which it
    is."""

    frame: int
    encoded: NDArray[np.float32]
    active: list[Prefix]
    done: list[Prefix] = field(default_factory=list)


class RNNTBeamSearch(BeamSearch):
    """Beam search that keeps hypotheses in step with the frames, and merges those with equal tokens.

    Args:
        predictor, joint: of the model.
        max_symbols: tokens per frame, at most.
        config, scorer, silence: see BeamSearch.
        internal_lm: what the model itself expects to be written. A scorer says the same once more; so
            `internal_weight` times this is taken off the score of every token (Meng et al., equation 9).
        tile: see `Rows`.
    """

    def __init__(
        self,
        predictor: Predictor,
        joint: Joint,
        max_symbols: int = 1,
        config: BeamConfig | None = None,
        scorer: Scorer | None = None,
        silence: Iterable[int] = (),
        internal_lm: InternalLM | None = None,
        internal_weight: float = 0.2,
        tile: int | None = TILE,
    ):
        super().__init__(config, scorer, silence)
        self.rows = Rows(predictor, joint, tile)
        self.max_symbols = max_symbols
        self.internal_lm = internal_lm
        self.internal_weight = internal_weight

    def init(self) -> BeamState:
        output, predictor = self.rows.extend([BLANK], self.rows.start())
        return BeamState(0, (), (Prefix((), 0.0, 0.0, 0.0, (), 0.0, self._start_scorer(), output, predictor),))

    def step(self, state: BeamState, frames: Any) -> BeamState:
        return self.step_many([state], [frames])[0][0]

    def step_many(self, states: Sequence[BeamState], frames: Sequence[Any]) -> list[tuple[BeamState, list[int | None]]]:
        parts, states = [as_numpy(part) for part in frames], list(states)
        ends: list[list[int | None]] = [[] for _ in states]
        for step in range(max(map(len, parts), default=0)):
            going = [number for number, part in enumerate(parts) if step < len(part)]
            encoded = np.stack([parts[number][step] for number in going])
            for number, state in zip(going, self._advance([states[n] for n in going], encoded), strict=True):
                states[number] = state
                ends[number].append(self.speech_end(state))
        return list(zip(states, ends, strict=True))

    def _advance(self, states: list[BeamState], encoded: NDArray[np.float32]) -> list[BeamState]:
        """One frame of each stream, (N, D)."""
        beams = [_Frame(state.frame, frame, list(state.beam)) for state, frame in zip(states, encoded, strict=True)]
        for symbol in range(1, self.max_symbols + 1):
            self._emit([beam for beam in beams if beam.active], symbol == self.max_symbols)
        return [
            self._commit(state.frame + 1, state.committed, beam.done) for state, beam in zip(states, beams, strict=True)
        ]

    def _emit(self, beams: list[_Frame], last: bool) -> None:
        """One more symbol for every active prefix; after the `last` one the frame is over without a blank."""
        if not beams:
            return
        outputs = stack([prefix.output for beam in beams for prefix in beam.active])
        encoded = np.stack([beam.encoded for beam in beams for _ in beam.active])
        log_probs = self.rows.joint(encoded, outputs)
        expected = None if self.internal_lm is None else self._expected(self.internal_lm, outputs)
        survivors, first = [], 0
        for beam in beams:
            rows = slice(first, first := first + len(beam.active))
            found = self._candidates_of(beam, log_probs[rows], None if expected is None else expected[rows], last)
            survivors.append(self._prune(found))
        prefixes = iter(self._read([(tokens, found) for some in survivors for (_, tokens), found in some]))
        for beam, some in zip(beams, survivors, strict=True):
            beam.active, beam.done = [], []
            for (over, _), _ in some:
                (beam.done if over else beam.active).append(next(prefixes))

    @staticmethod
    def _expected(internal_lm: InternalLM, outputs: Any) -> NDArray[np.float32]:
        with without_gradients():
            return as_numpy(internal_lm(outputs))

    def _candidates_of(
        self, beam: _Frame, log_probs: NDArray[np.float32], expected: NDArray[np.float32] | None, last: bool
    ) -> dict[tuple[bool, tuple[int, ...]], _Candidate]:
        # Keyed by whether the frame is over, too: the two do not have the same future and cannot be merged.
        found: dict[tuple[bool, tuple[int, ...]], _Candidate] = {}
        candidate: _Candidate | None
        for prefix in beam.done:
            candidate = found[True, prefix.tokens] = _Candidate(prefix.fusion, prefix.scorer_state)
            candidate.arrive(prefix, BLANK, 0.0, beam.frame)
        for row, prefix in enumerate(beam.active):
            for token in (BLANK, *self._candidates(log_probs[row])):
                key = (True, prefix.tokens) if token == BLANK else (last, (*prefix.tokens, token))
                candidate = found.get(key)
                if candidate is None:
                    fusion, scorer_state = 0.0, prefix.scorer_state
                    if token != BLANK:
                        fusion, scorer_state = self._fuse(prefix.scorer_state, token)
                        if expected is not None:
                            fusion -= self.internal_weight * float(expected[row, token])
                    candidate = found[key] = _Candidate(prefix.fusion + fusion, scorer_state)
                candidate.arrive(prefix, token, float(log_probs[row, token]), beam.frame)
        return found

    def _read(self, candidates: list[tuple[tuple[int, ...], _Candidate]]) -> list[Prefix]:
        """Prefixes out of candidates: the predictor reads all their new tokens at once."""
        new = [candidate for _, candidate in candidates if candidate.token != BLANK]
        read: Iterator[tuple[Any, Any]] = iter(())
        if new:
            output, predictor = self.rows.extend(
                [cast(int, candidate.token) for candidate in new],
                stack([candidate.source.predictor for candidate in new]),
            )
            read = zip(split(output), split(predictor), strict=True)
        prefixes = []
        for tokens, candidate in candidates:
            source = candidate.source
            assert candidate.alignment is not None
            output, predictor = (source.output, source.predictor) if candidate.token == BLANK else next(read)
            prefixes.append(
                Prefix(
                    tokens=tokens,
                    score=candidate.score,
                    log_prob=candidate.log_prob,
                    path=candidate.path,
                    alignment=candidate.alignment,
                    fusion=candidate.fusion,
                    scorer_state=candidate.scorer_state,
                    output=output,
                    predictor=predictor,
                )
            )
        return prefixes
