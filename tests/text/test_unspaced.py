from __future__ import annotations

import pytest

from transducer.published.vocabulary import packaged
from transducer.results import text_of
from transducer.search.tokens.hypothesis import Hypothesis, Token
from transducer.search.tokens.words import WordTimer
from transducer.text.tokenizers.byte_pairs import BytePairs
from transducer.text.unspaced import apart, glued, is_unspaced

TOKENIZER = BytePairs(*packaged("multilingual"))


def words_of(text: str):
    ids = TOKENIZER.encode(text)
    tokens = (Token(token, at, at + 1, -0.1) for at, token in enumerate(ids))
    return WordTimer(TOKENIZER, 0.02, spaced=False).words(Hypothesis.of(tokens, 0.0))


@pytest.mark.parametrize(
    "text",
    [
        "今天天气很好，我们去公园散步吧。",
        "彼は「ありがとう」と言った。",
        "สวัสดีครับ วันนี้อากาศดี",
        "ສະບາຍດີ ມື້ນີ້",
        "မင်္ဂလာပါ ဒီနေ့",
        "用 Whisper 模型，得到95.5分",
        " 𠮷野家で食べる",
    ],
)
def test_texts_are_whole_without_spaces_that_were_not_there(text: str) -> None:
    words = words_of(text)
    assert text_of(words) == text.strip()
    assert len(words) > 4
    assert all("\ufffd" not in word.text and word.text.strip() for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert is_unspaced(text)


def test_punctuation_and_marks_belong_to_their_word() -> None:
    texts = [word.text for word in words_of("他说：「好（吧）。」 走")]
    assert "".join(texts) == "他说：「好（吧）。」走"
    assert not any(text[0] in "：）。」" or text[-1] in "「（" for text in texts)
    assert [word.glued for word in words_of("好 走")] == [True, False]


def test_words_with_capitals_and_numbers_stay_whole() -> None:
    texts = [word.text for word in words_of("在Transducers里有20231年")]
    assert "Transducers" in texts and "20231" in texts
    assert not is_unspaced("Transducers, größer, Москва 3")


def test_a_character_of_several_tokens_has_the_time_of_all_of_them() -> None:
    (word,) = words_of("𠮷")
    assert (word.start, word.end) == (0.0, round(0.02 * len(TOKENIZER.encode("𠮷")), 6))
    assert len(TOKENIZER.encode("𠮷")) > 1


@pytest.mark.parametrize(
    ("text", "split", "joined"),
    [
        ("a small house", "a small house", "a small house"),
        ("今天 ok 很好", "今 天 ok 很 好", "今天ok很好"),
        ("สวัสดี ครับ", "ส วั ส ดี ค รั บ", "สวัสดีครับ"),
        ("", "", ""),
    ],
)
def test_characters_that_count_as_words(text: str, split: str, joined: str) -> None:
    assert (apart(text), glued(text)) == (split, joined)
