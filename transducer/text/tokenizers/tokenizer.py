"""What every tokenizer can do. Tokens are numbers to the model; only tokenizers know how they are spelled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

BLANK = 0  # the index that CTC and RNN-T decoders own; no tokenizer encodes to it


class Tokenizer(ABC):
    """Text <-> token ids.

    Attributes:
        kind: the tag in `tokens.json`.
        tokens: the spelling of each id, "<blank>" first where there is one; its length is the size of a model's output.
        silence: ids that have no sound of their own, such as the space between words.
    """

    kind: ClassVar[str]
    tokens: tuple[str, ...]
    silence: frozenset[int]

    def __len__(self) -> int:
        return len(self.tokens)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Token ids of a text. Raises UsageError for text that the tokens cannot spell."""

    def encode_known(self, text: str) -> list[int]:
        """Token ids of a text that is read and not written: number 0 stands for each part that has no token."""
        return self.encode(text)

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids. Raises ValueError for an id that is no token; the blank is none."""

    @abstractmethod
    def starts_word(self, token: int) -> bool:
        """Whether a word cannot go on through this token: it begins one, or stands between two."""

    def word_spans(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Indices into `ids` of each word: from its first token, up to but without its end.

        Tokens without a sound of their own are left out at both ends of a word.
        """
        spans: list[tuple[int, int]] = []
        boundary = True
        for index, token in enumerate(ids):
            boundary = boundary or self.starts_word(token)
            if token in self.silence:
                continue
            start = index if boundary else spans[-1][0]
            if not boundary:
                spans.pop()
            spans.append((start, index + 1))
            boundary = False
        return spans

    def _check_ids(self, ids: Iterable[int]) -> None:
        for token in ids:
            if not BLANK < token < len(self.tokens):
                raise ValueError(f"{token} is no token: those of this tokenizer are 1 to {len(self.tokens) - 1}")
