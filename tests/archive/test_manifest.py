"""Lists of files, line by line."""

from __future__ import annotations

import io
import itertools
import json
import sys
import tracemalloc

import pytest

from transducer.archive.manifest import BadLine, Item, Manifest
from transducer.errors import UsageError


def read(text: str | bytes, folder: str = "") -> list[Item | BadLine]:
    data = text.encode() if isinstance(text, str) else text
    return list(Manifest(io.BytesIO(data), "list", folder))


def test_a_path_a_line():
    assert read("a.mp3\n\n  b c.wav  \nhttp://host/d.mp3\n", "films") == [
        Item("films/a.mp3", "a.mp3", line=1),
        Item("films/  b c.wav  ", "  b c.wav  ", line=3),
        Item("http://host/d.mp3", "http://host/d.mp3", line=4),
    ]


def test_columns():
    assert read("\ufeffPath\tlength\ttext\tstart\ttrack\toutput\r\na.mp3\t1:30\thello\t\t2\tx/one\r\n/b.mp3\n") == [
        Item("a.mp3", "a.mp3", None, 90.0, 2, "x/one", 2),
        Item("/b.mp3", "/b.mp3", line=3),
    ]


def test_objects():
    lines = [{"path": "a.mp3", "start": 1.5, "track": 0, "speaker": 7}, {"path": "b.mp3", "length": "0:01:00"}]
    assert read("\n".join(map(json.dumps, lines))) == [
        Item("a.mp3", "a.mp3", 1.5, None, 0, line=1),
        Item("b.mp3", "b.mp3", None, 60.0, line=2),
    ]


def test_names_that_are_no_text():
    (item,) = read(b"\xff.mp3\n")
    assert isinstance(item, Item) and item.path.encode("utf-8", "surrogateescape") == b"\xff.mp3"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"name": "a"}', "no 'path'"),
        ('{"path": 7}', "no path"),
        ('{"path": "-"}', "standard input cannot be listed"),
        ('{"path": "a", "start": -1}', "start '-1' is no time"),
        ('{"path": "a", "start": true}', "is no time"),
        ('{"path": "a", "length": 0}', "length must be more than 0"),
        ('{"path": "a", "track": "two"}', "no number of a sound"),
        ('{"path": "a", "output": "../a"}', "no name below the output folder"),
        ('{"path": "a", "output": "/a"}', "no name below the output folder"),
    ],
)
def test_a_bad_line_does_not_keep_the_others_from_being_read(line, message):
    first, bad, last = read(f'{{"path": "x"}}\n{line}\n{{"path": "y"}}\n')
    assert isinstance(first, Item) and isinstance(last, Item) and last.path == "y"
    assert isinstance(bad, BadLine) and bad.name == "list, line 2" and message in bad.error


def test_too_many_values_for_a_header():
    _, bad = read("path\tstart\na\t1\nb\t1\t2\n")
    assert isinstance(bad, BadLine) and bad.error == "3 values for 2 columns"


@pytest.mark.parametrize("header", ["file\tstart\na\t1\n", "path\tpath\na\tb\n"])
def test_a_header_that_is_none(header):
    with pytest.raises(UsageError, match=r"its header has .*; it may have path, start"):
        read(header)


def test_what_is_no_list():
    with pytest.raises(UsageError, match="is no list of files"):
        read(bytes(1 << 21))


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"none.tsv: the list cannot be read: No such file"):
        Manifest(tmp_path / "none.tsv")


def test_paths_are_relative_to_the_list(tmp_path):
    (tmp_path / "list").write_text("sub/a.mp3\n/abs.mp3\n")
    first, second = Manifest(tmp_path / "list")
    assert (first.path, second.path) == (str(tmp_path / "sub/a.mp3"), "/abs.mp3")


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.mp3\n")))
    assert list(Manifest("-")) == [Item("a.mp3", "a.mp3", line=1)]


def test_lists_are_read_as_they_come():
    class Endless(io.RawIOBase):
        def readline(self, size=-1):
            return b"a.mp3\n"

    manifest = Manifest(Endless(), "endless")
    items = iter(manifest)
    next(items)
    tracemalloc.start()
    try:
        for _ in itertools.islice(items, 20_000):
            pass
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()
    assert manifest.read == 6 * 20_001
