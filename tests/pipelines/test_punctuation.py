"""The recipe of readable text: print as it is learned from, pairs of it, and a smoke run."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.punctuation.novels import Text, read, read_novels
from pipelines.punctuation.scores import decide, measure
from pipelines.punctuation.stretches import Stretches, toy_lines
from pipelines.punctuation.text import novels, parse
from transducer.cli import main
from transducer.engine.readable import load_readable
from transducer.errors import UsageError
from transducer.heads.head import IGNORE
from transducer.text.readable.features import NGRAMS, UNKNOWN, WordFeatures
from transducer.text.readable.labels import CAPITALISED, INSIDE, MARKS


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ('"Allow me, Mrs.', "allow1 me0, missus1"),
        ("Vaughan - allow me, sir, on the 30th.", "vaughan1— allow0 me0, sir0, on0 the0 thirtieth0."),
        ("It was 1842; I'm well-taught!", "it1 was0 eighteen0 forty0 two0; i'm1 well0 taught0!"),
        ('Was D. H. Lawrence "at home" (or so)?', "was1 d1 h1 lawrence1 at0 home0, or0 so0?"),
        ("CHAPTER I THE ROOM.", ""),
        ("Ἐν ἀρχῇ.", ""),
    ],
)
def test_print_is_read_as_words_with_case_and_mark(line, read):
    assert " ".join(f"{word}{case}{MARKS[mark]}" for word, case, mark in parse(line)) == read


def test_a_question_may_stand_inside_a_sentence():
    ((_, tokens),) = novels(["\ufeffWhere?", "he asked.", "Why?", "Because."])
    assert [token.mark for token in tokens] == [INSIDE[MARKS.index("?")], 0, 2, 3, 2]


def test_what_begins_a_sentence_says_nothing_of_its_case():
    types, books = read(["\ufeffMary went.", "The dog saw Mary.", "NEVER do, and never will."])
    (text,) = books.values()
    words = [types[number] for number in text.words]
    cases = dict(zip(zip(words, range(9), strict=False), text.cases.tolist(), strict=False))
    assert cases[("mary", 0)] == cases[("the", 2)] == IGNORE
    assert cases[("mary", 5)] == CAPITALISED and cases[("dog", 3)] == 0


def test_novels_are_kept_as_arrays(tmp_path):
    import lzma

    (tmp_path / "text").mkdir()
    with lzma.open(tmp_path / "text" / "novels.txt.xz", "wt", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in toy_lines(20, 0))
    types, books = read_novels(tmp_path, tmp_path / "cache")
    again_types, again = read_novels(tmp_path / "elsewhere", tmp_path / "cache")
    assert types == again_types and list(books) == list(again)
    for title, text in books.items():
        for name in ("words", "marks", "cases"):
            np.testing.assert_array_equal(getattr(text, name), getattr(again[title], name))
    with pytest.raises(UsageError, match="cannot read the novels"):
        read_novels(tmp_path / "elsewhere")


def stretches(**options) -> Stretches:
    types, books = read(toy_lines(60, 0))
    return Stretches(next(iter(books.values())), types, WordFeatures(("", *types), 64), 10, **options)


def test_stretches_are_the_text_in_order():
    source = stretches()
    assert len(source) == len(source.text) // 10
    pairs = [source.pair(index, np.random.default_rng(0)) for index in range(len(source))]
    for name in ("marks", "cases"):
        joined = np.concatenate([pair.target(name) for pair in pairs])
        np.testing.assert_array_equal(joined, getattr(source.text, name)[: len(joined)])
    assert all(pair.x.shape == (10, 1 + NGRAMS) for pair in pairs)
    assert {pair.target("marks").dtype.kind for pair in pairs} == {"i"}


def test_stretches_vary_by_their_random_numbers_alone():
    source = stretches(errors=0.3, unknown=0.3, vary=True)
    one, same, other = (source.pair(2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.x, same.x)
    assert not np.array_equal(one.x, other.x)
    everything = [source.pair(index, np.random.default_rng(index)) for index in range(len(source))]
    unknown = np.mean([(pair.x[:, 0] == UNKNOWN).mean() for pair in everything])
    assert 0.15 < unknown < 0.45
    for index, pair in enumerate(everything):  # labels are those of print, however words are misheard
        starts = range(index * 10, index * 10 + 10)
        assert any(np.array_equal(pair.target("marks"), source.text.marks[s : s + 10]) for s in starts)


def test_scores_know_right_from_wrong():
    text = Text(np.zeros(6, int), np.array([0, 2, 0, 1, 0, 2]), np.array([IGNORE, 0, IGNORE, 1, 0, 0]))
    sure = np.where(np.arange(len(MARKS)) == text.marks[:, None], 0.0, -50.0)
    case = np.where(np.arange(3) == np.maximum(text.cases, 0)[:, None], 0.0, -50.0)
    scores = measure(decide(sure, case), text)
    assert scores["sentence end"]["f1"] == scores[","]["f1"] == scores["capital"]["f1"] == 1.0
    assert scores["case"]["accuracy"] == 1.0
    worse = measure((np.zeros(6, int), np.ones(6, int)), text)
    assert worse["sentence end"]["f1"] == 0.0 and worse["case"]["accuracy"] < 1.0


def test_a_quick_run_makes_a_checkpoint_that_reads(tmp_path):
    command = ["train", "pipelines/punctuation", "--quick", "--data", str(tmp_path), "--output", str(tmp_path / "run")]
    assert main(command) == 0
    model = load_readable(tmp_path / "run" / "readable-en")
    scores, _ = model.step("mary went to london".split(), model.init_state(), flush=True)
    assert len(scores) == 4 and scores[0][0].shape == (len(MARKS),)
    assert "sentence ends" in (tmp_path / "run" / "report.md").read_text().lower()
