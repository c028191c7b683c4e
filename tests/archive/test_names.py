"""Names of results: one for each item, the same in every run."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from transducer.archive.manifest import Item
from transducer.archive.names import Fingerprints, Names, fingerprint
from transducer.errors import UsageError


def names(*items: Item | str) -> list[str]:
    given = Names()
    return [str(given.give(Item(item, item) if isinstance(item, str) else item)) for item in items]


def test_names_follow_the_folders():
    assert names("a.mp3", "sub/a.mp3", "/abs/b.c.wav", "../up/d.mp3", "http://me:pw@host:80/x/e%20f.mp3?q") == [
        "a",
        "sub/a",
        "abs/b.c",
        "up/d",
        "host/x/e f",
    ]


def test_what_would_share_a_name_keeps_its_suffix():
    assert names("a.mp3", "a.wav", "a.flac") == ["a", "a.wav", "a.flac"]


def test_parts_of_a_file_have_their_places():
    parts = [Item("a.mp3", "a.mp3", start, length, track) for start, length, track in ((60, 30, None), (90.5, None, 1))]
    assert names("a.mp3", *parts) == ["a", "a@60+30", "a@90.5#1"]


def test_output_is_taken_as_it_is():
    assert names(Item("a.mp3", "a.mp3", output="x/one.two")) == ["x/one.two"]


def test_listed_twice():
    with pytest.raises(UsageError, match="over those of line 3: it is listed twice"):
        names(Item("a", "a", line=3), Item("a", "a", line=4))
    with pytest.raises(UsageError, match="over those of line 3: give them another output"):
        names(Item("a", "a", line=3), Item("b", "b", output="a", line=4))


def test_fingerprints_are_a_map():
    rng = random.Random(0)
    table, truth = Fingerprints(), {}
    for number in range(5000):
        key = fingerprint(rng.randrange(4000))
        table.put(key, number)
        truth[key] = number
    assert len(table) == len(truth)
    assert all(table.get(key) == value for key, value in truth.items())
    assert table.get(fingerprint("absent")) is None


def test_fingerprints_take_few_bytes():
    tracemalloc.start()
    try:
        table = Fingerprints()
        for number in range(1, 5001):
            table.put(number * 0x9E3779B97F4A7C15 % 2**64, number)
        assert tracemalloc.get_traced_memory()[0] < 50 * 5000
    finally:
        tracemalloc.stop()
