"""Tokenizers: text to tokens and back, words within tokens, and their files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transducer.errors import CheckpointError, UsageError
from transducer.text.tokenizers.bytes import Bytes
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.files import load_tokenizer, save_tokenizer
from transducer.text.tokenizers.subwords import Subwords
from transducer.text.tokenizers.symbols import Symbols

LINES = [
    "the quick brown fox jumps over the lazy dog",
    "don't count the chickens before they are hatched",
    "pack my box with five dozen liquor jugs",
    "the five boxing wizards jump quickly over the dog",
]
texts = st.lists(st.text("abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=8), max_size=6).map(" ".join)


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return Subwords.train(LINES, 60)


@pytest.fixture(scope="module", params=["characters", "bpe", "unigram"])
def tokenizer(request):
    return Characters() if request.param == "characters" else Subwords.train(LINES, 45, request.param)


@given(text=texts)
def test_there_and_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert 0 not in ids
    assert tokenizer.decode(ids) == text


@given(text=texts)
def test_word_spans_are_the_words(tokenizer, text):
    ids = tokenizer.encode(text)
    spans = tokenizer.word_spans(ids)
    assert [tokenizer.decode(ids[a:b]).strip() for a, b in spans] == text.split()
    inside = {index for a, b in spans for index in range(a, b)}
    assert all(ids[index] in tokenizer.silence for index in set(range(len(ids))) - inside)


@given(data=st.data())
def test_any_tokens_have_spans(tokenizer, data):
    """A search may emit anything: spans are in order, apart, never empty, and spell a word."""
    ids = data.draw(st.lists(st.integers(1, len(tokenizer) - 1), max_size=30))
    spans = tokenizer.word_spans(ids)
    bounds = [bound for span in spans for bound in span]
    assert bounds == sorted(bounds)
    for a, b in spans:
        assert a < b
        assert tokenizer.decode(ids[a:b]).split()


def test_characters():
    tokenizer = Characters()
    assert len(tokenizer) == 29
    assert tokenizer.tokens[:4] == ("<blank>", " ", "'", "a")
    assert tokenizer.encode("a b") == [3, 1, 4]
    assert tokenizer.word_spans([1, 3, 1, 1, 4, 5, 1]) == [(1, 2), (4, 6)]
    with pytest.raises(UsageError, match="'\u00e9'"):
        tokenizer.encode("caf\u00e9")
    for ids in ([0], [29], [-1]):
        with pytest.raises(ValueError, match="no token"):
            tokenizer.decode(ids)
    for alphabet in ("aa", "a b"):
        with pytest.raises(UsageError):
            Characters(alphabet)


def test_symbols():
    tokenizer = Symbols(["SIL", "AA", "B"], silence=["SIL"])
    assert tokenizer.encode("SIL B AA") == [1, 3, 2]
    assert tokenizer.decode([1, 3, 2]) == "SIL B AA"
    assert tokenizer.word_spans([1, 3, 1, 2, 2, 1]) == [(1, 2), (3, 4), (4, 5)]
    with pytest.raises(UsageError, match="'K'"):
        tokenizer.encode("AA K")
    with pytest.raises(UsageError, match="'<blank>'"):
        tokenizer.encode("AA <blank>")
    with pytest.raises(ValueError, match="no token"):
        tokenizer.decode([0])
    for symbols in (["A", "A"], ["A B"], [""], ["<blank>"]):
        with pytest.raises(UsageError):
            Symbols(symbols)
    for silence in (["C"], ["<blank>"]):
        with pytest.raises(UsageError):
            Symbols(["A", "B"], silence)


def test_subwords(subwords):
    assert len(subwords) == 60
    assert subwords.tokens[:2] == ("<blank>", "<unk>")
    assert len(subwords.encode("the dog")) < len("the dog")
    space = subwords.tokens.index("\u2581")
    assert subwords.silence == {space}
    # A word that begins with a space of its own begins with the first token that sounds.
    ids = [subwords.tokens.index("\u2581the"), space, subwords.tokens.index("q"), subwords.tokens.index("u")]
    assert subwords.word_spans(ids) == [(0, 1), (2, 4)]
    with pytest.raises(UsageError, match="\u00e9"):
        subwords.encode("caf\u00e9")
    with pytest.raises(ValueError, match="no token"):
        subwords.decode([0])
    assert Subwords.train(LINES, 60).tokens == subwords.tokens
    with pytest.raises(UsageError, match="subwords"):
        Subwords.train(LINES, 10000)
    with pytest.raises(UsageError, match="cannot make"):
        Subwords.train([], 60)


@pytest.mark.parametrize("kind", ["bytes", "characters", "subwords", "symbols"])
def test_files(kind, subwords, tmp_path):
    tokenizer = {
        "bytes": Bytes(),
        "characters": Characters("ab'"),
        "subwords": subwords,
        "symbols": Symbols(["SIL", "A"], ["SIL"]),
    }[kind]
    save_tokenizer(tokenizer, tmp_path)
    assert (
        sorted(path.name for path in tmp_path.iterdir()) == ["tokens.json", "tokens.model"][: 1 + (kind == "subwords")]
    )
    loaded = load_tokenizer(tmp_path)
    assert type(loaded) is type(tokenizer)
    assert (loaded.tokens, loaded.silence) == (tokenizer.tokens, tokenizer.silence)
    text = {"bytes": "é a", "characters": "ab a", "subwords": "the dog", "symbols": "SIL A"}[kind]
    assert loaded.encode(text) == tokenizer.encode(text)


def damage(folder, **changes):
    """Other contents, and no checksum that would say so."""
    path = folder / "tokens.json"
    document = {**json.loads(path.read_text()), **changes}
    document.pop("crc32", None)
    path.write_text(json.dumps(document))


def test_damaged_files_say_what_is_wrong(subwords, tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read .*tokens\.json: No such file"):
        load_tokenizer(tmp_path)

    save_tokenizer(subwords, tmp_path)
    damage(tmp_path, tokens=["<blank>", "other"])
    with pytest.raises(CheckpointError, match=r"not those of tokens\.model"):
        load_tokenizer(tmp_path)
    damage(tmp_path, kind="runes")
    with pytest.raises(CheckpointError, match="unknown kind of tokens 'runes'"):
        load_tokenizer(tmp_path)
    for tokens in (None, [], "abc", [1, 2]):
        damage(tmp_path, tokens=tokens)
        with pytest.raises(CheckpointError, match="no list of tokens"):
            load_tokenizer(tmp_path)

    save_tokenizer(subwords, tmp_path)
    (tmp_path / "tokens.model").write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match=r"tokens\.model is damaged"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokens.model").unlink()
    with pytest.raises(CheckpointError, match=r"cannot read .*tokens\.model"):
        load_tokenizer(tmp_path)

    for content in ("{", "\x80", "[]"):
        (tmp_path / "tokens.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(CheckpointError, match=r"tokens\.json is damaged"):
            load_tokenizer(tmp_path)

    save_tokenizer(Characters("ab"), tmp_path)
    for tokens in (["<blank>", "a", "b"], ["a", " ", "b"], ["<blank>", " ", "ab"], ["<blank>", " ", "a", "a"]):
        damage(tmp_path, tokens=tokens)
        with pytest.raises(CheckpointError, match=r"tokens\.json is damaged"):
            load_tokenizer(tmp_path)

    save_tokenizer(Symbols(["SIL"], ["SIL"]), tmp_path)
    damage(tmp_path, silence=["A"])
    with pytest.raises(CheckpointError, match="silence"):
        load_tokenizer(tmp_path)
