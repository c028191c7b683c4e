"""What a head's search is, without the head: for models that run where their modules are not, see `transducer.export`.

Each of these makes the search of a head out of what was asked for and the head's trained parts, whatever computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transducer.model.config import register
from transducer.search.context import SearchContext
from transducer.search.endpoint import EndpointRules
from transducer.search.events.build import event_search
from transducer.search.result_search import ResultSearch
from transducer.search.tokens.build import word_search
from transducer.search.tokens.ctc import CTCBeamSearch, CTCGreedySearch
from transducer.search.tokens.rnnt import RNNTBeamSearch
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch
from transducer.search.tokens.rows import Joint, Predictor
from transducer.search.tokens.words import FinishedWordTimer


@register("ctc_searching")
@dataclass(frozen=True)
class CTCSearching:
    """Words of a CTC head, greedy or by a beam, of a lexicon where the model has one."""

    def build(self, context: SearchContext) -> ResultSearch[Any, Any]:
        silence = context.tokenizer.silence
        return word_search(context, lambda: CTCGreedySearch(silence), lambda beam: CTCBeamSearch(beam, silence=silence))


@register("rnnt_searching")
@dataclass(frozen=True)
class RNNTSearching:
    """Words of an RNN-T, greedy or by a beam.

    Attributes:
        max_symbols: tokens per frame that a greedy search takes, and a beam search that compares whole words.
        beam_symbols: the same of a beam search.
        context: tokens of the segments before that the predictor reads first.
        delay: output steps by which words come when they are over; None for words that come when they begin.
        silence: seconds without a word that end a segment; None for the usual rules.
    """

    max_symbols: int = 3
    beam_symbols: int = 1
    context: int = 0
    delay: int | None = None
    silence: float | None = None

    def build(
        self, context: SearchContext, predictor: Predictor, joint: Joint, tile: int | None
    ) -> ResultSearch[Any, Any]:
        """Args: see `RNNTGreedySearch`."""
        silence, window, step = context.tokenizer.silence, context.decoding.blank_window, context.seconds_per_step
        late = None if self.delay is None else FinishedWordTimer(context.tokenizer, step, -self.delay * step)
        return word_search(
            context,
            lambda: RNNTGreedySearch(predictor, joint, self.max_symbols, silence, window, self.context, tile),
            lambda beam: RNNTBeamSearch(predictor, joint, self.beam_symbols, beam, silence=silence, tile=tile),
            late,
            None if self.silence is None else EndpointRules(silence_after_words=self.silence),
        )


@register("event_searching")
@dataclass(frozen=True)
class EventSearching:
    """Events of a kind, see `event_search`."""

    kind: str

    def build(self, context: SearchContext) -> ResultSearch[Any, Any]:
        return event_search(context, self.kind)
