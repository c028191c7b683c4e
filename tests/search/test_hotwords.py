"""Lists of hotwords, from programs and from files that people write: what is meant counts, and the rest is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transducer.errors import UsageError
from transducer.search.hotwords import WEIGHT, Hotword, latin_letters, read_hotwords, unique_phrases
from transducer.text.tokenizers.characters import ENGLISH


def weights(hotwords: object) -> dict[str, float]:
    return {" ".join(words): hotword.weight for words, hotword in unique_phrases(hotwords).items()}


def test_a_list_has_phrases_and_pairs():
    assert weights(["Kitchen Table", ("the ryver", 3), ["Bartley", 2.5], Hotword("Anne-Marie")]) == {
        "kitchen table": WEIGHT,
        "the ryver": 3.0,
        "bartley": 2.5,
        "anne marie": WEIGHT,
    }
    assert weights({"Bartley": 2}) == {"bartley": 2.0}
    assert weights([]) == weights(()) == weights(iter(())) == {}


@given(st.lists(st.tuples(st.sampled_from(["Lee", "LEE", " lee ", "Ann  Lee", "ann-lee"]), st.floats(-9, 9))))
def test_equal_phrases_are_one_and_the_largest_weight_counts(pairs):
    expected: dict[str, float] = {}
    for phrase, weight in pairs:
        words = phrase.lower().replace("-", " ").split()
        expected[" ".join(words)] = max(weight, expected.get(" ".join(words), weight))
    assert weights(pairs) == expected


@pytest.mark.parametrize(
    "hotwords",
    ["kitchen table", b"kitchen", 3, None, [3], [b"kitchen"], [None], [("kitchen",)], [(3, "kitchen")], [[]], ["?!"]],
)
def test_what_is_no_list_of_phrases_is_refused(hotwords):
    with pytest.raises(UsageError, match="hotword"):
        unique_phrases(hotwords)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -float("inf"), 1e9, "6", None, True, 1j])
def test_what_is_no_weight_is_refused(weight):
    with pytest.raises(UsageError, match="weight of the hotword 'kitchen'"):
        unique_phrases([("kitchen", weight)])


@pytest.mark.parametrize(
    ("word", "letters"),
    [
        ("søren", "soren"),
        ("großmann", "grossmann"),
        ("þór", "thor"),
        ("łódź", "lodz"),
        ("o'brien", "o'brien"),
        ("çağrı", "cagri"),
        ("ǿ", "o"),
        ("山", "山"),
    ],
)
def test_letters_that_english_lacks_are_spelled_as_it_does(word, letters):
    assert latin_letters(word, ENGLISH) == letters
    assert latin_letters(word, ENGLISH + "øß") == (word if set(word) <= set(ENGLISH + "øß") else letters)


LINES = "# names\n\nBartley\n  O’Brien \t 6 \nKitchen  Table 3.5\nLee # the guest\nAnn\t-2e0\n#Dan\nEd\t2 # too\n"


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_files_that_people_write(tmp_path, start, newline):
    path = tmp_path / "names.txt"
    path.write_bytes((start + LINES).replace("\n", newline).encode())
    found = read_hotwords(str(path))
    assert [(hotword.phrase, hotword.weight) for hotword in found] == [
        ("Bartley", WEIGHT),
        ("O’Brien", 6.0),
        ("Kitchen  Table", 3.5),
        ("Lee", WEIGHT),
        ("Ann", -2.0),
        ("Ed", 2.0),
    ]
    assert found[0].where == f"{path}, line 3"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Bartley\tmuch", "'much' is no weight"),
        ("Bartley\t6,5", "'6,5' is no weight"),
        ("Bartley\tnan", "'nan' is no weight"),
        ("Bartley\t1e9", "at most 100"),
        ("?!", "needs letters"),
        ("\t5", "needs letters|is no weight"),
    ],
)
def test_a_message_names_file_and_line(tmp_path, line, message):
    path = tmp_path / "names.txt"
    path.write_text(f"Lee\n\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=f"^{path}, line 3: .*({message})"):
        read_hotwords(str(path))


@pytest.mark.parametrize("content", ["Söhne".encode("latin-1"), "Bartley".encode("utf-16"), None])
def test_files_that_are_no_text_are_refused(tmp_path: Path, content: bytes | None):
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"UTF-8|cannot read"):
        read_hotwords(str(path))
