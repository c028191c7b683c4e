"""Subwords as tokens: byte-pair encoding or a unigram model, by sentencepiece.

Sources:
    T. Kudo, J. Richardson, "SentencePiece: a simple and language independent subword tokenizer", 2018
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Literal

from transducer.errors import UsageError
from transducer.text.tokenizers.tokenizer import BLANK, Tokenizer

_SPACE = "\u2581"  # sentencepiece's visible space, at the front of a piece that begins a word


class Subwords(Tokenizer):
    """The pieces of a sentencepiece model, their ids one higher than there: 0 is the blank.

    Args:
        model: the contents of a sentencepiece model file.

    Raises:
        UsageError: the bytes are no sentencepiece model.
    """

    kind = "subwords"

    def __init__(self, model: bytes):
        import sentencepiece

        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise UsageError("not a sentencepiece model") from error
        pieces = [self._processor.id_to_piece(piece) for piece in range(self._processor.get_piece_size())]
        self.tokens = ("<blank>", *pieces)
        self.silence = frozenset(token for token, piece in enumerate(self.tokens) if piece == _SPACE)
        self._starts = tuple(piece.startswith(_SPACE) for piece in self.tokens)
        self._unknown = self._processor.unk_id() + 1

    @classmethod
    def train(cls, lines: Iterable[str], size: int, model_type: Literal["bpe", "unigram"] = "bpe") -> Subwords:
        """Choose `size` tokens (the blank and the unknown piece are two of them) that spell `lines` well.

        The lines are taken as they are: normalise them before. The same lines give the same tokens.

        Raises:
            UsageError: the lines cannot give that many tokens, or need more for their characters alone.
        """
        import sentencepiece

        file = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=file,
                vocab_size=size - 1,
                model_type=model_type,
                character_coverage=1.0,
                normalization_rule_name="identity",
                bos_id=-1,
                eos_id=-1,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise UsageError(f"cannot make {size} subwords of this text: {error}") from error
        return cls(file.getvalue())

    def encode(self, text: str) -> list[int]:
        ids = [piece + 1 for piece in self._processor.encode(text)]
        if self._unknown in ids:
            unknown = self._processor.encode(text, out_type=str)[ids.index(self._unknown)]
            raise UsageError(f"no token for {unknown.strip(_SPACE)!r} in {text!r}; normalise the text")
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        self._check_ids(ids)
        return self._processor.decode([token - 1 for token in ids])

    def starts_word(self, token: int) -> bool:
        return self._starts[token] and token != BLANK
