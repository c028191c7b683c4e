"""Byte-pair encoding of characters, with bytes for those that are no token: SentencePiece's, as in published models.

Source: T. Kudo and J. Richardson, "SentencePiece: a simple and language independent subword tokenizer and detokenizer
for neural text processing", 2018 (arXiv:1808.06226).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from transducer.errors import UsageError
from transducer.text.tokenizers.byte_pairs import BytePairs

SPACE = "▁"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class Pieces(BytePairs):
    """Tokens of one or more characters, "▁" for a space, or of a byte ("<0x0A>"); see `BytePairs` for what they share.

    A text begins with a space, its own or one more, which it does not come back with.

    Args:
        tokens: the spelling of each.
        special: numbers of the tokens that steer a model.

    Raises:
        UsageError: a token that comes twice, or is empty.
    """

    kind = "pieces"

    def __init__(self, tokens: Iterable[str], special: Iterable[int] = ()):
        self.tokens = tuple(tokens)
        marked = frozenset(special)
        self.special = {spelling: token for token, spelling in enumerate(self.tokens) if token in marked}
        ordinary = {spelling: token for token, spelling in enumerate(self.tokens) if token not in marked}
        if len(ordinary) + len(self.special) != len(self.tokens) or "" in ordinary:
            raise UsageError("a vocabulary has a token twice, or an empty one")
        self._pieces = ordinary
        self._bytes = [b"" if token in marked else _bytes(spelling) for token, spelling in enumerate(self.tokens)]
        self.silence = frozenset(token for token, data in enumerate(self._bytes) if not data.strip())

    def encode(self, text: str) -> list[int]:
        ids, parts = self._pieces, list(f" {text.removeprefix(' ')}".replace(" ", SPACE) if text else "")
        while True:
            pairs = [(ids[a + b], place) for place, (a, b) in enumerate(pairwise(parts)) if a + b in ids]
            if not pairs:
                break
            _, place = min(pairs)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        spelled = [name for part in parts for name in ([part] if part in ids else _fallback(part))]
        if unknown := [name for name in spelled if name not in ids]:
            raise UsageError(f"no token for {unknown[0]} of {text!r:.80}")
        return [ids[name] for name in spelled]

    def decode(self, ids: Sequence[int]) -> str:
        return super().decode(ids).removeprefix(" ")

    def decode_whole(self, ids: Sequence[int]) -> str:
        return super().decode_whole(ids).removeprefix(" ")


def _bytes(spelling: str) -> bytes:
    found = _BYTE.fullmatch(spelling)
    return bytes([int(found[1], 16)]) if found else spelling.replace(SPACE, " ").encode("utf-8", "replace")


def _fallback(part: str) -> list[str]:
    return [f"<0x{byte:02X}>" for byte in part.encode("utf-8", "replace")]
