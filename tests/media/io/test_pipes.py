"""Sound from pipes and standard input: lazily, in constant memory, and the same however the bytes come."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_fixtures import Trickle, noise, pcm, wav, write_media, write_talk

from transducer.media import RawFormat, open_audio, read_audio

RATE = 16000


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> dict[str, Path]:
    return write_talk(tmp_path_factory.mktemp("media"))


KINDS = ["wav", "flac", "mp3", "m4a", "mkv", "ts", "fast.mp4", "webm"]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=4)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6), st.booleans())
def test_sound_does_not_depend_on_how_bytes_come(media, kind, sizes, seekable):
    whole = read_audio(media[kind])
    sound = read_audio(Trickle(media[kind].read_bytes(), [2000, *sizes], seekable))
    if kind == "mp3" and not seekable:
        # Where an MP3 ends is worked out from its size, which a pipe doesn't tell: some padding stays, and the
        # resampler's last block holds more.
        assert 0 <= len(sound) - len(whole) < 1152
        np.testing.assert_allclose(sound[: len(whole) - 100], whole[:-100], atol=1e-6)
        return
    np.testing.assert_array_equal(sound, whole)


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a", "webm"])
def test_standard_input(media, kind):
    code = (
        "import sys; from transducer.media import open_audio\n"
        "with open_audio('-') as reader:\n"
        "    print(sum(len(c) for c in reader), reader.name, *reader.warnings, sep='|')"
    )
    with subprocess.Popen(["cat", str(media[kind])], stdout=subprocess.PIPE) as cat:
        command = [sys.executable, "-c", code]
        root = Path(__file__).resolve().parents[3]
        done = subprocess.run(command, stdin=cat.stdout, capture_output=True, text=True, cwd=root, timeout=60)
    count, name = done.stdout.strip().split("|")
    assert done.stderr == ""
    assert abs(int(count) - 1.5 * RATE) < 450
    assert name == "standard input"


def test_interrupting_a_pipe_that_waits():
    code = (
        "from transducer.media import RawFormat, open_audio\n"
        "with open_audio('-', raw=RawFormat()) as reader:\n"
        "    try:\n"
        "        for chunk in reader: print('sound', flush=True)\n"
        "    except KeyboardInterrupt: print('interrupted after', reader.position)"
    )
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=Path(__file__).resolve().parents[3], **pipes) as process:
        process.stdin.write(bytes(2048))
        process.stdin.flush()
        assert process.stdout.readline() == b"sound\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b"interrupted after 0.064\n"
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


def test_live_sound_is_not_held_back():
    source, sink = os.pipe()
    sound = noise(1.0, RATE)
    with os.fdopen(source, "rb") as file, os.fdopen(sink, "wb", buffering=0) as pipe:
        pipe.write(pcm(sound, "s16le")[:9600])  # 0.3 s, and then nothing for now
        with open_audio(file, raw=RawFormat("s16le", RATE, 1)) as reader:
            got = [next(reader)]
            while reader.position < 0.2:
                got.append(next(reader))
            pipe.write(pcm(sound, "s16le")[9600:])
            pipe.close()
            got += list(reader)
    np.testing.assert_allclose(np.concatenate(got), sound, atol=1e-4)


def test_named_pipe(tmp_path, media):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def feed():
        with open(path, "wb") as pipe:
            pipe.write(media["flac"].read_bytes())

    thread = threading.Thread(target=feed)
    thread.start()
    np.testing.assert_array_equal(read_audio(path), read_audio(media["flac"]))
    thread.join()


def test_fragments_of_mp4_from_a_pipe(tmp_path):
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}
    path = write_media(tmp_path / "live.mp4", "aac", noise(4.0, 44100), options=options)
    with open_audio(Trickle(path.read_bytes(), [1500])) as reader:
        heard = np.concatenate(list(reader))
    np.testing.assert_array_equal(heard[: 4 * RATE - 500], read_audio(path)[: 4 * RATE - 500])
    assert len(heard) == pytest.approx(4 * RATE, abs=800)  # with the encoder's delay and padding
    assert reader.warnings == []
    # The header of such a file tells the length of its first fragment only; at the end all of it is known.
    assert reader.duration == reader.position == len(heard) / RATE


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_from_a_recorder_that_does_not_know_the_length_yet(size):
    data = bytearray(wav(noise(1.0, RATE), RATE))
    data[4:8] = data[40:44] = struct.pack("<I", size)
    assert len(read_audio(Trickle(bytes(data), [1000]))) == RATE


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "mkv"])
def test_reading_is_lazy(kind, tmp_path):
    codec = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "mkv": "libopus"}[kind]
    path = write_media(tmp_path / f"long.{kind}", codec, np.tile(noise(2.0, 48000), 20), rate=48000)
    trickle = Trickle(path.read_bytes(), [4096])
    with open_audio(trickle) as reader:
        next(reader)
        assert trickle.bytes_read < 0.4 * path.stat().st_size
        before = trickle.bytes_read
        while reader.position < 20:
            next(reader)
        assert before < trickle.bytes_read < 0.8 * path.stat().st_size


def test_endless_sound_takes_constant_memory():
    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return bytes(size)

        def seekable(self):
            return False

    with open_audio(Endless(), raw=RawFormat("s16le", 44100, 2)) as reader:
        next(reader)
        tracemalloc.start()
        while reader.position < 20:
            next(reader)
        early = tracemalloc.get_traced_memory()[0]
        while reader.position < 200:
            next(reader)
        late = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert late - early < 50_000
