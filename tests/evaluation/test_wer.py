"""Error rates against a plain edit distance."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
