"""Characters as tokens: the smallest vocabulary, and nothing to train."""

from __future__ import annotations

from collections.abc import Sequence

from transducer.errors import UsageError
from transducer.text.tokenizers.tokenizer import Tokenizer

ENGLISH = "'abcdefghijklmnopqrstuvwxyz"


class Characters(Tokenizer):
    """One token per character. Token 1 is the space, which stands between words and belongs to none.

    Args:
        alphabet: the characters, in the order of their ids from 2 on.

    Raises:
        UsageError: a character comes twice, or one is a space.
    """

    kind = "characters"

    def __init__(self, alphabet: str = ENGLISH):
        if len(set(alphabet)) != len(alphabet) or " " in alphabet:
            raise UsageError(f"an alphabet needs every character once, and no space: {alphabet!r}")
        self.tokens = ("<blank>", " ", *alphabet)
        self.silence = frozenset({1})
        self._ids = {character: token for token, character in enumerate(self.tokens) if token}

    def encode(self, text: str) -> list[int]:
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            raise UsageError(
                f"no token for the character {error.args[0]!r} in {text!r}: normalise the text or extend the alphabet"
            ) from None

    def encode_known(self, text: str) -> list[int]:
        return [self._ids.get(character, 0) for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        self._check_ids(ids)
        return "".join(self.tokens[token] for token in ids)

    def starts_word(self, token: int) -> bool:
        return token == 1
