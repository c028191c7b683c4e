"""Addresses: what they give is what the file gives, and what breaks off is told."""

from __future__ import annotations

import http.server
import threading

import numpy as np
import pytest
from video_fixtures import write_video

from transducer.errors import MediaError
from transducer.media import open_video


@pytest.fixture
def web(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 72, 96, 3), np.uint8)
    data = write_video(tmp_path / "a.mkv", images=list(noise)).read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            if "missing" in self.path:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if "lost" in self.path else data)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_http(web, tmp_path):
    with open_video(f"{web}/a.mkv", (18, 24)) as reader, open_video(tmp_path / "a.mkv", (18, 24)) as wanted:
        for frame, other in zip(reader, wanted, strict=True):
            assert (frame.index, frame.time) == (other.index, other.time)
            assert (frame.image == other.image).all()
    assert reader.index == 40 and reader.warnings == []


def test_http_that_breaks_off(web):
    with open_video(f"{web}/lost.mkv") as reader:
        count = len(list(reader))
    assert 0 < count < 40
    assert reader.warnings and "\n" not in reader.warnings[0]


def test_http_that_is_not_there(web):
    with pytest.raises(MediaError, match="no such file \\(404\\)"):
        open_video(f"{web}/missing.mkv")
    with pytest.raises(MediaError, match="connection refused"):
        open_video("http://127.0.0.1:9/a.mp4")
