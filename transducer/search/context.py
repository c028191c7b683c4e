"""What a head is told when it makes its search."""

from __future__ import annotations

import math
from dataclasses import dataclass

from transducer.errors import UsageError
from transducer.model.config import DecodingConfig
from transducer.search.endpoint import EndpointRules
from transducer.search.events.rules import EventRules
from transducer.search.options import Options
from transducer.search.tokens.language import LanguageScorer
from transducer.search.tokens.word_model import WordModel
from transducer.text.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class SearchContext:
    """What was asked for, and what the model says of itself.

    Attributes:
        options: what was asked for.
        decoding, events: the model's own choices; `events` is None where it has none.
        tokenizer: spells the head's tokens or labels.
        seconds_per_step: of the head's output, nominal where steps have times of their own.
        words: lexicon and language model for a beam search over this head's tokens; None without.
        model: its name, for messages.
        counted: the media's clock counts steps: there are no seconds, and silence ends nothing.
        language: a causal language model over the same tokens, if one was asked for.
        block: output steps that come at a time.
        lag: output steps by which they lag the media: so many fewer are there when the first block has been heard.
        spoken: the language of the model, "" if that is not known or there are many.
    """

    options: Options
    decoding: DecodingConfig
    events: EventRules | None
    tokenizer: Tokenizer
    seconds_per_step: float
    words: WordModel | None
    model: str
    counted: bool = False
    language: LanguageScorer | None = None
    block: int = 1
    lag: int = 0
    spoken: str = ""

    @property
    def search(self) -> str:
        """ "greedy", "beam" or "sample"."""
        return self.options.search or self.decoding.search

    def endpoint(self, usual: EndpointRules | None = None) -> EndpointRules:
        """When a segment ends: as was asked for, or by the usual rules of the search. Of counted steps, with the source
        alone."""
        if self.options.endpoint is not None:
            return self.options.endpoint
        return EndpointRules(math.inf, math.inf, math.inf) if self.counted else usual or EndpointRules()

    def refuse(self, names: set[str], because: str) -> None:
        """Raises UsageError if one of these options was given."""
        if given := sorted(self.options.given & names):
            raise UsageError(f"{', '.join(given)}: {because}, which {self.model} is not")
