"""Commands and programs that stand in documents, and a folder in which they run as they are written."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sample_media import balls

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_media"
_BLOCK = re.compile(r"((?:^<!--(?:(?!-->).)*-->\n+)*)^```(\w*)\n(.*?)^```", re.M | re.S)
_COMMENT = re.compile(r"<!--\s*(not run|setup):\s*(.*?)\s*-->", re.S)
_INLINE = re.compile(r"(?<![`\w])`((?:\.venv/bin/)?(?:transducer|python3?|torchrun) [^`]+)`(?!`)")
SHELL = ("", "sh")  # languages of blocks that hold commands


class Block(NamedTuple):
    """A fenced block: its language, its text, and what the comments before it say."""

    language: str
    text: str
    not_run: str
    setup: str


class Command(NamedTuple):
    """A command line, and what it has to print; None where the document does not show it."""

    line: str
    output: str | None


def blocks(document: Path) -> list[Block]:
    found = []
    for comments, language, text in _BLOCK.findall(document.read_text(encoding="utf-8")):
        said = dict(_COMMENT.findall(comments))
        found.append(Block(language, text, said.get("not run", ""), said.get("setup", "")))
    return found


def commands(block: str) -> list[Command]:
    """The commands of a block. Where some lines begin with "$ ", the others are what these commands print."""
    lines = block.replace("\\\n", " ").splitlines()
    if not any(line.startswith("$ ") for line in lines):
        whole = (line.strip() for line in lines)
        return [Command(line, None) for line in whole if line and not line.startswith("#")]
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("$ "):
            found.append([line[2:]])
        elif found:
            found[-1].append(line)
    return [Command(first, "\n".join(rest).strip("\n") or None) for first, *rest in found]


def inline_commands(document: Path) -> Iterator[str]:
    """Commands in running text and tables."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    for found in _INLINE.findall(text):
        yield " ".join(found.split())


def words_of(command: str) -> list[list[str]]:
    """The words of each program of a command line: of a pipe there are several."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    programs: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            programs.append([])
        else:
            programs[-1].append(word)
    return [program for program in programs if program]


_PROGRAMS = {
    # Training is a quick one: some steps.
    "transducer": 'case "$1" in train) set -- "$@" --quick;; esac\nexec {python} -m transducer "$@"',
    "python": 'exec {python} "$@"',
    # The environment of the tests stands for one that is made anew.
    "python3": 'case "$*" in "-m venv"*) exit 0;; esac\nexec {python} "$@"',
    "pip": "exit 0",
    # A microphone, for a second.
    "arecord": "head -c 32000 /dev/zero",
}


def make_folder(folder: Path) -> dict[str, str]:
    """Fill a folder with what the documents' commands name, and with the project; the environment to run them in.

    Recordings and videos are samples under the documents' names. Of tables there are small ones; DATA and FOLDER are
    folders of such names.
    """
    for name in ("pipelines", "bench", "sample_media", "constraints.txt", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in _PROGRAMS.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n{text.format(python=shlex.quote(sys.executable))}\n")
        program.chmod(0o755)
    for name, sample in (
        ("talk.mp3", "the-way.mp3"),
        ("talk.mp4", "stars.mp4"),
        ("letters.opus", "letters.opus"),
        ("film.mp4", "shots.mp4"),
        ("clip.mp4", "shots.mp4"),
        ("sintel_trailer.mp4", "shots.mp4"),
    ):
        shutil.copy(SAMPLES / sample, folder / name)
    (folder / "names.txt").write_text("kitchen table\t8\nWeston\n")
    (folder / "talk.txt").write_text(_text_of("the-way.mp3"))
    speech = [(str(SAMPLES / name), _text_of(name)) for name in ("the-way.mp3", "island.wav")]
    for table in ("table.tsv", "librispeech-dev.tsv"):
        _write_table(folder / table, ("path", "text"), speech)
    _write_table(folder / "noise.tsv", ("path", "label"), [(_write_noise(folder, kind), kind) for kind in ("1", "2")])
    balls.make(folder / "clips", 8)
    (folder / "DATA").mkdir()
    (folder / "FOLDER").mkdir()
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


def _text_of(sample: str) -> str:
    with open(SAMPLES / "transcripts.tsv", newline="", encoding="utf-8") as file:
        return next(row["text"] for row in csv.DictReader(file, delimiter="\t") if row["path"] == sample)


def _write_table(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t").writerows([columns, *rows])


def _write_noise(folder: Path, kind: str) -> str:
    """Two seconds of hiss in a file whose name is one of ESC-10's fold 5."""
    name = f"5-{kind}-A-{kind}.wav"
    with wave.open(str(folder / name), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(int(kind)).normal(0, 1000, 32000).astype("<i2").tobytes())
    return name
