"""A causal language model: at every token of a text, what the next one is.

It learns from pairs of a text that begins with token 0 and the same text one token on, which ends with it. Any core
that does not look ahead will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from transducer.heads.framewise import Framewise
from transducer.heads.metrics import Perplexity
from transducer.model.config import HeadConfig, ModelConfig, register


@register("language")
@dataclass(frozen=True)
class LanguageConfig(HeadConfig):
    """The next token of these units, which must be those that the front-end reads.

    Attributes:
        dropout: before the last layer.
    """

    units: str = "characters"
    dropout: float = 0.0

    def build(self, channels: int, model: ModelConfig) -> Language:
        head = Language(channels, model.tokens(self.units), self.dropout)
        head.config = self
        return head

    @classmethod
    def examples(cls) -> tuple[LanguageConfig, ...]:
        return (cls(),)


class Language(Framewise):
    """(B, T, C) -> (B, T, V) log-probabilities of the next token; token 0 is the end of the text.

    On a stream it labels every token with the likeliest one to follow. What goes on with texts, and scores them, is
    `transducer.engine.language`.
    """

    def __init__(self, channels: int, tokens: int, dropout: float = 0.0):
        super().__init__(channels, tokens)
        if dropout:
            self.module = nn.Sequential(nn.Dropout(dropout), self.module)

    def metric(self) -> Perplexity:
        return Perplexity()


def next_tokens(text: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of a text -> x (T + 1, 1) float32 and y (T + 1,) int64 of a pair, which a language model learns from."""
    return np.array([0, *text], np.float32)[:, None], np.array([*text, 0], np.int64)
