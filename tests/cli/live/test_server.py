"""`listen --server` and `watch --server`: words and events of a server that computes."""

from __future__ import annotations

import json
import time
from itertools import islice
from pathlib import Path

import pytest
from command_line import error_line
from running_server import RunningServer

import transducer
from transducer.cli import main
from transducer.cli.live.remote import PICTURE, RemoteSession, hello_of
from transducer.errors import MediaError
from transducer.media import open_video, read_audio
from transducer.media.medium import Block

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


def test_the_events_are_those_that_are_found_here(server, capsys, tmp_path):
    events = transducer.load("shots").label(MEDIA / "shots.mp4").events
    listing = tmp_path / "all.json"
    arguments = ["--server", server.ws, "--token", "secret", "--format", "jsonl", "--output", str(listing)]
    assert main(["watch", str(MEDIA / "shots.mp4"), *arguments]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["label"], row["start_frame"], row["end_frame"], row["start"]) for row in rows] == [
        (event.label, event.start_frame, event.end_frame, event.start) for event in events
    ]
    whole = json.loads(listing.read_text())
    assert [event["label"] for event in whole["events"]] == [event.label for event in events]


def test_words_and_events(server, capsys, tmp_path):
    kept = tmp_path / "kept.mkv"
    arguments = ["--listen", "--server", server.ws, "--token", "secret", "--format", "jsonl", "--save", str(kept)]
    assert main(["watch", str(MEDIA / "stars.mp4"), *arguments]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "the stars" in " ".join(row["text"] for row in rows if row.get("final"))
    assert kept.stat().st_size


def test_events_behind_a_gap(server):
    """A stream that begins anew goes on with the times and the numbers of the frames."""
    with open_video(MEDIA / "shots.mp4", (PICTURE.height, PICTURE.width)) as reader:
        frames = list(islice(reader, 100))
    session = RemoteSession(server.ws, "secret", hello_of("events", {}, "shots"))
    found = []
    for begin in (0.0, 50.0):
        found += session.skip(begin) if begin else []
        for frame in frames:
            found += session.push(Block(PICTURE.check(frame.image), [begin + float(frame.time)], [frame.index]))
    found += session.finish()
    cuts = [(event.start, event.start_frame) for event in found if event.label == "cut"]
    assert cuts == [(2.28, 57), (52.28, 157)]


def test_a_server_that_stops_gives_its_last_results(tmp_path):
    samples = read_audio(MEDIA / "the-way.mp3")[: 16000 * 3]
    running = RunningServer("--workers", "1", errors=tmp_path / "errors")
    session = RemoteSession(running.ws, None, hello_of("words", {}, "speech-en", 16000))
    session.push(Block(samples[:, None], None, None))
    for _ in range(600):  # until the sound has been heard: what is still on its way is lost with the server
        if session.poll():
            break
        time.sleep(0.1)
    assert running.stop() == 0
    more = Block(samples[:320, None], None, None)
    found = session.push(more) or session.push(more)
    assert "the old mill" in " ".join(segment.text for segment in found if segment.final)
    with pytest.raises(MediaError, match="the server has ended the stream"):
        session.push(more)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--token", "wrong"], "--token"),
        (["--token", "secret", "--model", "nosuch"], "nosuch"),
        (["--token", "secret", "--model", "runs/mine"], "a server has its own models"),
        (["--token", "secret", "--model", "shots"], "shots"),
    ],
)
def test_what_the_server_does_not_want_is_one_line(server, arguments, says, capsys):
    assert main(["listen", str(MEDIA / "letters.opus"), "--server", server.ws, *arguments]) != 0
    assert says in error_line(capsys)
