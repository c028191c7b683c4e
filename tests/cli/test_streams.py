"""Standard output and standard error that are closed, or cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fake_label_model
import pytest
from command_line import ENVIRONMENT

COMMANDS = pytest.mark.parametrize("command", ["transcribe", "label", "annotate"])
MODELS = {"transcribe": ["--model", "speech"], "label": ["--model", "labels"]}
MODELS["annotate"] = [*MODELS["transcribe"], "--shots", "labels"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "one.mp4").write_text("cut 9 10 0.98\nframes 100\nsay hello there\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(redirections: str, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program as a shell starts it; the outputs that are not redirected are caught."""
    program = [sys.executable, fake_label_model.__file__, command, *MODELS.get(command, []), *arguments]
    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh", *program]
    return subprocess.run(shell, capture_output=True, text=True, env=ENVIRONMENT, stdin=subprocess.DEVNULL)


@COMMANDS
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-", "1</dev/null 2</dev/null"])
def test_files_are_written_all_the_same(folder, command, closed):
    done = run(closed, command, "one.mp4", "--json", "-o", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    closed_file = (folder / "out" / "one.json").read_text()
    assert run("", command, "one.mp4", "--json", "-o", "out").returncode == 0
    assert closed_file == (folder / "out" / "one.json").read_text()


@COMMANDS
@pytest.mark.parametrize("closed", ["2>&-", "2</dev/null"])
def test_results_go_to_standard_output_without_standard_error(folder, command, closed):
    (folder / "bad.mp4").write_text("cut 9 10 0.98\n?damaged\nframes 100\nsay hello there\n")
    for name, status in (("one.mp4", 0), ("bad.mp4", 3)):
        done, open_ones = run(closed, command, name), run("", command, name)
        assert (done.returncode, done.stdout) == (open_ones.returncode, open_ones.stdout) == (status, done.stdout)
        assert done.stdout and "transducer:" not in done.stdout


@COMMANDS
@pytest.mark.parametrize("closed", ["2>&-", "2</dev/null"])
def test_errors_never_go_to_standard_output(folder, command, closed):
    for arguments in (["none.mp4"], ["--no-such"]):
        done = run(closed, command, *arguments)
        assert done.returncode in (1, 2) and done.stdout == ""


@pytest.mark.parametrize("command", ["transcribe", "label", "annotate", "info"])
@pytest.mark.parametrize("closed", [">&-", "1</dev/null"])
def test_what_cannot_go_to_standard_output_is_one_line_of_error(folder, command, closed):
    done = run(closed, command, "speech" if command == "info" else "one.mp4")
    assert done.returncode == 1
    assert done.stderr.startswith("transducer: error: standard output ") and done.stderr.count("\n") == 1


def test_no_file_takes_the_place_of_a_closed_output(folder):
    code = "import os, sys; from transducer.cli.console import prepare_streams as p; p(); sys.exit(os.open('f', 65))"
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code], env=ENVIRONMENT)
    assert done.returncode > 2
    assert os.path.exists("f")
