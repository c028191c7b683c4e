"""The summary of a run, and what the next one goes on from."""

from __future__ import annotations

import json
import os

import pytest

from transducer.archive.summary import DONE, FAILED, PARTS_MISSING, Entry, Summary, identify
from transducer.errors import UsageError


def entries(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "summary.jsonl").read_text().splitlines()]


def test_a_later_run_knows_what_is_done(tmp_path):
    with Summary(tmp_path / "out") as summary:
        summary.add(Entry("a.mp3", "a", DONE, 3.5, None, 0.1234, "one"))
        summary.add(Entry("b.mp3", "b", FAILED, None, "b.mp3: damaged", 0.1, "two"))
        summary.add(Entry("c.mp3", "c", PARTS_MISSING, 1.0, None, 0.1, "three"))
    assert entries(tmp_path / "out")[0] == {
        "file": "a.mp3",
        "output": "a",
        "status": "done",
        "duration": 3.5,
        "error": None,
        "seconds": 0.123,
        "identity": "one",
    }
    with Summary(tmp_path / "out", resume=True) as summary:
        assert summary.is_done("a", "one") and summary.is_done("c", "three")
        assert not summary.is_done("a", "other")  # it has changed
        assert not summary.is_done("b", "two")  # it failed
        assert not summary.is_done("d", "four")
    with Summary(tmp_path / "out") as summary:
        assert not summary.is_done("a", "one")
    assert entries(tmp_path / "out") == []


def test_half_a_line_counts_as_not_done(tmp_path):
    whole = Entry("a.mp3", "a", DONE, identity="one").line()
    (tmp_path / "summary.jsonl").write_bytes(whole + Entry("b.mp3", "b", DONE, identity="two").line()[:-20])
    with Summary(tmp_path, resume=True) as summary:
        assert summary.is_done("a", "one") and not summary.is_done("b", "two")
        summary.add(Entry("b.mp3", "b", DONE, identity="two"))
    assert [entry["output"] for entry in entries(tmp_path)] == ["a", "b"]


def test_there_is_one_line_a_file_in_the_end(tmp_path):
    for status in (FAILED, FAILED, DONE):
        with Summary(tmp_path, resume=True) as summary:
            summary.add(Entry("a.mp3", "a", status))
            summary.add(Entry("list, line 2", None, FAILED))
            summary.tidy()
    assert [(entry["file"], entry["status"]) for entry in entries(tmp_path)] == [
        ("a.mp3", DONE),
        ("list, line 2", FAILED),
    ]


def test_two_runs_do_not_share_a_folder(tmp_path):
    with Summary(tmp_path), pytest.raises(UsageError, match="another run writes into this folder"):
        Summary(tmp_path, resume=True)
    Summary(tmp_path).close()


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another --output-dir"):
        Summary(tmp_path / "file")


def test_identities(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"sound")
    by_time, by_content = identify(str(path), "m"), identify(str(path), "m", by_content=True)
    os.utime(path, (1, 1))
    assert identify(str(path), "m") != by_time and identify(str(path), "m", by_content=True) == by_content
    assert identify(str(path), "n", by_content=True) != by_content
    assert identify(str(path), "m", (60, None), by_content=True) != by_content
    path.write_bytes(b"noise")
    assert identify(str(path), "m", by_content=True) != by_content
    assert identify("http://host/a.mp3", "m") == identify("http://host/a.mp3", "m", by_content=True)
