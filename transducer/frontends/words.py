"""Words of running text: the rows of a word and of its letter n-grams -> one embedding, one step a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from transducer.errors import UsageError
from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import Streaming, apply_mask

if TYPE_CHECKING:
    from transducer.media.words import Words as WordMedium

MOST_ROWS = 1 << 24  # numbers from there on have no float32 of their own


@register("words")
@dataclass(frozen=True)
class WordsConfig(FrontendConfig):
    """See `Words`.

    Attributes:
        words: rows of the table of words; row 0 stands for those that the vocabulary does not have.
        buckets: rows of the table of letter n-grams.
        ngrams: rows there of each word.
        channels: of an embedding.
    """

    words: int = 14000
    buckets: int = 4096
    ngrams: int = 6
    channels: int = 64

    def __post_init__(self) -> None:
        if min(self.words, self.buckets, self.ngrams, self.channels) < 1 or max(self.words, self.buckets) > MOST_ROWS:
            raise UsageError(f"tables of words need 1 to {MOST_ROWS} rows, n-grams and channels, got {self}")

    def build(self) -> Words:
        return Words(self.words, self.buckets, self.ngrams, self.channels)

    @classmethod
    def examples(cls) -> tuple[WordsConfig, ...]:
        return (cls(5, 4, 2, 6),)

    def medium(self, units: Units | None = None) -> WordMedium:
        # With it come the libraries of other media.
        from transducer.media.words import Words as WordMedium

        return WordMedium((self.words, *[self.buckets] * self.ngrams))


class Words(Streaming):
    """(B, T, 1 + ngrams) rows -> (B, T, channels): the embedding of the word and those of its n-grams, added up.

    Rows are whole numbers in any floating type: the first is that of the word, the others are those of its n-grams.
    Numbers out of range count as the nearest row.
    """

    def __init__(self, words: int, buckets: int, ngrams: int, channels: int):
        super().__init__()
        self.words, self.buckets, self.ngrams, self.channels = words, buckets, ngrams, channels
        self.inputs = 1 + ngrams
        self.word_embedding = nn.Embedding(words, channels)
        self.ngram_embedding = nn.Embedding(buckets, channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        rows = apply_mask(x, mask).nan_to_num().long()
        word = rows[..., 0].clamp(0, self.words - 1)
        ngrams = rows[..., 1:].clamp(0, self.buckets - 1)
        letters = nn.functional.embedding_bag(ngrams.reshape(-1, self.ngrams), self.ngram_embedding.weight, mode="sum")
        return self.word_embedding(word) + letters.view(*mask.shape, self.channels), mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask), state
