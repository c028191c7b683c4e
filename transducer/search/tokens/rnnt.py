"""Search over the encoder output of an RNN-T model: greedy, and beam search frame by frame.

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

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from transducer.model.sequence import split, stack
from transducer.search.tokens.beam import INFINITY, BeamConfig, BeamSearch, BeamState, Scorer, log_add, not_before
from transducer.search.tokens.hypothesis import Hypothesis, Search, Token, speech_end
from transducer.text.tokenizers.tokenizer import BLANK


class Predictor(Protocol):
    """The part of an RNN-T model that reads tokens, for N hypotheses at once.

    A state is a tensor with the N rows on dimension 0, or a tuple (NamedTuple) of states; see `sequence`.
    """

    def start(self) -> Any:
        """State of one hypothesis before it has read anything. The first token that it reads is the blank."""
        ...

    def extend(self, tokens: Sequence[int], state: Any) -> tuple[Tensor, Any]:
        """Read one token in each row: N tokens, state of N rows -> (N, D), new state of N rows. Pure."""
        ...


_HALF = math.log(0.5)

# (D,) encoder frame, (N, D') predictor output -> (N, V) log-probabilities.
Joint = Callable[[Tensor, Tensor], Tensor]
# (N, D') predictor output -> (N, V) log-probabilities of the next token where nothing is heard; none is a blank.
InternalLM = Callable[[Tensor], Tensor]


class GreedyState(NamedTuple):
    """State of greedy search.

    Attributes:
        frame: frames searched.
        tokens: emitted.
        score: log-probability of the path taken.
        output: (1, D') of the predictor after the last token.
        predictor: its state.
        blanks: log-probabilities of the blank on the last frames since the last token.
        context: tokens of the segments before, which the predictor has read first.
    """

    frame: int
    tokens: tuple[Token, ...]
    score: float
    output: Tensor
    predictor: Any
    blanks: tuple[float, ...] = ()
    context: tuple[int, ...] = ()


class RNNTGreedySearch(Search[GreedyState]):
    """The most probable symbol, again and again, until the frame is over.

    A token whose time is uncertain is spread over some frames, and may lose to the blank on each of them, though it was
    surely said: words are left out. With `blank_window` N the question is not what is likeliest on this frame: the
    best token comes as soon as the blanks of the last N frames since the token before it are together less likely
    than that one of them was none.

    Args:
        predictor, joint: of the model.
        max_symbols: tokens per frame, at most.
        silence: tokens that stand for silence, for `speech_end`.
        blank_window: frames, or None to take what is likeliest on each.
        context: tokens of the segments before that the predictor reads at the start of the next. A predictor that
            has read nothing, and frames that know that something was said before, are what no training showed: the
            first words of a segment came twice.
    """

    def __init__(
        self,
        predictor: Predictor,
        joint: Joint,
        max_symbols: int = 3,
        silence: Iterable[int] = (),
        blank_window: int | None = None,
        context: int = 0,
    ):
        self.predictor = predictor
        self.joint = joint
        self.max_symbols = max_symbols
        self.blank_window = blank_window
        self.context = context
        self.silence = frozenset(silence)

    @torch.inference_mode()
    def init(self) -> GreedyState:
        return GreedyState(0, (), 0.0, *self.predictor.extend([BLANK], self.predictor.start()))

    @torch.inference_mode()
    def restart(self, state: GreedyState, frame: int) -> GreedyState:
        fresh = self.init()
        if not self.context:
            return fresh
        said = (token.token for token in state.tokens if token.frame < frame)
        context, output, predictor = (*state.context, *said)[-self.context :], fresh.output, fresh.predictor
        for token in context:
            output, predictor = self.predictor.extend([token], predictor)
        return fresh._replace(output=output, predictor=predictor, context=context)

    @torch.inference_mode()
    def step(self, state: GreedyState, frames: Any) -> GreedyState:
        frame, earlier, score, output, predictor, blanks, _ = state
        tokens: list[Token] = []
        for encoded in torch.as_tensor(frames):
            for _ in range(self.max_symbols):
                log_probs = self.joint(encoded, output)[0]
                token = 1 + int(log_probs[1:].argmax())
                blank, log_prob = float(log_probs[BLANK]), float(log_probs[token])
                recent = () if self.blank_window is None else (*blanks, blank)[-self.blank_window :]
                if sum(recent) > _HALF if recent else log_prob <= blank:
                    score, blanks = score + blank, recent
                    break
                score += log_prob
                tokens.append(Token(token, frame, frame + 1, log_prob))
                output, predictor = self.predictor.extend([token], predictor)
                blanks = ()
            frame += 1
        tokens_so_far = earlier + tuple(tokens) if tokens else earlier
        return GreedyState(frame, tokens_so_far, score, output, predictor, blanks, state.context)

    def best(self, state: GreedyState) -> Hypothesis:
        return Hypothesis.of(state.tokens, state.score)

    def stable(self, state: GreedyState) -> int:
        return len(state.tokens)

    def speech_end(self, state: GreedyState) -> int | None:
        return speech_end(reversed(state.tokens), self.silence)


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
    output: Tensor
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
        self.token: int | None = None
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


class RNNTBeamSearch(BeamSearch):
    """Beam search that keeps hypotheses in step with the frames, and merges those with equal tokens.

    Args:
        predictor, joint: of the model.
        max_symbols: tokens per frame, at most.
        config, scorer, silence: see BeamSearch.
        internal_lm: what the model itself expects to be written. A scorer says the same once more; so
            `internal_weight` times this is taken off the score of every token (Meng et al., equation 9).
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
    ):
        super().__init__(config, scorer, silence)
        self.predictor = predictor
        self.joint = joint
        self.max_symbols = max_symbols
        self.internal_lm = internal_lm
        self.internal_weight = internal_weight

    @torch.inference_mode()
    def init(self) -> BeamState:
        output, predictor = self.predictor.extend([BLANK], self.predictor.start())
        return BeamState(0, (), (Prefix((), 0.0, 0.0, 0.0, (), 0.0, self._start_scorer(), output, predictor),))

    @torch.inference_mode()
    def step(self, state: BeamState, frames: Any) -> BeamState:
        for encoded in torch.as_tensor(frames):
            state = self._advance(state, encoded)
        return state

    def _advance(self, state: BeamState, encoded: Tensor) -> BeamState:
        active: list[Prefix] = list(state.beam)  # those for which this frame is not over
        done: list[Prefix] = []
        for symbol in range(1, self.max_symbols + 1):
            active, done = self._emit(active, done, encoded, state.frame, symbol == self.max_symbols)
            if not active:
                break
        return self._commit(state.frame + 1, state.committed, done)

    def _emit(
        self, active: list[Prefix], done: list[Prefix], encoded: Tensor, frame: int, last: bool
    ) -> tuple[list[Prefix], list[Prefix]]:
        """One more symbol for every active prefix; after the `last` one the frame is over without a blank."""
        # Keyed by whether the frame is over, too: the two do not have the same future and cannot be merged.
        found: dict[tuple[bool, tuple[int, ...]], _Candidate] = {}
        for prefix in done:
            candidate = found[True, prefix.tokens] = _Candidate(prefix.fusion, prefix.scorer_state)
            candidate.arrive(prefix, BLANK, 0.0, frame)
        outputs = torch.cat([prefix.output for prefix in active])
        log_probs = self.joint(encoded, outputs).numpy()
        expected = [None] * len(active) if self.internal_lm is None else self.internal_lm(outputs).numpy()
        for prefix, row, internal in zip(active, log_probs, expected, strict=True):
            for token in (BLANK, *self._candidates(row)):
                key = (True, prefix.tokens) if token == BLANK else (last, (*prefix.tokens, token))
                candidate = found.get(key)
                if candidate is None:
                    fusion, scorer_state = 0.0, prefix.scorer_state
                    if token != BLANK:
                        fusion, scorer_state = self._fuse(prefix.scorer_state, token)
                        if internal is not None:
                            fusion -= self.internal_weight * float(internal[token])
                    candidate = found[key] = _Candidate(prefix.fusion + fusion, scorer_state)
                candidate.arrive(prefix, token, float(row[token]), frame)
        survivors = self._prune(found)
        prefixes = self._read([(tokens, candidate) for (_, tokens), candidate in survivors])
        over = [key[0] for key, _ in survivors]
        return (
            [prefix for prefix, end in zip(prefixes, over, strict=True) if not end],
            [prefix for prefix, end in zip(prefixes, over, strict=True) if end],
        )

    def _read(self, candidates: list[tuple[tuple[int, ...], _Candidate]]) -> list[Prefix]:
        """Prefixes out of candidates: the predictor reads all their new tokens at once."""
        new = [candidate for _, candidate in candidates if candidate.token != BLANK]
        read = iter(())
        if new:
            output, predictor = self.predictor.extend(
                [candidate.token for candidate in new], stack([candidate.source.predictor for candidate in new])
            )
            read = zip(output.split(1), split(predictor), strict=True)
        prefixes = []
        for tokens, candidate in candidates:
            source = candidate.source
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
