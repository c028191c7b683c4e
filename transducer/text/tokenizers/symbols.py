"""A list of symbols as tokens, one per word of the text: phones, commands, labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transducer.errors import UsageError
from transducer.text.tokenizers.tokenizer import Tokenizer


class Symbols(Tokenizer):
    """Every symbol is a word of its own: "HH AH L OW" is four tokens.

    Args:
        symbols: in the order of their ids from 1 on, without spaces in them.
        silence: those that stand for silence; they come out of `decode`, but never as words.

    Raises:
        UsageError: a symbol comes twice, is empty or has a space in it, or a silence is none of the symbols.
    """

    kind = "symbols"

    def __init__(self, symbols: Iterable[str], silence: Iterable[str] = ()):
        self.tokens = ("<blank>", *symbols)
        self._ids = {symbol: token for token, symbol in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens) or any(len(symbol.split()) != 1 for symbol in self.tokens):
            raise UsageError(f"symbols must be different words, none of them <blank>: {' '.join(self.tokens[1:])!r}")
        if unknown := [symbol for symbol in silence if not self._ids.get(symbol)]:
            raise UsageError(f"silence that is none of the symbols: {' '.join(unknown)}")
        self.silence = frozenset(self._ids[symbol] for symbol in silence)

    def encode(self, text: str) -> list[int]:
        ids = self.encode_known(text)
        if 0 in ids:
            raise UsageError(f"no token for {text.split()[ids.index(0)]!r} in {text!r}")
        return ids

    def encode_known(self, text: str) -> list[int]:
        return [self._ids.get(symbol, 0) for symbol in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        self._check_ids(ids)
        return " ".join(self.tokens[token] for token in ids)

    def starts_word(self, token: int) -> bool:
        return True
