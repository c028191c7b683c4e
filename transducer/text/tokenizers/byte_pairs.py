"""Byte-pair encoding of bytes, as published models have it: GPT-2's, which is Whisper's.

Sources:
    R. Sennrich et al., "Neural machine translation of rare words with subword units", 2016 (arXiv:1508.07909)
    A. Radford et al., "Language models are unsupervised multitask learners", 2019, and the code that came with it
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from transducer.errors import UsageError
from transducer.text.tokenizers.tokenizer import Tokenizer

# GPT-2 cuts texts by these before it joins bytes: endings, letters, numbers, other signs, spaces. `_classes` tells
# which of them a character is, because `re` has no \p{L}.
_ENDING = re.compile(r"'(?:s|t|re|ve|m|ll|d)")
_PART = re.compile(r" ?L+| ?N+| ?O+|[S ]+(?![LNO])|[S ]+")


def byte_alphabet() -> list[str]:
    """The character that stands for each byte in a vocabulary: itself where it can be seen."""
    seen = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = iter(range(256, 512))
    return [chr(byte if byte in seen else next(hidden)) for byte in range(256)]


_BYTES = {character: byte for byte, character in enumerate(byte_alphabet())}


class BytePairs(Tokenizer):
    """Tokens of one or more bytes; of two pairs that could be joined, the one with the lower number is first.

    Numbers are those of the published model, and none is a blank: 0 is a token as any other. A text never becomes
    special tokens, even if it spells one, and special tokens are left out of texts.

    Args:
        tokens: the spelling of each, bytes in the alphabet of GPT-2's vocabularies ("Ġthe").
        special: numbers of the tokens that steer a model.

    Attributes:
        special: name -> number of each special token.

    Raises:
        UsageError: an ordinary token that comes twice, or is not spelled in bytes.
    """

    kind = "byte_pairs"

    def __init__(self, tokens: Iterable[str], special: Iterable[int] = ()):
        self.tokens = tuple(tokens)
        marked = frozenset(special)
        self.special = {spelling: token for token, spelling in enumerate(self.tokens) if token in marked}
        try:
            self._bytes = [
                b"" if token in marked else bytes(_BYTES[character] for character in spelling)
                for token, spelling in enumerate(self.tokens)
            ]
        except KeyError as error:
            raise UsageError(f"a vocabulary of bytes has the strange character {error.args[0]!r}") from None
        # Whisper's has an empty one, which no text becomes.
        ordinary = [token for token, spelling in enumerate(self.tokens) if token not in marked and spelling]
        self._ids = {self._bytes[token]: token for token in ordinary}
        if len(self._ids) != len(ordinary):
            raise UsageError("a vocabulary has a token twice")
        self.silence = frozenset(token for token, data in enumerate(self._bytes) if not data.strip())
        self._joined = lru_cache(maxsize=4096)(self._join)

    def encode(self, text: str) -> list[int]:
        data = [part.encode("utf-8", "replace") for part in _parts(text)]
        for part in data:
            if strange := [byte for byte in part if bytes([byte]) not in self._ids]:
                raise UsageError(f"no token for the byte {strange[0]} of {text!r:.80}")
        return [token for part in data for token in self._joined(part)]

    def decode(self, ids: Sequence[int]) -> str:
        return self._data(ids).decode("utf-8", "replace")

    def decode_whole(self, ids: Sequence[int]) -> str:
        """The same without the bytes at the end that are only the beginning of a character."""
        return codecs.getincrementaldecoder("utf-8")("replace").decode(self._data(ids))

    def starts_word(self, token: int) -> bool:
        return self._bytes[token][:1].isspace()

    def _data(self, ids: Sequence[int]) -> bytes:
        self._check_ids(ids)
        return b"".join(self._bytes[token] for token in ids)

    def _check_ids(self, ids: Iterable[int]) -> None:
        for token in ids:
            if not 0 <= token < len(self.tokens):
                raise ValueError(f"{token} is no token: those of this tokenizer are 0 to {len(self.tokens) - 1}")

    def _join(self, data: bytes) -> tuple[int, ...]:
        if data in self._ids:
            return (self._ids[data],)
        parts = [bytes([byte]) for byte in data]
        while True:
            pairs = [(self._ids.get(a + b), place) for place, (a, b) in enumerate(pairwise(parts))]
            known = [(token, place) for token, place in pairs if token is not None]
            if not known:
                return tuple(self._ids[part] for part in parts)
            _, place = min(known)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]


def _parts(text: str) -> Iterator[str]:
    """The parts of a text that are encoded each by itself, one after the other."""
    classes, place = "".join(map(_class, text)), 0
    while place < len(text):
        found = _ENDING.match(text, place) or _PART.match(classes, place)
        assert found is not None  # every class is in the pattern
        yield text[place : found.end()]
        place = found.end()


def _class(character: str) -> str:
    """A space, or one of L, N, S (other white space) and O (others)."""
    if character == " ":
        return " "
    if character.isspace() and character not in "\x1c\x1d\x1e\x1f":  # these are none to others
        return "S"
    kind = unicodedata.category(character)[0]
    return kind if kind in "LN" else "O"
