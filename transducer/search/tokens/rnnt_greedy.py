"""Greedy search over the encoder output of an RNN-T model.

Source: A. Graves, "Sequence Transduction with Recurrent Neural Networks", 2012

Legend: N streams, T frames, D features, V tokens with the blank at 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_numpy, put, select, split, stack, without_gradients
from transducer.search.tokens.hypothesis import Hypothesis, Search, Token, speech_end, speech_ends
from transducer.search.tokens.rows import TILE, Joint, Predictor, Rows
from transducer.text.tokenizers.tokenizer import BLANK

_HALF = math.log(0.5)


class GreedyState(NamedTuple):
    """State of greedy search.

    Attributes:
        frame: frames searched.
        tokens: emitted.
        score: log-probability of the path taken.
        output: (1, D') of the predictor after the last token; None before the first frame.
        predictor: its state.
        blanks: log-probabilities of the blank on the last frames since the last token.
        context: tokens of the segments before, which the predictor reads first.
    """

    frame: int = 0
    tokens: tuple[Token, ...] = ()
    score: float = 0.0
    output: Any = None
    predictor: Any = None
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
        tile: see `Rows`.
    """

    def __init__(
        self,
        predictor: Predictor,
        joint: Joint,
        max_symbols: int = 3,
        silence: Iterable[int] = (),
        blank_window: int | None = None,
        context: int = 0,
        tile: int | None = TILE,
    ):
        self.rows = Rows(predictor, joint, tile)
        self.max_symbols = max_symbols
        self.blank_window = blank_window
        self.context = context
        self.silence = frozenset(silence)

    def init(self) -> GreedyState:
        return GreedyState()

    def restart(self, state: GreedyState, frame: int) -> GreedyState:
        if not self.context:
            return GreedyState()
        said = (token.token for token in state.tokens if token.frame < frame)
        return GreedyState(context=(*state.context, *said)[-self.context :])

    def step(self, state: GreedyState, frames: Any) -> GreedyState:
        return self.step_many([state], [frames])[0][0]

    def step_many(
        self, states: Sequence[GreedyState], frames: Sequence[Any]
    ) -> list[tuple[GreedyState, list[int | None]]]:
        lengths = [len(part) for part in frames]
        rows = [row for row, length in enumerate(lengths) if length]
        results: list[tuple[GreedyState, list[int | None]]] = [(state, []) for state in states]
        if rows:
            encoded = [as_numpy(frames[row]) for row in rows]
            with without_gradients():  # the predictor's states are written to, as PyTorch allows in the same mode alone
                searched = self._search([states[row] for row in rows], encoded, [lengths[row] for row in rows])
            for row, state in zip(rows, searched, strict=True):
                first = states[row].frame
                results[row] = state, speech_ends(state.tokens, self.silence, first, lengths[row])
        return results

    def _search(
        self, states: list[GreedyState], encoded: list[NDArray[np.float32]], lengths: list[int]
    ) -> list[GreedyState]:
        """(T_i, D) frames of each stream, `lengths` of them -> the states after them."""
        output, predictor = self._ready(states)
        tokens: list[list[Token]] = [list(state.tokens) for state in states]
        scores, blanks = [state.score for state in states], [state.blanks for state in states]
        for step in range(max(lengths)):
            active = [row for row, length in enumerate(lengths) if step < length]  # those whose frame is not over
            for _ in range(self.max_symbols):
                log_probs = self.rows.joint(np.stack([encoded[row][step] for row in active]), select(output, active))
                best = log_probs[:, 1:].argmax(axis=1)
                columns = (log_probs[np.arange(len(best)), 1 + best], best, log_probs[:, BLANK])
                emitting, emitted = [], []
                for row, log_prob, token, blank in zip(active, *(part.tolist() for part in columns), strict=True):
                    recent = () if self.blank_window is None else (*blanks[row], blank)[-self.blank_window :]
                    if sum(recent) > _HALF if recent else log_prob <= blank:
                        scores[row], blanks[row] = scores[row] + blank, recent
                        continue
                    frame = states[row].frame + step
                    tokens[row].append(Token(1 + token, frame, frame + 1, log_prob))
                    scores[row], blanks[row] = scores[row] + log_prob, ()
                    emitting.append(row)
                    emitted.append(1 + token)
                active = emitting
                if not active:
                    break
                read, after = self.rows.extend(emitted, select(predictor, active))
                put(active, read, output)
                put(active, after, predictor)
        # Copies of the rows, because a view would keep all others alive.
        return [
            GreedyState(
                state.frame + lengths[row],
                tuple(tokens[row]),
                scores[row],
                select(output, [row]),
                select(predictor, [row]),
                blanks[row],
                state.context,
            )
            for row, state in enumerate(states)
        ]

    def _ready(self, states: Sequence[GreedyState]) -> tuple[Any, Any]:
        """Predictor outputs (N, D') and its state, fresh arrays; those that have read nothing read their context."""
        ready = [(state.output, state.predictor) for state in states]
        fresh = [row for row, state in enumerate(states) if state.output is None]
        if fresh:
            texts = [(BLANK, *states[row].context) for row in fresh]
            output, predictor = self.rows.extend([BLANK] * len(fresh), stack([self.rows.start()] * len(fresh)))
            for position in range(1, max(map(len, texts))):
                rows = [row for row, text in enumerate(texts) if position < len(text)]
                read, after = self.rows.extend([texts[row][position] for row in rows], select(predictor, rows))
                put(rows, read, output)
                put(rows, after, predictor)
            for row, part in zip(fresh, zip(split(output), split(predictor), strict=True), strict=True):
                ready[row] = part
        outputs, predictors = zip(*ready, strict=True)
        return stack(outputs), stack(predictors)

    def best(self, state: GreedyState) -> Hypothesis:
        return Hypothesis.of(state.tokens, state.score)

    def stable(self, state: GreedyState) -> int:
        return len(state.tokens)

    def speech_end(self, state: GreedyState) -> int | None:
        return speech_end(reversed(state.tokens), self.silence)
