"""Sound from addresses, served on the loopback by the tests."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest
from media_fixtures import noise, write_talk
from rtsp_server import RtspServer
from video_fixtures import write_video
from web_server import WebServer

from transducer.errors import MediaError, UsageError
from transducer.media import open_audio, open_video, read_audio

RATE = 16000


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> dict[str, Path]:
    return write_talk(tmp_path_factory.mktemp("media"))


@pytest.fixture
def web(media):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            if "secret" in self.path:
                self.send_error(403)
            elif "broken" in self.path:
                self.send_error(500)
            elif "lost" in self.path:
                data = media["mp3"].read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
            else:
                super().do_GET()

    handler = functools.partial(Handler, directory=media["mp3"].parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("kind", ["talk.mp3", "talk.wav", "talk.webm", "fast.mp4"])
def test_http(web, media, kind):
    path = media["mp3"].parent / kind
    with open_audio(f"{web}/{kind}") as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader)), read_audio(path))
    assert reader.warnings == []
    assert reader.name == f"{web}/{kind}"


def test_http_that_breaks_off(web, media):
    with open_audio(f"{web}/lost.mp3") as reader:
        sound = np.concatenate(list(reader))
    np.testing.assert_array_equal(sound[:10000], read_audio(media["mp3"])[:10000])
    assert len(reader.warnings) == 1
    assert f"reading stopped at {reader.position:.2f} s: the connection broke off" in reader.warnings[0]


@pytest.mark.parametrize("kind", ["talk.mp3", "talk.wav", "talk.webm", "fast.mp4", "talk.ts"])
@pytest.mark.parametrize("how", ["length", "chunked", "close"])
def test_a_reply_that_is_whole_and_one_that_is_cut_are_told_apart(media, kind, how):
    path = media["mp3"].parent / kind
    with WebServer(folder=path.parent) as server:
        with open_audio(f"{server.address}/{how}/{kind}") as reader:
            sound = np.concatenate(list(reader))
        assert reader.warnings == [] and not reader.incomplete
        assert len(sound) / RATE == pytest.approx(1.5, abs=0.06)
        if how == "close":
            return  # nothing can tell
        with open_audio(f"{server.address}/{how}-cut/{kind}") as reader:
            half = np.concatenate(list(reader))
        assert 0 < len(half) < 0.8 * len(sound)
        assert reader.incomplete and any("the connection broke off" in line for line in reader.warnings)


def test_pictures_of_a_reply_that_is_cut(tmp_path):
    path = write_video(
        tmp_path / "a.mkv", images=list(np.random.default_rng(0).integers(0, 256, (40, 72, 96, 3), np.uint8))
    )
    with WebServer(folder=tmp_path) as server:
        for how in ("length", "chunked", "close"):
            with open_video(f"{server.address}/{how}/a.mkv") as reader, open_video(path) as wanted:
                assert [frame.time for frame in reader] == [frame.time for frame in wanted]
            assert reader.warnings == [] and not reader.incomplete
        for how in ("length", "chunked"):
            with open_video(f"{server.address}/{how}-cut/a.mkv") as reader:
                assert 0 < len(list(reader)) < 40
            assert reader.incomplete and any("the connection broke off" in line for line in reader.warnings)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("{web}/missing.mp3", "404"),
        ("{web}/secret.mp3", "access"),
        ("{web}/broken.mp3", "server"),
        ("{web}/", "no sound or video"),
        ("http://127.0.0.1:1/a.mp3", "refused"),
        ("https://127.0.0.1:1/a.mp3", "refused"),
        ("rtsp://camera:password@127.0.0.1:1/live", "refused"),
        ("http://host.invalid/a.mp3", "can't be reached"),
    ],
)
def test_addresses_that_do_not_work(web, address, says, capfd):
    with pytest.raises(MediaError, match=says) as error:
        open_audio(address.format(web=web))
    assert "\n" not in str(error.value) and "password@" not in str(error.value).replace("user:password@", "")
    assert capfd.readouterr() == ("", "")


def test_an_unknown_kind_of_address():
    with pytest.raises(UsageError, match="http, https or rtsp"):
        open_audio("gopher2://example.org/a.mp3")


def test_rtsp():
    sound = noise(1.0, 8000)
    with RtspServer(sound) as server, open_audio(server.address, rate=8000) as reader:
        heard = np.concatenate(list(reader))
    assert abs(len(heard) - 8000) <= 160
    np.testing.assert_allclose(heard[:7800], sound[:7800], atol=1e-3)
