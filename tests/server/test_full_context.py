"""A model that sees all of a segment at once, through the server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from running_server import RunningServer, collect
from tiny_full_context import RATE, speech, write_full_context

import transducer
from transducer.server.client import ServerStream

SENT = 5 * RATE  # the least that the server takes


def test_its_words_come_partial_and_final_and_are_those_of_a_stream(tmp_path: Path) -> None:
    folder = write_full_context(tmp_path, rate=SENT)
    samples = np.repeat(speech(1), 5)
    server = RunningServer("--workers", "1", "--model", str(folder), errors=tmp_path / "errors.txt")
    try:
        with ServerStream(server.ws, format="pcm_f32le", rate=SENT) as stream:
            assert stream.ready["results"] == "words"
            messages = collect(
                stream, lambda: [stream.send_samples(samples[i : i + 3333]) for i in range(0, len(samples), 3333)]
            )
    finally:
        server.stop()
    alone = transducer.load(folder).stream()
    found = [*alone.push(samples), *alone.finish()]
    assert [m["text"] for m in messages if m["type"] == "final"] == [s.text for s in found if s.final] != []
    assert any(message["type"] == "partial" for message in messages)
