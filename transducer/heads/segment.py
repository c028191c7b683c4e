"""Full-context models inside a stream: a head that passes features on, and encodes and decodes segments of them.

Legend of axis suffixes: N rows (segments), T steps of the front-end, F features, S encoder steps, C channels, U tokens,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transducer.encoders.segment import SegmentEncoder
from transducer.encoders.whisper import WhisperEncoderConfig
from transducer.errors import UsageError
from transducer.heads.ctc import BLANK, CTC, ctc_nll, sequence_loss
from transducer.heads.decoders.decoder import Decoder
from transducer.heads.decoders.transformer import TransformerDecoderConfig
from transducer.heads.head import IGNORE, Head, Loss, Target
from transducer.heads.metrics import WrittenErrors
from transducer.model.config import HeadConfig, ModelConfig, SegmentDecoderConfig, SegmentEncoderConfig, register

if TYPE_CHECKING:
    from transducer.search.context import SearchContext
    from transducer.search.result_search import ResultSearch


@register("special_tokens")
@dataclass(frozen=True)
class SpecialTokens:
    """The tokens that steer a decoder, and what its published model says of them. None for what it does not have.

    Attributes:
        start, end: what is read first and written last.
        previous: is read before the text that came before the segment.
        no_speech: its probability after `start` is that of a segment without speech.
        no_timestamps: is read where no times are to be written.
        timestamp_begin: of time 0; the tokens after it are 0.02 s apart each.
        transcribe, translate: the tasks.
        languages: language -> the token that says so; empty for a model of one language.
        suppressed, suppressed_first: are never written; not at the beginning of a text.
        alignment_heads: (layer, head) of the attention that follows the sound best; empty if nobody has said.
    """

    start: int = 0
    end: int = 0
    previous: int | None = None
    no_speech: int | None = None
    no_timestamps: int | None = None
    timestamp_begin: int | None = None
    transcribe: int | None = None
    translate: int | None = None
    languages: dict[str, int] = field(default_factory=dict)
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()
    alignment_heads: tuple[tuple[int, int], ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        """Every token that is named, whatever for."""
        single = (self.start, self.end, self.previous, self.no_speech, self.no_timestamps, self.timestamp_begin)
        named = (*single, self.transcribe, self.translate, *self.languages.values())
        return (*(token for token in named if token is not None), *self.suppressed, *self.suppressed_first)


@register("segment")
@dataclass(frozen=True)
class SegmentConfig(HeadConfig):
    """See `SegmentHead`.

    Attributes:
        encoder: of a segment.
        decoder: of its tokens; None for a CTC output, over the same units, whose blank is token 0.
        tokens: that steer the decoder.
        longest: tokens of a segment's text, at most.
        max_steps: of the front-end in a segment, at most.
        silence: the value of a feature where there is no sound.
        padding: steps of silence that are put behind a segment; 0 for a model that was trained without.

    Raises:
        UsageError: limits that leave no room, or alignment heads that the decoder does not have.
    """

    units: str = "tokens"
    encoder: SegmentEncoderConfig = field(default_factory=WhisperEncoderConfig)
    decoder: SegmentDecoderConfig | None = field(default_factory=TransformerDecoderConfig)
    tokens: SpecialTokens = field(default_factory=SpecialTokens)
    longest: int = 224
    max_steps: int = 3000
    silence: float = 0.0
    padding: int = 200

    def __post_init__(self) -> None:
        if min(self.longest, self.max_steps) < 1:
            raise UsageError("a segment needs room for a token and a step")
        if isinstance(self.decoder, TransformerDecoderConfig):
            layers, heads = self.decoder.layers, self.decoder.heads
            for layer, head in self.tokens.alignment_heads:
                if not (0 <= layer < layers and 0 <= head < heads):
                    raise UsageError(f"there is no head {head} in a layer {layer} of the decoder")

    def build(self, channels: int, model: ModelConfig) -> SegmentHead:
        size = model.tokens(self.units)
        if strange := [token for token in self.tokens.all if not 0 <= token < size]:
            raise ValueError(f"token {strange[0]} is none of the {size}")
        return SegmentHead(channels, size, self)

    @classmethod
    def examples(cls) -> tuple[SegmentConfig, ...]:
        encoder = WhisperEncoderConfig(8, 1, 2, 12, 10)
        decoder = TransformerDecoderConfig(8, 2, 2, 12, longest=20)
        return (
            cls("characters", encoder, decoder, longest=8, max_steps=20),
            cls("characters", encoder, None, longest=8, max_steps=20),
        )


class SegmentHead(Head):
    """(B, T, F) -> the same, for the search to gather, encode and decode, segment by segment.

    Attributes:
        encoder: features (N, T, F) and mask (N, T) -> steps (N, S, C) and mask (N, S); it sees all of a segment.
        decoder: attends to these steps; None where `ctc`, which makes log-probabilities of each of them, is there.
    """

    target = Target.TOKENS
    config: SegmentConfig

    def __init__(self, channels: int, tokens: int, config: SegmentConfig):
        super().__init__()
        self.size, self.config = tokens, config
        self.encoder: SegmentEncoder = config.encoder.build(channels)
        memory = config.encoder.channels
        self.decoder: Decoder | None = config.decoder.build(tokens, memory) if config.decoder else None
        self.ctc = CTC(memory, tokens) if self.decoder is None else None

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return x, mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return x, mask, state

    def encode(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Segments (N, T, F), (N, T) -> steps (N, S, C), (N, S), where the weights are. T is at most `max_steps`."""
        weight = next(self.parameters())
        steps: tuple[Tensor, Tensor] = self.encoder(features.to(weight.device, weight.dtype), mask.to(weight.device))
        return steps

    def spell(self, features: Tensor, mask: Tensor) -> Tensor:
        """Segments (N, T, F), (N, T) -> log-probabilities (N, S, V) of the tokens of a CTC output."""
        assert self.ctc is not None
        return self.ctc(*self.encode(features, mask))[0]

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    def levels(self, features: NDArray[np.float32]) -> NDArray[Any]:
        """How loud it is: features (..., T, F) -> log10 of the power in mel bands (..., T, bands), see `WhisperMel`."""
        return self.encoder.levels(features)

    def pad(self, features: Tensor, mask: Tensor, steps: int | None = None) -> tuple[Tensor, Tensor]:
        """Segments filled up with silence to so many steps, all of which exist then.

        Args:
            steps: at most `max_steps`, and that for None, which is what Whisper was trained on.
        """
        features = torch.where(mask[..., None], features, self.config.silence)
        more = max(0, (steps or self.config.max_steps) - features.shape[1])
        features = nn.functional.pad(features, (0, 0, 0, more), value=self.config.silence)
        return features, torch.ones(features.shape[:2], dtype=torch.bool, device=mask.device)

    def loss(
        self, outputs: Tensor, mask: Tensor, targets: Sequence[Sequence[int]], weights: Tensor | None = None
    ) -> Loss:
        """Cross-entropy of every token and of the end, over how many tokens there are; or CTC's loss."""
        self.refuse_weights(weights)
        steps, exists = self.encode(outputs, mask)
        if self.decoder is None:
            assert self.ctc is not None
            return sequence_loss(ctc_nll(self.ctc(steps, exists)[0], exists.sum(dim=1), targets), targets)
        tokens, size = self.config.tokens, max(map(len, targets)) + 1
        read = torch.full((len(targets), size), tokens.start)
        wanted = torch.full((len(targets), size), IGNORE)
        for row, target in enumerate(targets):
            text = torch.as_tensor(target, dtype=torch.long)
            read[row, 1 : len(target) + 1], wanted[row, : len(target)] = text, text
            wanted[row, len(target)] = tokens.end
        logits, _ = self.decoder(read.to(steps.device), self.decoder.attend_to(steps, exists))
        nll = nn.functional.cross_entropy(
            logits.float().transpose(1, 2), wanted.to(steps.device), ignore_index=IGNORE, reduction="none"
        )
        return sequence_loss(nll.sum(dim=1), targets)

    @torch.no_grad()
    def write(self, features: Tensor, mask: Tensor) -> list[list[int]]:
        """The tokens of each segment, the likeliest at each place, without any prompt: for measuring in training."""
        steps, exists = self.encode(features, mask)
        if self.ctc is not None:
            best = self.ctc(steps, exists)[0].argmax(dim=-1)
            rows = [row[there].tolist() for row, there in zip(best, exists, strict=True)]
            return [[token for token, _ in groupby(row) if token != BLANK] for row in rows]
        assert self.decoder is not None
        memory, end = self.decoder.attend_to(steps, exists), self.config.tokens.end
        state = self.decoder.start(memory)
        read = torch.full((len(steps), 1), self.config.tokens.start, device=steps.device)
        texts: list[list[int]] = [[] for _ in steps]
        going = set(range(len(texts)))
        for _ in range(self.config.longest):
            logits, state = self.decoder.extend(read, memory, state)
            read = logits.argmax(dim=-1)
            said = read[:, 0].tolist()
            going -= {row for row in going if said[row] == end}
            for row in going:
                texts[row].append(said[row])
            if not going:
                break
        return texts

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """Words: of segments that grow, are decoded again, and are final where they end."""
        from transducer.search.full_context.build import full_context_search

        return full_context_search(context, self)

    def metric(self) -> WrittenErrors:
        return WrittenErrors(lambda part: self.write(part[None], torch.ones(1, len(part), dtype=torch.bool))[0])
