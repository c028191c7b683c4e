"""Attention of one query over a memory: additive, dot, general, concat, multi-head.

Legend of axis suffixes: N rows, S steps of the memory, C its channels, D channels of the query, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transducer.cores.multihead import masked_softmax


class Attention(nn.Module):
    """A query's weighted mean of a memory.

    Attributes:
        size: channels of the context, the mean.
    """

    size: int

    def prepare(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(N, S, C) -> keys and values, which do not depend on queries."""
        raise NotImplementedError

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """(N, D), keys -> (N, H, S), not normalised."""
        raise NotImplementedError

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, exists: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D), keys and values, (N, S) bool -> context (N, size), weights (N, H, S)."""
        weights = masked_softmax(self.score(query, keys), exists[:, None])
        return torch.matmul(weights.unsqueeze(-2), values).flatten(1), weights


class Additive(Attention):
    """v tanh(W q + U h) (Bahdanau et al. 2015, arXiv:1409.0473, appendix A.1.2).

    With `concat` it is the score of that name in Luong et al. 2015 (arXiv:1508.04025, equation 8), v tanh(W [q; h]):
    the same function. In a decoder the two differ in which state asks, see `RecurrentDecoder`.
    """

    def __init__(self, query: int, memory: int, hidden: int):
        super().__init__()
        self.size = memory
        # Both have a bias, though one would do: layers with a bias can be packed.
        self.query, self.key = nn.Linear(query, hidden), nn.Linear(memory, hidden)
        self.vector = nn.Parameter(torch.randn(hidden) * hidden**-0.5)

    def prepare(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(memory), memory.unsqueeze(1)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return (torch.tanh(self.query(query).unsqueeze(1) + keys) * self.vector).sum(dim=-1).unsqueeze(1)


class Dot(Attention):
    """q h (Luong et al. 2015, equation 8): query and memory need the same number of channels."""

    def __init__(self, query: int, memory: int):
        super().__init__()
        if query != memory:
            raise ValueError(
                f"dot attention needs a decoder as wide as its memory, got {query} and {memory} channels: "
                "use the width of the core, or general attention"
            )
        self.size = memory

    def prepare(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        return memory, memory.unsqueeze(1)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.matmul(keys, query.unsqueeze(-1)).transpose(1, 2)


class General(Attention):
    """q W h (Luong et al. 2015, equation 8)."""

    def __init__(self, query: int, memory: int):
        super().__init__()
        self.size = memory
        self.key = nn.Linear(memory, query)

    def prepare(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(memory), memory.unsqueeze(1)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.matmul(keys, query.unsqueeze(-1)).transpose(1, 2)


class MultiHeadScore(Attention):
    """Scaled dot products in several heads (Vaswani et al. 2017, arXiv:1706.03762, section 3.2)."""

    def __init__(self, query: int, memory: int, heads: int):
        super().__init__()
        if heads < 1 or query % heads:
            raise ValueError(f"the channels of a query ({query}) must be a multiple of the heads ({heads})")
        self.size, self.heads = query, heads
        self.query, self.key, self.value = nn.Linear(query, query), nn.Linear(memory, query), nn.Linear(memory, query)

    def prepare(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = (
            layer(memory).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.key, self.value)
        )
        return keys, values  # (N, H, S, D / H)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        q = self.query(query).unflatten(-1, (self.heads, -1))
        return torch.matmul(keys, q.unsqueeze(-1)).squeeze(-1) * q.shape[-1] ** -0.5


SCORES = ("additive", "dot", "general", "concat", "multihead")
_PEOPLE = {"bahdanau": "additive", "luong": "general"}


def score_name(name: str) -> str:
    """The name in `SCORES` of an attention, which may also be called by those who described it: "bahdanau", "luong".

    Raises:
        ValueError: there is no such attention.
    """
    found = _PEOPLE.get(name, name)
    if found not in SCORES:
        raise ValueError(f"unknown attention {name!r}: there are {', '.join([*SCORES, *_PEOPLE])}")
    return found


def build_attention(name: str, query: int, memory: int, heads: int) -> Attention:
    """The attention of a name, see `score_name`. Raises ValueError for another, and for sizes that do not fit."""
    name = score_name(name)
    if name in ("additive", "concat"):
        return Additive(query, memory, query)
    if name == "multihead":
        return MultiHeadScore(query, memory, heads)
    return Dot(query, memory) if name == "dot" else General(query, memory)
