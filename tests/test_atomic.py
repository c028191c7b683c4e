"""Temporary files: what a killed process leaves is removed, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from transducer import atomic
from transducer.atomic import atomic_write

DAY = 24 * 3600


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(atomic, "_cleaned", set())


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_what_a_killed_process_leaves_is_removed_a_day_later(tmp_path):
    code = (
        "import sys, time; from transducer.atomic import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write('half'); file.flush(); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.txt")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (left,) = tmp_path.iterdir()
    assert left.read_text() == "half"
    with atomic_write(tmp_path / "b.txt") as file:  # it may be somebody's who still writes
        file.write("b")
    assert left.exists()
    atomic._cleaned.clear()
    aged(left, DAY + 60)
    with atomic_write(tmp_path / "b.txt") as file:
        file.write("c")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_nothing_else_is_removed(tmp_path):
    names = ["a.tmp", ".a.tmp", ".transducer-.tmp", ".transducer-0123456789ab.tmp2", ".transducer-0123456789AB.tmp"]
    for name in [*names, "x.transducer-0123456789ab.tmp"]:
        (tmp_path / name).write_text("")
        aged(tmp_path / name, 100 * DAY)
    (tmp_path / ".transducer-0123456789ab.tmp").mkdir()
    aged(tmp_path / ".transducer-0123456789ab.tmp", 100 * DAY)
    (tmp_path / ".transducer-0123456789ac.tmp").write_text("")
    aged(tmp_path / ".transducer-0123456789ac.tmp", DAY / 2)
    before = sorted(path.name for path in tmp_path.iterdir())
    with atomic_write(tmp_path / "b.txt") as file:
        file.write("b")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "b.txt"])


def test_a_link_with_such_a_name_leads_to_no_removal(tmp_path):
    kept = aged(tmp_path / "kept", 0) if (tmp_path / "kept").write_text("x") else None
    link = tmp_path / ".transducer-0123456789ab.tmp"
    link.symlink_to(kept)
    os.utime(link, (0, 0), follow_symlinks=False)
    with atomic_write(tmp_path / "b.txt") as file:
        file.write("b")
    assert kept.exists() and link.is_symlink()


def test_a_folder_is_looked_through_once(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(atomic.os, "scandir", lambda folder: looked.append(folder) or iter(()))
    for number in range(3):
        with atomic_write(tmp_path / f"{number}.txt") as file:
            file.write("")
    assert looked == [tmp_path]
