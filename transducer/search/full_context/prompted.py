"""A decoder of published weights as the searches of attention decoders want it: token 0 begins and ends a text.

Published decoders have an end of their own, and read a prompt first. Here the two change places: number 0 is the end,
and the number of the end is the token that was 0.

Legend of axis suffixes: N rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_numpy, on_device
from transducer.text.tokenizers.tokenizer import BLANK


class Extends(Protocol):
    """A decoder that reads several tokens at once, see `transducer.heads.decoders.decoder.Decoder`.

    It takes and gives tensors on its device, or where that is None arrays of NumPy. Its states can be `rewound` to an
    earlier number of tokens.
    """

    @property
    def device(self) -> Any: ...
    @property
    def longest(self) -> int | None: ...
    def attend_to(self, memory: Any, mask: Any) -> Any: ...
    def start(self, memory: Any) -> Any: ...
    def extend(self, tokens: Any, memory: Any, state: Any, last: int = 1) -> tuple[Any, Any]: ...
    def aligned(self, tokens: Any, memory: Any, heads: Sequence[tuple[int, int]]) -> Any: ...


class Prompted:
    """A decoder that has read a prompt, see `Decodes` of `transducer.search.tokens.attention.settings`.

    Args:
        decoder: of the model.
        prompt: what it reads first; at least one token.
        end: the token that ends a text.
        banned, banned_first: (V,) 0 for a token that may be written, -infinity for others; anywhere, and first.
    """

    exact = False

    def __init__(
        self,
        decoder: Extends,
        prompt: Sequence[int],
        end: int,
        banned: NDArray[np.float32],
        banned_first: NDArray[np.float32],
    ):
        self.decoder, self.prompt, self.end = decoder, list(prompt), end
        self.banned, self.banned_first = banned, banned_first

    @property
    def device(self) -> Any:
        return self.decoder.device

    def attend_to(self, memory: Any, mask: Any) -> Any:
        return self.decoder.attend_to(memory, mask)

    def __call__(self, tokens: Any, memory: Any) -> tuple[Any, Any]:
        raise NotImplementedError("published decoders are aligned by a few of their heads")

    def start(self, memory: Any) -> Any:
        state = self.decoder.start(memory)
        if len(self.prompt) > 1:
            read = np.array([self.prompt[:-1]] * len(memory.exists))
            _, state = self.decoder.extend(on_device(read, self.device), memory, state)
        return state

    def step(self, tokens: Any, memory: Any, state: Any) -> tuple[Any, Any, Any]:
        """See `Decodes`; the attention is all 0."""
        first, read = state.length < len(self.prompt), as_numpy(tokens)
        read = np.full_like(read, self.prompt[-1]) if first else np.where(read == self.end, BLANK, read)
        said, state = self.decoder.extend(on_device(read[:, None], self.device), memory, state)
        logits = as_numpy(said)[:, 0] + (self.banned_first if first else self.banned)
        logits[:, [BLANK, self.end]] = logits[:, [self.end, BLANK]]
        return logits, np.zeros((len(read), 1), np.float32), state

    def ids(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """Tokens that were written, as the tokenizer numbers them, and the other way round."""
        return tuple(BLANK if token == self.end else self.end if token == BLANK else token for token in tokens)
