"""The command line, with a model that reads scripts instead of sound (fake_model.py)."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import fake_model
import pytest
from command_line import ENVIRONMENT, error_line, use_models

from transducer.cli import main
from transducer.formats import formats, parse_json
from transducer.media.io.sources import RawFormat
from transducer.results import Transcript
from transducer.training.frame.choices import Choices

PROGRAM = [sys.executable, fake_model.__file__]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> fake_model.FakeModel:
    one = fake_model.FakeModel()
    use_models(monkeypatch, fake_model.load, {"fake": one})
    return one


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two scripts."""
    (tmp_path / "one.wav").write_text("~hello\n~hello the\nhello there\nyou\n")
    (tmp_path / "two.wav").write_text("no\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def transcribe(*arguments: str) -> int:
    return main(["transcribe", "--model", "fake", *arguments])


# --- results on standard output


def test_text_comes_a_line_a_segment(model, folder, capsys):
    assert transcribe("one.wav") == 0
    assert capsys.readouterr() == ("hello there\nyou\n", "")


def test_several_files_have_headers_like_head(model, folder, capsys):
    assert transcribe("one.wav", "two.wav") == 0
    assert capsys.readouterr().out == "==> one.wav <==\nhello there\nyou\n\n==> two.wav <==\nno\n"


def test_jsonl_has_partials_and_finals(model, folder, capsys):
    assert transcribe("one.wav", "--format", "jsonl") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["text"], row["final"]) for row in rows] == [
        ("hello", False),
        ("hello the", False),
        ("hello there", True),
        ("you", True),
    ]
    assert {row["source"] for row in rows} == {"one.wav"}


def test_json_is_one_line_a_file(model, folder, capsys):
    assert transcribe("one.wav", "two.wav", "--json") == 0
    first, second = map(parse_json, capsys.readouterr().out.splitlines())
    assert (first.source, first.text, first.duration) == ("one.wav", "hello there you", 3.5)
    assert second.text == "no"


@pytest.mark.parametrize("format", ["srt", "vtt", "tsv", "ctm"])
def test_other_formats_on_standard_output(model, folder, capsys, format):
    assert transcribe("one.wav", "-f", format, "-o", "out") == 0
    assert capsys.readouterr().out == ""
    assert transcribe("one.wav", "--format", format) == 0
    assert capsys.readouterr().out == (folder / "out" / f"one.{format}").read_text()


def test_standard_input(model, folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe\n")))
    assert transcribe("-", "--output-dir", "out") == 0
    assert (folder / "out" / "stdin.txt").read_text() == "from a pipe\n"


def test_passwords_are_not_shown(model, folder, capsys, monkeypatch):
    monkeypatch.setattr(model, "session", lambda source, **options: fake_model.FakeSession(["hi"], source))
    assert transcribe("rtsp://me:secret@camera/door", "--json") == 0
    assert parse_json(capsys.readouterr().out).source == "rtsp://camera/door"
    assert transcribe("rtsp://me:secret@camera/door", "-o", "out") == 0
    assert os.listdir("out") == ["door.txt"]


def test_warnings_go_to_standard_error(model, folder, capsys):
    (folder / "bad.wav").write_text("first\n?damaged at 3.5 s\nlast\n")
    assert transcribe("bad.wav") == 3
    assert capsys.readouterr() == ("first\nlast\n", "transducer: warning: bad.wav: damaged at 3.5 s\n")
    transcribe("bad.wav", "--json")
    assert parse_json(capsys.readouterr().out).warnings == ("bad.wav: damaged at 3.5 s",)


def test_results_come_while_the_source_goes_on(folder):
    (folder / "live.wav").write_text("first\n...\n")
    command = [*PROGRAM, "transcribe", "-m", "fake", "live.wav"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout.readline() == b"first\n"
        process.kill()


# --- options


def test_options_reach_the_model(model, folder):
    assert transcribe("one.wav") == 0
    assert transcribe("one.wav", "--search", "beam", "--beam", "4", "--chunk-ms", "320", "--nbest", "3") == 0
    assert transcribe("one.wav", "--beam", "4") == 0
    assert transcribe("one.wav", "--raw", "s16le", "--rate", "8000", "--channels", "2", "--search", "greedy") == 0
    assert [{name: given for name, given in call.items() if name != "partials"} for call in model.calls] == [
        {"source": "one.wav"},
        {"source": "one.wav", "search": "beam", "beam": 4, "chunk_ms": 320, "nbest": 3},
        {"source": "one.wav", "search": "beam", "beam": 4},
        {"source": "one.wav", "search": "greedy", "raw": RawFormat("s16le", 8000, 2)},
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FILES'"),
        (["one.wav", "--search", "wide"], "'wide' is not one of 'greedy', 'beam'"),
        (["one.wav", "--beam", "0"], "--beam"),
        (["one.wav", "--search", "greedy", "--beam", "3"], "--beam is for --search beam"),
        (["one.wav", "--no-such"], "No such option: --no-such"),
        (["one.wav", "--format", "doc"], f"unknown format 'doc'; there are {', '.join(formats(Transcript))}"),
        (["one.wav", "--format", "srt,vtt"], "2 formats (srt, vtt) do not fit one output: add --output-dir"),
        (["one.wav", "two.wav", "--format", "srt"], "srt of several files does not fit one output: add --output-dir"),
        (["one.wav", "--raw", "s16le"], "add --rate and --channels"),
        (["one.wav", "--rate", "8000"], "need --raw FORMAT"),
        (["one.wav", "--raw", "s17", "--rate", "8000", "--channels", "1"], "'s17' is unknown; it is one of s8"),
        (["-", "-"], "standard input (-) can be read only once"),
        (["one.wav", "--model", "huge"], "no model 'huge'; there are fake"),
    ],
)
def test_wrong_usage(model, folder, capsys, arguments, message):
    assert transcribe(*arguments) == 2
    assert message in error_line(capsys)
    assert model.calls == []


def test_wrong_command(capsys):
    assert main(["transcibe"]) == 2
    assert "Did you mean 'transcribe'?" in error_line(capsys)


def test_help_and_version(capsys):
    assert main([]) == 0
    assert "transcribe" in capsys.readouterr().out
    for command in ("transcribe", "info", "evaluate", "train"):
        assert main([command, "--help"]) == 0
        assert f"transducer {command}" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert re.fullmatch(r"transducer \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_help_imports_nothing_heavy():
    code = "import sys; from transducer.cli import main; main(['transcribe', '--help']); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "transducer.cli" in modules
    assert not {"torch", "numpy", "av", "librosa", "cv2", "pysubs2", "jiwer"} & set(modules)


# --- output files


def test_output_files(model, folder, capsys):
    assert transcribe("one.wav", "two.wav", "-o", "new/out", "-f", "txt,srt", "--format", "json") == 0
    assert capsys.readouterr() == ("", "")
    names = ["one.json", "one.srt", "one.txt", "two.json", "two.srt", "two.txt"]
    assert sorted(os.listdir("new/out")) == names
    assert (folder / "new/out/one.txt").read_text() == "hello there\nyou\n"


def test_sources_that_differ_in_suffix_do_not_share_a_file(model, folder):
    (folder / "one.mp3").write_text("other\n")
    assert transcribe("one.wav", "one.mp3", "two.wav", "-o", "out") == 0
    assert sorted(os.listdir("out")) == ["one.mp3.txt", "one.wav.txt", "two.txt"]


def test_sources_of_one_name_are_refused(model, folder, capsys):
    (folder / "more").mkdir()
    (folder / "more" / "one.wav").write_text("other\n")
    assert transcribe("one.wav", "more/one.wav", "-o", "out") == 2
    assert "one.wav and more/one.wav would both be written to out/one.wav.txt" in error_line(capsys)
    assert model.calls == []


@pytest.mark.parametrize("target", ["one.wav", "one.wav/out", "/proc/out"])
def test_a_folder_that_cannot_be_written_is_found_first(model, folder, capsys, target):
    assert transcribe("one.wav", "-o", target) == 2
    assert error_line(capsys).startswith(f"{target}: ")
    assert model.calls == []


def test_full_disk_keeps_the_work(model, folder, capsys, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert transcribe("one.wav", "-o", "out") == 1
    captured = capsys.readouterr()
    assert captured.out == "hello there\nyou\n"
    assert captured.err == (
        "transducer: error: out/one.txt: cannot be written: No space left on device; "
        "it goes to standard output instead\n"
    )
    assert os.listdir("out") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_full_disk_on_standard_output(folder):
    with open("/dev/full", "wb") as full:
        command = [*PROGRAM, "transcribe", "-m", "fake", "one.wav"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert done.returncode == 1
    assert done.stderr == "transducer: error: standard output cannot be written: No space left on device\n"


# --- bad sources, interrupts


def test_missing_file(model, folder, capsys):
    assert transcribe("none.wav") == 1
    assert "none.wav: no such file" in error_line(capsys)


def test_one_bad_file_does_not_stop_the_others(model, folder, capsys):
    (folder / "bad.wav").write_text("begins well\n!is not readable any more\n")
    assert transcribe("none.wav", "bad.wav", "two.wav", "-o", "out") == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "none.wav: no such file" in errors[0]
    assert "bad.wav: is not readable any more" in errors[1]
    assert sorted(os.listdir("out")) == ["bad.txt", "two.txt"]
    assert (folder / "out" / "bad.txt").read_text() == "begins well\n"


def test_what_breaks_off_is_written_as_far_as_it_is_final(model, folder, capsys):
    (folder / "bad.wav").write_text("begins well\n~and then\n!is not readable any more\n")
    assert transcribe("bad.wav", "--json") == 1
    captured = capsys.readouterr()
    assert parse_json(captured.out).text == "begins well"
    assert parse_json(captured.out).duration == 2.0
    assert captured.err == "transducer: error: bad.wav: is not readable any more\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_writes_what_was_final(folder, number, status):
    (folder / "live.wav").write_text("first\n?at the end\n~sec\n...\n")
    command = [*PROGRAM, "transcribe", "-m", "fake", "live.wav", "-o", "out", "-f", "txt,json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT) as process:
        assert process.stderr.readline().endswith("at the end\n")
        process.send_signal(number)
        assert process.communicate() == ("", "")
    assert process.returncode == status
    assert (folder / "out" / "live.txt").read_text() == "first\n"
    assert parse_json((folder / "out" / "live.json").read_text()).text == "first"
    assert len(os.listdir("out")) == 2


def test_a_closed_pipe_ends_quietly(folder):
    (folder / "long.wav").write_text("a line of some length that fills the pipe before long\n" * 5000)
    command = [*PROGRAM, "transcribe", "-m", "fake", "long.wav"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


# --- on a terminal


def on_a_terminal(*arguments: str, out: Path | None = None, err: Path | None = None) -> str:
    """What a terminal gets from the outputs that do not go to a file."""
    ours, theirs = pty.openpty()
    environment = {**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "60", "LINES": "20"}
    environment.pop("NO_COLOR", None)
    with contextlib.ExitStack() as stack:
        stdout = stack.enter_context(open(out, "wb")) if out else theirs
        stderr = stack.enter_context(open(err, "wb")) if err else theirs
        process = subprocess.Popen([*PROGRAM, *arguments], stdout=stdout, stderr=stderr, stdin=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:  # Linux tells so that the other side has closed
            break
        if not data:
            break
        seen += data
    process.wait()
    os.close(ours)
    return seen.decode()


def test_terminal_shows_partials_dimmed_and_finals_plain(folder):
    (folder / "slow.wav").write_text("~hel\n.\nhello there\n~and\n.\nand that is all\n")
    seen = on_a_terminal("transcribe", "-m", "fake", "slow.wav")
    assert "\x1b[2mhel\x1b[0m" in seen
    assert "hello there\r\n" in seen and "and that is all\r\n" in seen
    assert "\x1b[2mhello there" not in seen
    assert "0:00 / 1:00" in seen and "0:02 / 1:00" in seen


def test_terminal_shows_progress_of_what_goes_to_a_file(folder):
    (folder / "slow.wav").write_text("first\n.\n?damaged\nlast\n")
    seen = on_a_terminal("transcribe", "-m", "fake", "slow.wav", out=folder / "out.txt")
    assert (folder / "out.txt").read_text() == "first\nlast\n"
    assert "0:01 / 1:00" in seen and "transducer: warning: slow.wav: damaged\r\n" in seen
    assert "first" not in seen


def test_warnings_go_to_a_file_while_text_goes_to_the_terminal(folder):
    (folder / "slow.wav").write_text("first\n?damaged\nlast\n")
    seen = on_a_terminal("transcribe", "-m", "fake", "slow.wav", err=folder / "err.txt")
    assert (folder / "err.txt").read_text() == "transducer: warning: slow.wav: damaged\n"
    assert "first\r\n" in seen and "damaged" not in seen


def test_terminal_refuses_to_read_media_from_the_keyboard(folder):
    assert "standard input is a terminal" in on_a_terminal("transcribe", "-m", "fake", "-")


# --- info, evaluate, train


def test_info(model, capsys):
    assert main(["info", "fake"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "name                 fake",
        "parameters           1,234,567",
        "size on disk         2.5 MB",
        "rate                 16,000 Hz",
        "algorithmic latency  320 ms",
        "chunks               160, 320 ms",
        "trained on           Silence, CC0, 1.5 hours",
        "                     Noise, CC BY 4.0, 12 hours",
        "defaults             greedy, 320 chunk ms",
    ]
    assert main(["info", "fake", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == model.info()


@pytest.fixture
def table(folder: Path) -> Path:
    (folder / "table.tsv").write_text("path\ttext\none.wav\thello there, you\ntwo.wav\tno way\n")
    return folder / "table.tsv"


def test_evaluate(model, table, capsys):
    assert main(["evaluate", "fake", "table.tsv", "--json", "--hypotheses", "out.tsv", "--chunk-ms", "640"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    summary = json.loads(out)
    assert set(summary) == {
        *("wer", "cer", "words", "insertions", "deletions", "substitutions"),
        *("audio_seconds", "cpu_seconds", "wall_seconds"),
    }
    assert (summary["wer"], summary["words"], summary["deletions"], summary["audio_seconds"]) == (0.2, 5, 1, 5.0)
    assert {call["chunk_ms"] for call in model.calls} == {640}
    assert Path("out.tsv").read_text().splitlines()[2] == "two.wav\tno way\tno"
    assert main(["evaluate", "fake", "table.tsv"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "WER            20.00 %"


def test_evaluate_keeps_hypotheses_when_it_breaks_off(model, table, capsys):
    Path("two.wav").write_text("!is damaged")
    assert main(["evaluate", "fake", "table.tsv", "--hypotheses", "out.tsv"]) == 1
    assert "table.tsv, line 3: " in error_line(capsys)
    assert len(Path("out.tsv").read_text().splitlines()) == 2


def test_evaluate_finds_first_that_hypotheses_cannot_be_written(model, table, capsys):
    assert main(["evaluate", "fake", "table.tsv", "--hypotheses", "one.wav/out.tsv"]) == 2
    assert error_line(capsys) == "one.wav: not a folder; --hypotheses needs one"
    assert model.calls == []


def test_train_hands_over_its_options(monkeypatch):
    calls = []

    class Run:
        @staticmethod
        def train_command(recipe: str, **options: object) -> int:
            calls.append((recipe, options))
            return 0

    monkeypatch.setitem(sys.modules, "transducer.training.command", Run)
    assert main(["train", "recipe.py", "--data", "d", "-o", "runs/1", "--quick", "--set", "a=1", "--set", "b=2"]) == 0
    options = {"data": "d", "output": "runs/1", "resume": False, "quick": True, "settings": ("a=1", "b=2")}
    options |= {"threads": None, "cache": None, "device": "cpu"}
    ((recipe, given),) = calls
    assert recipe == "recipe.py"
    assert given == options | {"choices": Choices()}
