"""A causal language model over tokens: the opinion of a beam search (shallow fusion), and what goes on with a text.

Legend of axis suffixes: N texts, V tokens; number 0 is the end of a text, which also begins it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transducer.model.sequence import Serial, State, select
from transducer.text.tokenizers.tokenizer import BLANK

_KEPT = 4096  # texts


class LanguageScorer:
    """What comes after a text, by a network that steps from token to token.

    A text is a tuple of tokens, which is all the state that a search has to keep. What the network knows after it is
    kept for the texts that were asked for last, and computed again for others.

    Args:
        network: tokens (B, T, 1) -> log-probabilities of the next token (B, T, V), without look-ahead.
    """

    def __init__(self, network: Serial):
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

    @torch.inference_mode()
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

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.network.parameters()).device

    def _start(self) -> State:
        return self.network.init_state(1, torch.zeros((), device=self.device))

    def _read(self, token: int, state: State) -> tuple[NDArray[np.float32], State]:
        x = torch.full((1, 1, 1), float(token), device=self.device)
        y, _, state = self.network.step(x, torch.ones(1, 1, dtype=torch.bool, device=self.device), state)
        return y[0, 0].float().numpy(force=True), state


class ContinuedState(NamedTuple):
    """Of N rows: the network's state, and (N, V) logits of the next token where they are known already."""

    network: State
    logits: Tensor | None

    def select(self, rows: Tensor) -> ContinuedState:
        return ContinuedState(select(self.network, rows), None)


class CausalDecoder:
    """A language model as a decoder that goes on with a prompt: see `attention.settings.Decodes`.

    There is nothing to attend to: the memory is one step of nothing.

    Args:
        scorer: of the language model. prompt: its first tokens.
    """

    exact = False

    def __init__(self, scorer: LanguageScorer, prompt: tuple[int, ...]):
        self.scorer, self.prompt, self.device = scorer, prompt, scorer.device

    def attend_to(self, memory: Tensor, mask: Tensor) -> tuple[Tensor]:
        return (mask,)

    def __call__(self, tokens: Tensor, memory: tuple[Tensor]) -> tuple[Tensor, Tensor]:
        raise NotImplementedError("a language model attends to nothing")

    def start(self, memory: tuple[Tensor]) -> ContinuedState:
        ((log_probs, network),) = self.scorer.after([self.prompt])
        rows = torch.zeros(len(memory[0]), dtype=torch.long, device=self.device)
        return ContinuedState(select(network, rows), torch.from_numpy(log_probs)[None].to(self.device)[rows])

    def step(self, tokens: Tensor, memory: Any, state: ContinuedState) -> tuple[Tensor, Tensor, ContinuedState]:
        nothing = torch.ones(len(tokens), 1, device=self.device)
        if state.logits is not None:  # the prompt has been read, and what begins a text with it
            return state.logits, nothing, state._replace(logits=None)
        exists = torch.ones(len(tokens), 1, dtype=torch.bool, device=self.device)
        y, _, network = self.scorer.network.step(tokens[:, None, None].float(), exists, state.network)
        return y[:, 0], nothing, ContinuedState(network, None)
