"""A full-context model with a CTC output on one segment: what each step says, and when each token was said.

Legend of axis suffixes: T steps of the front-end, S steps of the encoder, F features, V tokens.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_numpy, on_device, without_gradients
from transducer.search.full_context.greedy import Suggest, nothing
from transducer.search.full_context.transcriber import Asked, Text
from transducer.search.tokens.ctc_paths import LogProbs, aligned, best_path


class Spells(Protocol):
    """A head with an encoder of segments and a CTC output, see `transducer.heads.segment.SegmentHead`."""

    device: Any

    def spell(self, features: Any, mask: Any) -> Any: ...


class Spelled(NamedTuple):
    """An encoded segment: log-probabilities (S, V), and how many steps of the front-end it has."""

    log_probs: LogProbs
    steps: int


class SpellingTranscriber:
    """What `Transcriber` is to a decoder, to a CTC output. It writes what it hears, and needs no doubts.

    Args:
        head: of the model.
        asked: what is to be written.
        between: the token that stands between words, if there is one.
    """

    invents = False
    languages: tuple[str, ...] = ()

    def __init__(self, head: Spells, asked: Asked, between: int | None = None):
        self.head, self.asked, self.between = head, asked, between

    def read(self, features: NDArray[np.float32], whole: bool = False) -> Spelled:
        """Encode a segment (T, F), as long as it is."""
        device, exists = self.head.device, np.ones((1, len(features)), np.bool_)
        with without_gradients():
            said = self.head.spell(on_device(np.array(features[None], np.float32), device), on_device(exists, device))
        return Spelled(as_numpy(said)[0].astype(np.float32), len(features))

    def opening(self, heard: Spelled) -> tuple[float, dict[str, float]]:
        """Nothing is known of whether there is speech, and of languages."""
        return 0.0, {}

    def write(
        self,
        heard: Spelled,
        prefix: tuple[int, ...],
        language: str | None,
        temperature: float | None = None,
        number: int = 0,
        draft: bool = False,
        guess: tuple[int, ...] = (),
        suggest: Suggest = nothing,
    ) -> list[Text]:
        """The text of the best path that begins with the tokens of `prefix`, which are whole words; see
        `Transcriber`."""
        found = best_path(heard.log_probs)
        tokens = tuple(token for token, _ in found)
        if prefix and self.between is not None and prefix[-1] != self.between and tokens != prefix:
            prefix = (*prefix, self.between)
        if tokens[: len(prefix)] != prefix:
            found = best_path(heard.log_probs, prefix)
        scores = tuple(score for _, score in found)
        total = float(sum(scores))
        return [Text(tuple(token for token, _ in found), scores, total / max(1, len(scores)), total)]

    def starts(self, heard: Spelled, tokens: tuple[int, ...], language: str | None) -> list[int]:
        """On which step of the segment each token begins, and the last one ends: one more than there are tokens."""
        share = heard.steps / len(heard.log_probs)
        return [min(heard.steps, round(frame * share)) for frame in aligned(heard.log_probs, tokens)]
