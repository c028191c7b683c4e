"""An attention decoder: steps of an encoder -> tokens, each of which attends to all of the steps.

It is label-synchronous: it writes when it has seen the whole, or a segment of a stream. As a stage it passes the
encoder's steps on; its search gathers and decodes them.

Legend of axis suffixes: B batch, T encoder steps, C channels, U tokens, V vocabulary, L layers, H heads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from transducer.errors import UsageError
from transducer.heads.ctc import BLANK, CTC, ctc_nll, sequence_loss
from transducer.heads.decoders.decoder import Decoder, Memory
from transducer.heads.decoders.recurrent import GATES, RecurrentDecoder
from transducer.heads.decoders.scores import score_name
from transducer.heads.decoders.transformer import TransformerDecoder
from transducer.heads.head import IGNORE, Head, Loss, Target
from transducer.heads.metrics import TokenErrors
from transducer.model.config import HeadConfig, ModelConfig, register

if TYPE_CHECKING:
    from transducer.search.context import SearchContext
    from transducer.search.result_search import ResultSearch

DECODERS = ("transformer", *GATES)


@register("attention")
@dataclass(frozen=True)
class AttentionConfig(HeadConfig):
    """An attention decoder, see `AttentionHead`.

    Attributes:
        decoder: "transformer", "lstm" or "gru".
        attention: of a recurrent decoder: "additive" (or "bahdanau"), "dot", "general" (or "luong"), "concat",
            "multihead". A Transformer has multi-head attention.
        channels, layers, heads, dropout: of the decoder.
        hidden, positions, tied, key_bias: of a Transformer, see `TransformerDecoder`; hidden 0 is 4 times the channels.
        smoothing: of labels in training: so much of the probability is spread over all tokens.
        sampling: in training, the probability of reading a token of its own instead of the right one.
        forget: in training, the share of tokens that are not read, but token 0 in their place, so that less is learned
            of what follows what and more of the memory (word dropout: Bowman et al. 2016, arXiv:1511.06349).
        ctc: weight of a CTC loss beside the decoder's, from 0 to below 1. With one, a CTC output over the same tokens
            helps to train the encoder, finds where segments of a stream end, and writes their partial results.
        ratio, extra, longest: a sequence has at most ratio * T + extra tokens, and at most `longest`.
        max_memory: steps after which a segment of a stream ends at the latest.
    """

    units: str = "characters"
    decoder: str = "transformer"
    attention: str = "multihead"
    channels: int = 256
    layers: int = 2
    heads: int = 4
    hidden: int = 0
    dropout: float = 0.0
    positions: str = "sinusoidal"
    tied: bool = False
    key_bias: bool = True
    smoothing: float = 0.1
    sampling: float = 0.0
    forget: float = 0.0
    ctc: float = 0.0
    ratio: float = 4.0
    extra: int = 32
    longest: int = 448
    max_memory: int = 1500

    def __post_init__(self) -> None:
        if self.decoder not in DECODERS:
            raise UsageError(f"unknown decoder {self.decoder!r}: there are {', '.join(DECODERS)}")
        try:
            name = score_name(self.attention)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if self.decoder == "transformer" and name != "multihead":
            raise UsageError(
                f"a Transformer has multi-head attention: {self.attention!r} goes with the decoders "
                f"{' and '.join(GATES)}"
            )
        for what in ("smoothing", "sampling", "forget", "ctc", "dropout"):
            if not 0 <= getattr(self, what) < 1:
                raise UsageError(f"{what} of an attention decoder is from 0 to below 1, got {getattr(self, what):g}")
        if min(self.longest, self.max_memory) < 1 or min(self.ratio, self.extra) < 0 or not self.ratio + self.extra:
            raise UsageError("an attention decoder needs limits that leave room for a token and a step")

    def build(self, channels: int, model: ModelConfig) -> AttentionHead:
        tokens = model.tokens(self.units)
        decoder: Decoder
        if self.decoder == "transformer":
            shape = (self.heads, self.layers, self.hidden or None, self.dropout, self.positions)
            # It reads token 0 before the others.
            decoder = TransformerDecoder(
                tokens, self.channels, channels, *shape, self.longest + 1, self.tied, self.key_bias
            )
        else:
            decoder = RecurrentDecoder(
                tokens, self.channels, channels, self.decoder, self.attention, self.layers, self.heads, self.dropout
            )
        return AttentionHead(channels, tokens, decoder, self)

    @classmethod
    def examples(cls) -> tuple[AttentionConfig, ...]:
        return (
            cls(channels=8, layers=2, heads=2),
            cls(
                channels=8,
                layers=1,
                heads=2,
                smoothing=0.0,
                positions="learned",
                longest=20,
                tied=True,
                key_bias=False,
                ctc=0.3,
            ),
            cls(decoder="lstm", attention="additive", channels=8, layers=2, smoothing=0.0),
            cls(decoder="gru", attention="dot", channels=8, layers=1, smoothing=0.0),
            cls(decoder="lstm", attention="general", channels=6, layers=1, ctc=0.3, smoothing=0.0),
            cls(decoder="gru", attention="concat", channels=6, layers=1, smoothing=0.0),
            cls(decoder="gru", attention="multihead", channels=8, layers=1, heads=2, smoothing=0.0),
        )


class AttentionHead(Head):
    """(B, T, C) -> the same, for the search to decode; with a CTC output (B, T, C + V), its log-probabilities behind.

    Hybrid CTC and attention is that of Watanabe et al. 2017 (IEEE JSTSP 11-8, equation 19).
    """

    target = Target.TOKENS
    config: AttentionConfig

    def __init__(self, channels: int, tokens: int, decoder: Decoder, config: AttentionConfig):
        super().__init__()
        self.channels = channels
        self.size = self.tokens = tokens
        self.config = config
        self.decoder = decoder
        self.ctc = CTC(channels, tokens) if config.ctc else None

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if self.ctc is None:
            return x, mask
        return torch.cat([x, self.ctc(x, mask)[0]], dim=-1), mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask), state

    def matrices(self) -> Iterator[nn.Parameter]:
        """See `Head`: those of layers and attention, but neither embedding nor output."""
        outer = [getattr(self.decoder, name, None) for name in ("embedding", "out", "positions")]
        apart = {id(p) for part in outer if isinstance(part, nn.Module) for p in part.parameters()} | {
            id(part) for part in outer
        }
        return (p for p in self.decoder.parameters() if p.ndim == 2 and id(p) not in apart)

    def loss(
        self, outputs: Tensor, mask: Tensor, targets: Sequence[Sequence[int]], weights: Tensor | None = None
    ) -> Loss:
        """Cross-entropy of every token and of the end, over how many tokens there are; with CTC's, by its weight."""
        self.refuse_weights(weights)
        memory, log_probs = self.parts(outputs, mask)
        read, wanted = self.teacher(targets, outputs.device)
        sampling = self.config.sampling if self.training else 0.0
        if self.training and self.config.forget:
            read = read.masked_fill(torch.rand(read.shape, device=read.device) < self.config.forget, BLANK)
        logits, _ = self.decoder(read, memory, sampling)
        nll = nn.functional.cross_entropy(
            logits.float().transpose(1, 2),
            wanted,
            ignore_index=IGNORE,
            reduction="none",
            label_smoothing=self.config.smoothing,
        ).sum(dim=1)
        if log_probs is not None:
            nll = (1 - self.config.ctc) * nll + self.config.ctc * ctc_nll(log_probs, mask.sum(dim=1), targets)
        return sequence_loss(nll, targets)

    def parts(self, outputs: Tensor, mask: Tensor) -> tuple[Memory, Tensor | None]:
        """Outputs of `forward` -> what the decoder attends to, and CTC's log-probabilities if there are any."""
        weight = next(self.decoder.parameters())
        steps = outputs[..., : self.channels].to(weight.device, weight.dtype)
        log_probs = outputs[..., self.channels :] if self.ctc is not None else None
        return self.decoder.attend_to(steps, mask.to(weight.device)), log_probs

    def teacher(self, targets: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
        """What is read, and what is to be written: (B, U + 1) int64 each, the padding of the latter `IGNORE`.

        Raises:
            UsageError: a target is longer than the decoder can write.
        """
        longest = max(map(len, targets))
        if self.decoder.longest is not None and longest >= self.decoder.longest:
            raise UsageError(
                f"a target has {longest} tokens, and the decoder reads {self.decoder.longest - 1} at most: "
                "let `longest` be more, or use sinusoidal positions"
            )
        read = torch.full((len(targets), longest + 1), BLANK)
        wanted = torch.full((len(targets), longest + 1), IGNORE)
        for row, target in enumerate(targets):
            read[row, 1 : len(target) + 1] = torch.as_tensor(target, dtype=torch.long)
            wanted[row, : len(target)] = torch.as_tensor(target, dtype=torch.long)
            wanted[row, len(target)] = BLANK
        return read.to(device), wanted.to(device)

    def limit(self, steps: int) -> int:
        """Tokens of a sequence for so many steps, at most."""
        config = self.config
        return max(1, min(config.longest, config.extra + math.ceil(config.ratio * steps)))

    @torch.no_grad()
    def attention_maps(self, outputs: Tensor, mask: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
        """(B, L, H, U + 1, T): how much each token, and the end after the last, attends to each step."""
        memory, _ = self.parts(outputs, mask)
        weights: Tensor = self.decoder(self.teacher(targets, memory.exists.device)[0], memory)[1]
        return weights

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """Words: decoded where a segment of a stream ends, by a beam, greedily, or drawn at random."""
        from transducer.search.tokens.attention.build import attention_search

        return attention_search(
            context, self.decoder, self.limit, self.channels, self.ctc is not None, self.config.max_memory
        )

    def metric(self) -> TokenErrors:
        from transducer.search.tokens.attention.decoding import Decoding
        from transducer.search.tokens.attention.segment import AttentionSearch
        from transducer.search.tokens.attention.settings import Settings

        # Nobody asks when tokens were said.
        decoding = Decoding(self.decoder, self.limit, Settings(align=False), together=True)
        return TokenErrors(AttentionSearch(decoding, self.channels))
