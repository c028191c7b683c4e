"""What a head is told when it makes its search."""

from __future__ import annotations

from dataclasses import dataclass

from transducer.errors import UsageError
from transducer.model.config import DecodingConfig
from transducer.search.events.rules import EventRules
from transducer.search.options import Options
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
    """

    options: Options
    decoding: DecodingConfig
    events: EventRules | None
    tokenizer: Tokenizer
    seconds_per_step: float
    words: WordModel | None
    model: str

    @property
    def search(self) -> str:
        """ "greedy" or "beam"."""
        return self.options.search or self.decoding.search

    def refuse(self, names: set[str], because: str) -> None:
        """Raises UsageError if one of these options was given."""
        if given := sorted(self.options.given & names):
            raise UsageError(f"{', '.join(given)}: {because}, which {self.model} is not")
