from __future__ import annotations

import pytest

from transducer.search.full_context.agreement import agreed
from transducer.search.full_context.quality import compression_ratio, once_round


@pytest.mark.parametrize(
    ("before", "now", "over", "count"),
    [
        ([], ["a"], True, 0),
        (["a", "b"], ["a", "b", "c"], False, 2),
        (["a", "b", "c"], ["a", "b"], False, 1),  # the last word may go on
        (["a", "b", "c"], ["a", "b"], True, 2),
        (["a", "x"], ["a", "b", "c"], True, 1),
        (["x"], ["a"], True, 0),
    ],
)
def test_words_that_two_decodings_agree_on(before, now, over, count):
    assert max(0, agreed(before, now, over)) == count


@pytest.mark.parametrize(
    ("tokens", "count"),
    [
        ((), 0),
        ((1, 2, 3, 4), 4),
        ((9, *(1, 2) * 3), 3),
        ((1, 1, 1, 1), 4),  # "no, no, no, no" is said
        ((*(5,) * 6,), 1),
        ((9, *range(10), *range(10)), 21),  # twice is no circle
        ((9, *(*range(10),) * 4), 11),
        ((*(1, 2) * 3, 9), 7),  # it has gone on
    ],
)
def test_circles_at_the_end_are_gone_round_once(tokens, count):
    assert once_round(tokens) == count


def test_all_of_it_twice_is_a_circle_where_that_is_asked():
    assert once_round((9, *range(6), *range(6)), 2, 10) == 7


def test_repetition_can_be_compressed():
    assert compression_ratio("the cat sat on the mat and looked at the moon") < 1.5
    assert compression_ratio("again and " * 20) > 2.4
