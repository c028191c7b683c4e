"""Labels of frames, events and clips as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transducer.errors import UsageError
from transducer.text.tokenizers.tokenizer import Tokenizer

BACKGROUND = ""  # the spelling of token 0: nothing is going on


class Labels(Tokenizer):
    """A token for each name, and token 0 for the background, which is also CTC's blank.

    Names are kept as given and may have spaces in them ("left turn"): of a text, as few
    names are read as spell it.

    Args:
        names: in the order of their ids from 1 on.

    Raises:
        UsageError: no name, an empty one, or one that comes twice.
    """

    kind = "labels"

    def __init__(self, names: Iterable[str]):
        self.tokens = (BACKGROUND, *names)
        self.silence = frozenset()
        self._words: dict[tuple[str, ...], int] = {}
        for token, name in enumerate(self.names, start=1):
            words = tuple(name.split())
            if not words:
                raise UsageError("a label has an empty name: give every label one")
            if words in self._words:
                raise UsageError(f"the label {name!r} is there twice: name every label once")
            self._words[words] = token
        if not self._words:
            raise UsageError("there are no labels: name at least one")
        self._longest = max(map(len, self._words))

    @property
    def names(self) -> tuple[str, ...]:
        """All but the background."""
        return self.tokens[1:]

    def id(self, name: str) -> int:
        """The token of a name; that of the background for "". Raises UsageError for an unknown name."""
        token = 0 if name == BACKGROUND else self._words.get(tuple(name.split()))
        if token is None:
            raise UsageError(f"unknown label {name!r}: there are {', '.join(self.names)}")
        return token

    def encode(self, text: str | Sequence[str]) -> list[int]:
        """Token ids of names in a text, with white space between them, or of a list of names.

        Raises:
            UsageError: a name that is no label.
        """
        if not isinstance(text, str):
            return [self.id(name) for name in text]
        words = text.split()
        best: dict[int, list[int]] = {0: []}  # number of words -> the fewest tokens that spell so many
        for start in range(len(words)):
            if start not in best:
                continue
            for end in range(start + 1, min(start + self._longest, len(words)) + 1):
                token = self._words.get(tuple(words[start:end]))
                if token and (end not in best or len(best[start]) + 1 < len(best[end])):
                    best[end] = [*best[start], token]
        if len(words) not in best:
            self.id(words[max(best)])  # raises: a name there would have led further
        return best[len(words)]

    def encode_known(self, text: str) -> list[int]:
        """See `Tokenizer`; of names that are one word each."""
        return [self._words.get((word,), 0) for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        self._check_ids(ids)
        return " ".join(self.tokens[token] for token in ids)

    def starts_word(self, token: int) -> bool:
        return True
