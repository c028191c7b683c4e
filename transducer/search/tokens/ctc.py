"""Search over the frames of a CTC model: greedy, and prefix beam search.

Sources:
    A. Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012 (section 7.5.3)
    A. Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
        DNNs", 2014 (algorithm 1; fusion with a language model)

Legend: T frames, V tokens with the blank at 0. Log-probabilities are (T, V) float arrays, natural logarithm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.search.tokens.beam import INFINITY, BeamSearch, BeamState, log_add, not_before
from transducer.search.tokens.hypothesis import Hypothesis, Search, Token, speech_end, speech_ends
from transducer.text.tokenizers.tokenizer import BLANK

LogProbs = NDArray[np.float32]


class GreedyState(NamedTuple):
    """State of greedy search.

    Attributes:
        frame: frames searched.
        tokens: the tokens whose runs of frames are over.
        run: the token that the last frame belongs to; None after a blank.
        score: log-probability of the best path.
    """

    frame: int = 0
    tokens: tuple[Token, ...] = ()
    run: Token | None = None
    score: float = 0.0


class CTCGreedySearch(Search[GreedyState]):
    """The most probable token of every frame; equal neighbours become one, blanks none ("best path").

    Args:
        silence: tokens that stand for silence, for `speech_end`.
    """

    def __init__(self, silence: Iterable[int] = ()):
        self.silence = frozenset(silence)

    def init(self) -> GreedyState:
        return GreedyState()

    def step(self, state: GreedyState, frames: LogProbs) -> GreedyState:
        return self.step_many([state], [frames])[0][0]

    def step_many(
        self, states: Sequence[GreedyState], frames: Sequence[LogProbs]
    ) -> list[tuple[GreedyState, list[int | None]]]:
        if not states:
            return []
        together = np.concatenate(frames)
        best = together.argmax(axis=1) if len(together) else np.zeros(0, dtype=np.int64)
        log_probs = together[np.arange(len(best)), best].tolist()
        numbers, results, first = best.tolist(), [], 0
        for state, part in zip(states, frames, strict=True):
            rows = slice(first, first := first + len(part))
            state = self._follow(state, numbers[rows], log_probs[rows])
            # The run belongs to the tokens: it may be the last that was said.
            tokens = state.tokens if state.run is None else (*state.tokens, state.run)
            results.append((state, speech_ends(tokens, self.silence, state.frame - len(part), len(part))))
        return results

    def _follow(self, state: GreedyState, numbers: list[int], log_probs: list[float]) -> GreedyState:
        """The state after frames with these tokens, which are the most probable ones."""
        frame, closed, run, score = state
        tokens: list[Token] = []
        for token, log_prob in zip(numbers, log_probs, strict=True):
            if run is not None and token == run.token:
                run = Token(token, run.frame, frame + 1, max(run.log_prob, log_prob))
            else:
                if run is not None:
                    tokens.append(run)
                run = None if token == BLANK else Token(token, frame, frame + 1, log_prob)
            score += log_prob
            frame += 1
        return GreedyState(frame, closed + tuple(tokens) if tokens else closed, run, score)

    def best(self, state: GreedyState) -> Hypothesis:
        return Hypothesis.of(state.tokens if state.run is None else (*state.tokens, state.run), state.score)

    def stable(self, state: GreedyState) -> int:
        return len(state.tokens)

    def speech_end(self, state: GreedyState) -> int | None:
        if state.run is not None and state.run.token not in self.silence:
            return state.run.end
        return speech_end(reversed(state.tokens), self.silence)


class Path(NamedTuple):
    """The most probable alignment of a prefix, and its log-probability (Viterbi)."""

    log_prob: float
    tokens: tuple[Token, ...]


_NO_PATH = Path(-INFINITY, ())


class Prefix(NamedTuple):
    """A token sequence in the beam, summed over all its alignments with the frames so far.

    Attributes:
        tokens: ids after the committed ones.
        score: log-probability of all alignments, plus fusion.
        blank, token: log-probability of the alignments that end in a blank, or in the last token.
        blank_path, token_path: the best alignment of either kind.
        fusion: what scorer and length bonus have added to the score.
        scorer_state: of the scorer after the last token.
    """

    tokens: tuple[int, ...]
    score: float
    blank: float
    token: float
    blank_path: Path
    token_path: Path
    fusion: float
    scorer_state: Any

    @property
    def path(self) -> Path:
        return self.blank_path if self.blank_path.log_prob >= self.token_path.log_prob else self.token_path

    @property
    def alignment(self) -> tuple[Token, ...]:
        return self.path.tokens

    def after(self, committed: tuple[Token, ...]) -> Prefix:
        count, end = len(committed), committed[-1].end
        return self._replace(
            tokens=self.tokens[count:],
            blank_path=Path(self.blank_path.log_prob, not_before(end, self.blank_path.tokens[count:])),
            token_path=Path(self.token_path.log_prob, not_before(end, self.token_path.tokens[count:])),
        )


class _Candidate:
    """A prefix in the making. Its alignment is written out only if it survives.

    Attributes:
        origin: the alignment that its best arrival on this frame comes from.
        peak: log-probability of that arrival, this frame included.
        last: log-probability of the last token on this frame.
        repeats: whether `origin` ends in the last token already.
    """

    __slots__ = ("blank", "blank_path", "fusion", "last", "origin", "peak", "repeats", "scorer_state", "token")

    def __init__(self, fusion: float, scorer_state: Any):
        self.blank = self.token = self.peak = self.last = -INFINITY
        self.blank_path = _NO_PATH
        self.origin: tuple[Token, ...] = ()
        self.repeats = False
        self.fusion = fusion
        self.scorer_state = scorer_state

    @property
    def score(self) -> float:
        return log_add(self.blank, self.token) + self.fusion

    def arrive(self, mass: float, path: Path, log_prob: float, repeats: bool) -> None:
        """Add alignments that end in the last token on this frame; `repeats` if it was there one frame before."""
        self.token = log_add(self.token, mass + log_prob)
        if path.log_prob + log_prob > self.peak:
            self.peak, self.origin, self.last, self.repeats = path.log_prob + log_prob, path.tokens, log_prob, repeats

    def finish(self, tokens: tuple[int, ...], frame: int) -> Prefix:
        if self.repeats:
            *earlier, run = self.origin
            run = Token(run.token, run.frame, frame + 1, max(run.log_prob, self.last))
            token_path = Path(self.peak, (*earlier, run))
        elif self.peak > -INFINITY:
            token_path = Path(self.peak, (*self.origin, Token(tokens[-1], frame, frame + 1, self.last)))
        else:
            token_path = _NO_PATH
        return Prefix(
            tokens, self.score, self.blank, self.token, self.blank_path, token_path, self.fusion, self.scorer_state
        )


class CTCBeamSearch(BeamSearch):
    """Prefix beam search: the most probable token sequences, each summed over its alignments.

    Token times and confidences come from the best alignment of each prefix.
    """

    def init(self) -> BeamState:
        empty = Prefix((), 0.0, 0.0, -INFINITY, Path(0.0, ()), _NO_PATH, 0.0, self._start_scorer())
        return BeamState(0, (), (empty,))

    def step(self, state: BeamState, frames: LogProbs) -> BeamState:
        for log_probs in frames:
            state = self._advance(state, log_probs)
        return state

    def _advance(self, state: BeamState, log_probs: LogProbs) -> BeamState:
        blank = float(log_probs[BLANK])
        candidates = self._candidates(log_probs)
        extensions = list(zip(candidates, log_probs[candidates].tolist(), strict=True))
        found: dict[tuple[int, ...], _Candidate] = {}
        for prefix in state.beam:
            self._stay(found, prefix, blank, log_probs)
        for prefix in state.beam:
            self._extend(found, prefix, extensions)

        beam = [candidate.finish(tokens, state.frame) for tokens, candidate in self._prune(found)]
        return self._commit(state.frame + 1, state.committed, beam)

    def _stay(
        self, found: dict[tuple[int, ...], _Candidate], prefix: Prefix, blank: float, log_probs: LogProbs
    ) -> None:
        """Alignments in which this frame adds nothing to the prefix: a blank, or more of its last token."""
        candidate = found[prefix.tokens] = _Candidate(prefix.fusion, prefix.scorer_state)
        path = prefix.path
        candidate.blank = log_add(prefix.blank, prefix.token) + blank
        candidate.blank_path = Path(path.log_prob + blank, path.tokens)
        if prefix.tokens and prefix.token > -INFINITY:
            candidate.arrive(prefix.token, prefix.token_path, float(log_probs[prefix.tokens[-1]]), repeats=True)

    def _extend(
        self, found: dict[tuple[int, ...], _Candidate], prefix: Prefix, extensions: list[tuple[int, float]]
    ) -> None:
        """Alignments in which this frame adds a token to the prefix."""
        total, path = log_add(prefix.blank, prefix.token), prefix.path
        last = prefix.tokens[-1] if prefix.tokens else None
        for token, log_prob in extensions:
            # The last token again is a new token only after a blank.
            mass, source = (prefix.blank, prefix.blank_path) if token == last else (total, path)
            if mass == -INFINITY:
                continue
            tokens = (*prefix.tokens, token)
            candidate = found.get(tokens)
            if candidate is None:
                fusion, scorer_state = self._fuse(prefix.scorer_state, token)
                candidate = found[tokens] = _Candidate(prefix.fusion + fusion, scorer_state)
            candidate.arrive(mass, source, log_prob, repeats=False)
