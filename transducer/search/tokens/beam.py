"""What the beam searches share: their configuration, fusion with a scorer, and the committed prefix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.search.tokens.hypothesis import Hypothesis, Search, Token, speech_end

INFINITY = math.inf
Key = TypeVar("Key")


@dataclass(frozen=True)
class BeamConfig:
    """How wide a beam search looks. Infinite limits and no committing make it exact.

    Attributes:
        size: hypotheses kept after each frame.
        candidates: tokens tried on a frame, the most probable ones (RNN-T: for each hypothesis).
        floor: log-probability under which a token is not tried. With -7, frames whose blank has more than
            0.9991 extend no hypothesis, and cost next to nothing.
        width: hypotheses whose log-score is further than this below the best are dropped.
        commit_after: frames after which the best hypothesis's tokens are committed, and hypotheses that
            disagree with them dropped, so that text becomes stable with a bounded delay; None never does.
        scorer_weight: factor of the scorer's log-probabilities (shallow fusion).
        length_bonus: added to the log-score for every token; makes up for a scorer's love of few tokens.
    """

    size: int = 8
    candidates: int = 16
    floor: float = -7.0
    width: float = 14.0
    commit_after: int | None = 50
    scorer_weight: float = 0.5
    length_bonus: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 1 or self.candidates < 1 or self.width < 0:
            raise UsageError("a beam needs a size and candidates of at least 1, and a width of at least 0")


class Scorer(Protocol):
    """A language model, a list of words to lift, or any other opinion on token sequences.

    Its states must be pickled and shared freely, so `score` must not change the one it is given.
    """

    def init(self) -> Any:
        """State before the first token."""
        ...

    def score(self, state: Any, token: int) -> tuple[float, Any]:
        """Log-probability of a token in a state, and the state after it."""
        ...


class Entry(Protocol):
    """A hypothesis in a beam."""

    tokens: tuple[int, ...]  # ids after the committed ones: what tells the entries of a beam apart
    score: float

    @property
    def alignment(self) -> tuple[Token, ...]:
        """`tokens` with their times."""
        ...

    def after(self, committed: tuple[Token, ...]) -> Entry:
        """The entry without its first tokens, which were committed with the times given here."""
        ...


class BeamState(NamedTuple):
    """State of a beam search.

    Attributes:
        frame: frames searched.
        committed: the tokens that all hypotheses begin with; never changed, only appended to.
        beam: entries, best first; no two with the same tokens.
    """

    frame: int
    committed: tuple[Token, ...]
    beam: tuple[Any, ...]


class BeamSearch(Search[BeamState]):
    """The half of a beam search that does not depend on the kind of its entries: results and committing.

    All hypotheses to come extend one that is in the beam. So the tokens that all begin with are certain; they
    are committed, with the times of the best hypothesis, and move out of the entries. The last token of a
    hypothesis never does, because it may still go on: entries are never empty again after the first token.

    Args:
        config: how wide to look.
        scorer: fused at every token.
        silence: tokens that stand for silence, for `speech_end`.
    """

    def __init__(self, config: BeamConfig | None = None, scorer: Scorer | None = None, silence: Iterable[int] = ()):
        self.config = config or BeamConfig()
        self.scorer = scorer
        self.silence = frozenset(silence)

    def best(self, state: BeamState) -> Hypothesis:
        return self._hypothesis(state, state.beam[0])

    def nbest(self, state: BeamState, n: int) -> list[Hypothesis]:
        return [self._hypothesis(state, entry) for entry in state.beam[:n]]

    def stable(self, state: BeamState) -> int:
        return len(state.committed)

    def speech_end(self, state: BeamState) -> int | None:
        end = speech_end(reversed(state.beam[0].alignment), self.silence)
        return end if end is not None else speech_end(reversed(state.committed), self.silence)

    def _hypothesis(self, state: BeamState, entry: Entry) -> Hypothesis:
        return Hypothesis.of(state.committed + entry.alignment, entry.score)

    def _start_scorer(self) -> Any:
        return None if self.scorer is None else self.scorer.init()

    def _fuse(self, scorer_state: Any, token: int) -> tuple[float, Any]:
        """What one more token adds to the score besides the model's log-probability, and the scorer's new state."""
        if self.scorer is None:
            return self.config.length_bonus, None
        log_prob, scorer_state = self.scorer.score(scorer_state, token)
        return self.config.scorer_weight * log_prob + self.config.length_bonus, scorer_state

    def _candidates(self, log_probs: NDArray[np.float32]) -> list[int]:
        """(V,) -> the tokens worth trying, in the order of their ids; the blank is not among them."""
        tokens = np.flatnonzero(log_probs[1:] > self.config.floor) + 1
        if len(tokens) > self.config.candidates:
            top = np.argpartition(log_probs[tokens], -self.config.candidates)[-self.config.candidates :]
            tokens = np.sort(tokens[top])
        return tokens.tolist()

    def _prune(self, found: dict[Key, Any]) -> list[tuple[Key, Any]]:
        """The best of the candidates, which have a `score`, in the order of it."""
        scored = sorted(
            ((candidate.score, key, candidate) for key, candidate in found.items()), key=itemgetter(0), reverse=True
        )
        lowest = scored[0][0] - self.config.width
        return [(key, candidate) for score, key, candidate in scored[: self.config.size] if score >= lowest]

    def _commit(self, frame: int, committed: tuple[Token, ...], beam: list[Any]) -> BeamState:
        """The state after `frame` frames; moves what is certain from the entries into `committed`."""
        count = _common_prefix([entry.tokens for entry in beam])
        if self.config.commit_after is not None:
            due = sum(token.end <= frame - self.config.commit_after for token in beam[0].alignment[:-1])
            if due > count:
                count, prefix = due, beam[0].tokens[:due]
                beam = [entry for entry in beam if len(entry.tokens) > due and entry.tokens[:due] == prefix]
        if count:
            certain = beam[0].alignment[:count]
            committed += certain
            beam = [entry.after(certain) for entry in beam]
        return BeamState(frame, committed, tuple(beam))


def not_before(frame: int, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The same tokens, where those that began before a frame now begin on it."""
    return tuple(
        token if token.frame >= frame else token._replace(frame=frame, end=max(token.end, frame + 1))
        for token in tokens
    )


def log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b)), minus infinity included."""
    if a < b:
        a, b = b, a
    return a if b == -INFINITY else a + math.log1p(math.exp(b - a))


def _common_prefix(sequences: list[tuple[int, ...]]) -> int:
    """How many tokens all sequences begin with; at most all but the last of the shortest."""
    # What the least and the greatest in lexicographic order share, all between them share.
    low, high = min(sequences), max(sequences)
    limit = min(map(len, sequences)) - 1
    count = 0
    while count < limit and low[count] == high[count]:
        count += 1
    return count
