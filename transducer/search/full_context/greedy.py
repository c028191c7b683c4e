"""The likeliest token at each place, by a decoder that reads at once what somebody else makes probable.

A decoder that reads several tokens says what comes after each of them, in little more time than after one. What it
would have written itself is kept. Source: Y. Leviathan, M. Kalman, Y. Matias, "Fast inference from Transformers via
speculative decoding", 2023 (arXiv:2211.17192), with an earlier text, or another model's, in place of the smaller model.

Legend of axis suffixes: N rows, U tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from transducer.model.state import as_numpy, on_device
from transducer.search.full_context.prompted import Prompted
from transducer.search.tokens.attention.memories import Memories, Written, log_softmax

Suggest = Callable[[Sequence[int]], Sequence[int]]  # tokens that have been written -> tokens that may follow


def nothing(tokens: Sequence[int]) -> Sequence[int]:
    """No suggestion."""
    return ()


def write_greedily(
    prompted: Prompted,
    memories: Memories,
    guess: Sequence[int] = (),
    enough: Callable[[Sequence[int]], bool] = lambda _: False,
    suggest: Suggest = nothing,
) -> Written:
    """The text of one client, in the tokenizer's numbers; its score is its log-probability.

    Args:
        guess: tokens that the text may begin with. They change what is written in rounding alone.
        enough: whether nothing that follows these tokens is wanted.
        suggest: guesses what follows these tokens, where there is no guess, or where it was wrong.
    """
    decoder, prepared, end = prompted.decoder, memories.prepared, prompted.end
    (limit,) = memories.limits
    guess = list(guess or suggest(()))[:limit]
    state, read = decoder.start(prepared), [*prompted.prompt, *guess]
    tokens: list[int] = []
    said: list[float] = []
    score = 0.0
    while True:
        logits, state = decoder.extend(on_device(np.array([read]), memories.device), prepared, state, len(guess) + 1)
        for place, found in enumerate(as_numpy(logits)[0]):
            (row,) = log_softmax((found + (prompted.banned if tokens else prompted.banned_first))[None])
            token = end if len(tokens) == limit else int(row.argmax())
            score += float(row[token])
            if token == end:
                return Written(tuple(tokens), tuple(said), score)
            tokens.append(token)
            said.append(float(row[token]))
            if enough(tokens):
                return Written(tuple(tokens), tuple(said), score)
            if guess[place : place + 1] != [token]:
                break
        state = state.rewound(len(prompted.prompt) + len(tokens) - 1)
        guess = list(suggest(tokens))[: limit - len(tokens)]
        read = [tokens[-1], *guess]
