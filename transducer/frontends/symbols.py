"""Tokens of a text: numbers -> embeddings, one step a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from transducer.errors import UsageError
from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import Streaming, apply_mask

if TYPE_CHECKING:
    from transducer.media.text import Text

MOST_TOKENS = 1 << 24  # numbers from there on have no float32 of their own


@register("symbols")
@dataclass(frozen=True)
class SymbolsConfig(FrontendConfig):
    """See `Symbols`.

    Attributes:
        tokens: rows of the table: the tokens of the units, and row 0 for what has no token.
        units: name of the units (`ModelConfig.units`) that spell what is read; they may be those of a head, too.
        channels: of an embedding.
        forget: share of tokens that are taken for unknown ones in training, so that row 0 learns what to do there.
    """

    tokens: int = 257
    units: str = "input"
    channels: int = 64
    forget: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.tokens <= MOST_TOKENS or self.channels < 1:
            raise UsageError(f"a table of tokens needs 1 to {MOST_TOKENS} rows and at least 1 channel, got {self}")
        if not 0 <= self.forget < 1:
            raise UsageError(f"the share of tokens to forget must be from 0 to below 1, got {self.forget:g}")

    def build(self) -> Symbols:
        return Symbols(self.tokens, self.channels, self.forget)

    @classmethod
    def examples(cls) -> tuple[SymbolsConfig, ...]:
        return (cls(5, channels=6),)

    def medium(self, units: Units | None = None) -> Text:
        """Raises UsageError where the units are missing, or have another number of tokens."""
        from transducer.media.text import Text

        if units is None or self.units not in units:
            raise UsageError(f"the front-end reads tokens of the units {self.units!r}, which the model lacks")
        if len(units[self.units]) != self.tokens:
            raise UsageError(
                f"the front-end has {self.tokens} rows for the {len(units[self.units])} tokens of {self.units!r}"
            )
        return Text(units[self.units])


class Symbols(Streaming):
    """(B, T, 1) token numbers, in any type -> (B, T, channels) embeddings. Numbers out of range count as the nearest.

    Args:
        tokens: rows of the table.
        forget: share of tokens that become number 0 in training.
    """

    inputs = 1

    def __init__(self, tokens: int, channels: int, forget: float = 0.0):
        super().__init__()
        self.tokens, self.channels, self.forget = tokens, channels, forget
        self.embedding = nn.Embedding(tokens, channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        rows = apply_mask(x, mask).nan_to_num().long().squeeze(-1).clamp(0, self.tokens - 1)
        if self.training and self.forget:
            rows = rows.masked_fill(torch.rand(rows.shape, device=rows.device) < self.forget, 0)
        return self.embedding(rows), mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask), state
