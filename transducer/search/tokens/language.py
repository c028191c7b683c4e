"""A causal language model over tokens as the opinion of a beam search: shallow fusion.

Legend of axis suffixes: N texts, V tokens; number 0 is the end of a text, which also begins it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from transducer.model.sequence import Serial, State
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

    def _start(self) -> State:
        return self.network.init_state(1, torch.zeros((), device=self._device))

    def _read(self, token: int, state: State) -> tuple[NDArray[np.float32], State]:
        x = torch.full((1, 1, 1), float(token), device=self._device)
        y, _, state = self.network.step(x, torch.ones(1, 1, dtype=torch.bool, device=self._device), state)
        return y[0, 0].float().numpy(force=True), state

    @property
    def _device(self) -> Any:
        return next(self.network.parameters()).device
