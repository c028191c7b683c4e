"""Labels as tokens: names with and without spaces, and what happens to unknown ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transducer.errors import CheckpointError, UsageError
from transducer.text.tokenizers.files import load_tokenizer, save_tokenizer
from transducer.text.tokenizers.labels import Labels

names = st.lists(
    st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=3).map(" ".join),
    min_size=1,
    max_size=8,
    unique=True,
)


def test_names_and_ids():
    labels = Labels(["cut", "dissolve", "fade"])
    assert len(labels) == 4
    assert labels.tokens == ("", "cut", "dissolve", "fade")
    assert labels.names == ("cut", "dissolve", "fade")
    assert labels.encode("fade cut\tcut\n") == labels.encode(["fade", "cut", "cut"]) == [3, 1, 1]
    assert labels.decode([3, 1, 1]) == "fade cut cut"
    assert labels.encode("") == labels.encode([]) == []
    assert labels.encode(["", "cut"]) == [0, 1]
    assert labels.id("") == 0
    assert labels.word_spans([3, 1, 1]) == [(0, 1), (1, 2), (2, 3)]


def test_names_with_spaces():
    labels = Labels(["left", "left turn", "stop", "left turn stop sign"])
    assert labels.encode("stop left turn left left turn stop") == [3, 2, 1, 2, 3]
    assert labels.encode("left turn stop sign") == [4]
    assert labels.encode(["left turn", "stop"]) == [2, 3]
    with pytest.raises(UsageError, match="unknown label 'turn'"):
        labels.encode("left left turn turn")


def test_a_text_is_read_as_few_names():
    labels = Labels(["a", "a b", "b c", "c d e"])
    assert labels.encode("a b c") == [1, 3]
    assert labels.encode("a b c d e") == [2, 4]
    with pytest.raises(UsageError, match="unknown label 'c'"):
        labels.encode("a b a b c c")


@given(names=names, data=st.data())
def test_lists_of_names_go_there_and_back(names, data):
    labels = Labels(names)
    chosen = data.draw(st.lists(st.sampled_from(names), max_size=10))
    ids = labels.encode(chosen)
    assert 0 not in ids
    assert [labels.tokens[token] for token in ids] == chosen
    again = labels.encode(labels.decode(ids))  # other tokens maybe, but the same words
    assert labels.decode(again) == labels.decode(ids)


@pytest.mark.parametrize("text", ["cut zoom", ["cut", "zoom"]])
def test_an_unknown_label_is_named_and_so_are_the_known(text):
    with pytest.raises(UsageError, match="unknown label 'zoom': there are cut, fade out"):
        Labels(["cut", "fade out"]).encode(text)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no labels"),
        (["a", " "], "empty name"),
        (["a", "b", "a"], "'a' is there twice"),
        (["left turn", "left  turn"], "'left  turn' is there twice"),
    ],
)
def test_bad_names(names, message):
    with pytest.raises(UsageError, match=message):
        Labels(names)


@pytest.mark.parametrize("ids", [[0], [3], [-1]])
def test_what_is_no_label_cannot_be_decoded(ids):
    with pytest.raises(ValueError, match="no token"):
        Labels(["a", "b"]).decode(ids)


def test_files(tmp_path):
    labels = Labels(["left turn", "Fußgänger"])
    save_tokenizer(labels, tmp_path)
    back = load_tokenizer(tmp_path)
    assert isinstance(back, Labels)
    assert back.tokens == labels.tokens
    path = tmp_path / "tokens.json"
    path.write_text('{"kind": "labels", "tokens": ["blank", "left turn"]}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="the tokens are not those of a labels tokenizer"):
        load_tokenizer(tmp_path)
    path.write_text('{"kind": "labels", "tokens": [""]}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="there are no labels"):
        load_tokenizer(tmp_path)
