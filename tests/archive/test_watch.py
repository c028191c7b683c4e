"""Progress that is seen from beside the work."""

from __future__ import annotations

import subprocess
import sys
from queue import Empty, SimpleQueue
from types import SimpleNamespace

import pytest

from transducer.archive import watch


def test_what_moves_is_told_and_what_stands_is_not(monkeypatch):
    monkeypatch.setattr(watch, "PAUSE", 0.01)
    told = SimpleQueue()
    looker = watch.Watch(lambda *news: told.put(news))
    source = SimpleNamespace(position=0.0, duration=None)
    looker.follow(source)
    assert told.get(timeout=30) == (0.0, None)
    with pytest.raises(Empty):
        told.get(timeout=0.2)
    source.duration = 60.0
    source.position = 2.0
    assert told.get(timeout=30) == (2.0, 60.0)
    looker.follow(None)
    source.position = 3.0
    with pytest.raises(Empty):
        told.get(timeout=0.2)


def test_long_media_may_take_longer():
    assert watch.granted(3600.0) > 3600.0 > watch.granted(0.0) >= 60.0


HANGS = """
import re
from transducer.archive import watch
watch.PATIENCE = 1.0
watch.end_unless_told(0.0)
re.match("(a*)*b", "a" * 99)  # which never comes back, nor lets another thread of Python run
"""


def test_a_process_that_hangs_ends():
    assert subprocess.run([sys.executable, "-c", HANGS], timeout=120).returncode == 1
