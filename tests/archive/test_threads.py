"""Several things at once, in their order."""

from __future__ import annotations

import threading

import pytest

from transducer.archive.threads import in_threads


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_keep_their_order(threads):
    taken = []

    def values():
        for number in range(20):
            taken.append(number)
            yield number

    results = in_threads(lambda number: number * number, values(), threads)
    for number, found in enumerate(results):
        assert found == number * number
        assert len(taken) <= number + 1 + 2 * threads
    assert len(taken) == 20


def test_it_is_several_at_once():
    meeting = threading.Barrier(3, timeout=30)
    assert sorted(in_threads(lambda _: meeting.wait(), range(3), 3)) == [0, 1, 2]


def test_what_goes_wrong_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 1 // number, [1, 0], 2))
