"""The likeliest token at each place: the same whatever is guessed, in fewer readings, and not twice round a circle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transducer.search.full_context.greedy import write_greedily
from transducer.search.full_context.prompted import Prompted
from transducer.search.tokens.attention.memories import Memories

START, END, BANNED = 9, 8, 7
TEXT = (3, 1, 4, 1, 5)


class State:
    def __init__(self, read: tuple[int, ...] = ()):
        self.read = read

    def rewound(self, length: int) -> State:
        return State(self.read[:length])


class Reciter:
    """Recites a text, whatever else it has read; most of all it wants to say what is banned."""

    device = None

    def __init__(self) -> None:
        self.readings: list[int] = []

    def start(self, memory: Any) -> State:
        return State()

    def extend(self, tokens: Any, memory: Any, state: State, last: int = 1) -> tuple[Any, State]:
        self.readings.append(tokens.shape[1])
        after = State((*state.read, *tokens[0].tolist()))
        logits = np.zeros((1, last, 10), np.float32)
        for row, count in zip(logits[0], range(len(after.read) - last + 1, len(after.read) + 1), strict=True):
            written = after.read[1:count]
            right = written == TEXT[: len(written)]
            row[[*TEXT, END][len(written)] if right and len(written) <= len(TEXT) else 0] = 5.0
            row[BANNED] = 9.0
        return logits, after


def write(guess: tuple[int, ...], limit: int = 20, **more: Any) -> tuple[Any, list[int]]:
    decoder, banned = Reciter(), np.zeros(10, np.float32)
    banned[BANNED] = -np.inf
    prompted = Prompted(decoder, [START], END, banned, banned)
    memories = Memories(None, np.ones((1, 4), bool), [limit], None)
    return write_greedily(prompted, memories, guess, **more), decoder.readings


@pytest.mark.parametrize(
    ("guess", "readings"),
    [
        ((), [1] * 6),
        (TEXT, [6]),
        (TEXT[:3], [4, 1, 1]),
        ((3, 1, 6, 6), [5, 1, 1, 1]),
        ((6,), [2, 1, 1, 1, 1, 1]),
        ((*TEXT, 2), [7]),
        ((BANNED, 1), [3, 1, 1, 1, 1, 1]),
    ],
)
def test_a_guess_saves_readings_and_changes_nothing(guess: tuple[int, ...], readings: list[int]) -> None:
    found, done = write(guess)
    assert found == write(())[0]
    assert found.tokens == TEXT
    assert done == readings


@pytest.mark.parametrize("guess", [(), TEXT])
def test_a_text_ends_at_its_limit_or_where_it_is_enough(guess: tuple[int, ...]) -> None:
    assert write(guess, limit=3)[0].tokens == TEXT[:3]
    assert write(guess, limit=0)[0].tokens == ()
    assert write(guess, enough=lambda tokens: len(tokens) == 2)[0].tokens == TEXT[:2]


@pytest.mark.parametrize("wrong", range(len(TEXT) + 1))
def test_suggestions_go_on_where_one_was_wrong(wrong: int) -> None:
    heard = [*TEXT, END]
    heard[wrong] = 0
    found, readings = write((), suggest=lambda tokens: heard[len(tokens) :])
    assert found.tokens == TEXT and found.score == write(())[0].score
    assert len(readings) <= 2


def test_suggestions_do_not_pass_the_limit() -> None:
    found, readings = write((), limit=3, suggest=lambda tokens: TEXT[len(tokens) :])
    assert found.tokens == TEXT[:3]
    assert readings == [4]
