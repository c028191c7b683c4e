"""--exec: a command for each final result."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from transducer.cli.live import hook as module
from transducer.cli.live.hook import Hook
from transducer.errors import UsageError
from transducer.results import Event, Scene, Segment, Word


def said(text: str, final: bool = True) -> Segment:
    words = tuple(Word(word, n, n + 1, 0.5) for n, word in enumerate(text.split()))
    return Segment(words, final, 0.0, float(len(words)))


def run(command: str, *items) -> list[str]:
    told: list[str] = []
    with Hook(command, told.append, told.append) as hook:
        for item in items:
            hook.item(item)
    return told


def test_the_text_is_one_argument_whatever_is_in_it():
    text = '$(touch it); `ls` it\'s "so"'
    told = run(f"{sys.executable} -c 'import sys; print(sys.argv[1:])' {{}} x-{{}}", said(text))
    assert told == [str([text, f"x-{text}"])]


def test_without_a_place_the_text_is_standard_input():
    program = 'import os, sys; print(sys.stdin.read().strip(), os.environ["TRANSDUCER_START"])'
    event = Event("cut", 2.28, 2.32, 57, 58, 0.9)
    assert run(f"{sys.executable} -c '{program}'", said("one two"), event) == ["one two 0.000", "cut 2.280"]


def test_only_finals_with_words_and_events():
    items = [said("one", final=False), Segment((), True, 0, 1), Scene("shot", 0, 1, 0, 25, 1.0)]
    assert run("echo {}", *items, said("two")) == ["two"]


def test_a_command_that_fails_is_told_once():
    told = run(f"{sys.executable} -c 'raise SystemExit(3)'", said("one"), said("two"))
    assert len(told) == 1 and told[0].endswith("ended with status 3")


def test_a_slow_command_does_not_hold_up_the_stream(monkeypatch):
    monkeypatch.setattr(module, "WAITING", 2)
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    told: list[str] = []
    with Hook("sleep 100", told.append, told.append) as hook:
        done = threading.Event()
        threading.Thread(target=lambda: ([hook.item(said("one")) for _ in range(50)], done.set()), daemon=True).start()
        assert done.wait(60)
        while hook._running is None:
            time.sleep(0.01)
    assert any("slower than the results" in line for line in told)
    assert any("had not ended" in line for line in told)
    assert any(line.endswith("results were left out") for line in told)
    assert hook._running.wait(10) != 0  # it was stopped


@pytest.mark.parametrize(
    ("command", "says"), [("nosuch-program {}", "no program 'nosuch-program'"), ("echo 'a", "quotes"), ("", "needs a")]
)
def test_commands_that_cannot_be_meant(command, says):
    with pytest.raises(UsageError, match=says):
        Hook(command, print, print)
