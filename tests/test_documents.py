"""README.md and docs/*.md: every command runs as it is written.

How to write a document so that it passes:

- A fenced block without a language, or with `sh`, holds commands, one a line (or ended by a backslash), with comments
  after `#`. All commands of a document run one after the other in one new folder, which has the names that
  `helpers/documents.py` makes (talk.mp3, film.mp4, names.txt, table.tsv, librispeech-dev.tsv ...) and the project's
  pipelines, bench and sample_media; what a command leaves is there for the next. `transducer train` gets `--quick`.
- Where a line begins with "$ ", the lines below it are what the command has to print.
- All blocks with `python` run as one program, after the commands, in the same folder; it begins with `NAMES`.
- Before a block may stand, invisible in the page, `<!-- setup: COMMANDS -->` (or Python before a Python block), which
  runs first, and `<!-- not run: REASON -->` for what needs hours, a network, a microphone, or runs until it is stopped.
- Blocks with another language (`text`, `json`, `csv` ...) are no commands.
- Of all commands, those that do not run and those in running text too (`transducer ...`, `python ...`), the program
  and its options have to exist.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import importlib.util
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from documents import ROOT, SHELL, blocks, commands, inline_commands, make_folder, words_of
from web_server import WebServer

import transducer
from transducer.cli import app, main

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What README.md has, which is kept free of comments.
NOT_RUN = {
    r"transducer train pipelines/speech_en ": "needs hours of speech; tests/pipelines/speech_en runs its phases",
    r"transducer train pipelines/shots ": "needs footage; tests/pipelines/test_shots.py runs its recipe",
    r"transducer train pipelines/punctuation ": "needs novels; tests/pipelines/test_punctuation.py runs it",
    r"transducer train pipelines/lipreading ": "needs GRID; tests/pipelines/test_lipreading.py runs it",
    r"-m pytest( |$)": "is this run",
}
NAMES = """
import pickle
import numpy as np
import transducer
from transducer.media import open_video, read_audio

model = transducer.load("speech-en")
packets = np.array_split(read_audio("talk.mp3"), 20)
packet = packets[0]
with open_video("film.mp4") as reader:
    frame = next(reader).image
"""


def not_run(command: str) -> bool:
    return any(re.search(pattern, command) for pattern in NOT_RUN)


@pytest.fixture
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundled models are loaded once for all commands of this process."""
    monkeypatch.setitem(vars(transducer), "load", load_once)


@functools.cache
def load_once(name: str, **options: Any) -> Any:
    from transducer.engine.model import load

    return load(name, **options)


class Folder:
    """Runs command lines in a folder: those of `transducer` alone in this process, which has the models loaded."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._capsys = path, capsys
        self._environment = make_folder(path)

    def run(self, line: str) -> str:
        """Runs one; its standard output."""
        programs = words_of(line)
        if len(programs) == 1 and programs[0][0] in ("transducer", ".venv/bin/transducer"):
            with contextlib.chdir(self.path):
                # A name with no match stays as it is, as in a shell.
                words = [name for word in programs[0][1:] for name in sorted(glob.glob(word)) or [word]]
                status = main([*words, *(["--quick"] if words[0] == "train" else [])])
            output, errors = self._capsys.readouterr()
        else:
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", line],
                cwd=self.path,
                env=self._environment,
                capture_output=True,
                text=True,
            )
            status, output, errors = done.returncode, done.stdout, done.stderr
        assert status == 0, f"{line}\n{output[-2000:]}\n{errors[-2000:]}"
        return output


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_commands_run_as_written(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], loaded_once: None
) -> None:
    shown = [block for block in blocks(document) if not block.not_run]
    sessions = [block for block in shown if block.language in SHELL]
    programs = [block for block in shown if block.language == "python"]
    if not sessions and not programs:
        return
    folder = Folder(tmp_path, capsys)
    with WebServer({"live.mp3": (tmp_path / "talk.mp3").read_bytes()}) as server:
        for block in sessions:
            if block.setup:
                folder.run(block.setup)
            for command in commands(block.text):
                if not_run(command.line):
                    continue
                output = folder.run(command.line.replace("http://example.com", f"{server.address}/length"))
                if command.output is not None:
                    assert output.rstrip("\n") == command.output, command.line
    if programs:
        parts = [NAMES, *(part for block in programs for part in (block.setup, block.text))]
        (tmp_path / "document.py").write_text("\n".join(parts), encoding="utf-8")
        folder.run("python document.py")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_programs_and_options_exist(document: Path) -> None:
    shown = [block for block in blocks(document) if block.language in SHELL]
    lines = [command.line for block in shown for command in commands(block.text)]
    for line in [*lines, *inline_commands(document)]:
        for program in words_of(line):
            assert not (wrong := unknown(program)), f"`{line}`: {wrong}"


def unknown(program: list[str]) -> str:
    """What there is not of a program and its options; "" if all is there, or it is not ours."""
    name, *rest = program
    if name == "torchrun":
        name, rest = "python", rest[rest.index("-m") :] if "-m" in rest else rest
    if Path(name).name in ("python", "python3"):
        if rest[:2] == ["-m", "transducer"]:
            name, rest = "transducer", rest[2:]
        elif rest[:1] == ["-m"] and rest[1].partition(".")[0] in ("pipelines", "sample_media", "bench"):
            found = importlib.util.find_spec(rest[1])
            return unknown_in(Path(found.origin), rest[2:]) if found and found.origin else f"no module {rest[1]}"
        elif rest and rest[0].endswith(".py"):
            path = ROOT / rest[0]
            return unknown_in(path, rest[1:]) if path.is_file() else f"no file {rest[0]}"
    if Path(name).name != "transducer" or not rest or not re.fullmatch(r"[a-z-]+", rest[0]):
        return ""
    group = typer.main.get_command(app)
    command = group.commands.get(rest[0])
    if command is None:
        known = {option for parameter in group.params for option in parameter.opts} | {"-h", "--help"}
        return "" if rest[0] in known else f"no command {rest[0]}"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return ", ".join(option for option in options_of(rest[1:]) if option not in known | {"-h", "--help"})


def unknown_in(path: Path, arguments: list[str]) -> str:
    """Options of which nothing is written in a program, or beside it where several share them."""
    text = "".join(file.read_text(encoding="utf-8") for file in path.parent.glob("*.py"))
    return ", ".join(option for option in options_of(arguments) if f'"{option}"' not in text)


def options_of(arguments: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)]
