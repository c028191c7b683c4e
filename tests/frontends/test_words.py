"""Words as embeddings, and as a medium."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from contract import verify_contract

from transducer.errors import UsageError
from transducer.frontends.words import WordsConfig

CONFIG = WordsConfig(words=5, buckets=4, ngrams=2, channels=3)


def test_contract():
    verify_contract(CONFIG.build().double().eval(), 3, [9, 4, 1], [2, 3], seed=0)


def test_an_embedding_is_the_sum_of_its_rows():
    words = CONFIG.build()
    x = torch.tensor([[[2.0, 0, 3], [4, 1, 1]]])
    y, mask = words(x, torch.tensor([[True, True]]))
    rows, ngrams = words.word_embedding.weight, words.ngram_embedding.weight
    torch.testing.assert_close(y[0, 0], rows[2] + ngrams[0] + ngrams[3])
    torch.testing.assert_close(y[0, 1], rows[4] + 2 * ngrams[1])
    assert words(x[:, :0], mask[:, :0])[0].shape == (1, 0, 3)


def test_rows_that_there_are_not():
    words = CONFIG.build()
    x = torch.tensor([[[99.0, -1, 1e9], [float("nan"), 0, 0]]])
    near = torch.tensor([[[4.0, 0, 3], [0, 0, 0]]])
    exists = torch.ones(1, 2, dtype=torch.bool)
    torch.testing.assert_close(words(x, exists)[0], words(near, exists)[0])


@pytest.mark.parametrize("sizes", [(0, 4, 2, 3), (5, 0, 2, 3), (5, 4, 0, 3), (5, 4, 2, 0), (2**25, 4, 2, 3)])
def test_tables_that_make_no_sense(sizes):
    with pytest.raises(UsageError, match="tables of words"):
        WordsConfig(*sizes)


def test_the_medium_takes_rows_and_no_media():
    medium = CONFIG.medium()
    assert (medium.name, medium.channels, medium.dtype) == ("words", 3, np.float32)
    rows = np.array([[4, 3, 0], [0, 0, 0]], np.float32)
    assert medium.check(rows) is rows
    for wrong in (rows.astype(int), rows[0], rows[:, :2], rows + 0.5, rows - 1, rows + 1, rows * np.nan):
        with pytest.raises(UsageError, match=r"words must be|rows of words"):
            medium.check(wrong)
    with pytest.raises(UsageError, match="no media"):
        medium.open("talk.mp3")
