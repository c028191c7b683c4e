"""Tokens as embeddings, and text as a medium."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from contract import verify_contract

from transducer.errors import MediaError, UsageError
from transducer.frontends.symbols import SymbolsConfig
from transducer.media.counted import counts_steps
from transducer.text.tokenizers.bytes import Bytes
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.subwords import Subwords
from transducer.text.tokenizers.symbols import Symbols

LETTERS = Characters("abc")
CONFIG = SymbolsConfig(len(LETTERS), "letters", 3)
UNITS = {"letters": LETTERS}


def test_contract():
    verify_contract(CONFIG.build().double().eval(), 1, [9, 4, 1], [2, 3], seed=0)


def test_a_step_is_a_row_of_the_table():
    symbols = CONFIG.build()
    mask = torch.tensor([[True, True, True, False]])
    y, _ = symbols(torch.tensor([[[2.0], [99], [-1], [float("nan")]]]), mask)
    torch.testing.assert_close(y[0, :3], symbols.embedding.weight[[2, 4, 0]])


def test_tokens_are_forgotten_in_training_alone():
    symbols = SymbolsConfig(5, channels=2, forget=0.5).build()
    x, mask = torch.full((1, 400, 1), 3.0), torch.ones(1, 400, dtype=torch.bool)
    torch.manual_seed(0)
    unknown = (symbols.train()(x, mask)[0] == symbols.embedding.weight[0]).all(-1)
    assert 150 < int(unknown.sum()) < 250
    torch.testing.assert_close(symbols.eval()(x, mask)[0][0], symbols.embedding.weight[3].expand(400, 2))


@pytest.mark.parametrize("sizes", [{"tokens": 0}, {"tokens": 2**25}, {"channels": 0}, {"forget": 1.0}])
def test_tables_that_make_no_sense(sizes):
    with pytest.raises(UsageError, match=r"table of tokens|share of tokens"):
        SymbolsConfig(**sizes)


def test_the_medium_needs_the_units_of_the_model():
    with pytest.raises(UsageError, match="units 'letters', which the model lacks"):
        CONFIG.medium({})
    with pytest.raises(UsageError, match="5 rows for the 257 tokens"):
        CONFIG.medium({"letters": Bytes()})


def read(source, **options) -> tuple[list, str]:
    with CONFIG.medium(UNITS).open(source, **options) as reader:
        blocks = [block.inputs for block in reader]
        assert all(len(block) <= options.get("block", 99) for block in blocks)
        rows = np.concatenate(blocks)
        assert reader.position == reader.duration == len(rows) and rows.dtype == np.float32
        return rows[:, 0].tolist(), reader.name


@pytest.mark.parametrize("block", [1, 2, 99])
def test_texts_of_every_kind(block, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ab c\n")
    tokens = [2.0, 3, 1, 4]
    assert read("ab c", block=block) == (tokens, "ab c")
    assert read(["ab", "c"], block=block)[0] == tokens
    assert read(path, block=block) == (tokens, str(path))
    assert read(io.StringIO("ab c"), block=block)[0] == tokens
    for numbers in ([2, 3, 1, 4], np.array(tokens), np.array(tokens)[:, None]):
        assert read(numbers, block=block)[0] == tokens
    assert read("aXb", block=block)[0] == [2, 0, 3]


def test_media_say_what_they_are():
    medium = CONFIG.medium(UNITS)
    assert counts_steps(medium) and medium.steady and medium.rate == 1
    assert medium.facts(3) == {"input": "text: characters", "input_tokens": 4, "look_ahead_tokens": 3}


@pytest.mark.parametrize("wrong", [[5], [-1], [0.5], [float("nan")], np.zeros((2, 2)), None, b"ab", {"a": 1}])
def test_what_is_no_text(wrong):
    with pytest.raises(UsageError, match=r"reads text|token numbers must be"):
        CONFIG.medium(UNITS).check(wrong)


def test_files_that_are_no_text(tmp_path):
    medium = CONFIG.medium(UNITS)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MediaError, match=r"bad.txt: is no text in UTF-8"):
        medium.open(tmp_path / "bad.txt")
    with pytest.raises(MediaError, match=r"none.txt: cannot be read: No such file"):
        medium.open(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="open for bytes"):
        medium.open(io.BytesIO(b"ab"))


def test_what_has_no_token_is_0():
    assert LETTERS.encode_known("aXc") == [2, 0, 4]
    assert Symbols(["one", "two"]).encode_known("two three one") == [2, 0, 1]
    assert Bytes().encode_known("é") == [0xC3 + 1, 0xA9 + 1]
    pieces = Subwords.train(["the cat sat on the mat"] * 20, 20)
    assert pieces.encode_known("the mat") == pieces.encode("the mat")
    assert pieces.tokens[pieces.encode_known("z")[-1]] == "<unk>"
