"""`transducer listen --server`: the words of a server that computes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import error_line
from running_server import RunningServer

import transducer
from transducer.cli import main

MEDIA = Path(__file__).parents[3] / "sample_media"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    running = RunningServer("--workers", "1", "--token", "secret", errors=folder / "errors")
    yield running
    running.process.terminate()
    running.process.wait(60)


def test_the_words_are_those_that_are_found_here(server, capsys, tmp_path):
    session = transducer.load("speech-en").session(MEDIA / "letters.opus", chunk_ms=320)
    expected = [segment.text for segment in session if segment.final]
    arguments = ["--server", server.ws, "--token", "secret", "--format", "jsonl", "--output", str(tmp_path / "all.srt")]
    assert main(["listen", str(MEDIA / "letters.opus"), *arguments]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows if row["final"]] == expected
    assert any(not row["final"] for row in rows)
    assert expected[0].split()[0] in (tmp_path / "all.srt").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--token", "wrong"], "token"),
        (["--token", "secret", "--model", "nosuch"], "nosuch"),
        (["--token", "secret", "--model", "runs/mine"], "a server has its own models"),
    ],
)
def test_what_the_server_does_not_want_is_one_line(server, arguments, says, capsys):
    assert main(["listen", str(MEDIA / "letters.opus"), "--server", server.ws, *arguments]) != 0
    assert says in error_line(capsys)
