"""Clients that do what they should not: each is told why it is shut out, and no other one notices."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import threading
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_server import SAMPLES, RunningServer, collect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from transducer.errors import MediaError, UsageError
from transducer.media import read_audio
from transducer.server.client import ServerStream

TOKEN = "secret-word"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With a token, and little patience. It knows pictures only, which is loaded soonest."""
    limits = ("--idle", "2", "--max-time", "5", "--max-clients", "3", "--max-upload", "1")
    arguments = (
        "--workers",
        "1",
        "--model",
        "shots",
        "--token",
        TOKEN,
        "--allow-origin",
        "https://example.com",
        *limits,
    )
    running = RunningServer(*arguments, errors=tmp_path_factory.mktemp("strict") / "errors.txt")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.errors.read_text()


def hello(server: RunningServer, **given: Any) -> ClientConnection:
    """A connection that has said its hello."""
    connection = connect(f"{server.ws}/v1/stream?token={TOKEN}", max_size=None).__enter__()
    connection.send(json.dumps({"type": "hello", **given}))
    return connection


def closing(connection: ClientConnection) -> tuple[int, str]:
    """(close code, code of the error) of a connection that the server ends."""
    error = ""
    try:
        while True:
            message = json.loads(connection.recv(timeout=30))
            error = message["code"] if message["type"] == "error" else error
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code, error


def test_a_token_is_needed(strict: RunningServer) -> None:
    for token in (None, "secret", "secret-words"):
        with pytest.raises(UsageError, match="a token is needed"):
            ServerStream(strict.ws, token, kind="video")
    with ServerStream(strict.ws, TOKEN, kind="video") as stream:
        assert stream.ready["model"] == "shots"
    assert httpx.get(f"{strict.http}/v1/models").status_code == 401
    assert httpx.get(f"{strict.http}/metrics").status_code == 401
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{strict.http}/v1/models", headers=bearer).json()["data"][0]["id"] == "shots"
    assert httpx.get(f"{strict.http}/healthz").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("origin", "comes_in"), [("https://example.com", True), ("https://example.org", False), (None, True), ("own", True)]
)
def test_pages_of_other_origins_stay_out(strict: RunningServer, origin: str | None, comes_in: bool) -> None:
    headers = {} if origin is None else {"Origin": strict.http if origin == "own" else origin}
    with connect(f"{strict.ws}/v1/stream?token={TOKEN}", additional_headers=headers) as connection:
        with suppress(ConnectionClosed):  # who is not wanted is told so at once
            connection.send(json.dumps({"type": "hello", "kind": "video"}))
        if comes_in:
            assert json.loads(connection.recv())["type"] == "ready"
        else:
            assert closing(connection) == (1008, "origin")


def test_names_that_point_here_stay_out_without_a_token(server: RunningServer) -> None:
    answer = httpx.get(f"{server.http}/v1/models", headers={"Host": f"evil.example:{server.port}"})
    assert answer.status_code == 403
    assert "without a token" in answer.json()["error"]["message"]


def test_limits(strict: RunningServer) -> None:
    def silent() -> tuple[int, str]:
        return closing(hello(strict, kind="video"))

    def endless() -> tuple[int, str]:
        connection = hello(strict, kind="video")
        picture = jpeg()
        stop = threading.Event()

        def send() -> None:
            try:
                while not stop.wait(0.3):
                    connection.send(picture)
            except ConnectionClosed:
                pass

        sending = threading.Thread(target=send)
        sending.start()
        try:
            return closing(connection)
        finally:
            stop.set()
            sending.join()

    def no_request() -> bytes:
        with socket.create_connection(("127.0.0.1", strict.port)) as opened:
            opened.send(b"GET / HTTP/1.1\r\n")
            return opened.recv(1)

    def half_open() -> tuple[int, str]:
        connection = connect(f"{strict.ws}/v1/stream?token={TOKEN}").__enter__()
        return closing(connection)

    with ThreadPoolExecutor() as pool:
        # The server has room for three streams; a connection without a hello is none yet.
        silence, length, nothing = (pool.submit(run) for run in (silent, endless, half_open))
        unused = pool.submit(no_request)
        time.sleep(0.5)
        with hello(strict, kind="video") as third:
            json.loads(third.recv())
            assert closing(hello(strict, kind="video")) == (1013, "full")
        assert silence.result() == (1008, "idle")
        assert length.result() == (1008, "time")
        assert nothing.result() == (1008, "idle")
        assert unused.result() == b""


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not JSON", (1003, "message")),
        ('{"type": "dance"}', (1003, "message")),
        ("[" * 100_000, (1003, "message")),
        (b"not a picture", (1003, "media")),
        (b"\xff\xd8\xff\xe0 and then no picture", (1003, "media")),
        (bytes((1 << 20) + 1), (1009, "")),
    ],
)
def test_nonsense(strict: RunningServer, message: str | bytes, code: tuple[int, str]) -> None:
    with hello(strict, kind="video") as connection:
        json.loads(connection.recv())
        connection.send(message)
        assert closing(connection) == code


@pytest.mark.parametrize("first", [b"\x00\x01", "{}", "no", '{"type": "hello", "kind": ["audio"]}', "\U0001f600" * 9])
def test_no_hello(strict: RunningServer, first: str | bytes) -> None:
    with connect(f"{strict.ws}/v1/stream?token={TOKEN}") as connection:
        connection.send(first)
        assert closing(connection) == (1003, "hello")


def test_a_picture_may_be_too_large(strict: RunningServer) -> None:
    picture = bytearray(jpeg())
    sizes = picture.index(b"\xff\xc0") + 5  # in the frame's header: height and width
    picture[sizes : sizes + 4] = (60_000).to_bytes(2, "big") * 2
    with hello(strict, kind="video") as connection:
        json.loads(connection.recv())
        connection.send(bytes(picture))
        assert closing(connection) == (1009, "media")


def test_a_worker_that_dies_is_replaced(strict: RunningServer) -> None:
    children = Path(f"/proc/{strict.process.pid}/task/{strict.process.pid}/children")
    (worker,) = children.read_text().split()
    with hello(strict, kind="video") as connection:
        json.loads(connection.recv())
        os.kill(int(worker), signal.SIGKILL)
        assert closing(connection) == (1011, "internal")
    while httpx.get(f"{strict.http}/healthz").status_code != 200:
        time.sleep(0.1)
    with ServerStream(strict.ws, TOKEN, kind="video") as stream:
        assert stream.ready["model"] == "shots"


def test_options_may_be_too_many(server: RunningServer) -> None:
    with ExitStack() as opened:
        for number in range(8):
            options = {"endpoint": {"silence_after_words": 0.5 + number / 10}}
            opened.enter_context(ServerStream(server.ws, options=options))
        with pytest.raises(MediaError, match="too many different options"):
            ServerStream(server.ws, options={"endpoint": {"silence_after_words": 5}})
        ServerStream(server.ws, options=options).close()
    for options, what in [
        ({"beam": 1000}, "at most 32"),
        ({"hotwords": ["word"] * 501}, "500 hotwords"),
        ({"hotwords": ["w" * 101]}, "100 characters"),
        ({"endpoint": {"max_length": 1e9}}, "0.02 to 60"),
        ({"chunk_ms": 10**400}, "at most 5000"),
        ({"threshold": 10**300}, "threshold"),
    ]:
        with pytest.raises((UsageError, MediaError), match=what):
            ServerStream(server.ws, options=options)


def test_who_leaves_is_not_worked_for(server: RunningServer) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
        writer.writeframes(bytes(32000 * 3600))
    form = {"files": {"file": file.getvalue()}, "data": {"model": "speech-en"}}
    before = seconds_of_media(server)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.http}/v1/audio/transcriptions", timeout=httpx.Timeout(60, read=1.0), **form)
    while httpx.get(f"{server.http}/healthz").json()["streams"]:
        time.sleep(0.05)
    assert seconds_of_media(server) - before < 3000


def seconds_of_media(server: RunningServer) -> float:
    lines = httpx.get(f"{server.http}/metrics").text.splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith("transducer_media_seconds_total")]
    return float(value)


def test_an_upload_may_be_too_big(strict: RunningServer) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    address = f"{strict.http}/v1/audio/transcriptions"
    answer = httpx.post(address, headers=bearer, data={"model": "shots"}, files={"file": bytes(3 << 20)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "upload")

    def pieces() -> Iterator[bytes]:  # without a length
        for _ in range(40):
            yield bytes(1 << 16)

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = httpx.post(address, headers=bearer | kind, content=pieces())
    assert answer.status_code in (400, 413)
    assert httpx.post(address, headers=bearer, data={"model": "shots"}).status_code == 400
    assert httpx.post(address, headers=bearer, content=b"{}").status_code == 400


def test_good_clients_do_not_notice_bad_ones(server: RunningServer, speech: Any) -> None:
    over = threading.Event()
    sounds = {name: read_audio(SAMPLES / name, 16000) for name in ("the-way.mp3", "island.wav", "tea.m4a")}
    offline = {name: speech.transcribe(samples, second_pass="none").text for name, samples in sounds.items()}
    with ThreadPoolExecutor(16) as pool:
        bad = [pool.submit(abuse, server, over) for abuse in ABUSES]
        time.sleep(0.5)
        good = {name: pool.submit(transcribe, server, samples) for name, samples in sounds.items()}
        try:
            assert {name: found.result() for name, found in good.items()} == offline
        finally:
            over.set()
        for each in bad:
            each.result()
    assert httpx.get(f"{server.http}/healthz").json()["status"] == "ok"
    assert "Traceback" not in server.errors.read_text()


def transcribe(server: RunningServer, samples: Any) -> str:
    with ServerStream(server.ws, format="pcm_f32le") as stream:
        messages = collect(
            stream, lambda: [stream.send_samples(samples[i : i + 1600]) for i in range(0, len(samples), 1600)]
        )
    return " ".join(message["text"] for message in messages if message["type"] == "final")


def half_open(server: RunningServer, over: threading.Event) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as opened:
        opened.send(b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        over.wait()


def garbage(server: RunningServer, over: threading.Event) -> None:
    while not over.wait(0.5):
        with socket.create_connection(("127.0.0.1", server.port)) as opened:
            opened.send(bytes(range(256)) * 100)


def vanish(stream: ServerStream) -> None:
    """Without a word."""
    stream._socket.socket.shutdown(socket.SHUT_RDWR)
    stream._socket.socket.close()


def send_until_over(server: RunningServer, over: threading.Event, send: Callable[[ServerStream], None]) -> None:
    stream = ServerStream(server.ws, format="pcm_f32le")

    def run() -> None:
        with suppress(MediaError, OSError):
            while not over.is_set():
                send(stream)

    sending = threading.Thread(target=run)
    sending.start()
    over.wait()
    vanish(stream)
    sending.join()


def byte_by_byte(server: RunningServer, over: threading.Event) -> None:
    send_until_over(server, over, lambda stream: stream.send(b"\x01"))


def never_reads(server: RunningServer, over: threading.Event) -> None:
    sound = read_audio(SAMPLES / "tea.m4a", 16000)
    send_until_over(server, over, lambda stream: stream.send_samples(sound))


def flushes(server: RunningServer, over: threading.Event) -> None:
    def send(stream: ServerStream) -> None:
        stream.send(bytes(4))
        stream.flush()

    send_until_over(server, over, send)


def giant_messages(server: RunningServer, over: threading.Event) -> None:
    while not over.wait(0.5):
        with connect(f"{server.ws}/v1/stream", max_size=None) as connection:
            connection.send(json.dumps({"type": "hello"}))
            connection.recv()
            with suppress(ConnectionClosed):
                connection.send(bytes(8 << 20))


def sudden_disconnects(server: RunningServer, over: threading.Event) -> None:
    sound = read_audio(SAMPLES / "tea.m4a", 16000)
    while not over.wait(0.5):
        stream = ServerStream(server.ws, format="pcm_f32le")
        stream.send_samples(sound)
        vanish(stream)


def no_media(server: RunningServer, over: threading.Event) -> None:
    data = b"\x1aE\xdf\xa3" + bytes(range(256)) * 400
    while not over.wait(0.5):
        with ServerStream(server.ws, format="container") as stream, pytest.raises(MediaError, match="that can be read"):
            stream.send(data)
            stream.finish()
            list(stream)


ABUSES = (
    half_open,
    garbage,
    byte_by_byte,
    giant_messages,
    sudden_disconnects,
    no_media,
    never_reads,
    flushes,
)


def jpeg() -> bytes:
    import cv2
    import numpy as np

    return bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1])
