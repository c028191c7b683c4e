"""Letters and a mark between words as tokens: what published models of CTC write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transducer.errors import UsageError
from transducer.text.tokenizers.tokenizer import Tokenizer

BLANK_NAME = "<blank>"


class Letters(Tokenizer):
    """A token for each letter, or for several that go together; one stands between words, some for nothing.

    Texts are read in the case of the letters, if all of them have the same.

    Args:
        tokens: the spelling of each, the blank first, which is called "<blank>" here.
        delimiter: number of the token between words: a space, whatever its spelling.
        special: numbers of those that stand for nothing, such as the beginning of a text.

    Raises:
        UsageError: a token that comes twice or is empty, or numbers that are none of theirs.
    """

    kind = "letters"

    def __init__(self, tokens: Iterable[str], delimiter: int, special: Iterable[int] = ()):
        self.tokens = tuple(tokens)
        self.delimiter, self.special = delimiter, frozenset(special)
        if self.tokens[:1] != (BLANK_NAME,) or len(set(self.tokens)) < len(self.tokens) or "" in self.tokens:
            raise UsageError(f"letters need different spellings, {BLANK_NAME} first")
        if not {delimiter, *self.special} <= {*range(1, len(self.tokens))} or delimiter in self.special:
            raise UsageError("the token between words and those that stand for nothing are some of the letters")
        self.silence = self.special | {delimiter}
        self._spelled = [*self.tokens]
        for token in (0, *self.special):
            self._spelled[token] = ""
        self._spelled[delimiter] = " "
        self._ids = {spelling: token for token, spelling in enumerate(self._spelled) if spelling}
        self._longest = max(map(len, self._ids))
        known = "".join(self._ids)
        self._case = str.upper if known == known.upper() else str.lower if known == known.lower() else str

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, of those that spell it the longest first."""
        cased, ids, place = self._case(text), [], 0
        while place < len(cased):
            sizes = range(min(self._longest, len(cased) - place), 0, -1)
            found = next((size for size in sizes if cased[place : place + size] in self._ids), None)
            if found is None:
                raise UsageError(
                    f"no token for the character {cased[place]!r} in {text!r:.80}: the model cannot write it"
                )
            ids.append(self._ids[cased[place : place + found]])
            place += found
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        self._check_ids(ids)
        return "".join(self._spelled[token] for token in ids)

    def starts_word(self, token: int) -> bool:
        return token == self.delimiter
