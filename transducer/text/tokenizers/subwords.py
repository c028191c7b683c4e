"""Subwords as tokens: byte-pair encoding or a unigram model, by sentencepiece.

Sources:
    T. Kudo, J. Richardson, "SentencePiece: a simple and language independent subword tokenizer", 2018
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Literal

from transducer.errors import UsageError
from transducer.text.tokenizers.tokenizer import BLANK, Tokenizer

_FATAL = 3  # in the numbering of sentencepiece's log
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
        # It would write what is wrong with a model to standard error, before or instead of an exception.
        sentencepiece.set_min_log_level(_FATAL)
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            pieces = [self._processor.id_to_piece(piece) for piece in range(self._processor.get_piece_size())]
            whole = bool(pieces) and self._reads_what_it_writes(pieces)
        except (RuntimeError, UnicodeDecodeError, IndexError):
            whole = False
        if not whole:
            raise UsageError("not a sentencepiece model, or a part of one")
        self.tokens = ("<blank>", *pieces)
        self.silence = frozenset(token for token, piece in enumerate(self.tokens) if piece == _SPACE)
        self._starts = tuple(piece.startswith(_SPACE) for piece in self.tokens)
        self._unknown = self._processor.unk_id() + 1

    def _reads_what_it_writes(self, pieces: Sequence[str]) -> bool:
        processor, ids = self._processor, range(len(pieces))
        spelled = (i for i in ids if not (processor.is_control(i) or processor.is_unknown(i) or processor.is_byte(i)))
        text = processor.decode(list(islice(spelled, 1000)))
        again = processor.decode(processor.encode(text))
        return (
            processor.piece_to_id(list(pieces)) == list(ids)
            and 0 <= processor.unk_id() < len(pieces)
            and again.replace(" ", "") == text.replace(" ", "")
        )

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
        ids = self.encode_known(text)
        if self._unknown in ids:
            unknown = self._processor.encode(text, out_type=str)[ids.index(self._unknown)]
            raise UsageError(f"no token for {unknown.strip(_SPACE)!r} in {text!r}; normalise the text")
        return ids

    def encode_known(self, text: str) -> list[int]:
        """See `Tokenizer`; the model's own unknown piece stands for what has no token."""
        return [piece + 1 for piece in self._processor.encode(text)]

    def decode(self, ids: Sequence[int]) -> str:
        self._check_ids(ids)
        text: str = self._processor.decode([token - 1 for token in ids])
        return text

    def starts_word(self, token: int) -> bool:
        return self._starts[token] and token != BLANK
