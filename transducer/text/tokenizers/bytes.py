"""Bytes as tokens: a vocabulary for any text in any script, and nothing to choose."""

from __future__ import annotations

from collections.abc import Sequence

from transducer.text.tokenizers.tokenizer import Tokenizer

_SPACES = frozenset(b" \t\n\r")


class Bytes(Tokenizer):
    """The bytes of a text in UTF-8, one higher than their value: token 0 is the blank, 33 the space."""

    kind = "bytes"

    def __init__(self) -> None:
        self.tokens = ("<blank>", *(f"<0x{value:02X}>" for value in range(256)))
        self.silence = frozenset(value + 1 for value in _SPACES)

    def encode(self, text: str) -> list[int]:
        return [value + 1 for value in text.encode("utf-8", errors="surrogatepass")]

    def decode(self, ids: Sequence[int]) -> str:
        """See `Tokenizer`; bytes that are no UTF-8 come out as U+FFFD."""
        self._check_ids(ids)
        return bytes(token - 1 for token in ids).decode("utf-8", errors="replace")

    def starts_word(self, token: int) -> bool:
        return token - 1 in _SPACES
