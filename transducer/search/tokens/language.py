"""A causal language model over tokens: the opinion of a beam search (shallow fusion), and what goes on with a text.

Legend of axis suffixes: N texts, V tokens; number 0 is the end of a text, which also begins it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import State, select
from transducer.text.tokenizers.tokenizer import BLANK

_KEPT = 4096  # texts


class Steps(Protocol):
    """A network from tokens (B, T, 1) to log-probabilities (B, T, V) of the next, see `transducer.engine.backend`."""

    def init_state(self, batch: int) -> State: ...
    def step(
        self, x: NDArray[Any], exists: NDArray[np.bool_], state: State
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], State]: ...


class LanguageScorer:
    """What comes after a text, by a network that steps from token to token.

    A text is a tuple of tokens, which is all the state that a search has to keep. What the network knows after it is
    kept for the texts that were asked for last, and computed again for others.

    Args:
        network: tokens (B, T, 1) -> log-probabilities of the next token (B, T, V), without look-ahead.
    """

    def __init__(self, network: Steps):
        self.network = network
        self._known: OrderedDict[tuple[int, ...], tuple[NDArray[np.float32], State]] = OrderedDict()

    def init(self) -> tuple[int, ...]:
        """See `transducer.search.tokens.beam.Scorer`."""
        return ()

    def score(self, state: tuple[int, ...], token: int) -> tuple[float, tuple[int, ...]]:
        """See `transducer.search.tokens.beam.Scorer`."""
        return float(self.log_probs([state])[0, token]), (*state, token)

    def log_probs(self, texts: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """(N, V): log-probabilities of the token after each text."""
        return np.stack([after for after, _ in self.after(texts)])

    def after(self, texts: Sequence[tuple[int, ...]]) -> list[tuple[NDArray[np.float32], State]]:
        """For each text the log-probabilities (V,) of the next token, and the network's state of one row.

        Those that are not known yet are read one after the other, so that no text changes a bit of another.
        """
        found = []
        for text in texts:
            known = next(length for length in range(len(text), -2, -1) if length < 0 or text[:length] in self._known)
            for length in range(known + 1, len(text) + 1):
                state = self._known[text[: length - 1]][1] if length else self._start()
                self._known[text[:length]] = self._read(text[length - 1] if length else BLANK, state)
            self._known.move_to_end(text)
            found.append(self._known[text])
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found

    def step(self, tokens: Sequence[int], state: State) -> tuple[NDArray[np.float32], State]:
        """One more token of each of N texts -> (N, V) log-probabilities of the next, and the new state."""
        x = np.array(tokens, np.float32)[:, None, None]
        y, _, state = self.network.step(x, np.ones(x.shape[:2], np.bool_), state)
        return y[:, 0], state

    def _start(self) -> State:
        return self.network.init_state(1)

    def _read(self, token: int, state: State) -> tuple[NDArray[np.float32], State]:
        log_probs, state = self.step([token], state)
        return log_probs[0], state


class ContinuedState(NamedTuple):
    """Of N rows: the network's state, and (N, V) logits of the next token where they are known already."""

    network: State
    logits: NDArray[np.float32] | None

    def select(self, rows: Any) -> ContinuedState:
        return ContinuedState(select(self.network, rows), None)


class CausalDecoder:
    """A language model as a decoder that goes on with a prompt: see `attention.settings.Decodes`.

    There is nothing to attend to: the memory is one step of nothing.

    Args:
        scorer: of the language model. prompt: its first tokens.
    """

    exact = False
    device = None  # what it takes and gives is NumPy's

    def __init__(self, scorer: LanguageScorer, prompt: tuple[int, ...]):
        self.scorer, self.prompt = scorer, prompt

    def attend_to(self, memory: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_]]:
        return (mask,)

    def __call__(self, tokens: Any, memory: Any) -> tuple[Any, Any]:
        raise NotImplementedError("a language model attends to nothing")

    def start(self, memory: tuple[NDArray[np.bool_]]) -> ContinuedState:
        ((log_probs, network),) = self.scorer.after([self.prompt])
        rows = [0] * len(memory[0])
        return ContinuedState(select(network, rows), log_probs[None][rows])

    def step(
        self, tokens: NDArray[np.int64], memory: Any, state: ContinuedState
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], ContinuedState]:
        nothing = np.ones((len(tokens), 1), np.float32)
        if state.logits is not None:  # the prompt has been read, and what begins a text with it
            return state.logits, nothing, state._replace(logits=None)
        log_probs, network = self.scorer.step(tokens.tolist(), state.network)
        return log_probs, nothing, ContinuedState(network, None)
