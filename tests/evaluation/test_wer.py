"""Error rates against a plain edit distance, and evaluation over a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_model import FakeModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transducer.data.table import read_table
from transducer.errors import MediaError
from transducer.evaluation.table import Evaluator, write_hypotheses
from transducer.evaluation.wer import count_errors

WORDS = st.lists(st.sampled_from(("a", "bc", "d", "ee")), max_size=6)


def edit_distance(a: list[str] | str, b: list[str] | str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_counts_are_the_edit_distance(pairs: list[tuple[list[str], list[str]]]) -> None:
    truth, guess = [" ".join(a) for a, _ in pairs], [" ".join(b) for _, b in pairs]
    counts = count_errors(truth, guess)
    assert counts.words == sum(len(a) for a, _ in pairs)
    assert counts.errors == sum(edit_distance(a, b) for a, b in pairs)
    assert counts.insertions - counts.deletions == sum(len(b) - len(a) for a, b in pairs)
    assert counts.characters == sum(map(len, truth))
    assert counts.character_errors == sum(map(edit_distance, truth, guess))


def test_rates() -> None:
    counts = count_errors(["the cat sat", "yes"], ["the hat", "yes yes"])
    assert (counts.substitutions, counts.deletions, counts.insertions) == (1, 1, 1)
    assert counts.wer == pytest.approx(3 / 4)
    assert counts.cer == pytest.approx((1 + 4 + 4) / 14)


def test_case_and_punctuation_do_not_count() -> None:
    assert count_errors(["Well, it's — HERE!"], ["well it's here"]).wer == 0


def test_no_words_no_rate() -> None:
    counts = count_errors(["", "..."], ["made up", ""])
    assert counts.wer is None and counts.cer is None
    assert counts.insertions == 2
    assert count_errors([], []).wer is None


def test_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="2 references, but 1 hypotheses"):
        count_errors(["a", "b"], ["a"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "one.txt").write_text("hello there\nyou\n")
    (folder / "two.txt").write_text("no\n")
    path = tmp_path / "table.tsv"
    path.write_text('speaker\tpath\ttext\r\n7\tclips/one.txt\t"Hello" there, you\r\n8\tclips/two.txt\tno way\r\n')
    return path


def test_evaluation(table: Path) -> None:
    utterances = read_table(table, needs="text").items
    assert [(u.name, u.text, u.line) for u in utterances] == [
        ("clips/one.txt", '"Hello" there, you', 2),
        ("clips/two.txt", "no way", 3),
    ]
    model, seen = FakeModel(), []
    evaluation = Evaluator(model, beam=4).run(utterances, seen.append)
    assert tuple(seen) == utterances
    assert [call["beam"] for call in model.calls] == [4, 4]
    summary = evaluation.summary()
    assert list(summary) == [
        *("wer", "cer", "words", "insertions", "deletions", "substitutions"),
        *("audio_seconds", "cpu_seconds", "wall_seconds"),
    ]
    assert (summary["wer"], summary["words"], summary["deletions"]) == (0.2, 5, 1)
    assert summary["audio_seconds"] == 5.0
    assert evaluation.cpu_seconds > 0 and evaluation.wall_seconds > 0
    write_hypotheses(evaluation, table.parent / "out.tsv")
    assert (table.parent / "out.tsv").read_text().splitlines() == [
        "path\treference\thypothesis",
        "clips/one.txt\thello there you\thello there you",
        "clips/two.txt\tno way\tno",
    ]


def test_a_bad_recording_ends_the_evaluation_and_is_named(table: Path) -> None:
    (table.parent / "clips" / "two.txt").write_text("!damaged")
    evaluator = Evaluator(FakeModel())
    with pytest.raises(MediaError, match=r"line 3 of the table: .*two\.txt: damaged"):
        evaluator.run(read_table(table).items)
    assert evaluator.result().hypotheses == ("hello there you",)
