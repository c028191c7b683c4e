"""Many files through worker processes: damage, processes that die, and runs that go on where another ended.

The workers are real processes; the model in them reads scripts (fake_model.py).
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from archive_fixtures import entries, inject, results, start, write_scripts
from command_line import error_line

from transducer.cli import main

MODEL = ["transcribe", "-m", "fake"]


@pytest.fixture(scope="module")
def injected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return inject(tmp_path_factory.mktemp("injected") / "site")


@pytest.fixture(autouse=True)
def fake_workers(injected: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in injected.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripts(tmp_path_factory.mktemp("scripts"), 60)


def expected(scripts: Path, out: Path) -> dict[str, bytes]:
    """What one process gives that has never been disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        import fake_model

        import transducer

        patch.setitem(vars(transducer), "load", fake_model.load)
        assert main([*MODEL, str(scripts), "-r", "--json", "-o", str(out)]) == 0
    return results(out)


def no_halves(folder: Path) -> bool:
    return not list(folder.rglob(".transducer-*"))


def summary_of(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1].removeprefix("transducer: summary: ").split(" hours")[0]


def test_damage_and_a_decoder_that_crashes(tmp_path, capsys):
    scripts, out = write_scripts(tmp_path / "scripts", 299, damaged=10), tmp_path / "out"
    (scripts / "3" / "killer.wav").write_text("hello\n")
    assert main([*MODEL, str(scripts), "-r", "--jobs", "2", "--json", "-o", str(out)]) == 1
    *errors, summary = capsys.readouterr().err.splitlines()
    assert summary.startswith("transducer: summary: 289 files done; 11 failed. ")
    assert len(errors) == 11 and all(line.startswith("transducer: error: ") for line in errors)
    (crashed,) = [line for line in errors if "killer.wav" in line]
    assert crashed.endswith("killer.wav: ends what works on it: it was killed by SIGSEGV")
    found = entries(out)
    assert sum(entry["status"] == "done" for entry in found.values()) == len(results(out)) == 289
    failed = {output: entry for output, entry in found.items() if entry["status"] == "failed"}
    assert set(failed) == {"3/killer", *(f"{number % 7}/{number:03d}" for number in range(289, 299))}
    assert all(entry["error"] and entry["duration"] is None for entry in failed.values())
    one = found["0/000"]
    assert (one["file"], one["error"], one["duration"]) == (str(scripts / "0" / "000.wav"), None, 42.0)
    assert one["seconds"] >= 0
    assert no_halves(out)


@pytest.mark.parametrize(("lost", "status"), [(2, 0), (3, 2)])
def test_workers_that_are_killed_before_they_can_begin(tmp_path, capsys, monkeypatch, lost, status):
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    monkeypatch.setenv("LOST", str(lost))
    scripts, out = write_scripts(tmp_path / "scripts", 3), tmp_path / "out"
    assert main([*MODEL, str(scripts), "-r", "--jobs", "1", "--json", "-o", str(out)]) == status
    told = "3 files done; 0 failed" if status == 0 else "a worker ended before it could begin: it was killed by SIGKILL"
    assert told in capsys.readouterr().err


def test_a_decoder_that_hangs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("transducer.archive.watch.PATIENCE", 8.0)
    scripts, out = write_scripts(tmp_path / "scripts", 6), tmp_path / "out"
    (scripts / "0" / "hang.wav").write_text("hello\n")
    assert main([*MODEL, str(scripts), "-r", "--jobs", "2", "--json", "-o", str(out)]) == 1
    error, summary = capsys.readouterr().err.splitlines()
    assert error.endswith("0/hang.wav: makes no progress: given up after 8 s")
    assert summary.startswith("transducer: summary: 6 files done; 1 failed. ")
    assert entries(out)["0/hang"]["status"] == "failed" and len(results(out)) == 6


def test_kill_at_any_moment(scripts, tmp_path, injected):
    reference, out, rng = expected(scripts, tmp_path / "reference"), tmp_path / "out", random.Random(1)
    arguments = [*MODEL, scripts, "-r", "--jobs", "2", "--json", "-o", out, "--resume"]
    for done in (1, 20, 45):
        process = start(*arguments, **injected)
        while process.poll() is None and len(entries(out)) < done:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.01))
        process.kill()
        process.communicate()
        found = results(out)
        assert all(reference[name] == document for name, document in found.items())
        assert {f"{output}.json" for output in entries(out)} <= found.keys()
    done = len(entries(out))
    process = start(*arguments, **injected)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"{len(reference) - done} files done; 0 failed. {done} had been done before." in errors
    assert results(out) == reference
    assert no_halves(out)
    assert len((out / "summary.jsonl").read_text().splitlines()) == len(reference)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupts_leave_whole_files(tmp_path, injected, number, status):
    scripts, out = write_scripts(tmp_path / "scripts", 5), tmp_path / "out"
    (scripts / "9.wav").write_text("hello\n...\n")  # does not end
    process = start(*MODEL, scripts, "-r", "--jobs", "2", "--json", "-o", out, **injected)
    while process.poll() is None and len(entries(out)) < 5:
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == status
    assert errors == "transducer: interrupted: 5 files are done; the same command with --resume does the rest\n"
    assert no_halves(out)
    assert len(results(out)) == 5


def test_resume_does_what_has_changed(tmp_path, capsys):
    scripts, out = write_scripts(tmp_path / "scripts", 5), tmp_path / "out"
    arguments = [*MODEL, str(scripts), "-r", "-o", str(out), "--resume"]

    def run(*more: str) -> str:
        assert main([*arguments, *more]) == 0
        return summary_of(capsys)

    assert run().startswith("5 files done; 0 failed. 0.06")
    assert run() == "0 files done; 0 failed. 5 had been done before. 0.00"
    os.utime(scripts / "0" / "000.wav", (1, 1))
    (out / "1" / "001.txt").unlink()
    (scripts / "new.wav").write_text("hello\n")
    assert run().startswith("3 files done; 0 failed. 3 had")
    assert run("--chunk-ms", "80").startswith("6 files done; 0 failed. 0.0")  # made otherwise
    assert len((out / "summary.jsonl").read_text().splitlines()) == 6


def test_files_are_known_by_their_content(tmp_path, capsys):
    scripts, out = write_scripts(tmp_path / "scripts", 3), tmp_path / "out"
    arguments = [*MODEL, str(scripts), "-r", "-o", str(out), "--resume", "--by-content"]
    assert main(arguments) == 0
    os.utime(scripts / "0" / "000.wav", (1, 1))
    (scripts / "1" / "001.wav").write_text("other\n")
    capsys.readouterr()
    assert main(arguments) == 0
    assert summary_of(capsys).startswith("1 files done; 0 failed. 2 had been done before.")
    assert (out / "1" / "001.txt").read_text() == "other\n"


def test_lists(scripts, tmp_path, capsys, monkeypatch):
    lines: list[dict[str, Any]] = [
        {"path": str(scripts / "0/000.wav"), "output": "first/one"},
        {"path": str(scripts / "1/001.wav")},
        {"path": str(scripts / "none.wav")},
        {"name": "nothing"},
        {"path": str(scripts / "1/001.wav"), "output": "first/one"},
        {"path": str(scripts / "1")},
    ]
    listed = "\n".join(map(json.dumps, lines))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listed.encode())))
    out = tmp_path / "out"
    assert main([*MODEL, "--files-from", "-", "--json", "-o", str(out)]) == 1
    *errors, summary = capsys.readouterr().err.splitlines()
    assert "2 files done; 4 failed" in summary
    assert [error for error in errors if "standard input" in error] == [
        "transducer: error: standard input, line 4: there is no 'path'",
        f"transducer: error: standard input, line 5: {scripts / '1/001.wav'}: its results would be written over those "
        "of line 1: give them another output",
    ]
    assert any("none.wav: no such file" in error for error in errors)
    assert f"transducer: error: {scripts / '1'}: is a folder; name the files in it" in errors
    place = str(scripts / "1/001").lstrip("/")
    assert results(out).keys() == {"first/one.json", f"{place}.json"}


def test_options_of_a_list_reach_the_model(scripts, tmp_path, capsys):
    (tmp_path / "list.tsv").write_text(f"path\tstart\tlength\n{scripts}/0/000.wav\t\tlong\n{scripts}/0/000.wav\t2\t9\n")
    assert main([*MODEL, "--files-from", str(tmp_path / "list.tsv"), "-o", str(tmp_path / "out")]) == 1
    assert "line 2: length 'long' is no time" in capsys.readouterr().err
    (entry,) = [entry for output, entry in entries(tmp_path / "out").items() if output]
    assert entry["output"].endswith("0/000@2+9") and "'length': 9.0" in entry["identity"]
    assert entry["duration"] == 40.0  # the script is one of 42 s, whatever is asked for


def test_patterns_keep_their_folders(scripts, tmp_path):
    assert main([*MODEL, f"{scripts}/*/00*.wav", "--jobs", "1", "--json", "-o", str(tmp_path / "out")]) == 0
    assert results(tmp_path / "out").keys() == {f"{number % 7}/00{number}.json" for number in range(10)}


def test_what_cannot_be_written_fails(tmp_path, capsys):
    scripts, out = write_scripts(tmp_path / "scripts", 2), tmp_path / "out"
    out.mkdir()
    (out / "1").write_text("a file where a folder has to be")
    assert main([*MODEL, str(scripts), "-r", "--jobs", "1", "--json", "-o", str(out)]) == 1
    assert "001.json: cannot be written: " in capsys.readouterr().err
    assert results(out).keys() == {"0/000.json"}


def test_parts_that_are_missing(tmp_path, capsys):
    (tmp_path / "a.wav").write_text("one\n.\n?damaged at 3 s\ntwo\n")
    out = tmp_path / "out"
    assert main([*MODEL, str(tmp_path / "a.wav"), "--jobs", "1", "-o", str(out)]) == 3
    warning, summary = capsys.readouterr().err.splitlines()
    assert warning.endswith("a.wav: damaged at 3 s") and "1 files done, of 1 of them parts are missing" in summary
    entry = entries(out)["a"]
    assert entry["status"] == "parts missing" and entry["seconds"] >= 0.4  # for which it waits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav", "--jobs", "2"], "the results of many files need a folder: add --output-dir"),
        (["--jobs", "2", "-o", "out"], "name files or folders, or a list of them with --files-from"),
        (["-", "--resume", "-o", "out"], "standard input (-) is one source"),
        (["a.wav", "--files-from", "list", "-o", "out"], "--files-from takes the place of files"),
        (["--files-from", "none", "-o", "out"], "none: the list cannot be read: No such file or directory"),
        (["a.wav", "--jobs", "2", "--output", "a.txt"], "--output is for one file"),
        (["a.wav", "--jobs", "1", "-m", "huge", "-o", "out"], "no model 'huge'"),
    ],
)
def test_wrong_usage(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["transcribe", "-m", "fake", *arguments]) == 2
    assert message in error_line(capsys)
