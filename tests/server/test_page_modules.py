"""The page's modules for themselves, in Chromium: resampling, MP4 files put in order, subtitles."""

from __future__ import annotations

import base64
import io
import itertools
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pysubs2
import pytest
import soxr
from browser import chromium
from playwright.sync_api import Page

import transducer
from transducer.formats.words.document import parse_json

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(transducer.__file__).parent / "server" / "page"
SAMPLES = ROOT / "sample_media"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(PAGE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/icon.svg")  # a document at the address of the modules
        yield page
    server.shutdown()


RESAMPLE = """async ([rate, to, samples, cuts]) => {
    const { Resampler } = await import('/resampler.js');
    const resampler = new Resampler(rate, to);
    const output = [];
    let from = 0;
    for (const cut of [...cuts, samples.length]) {
        output.push(...resampler.push(Float32Array.from(samples.slice(from, cut))));
        from = cut;
    }
    return [...output, ...resampler.flush()];
}"""


def resample(page: Page, rate: int, samples: np.ndarray, cuts: list[int], to: int = 16000) -> np.ndarray:
    return np.array(page.evaluate(RESAMPLE, [rate, to, samples.tolist(), cuts]), np.float64)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
def test_resampled_sound_is_that_of_soxr(page: Page, rate: int) -> None:
    seconds = np.arange(rate // 4) / rate
    fade = np.minimum(1, np.minimum(seconds, seconds[-1] - seconds) / 0.02)
    samples = fade * sum(0.2 * np.sin(2 * np.pi * f * seconds) for f in (110, 1000, 3333, min(6500, 0.4 * rate)))
    got = resample(page, rate, samples, [1, 2, 700, 701, 1500])
    expected = soxr.resample(samples, rate, 16000, "VHQ")
    assert len(got) == len(expected) == 4000
    assert np.abs(got - expected).max() < 1e-3


def test_nothing_above_the_new_half_rate_folds_back(page: Page) -> None:
    seconds = np.arange(12000) / 48000
    got = resample(page, 48000, np.sin(2 * np.pi * 9000 * seconds), [])  # would be heard at 7000 Hz
    assert np.abs(got[200:-200]).max() < 1e-4


def test_resampling_does_not_depend_on_the_pieces(page: Page) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 2000)
    whole = resample(page, 44100, samples, [])
    for cuts in ([1, 3, 4, 1999], list(range(0, 2000, 128)), [1000, 1000, 1001]):
        np.testing.assert_array_equal(resample(page, 44100, samples, cuts), whole)


FASTSTART = """async (data) => {
    const { faststart } = await import('/faststart.js');
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    const file = await faststart(new File([bytes], 'clip'));
    const result = new Uint8Array(await file.arrayBuffer());
    return btoa(Array.from(result, (byte) => String.fromCharCode(byte)).join(''));
}"""


def faststart(page: Page, data: bytes) -> bytes:
    return base64.b64decode(page.evaluate(FASTSTART, base64.b64encode(data).decode()))


class _Pipe(io.RawIOBase):
    """A file that can be read from front to back, as a stream is."""

    def __init__(self, data: bytes):
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(size)

    def readable(self) -> bool:
        return True


def packets(file: Any) -> list[tuple[int, int | None, bytes]]:
    with av.open(file) as container:
        return [(packet.stream_index, packet.pts, bytes(packet)) for packet in container.demux() if packet.size]


def moov_last(tmp_path: Path, name: str) -> bytes:
    """The clip as cameras write it: the index behind the media."""
    path = tmp_path / "clip.mp4"
    command = ["ffmpeg", "-v", "error", "-i", str(SAMPLES / name), "-c", "copy", "-map_metadata", "-1", str(path)]
    subprocess.run(command, check=True)
    data = path.read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    return data


@pytest.mark.parametrize("name", ["stars.mp4", "shots.mp4", "tea.m4a"])
def test_an_index_behind_its_media_comes_first(page: Page, tmp_path: Path, name: str) -> None:
    data = moov_last(tmp_path, name)
    result = faststart(page, data)
    assert len(result) == len(data)
    assert result.index(b"moov") < result.index(b"mdat")
    assert packets(_Pipe(result)) == packets(io.BytesIO(data))
    assert faststart(page, result) == result


def test_other_files_stay_as_they_are(page: Page, tmp_path: Path) -> None:
    mp4 = moov_last(tmp_path, "tea.m4a")
    others = [(SAMPLES / name).read_bytes() for name in ("letters.opus", "call-back.webm")]
    for data in [b"", b"RIFF", mp4[: len(mp4) // 2], mp4[:-30], b"\0\0\0\x10ftypisom", *others]:
        assert faststart(page, data) == data


RENDER = "async ([result, format]) => (await import('/download.js')).render(result, format)"


def spoken(text: str, start: float = 0.0, length: float = 0.3, pause: float = 0.05) -> list[dict[str, Any]]:
    starts = itertools.count()
    return [
        {"text": word, "start": (at := start + next(starts) * (length + pause)), "end": at + length, "confidence": 0.9}
        for word in text.split()
    ]


def result(*segments: list[dict[str, Any]], events: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "source": "talk.mp4",
        "duration": 60.0,
        "segments": [
            {
                "type": "final",
                "segment": number,
                "start": words[0]["start"],
                "end": words[-1]["end"],
                "text": " ".join(word["text"] for word in words),
                "words": words,
            }
            for number, words in enumerate(segments)
        ],
        "events": events or [],
        "warnings": [],
    }


LONG = "and so the long sentence goes on and on without any pause at all " * 4


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_can_be_read(page: Page, format: str) -> None:
    data = result(spoken("a < b & c"), spoken(LONG, 5.0), spoken("quick", 27.5, 0.1), spoken("end", 27.65, 0.1))
    text = page.evaluate(RENDER, [data, format])
    cues = pysubs2.SSAFile.from_string(text, format)
    lines = [line for cue in cues for line in cue.plaintext.split("\n")]
    if format == "srt":  # of WebVTT, pysubs2 leaves &lt; as it is
        assert " ".join(lines).split() == ["a", "<", "b", "&", "c", *LONG.split(), "quick", "end"]
    else:
        assert "a &lt; b &amp; c" in text
    assert max(map(len, lines)) <= 42
    assert all(len(cue.plaintext.split("\n")) <= 2 and 0 < cue.duration <= 7000 for cue in cues)
    assert all(before.end <= after.start for before, after in itertools.pairwise(cues))
    assert cues[0].duration >= 833 and cues[0].start == 0


def test_words_of_any_length_make_cues(page: Page) -> None:
    data = result(spoken("x" * 100), spoken("in time", 0.0, 0.0, 0.0), spoken("y" * 60 + " z", 30.0))
    cues = pysubs2.SSAFile.from_string(page.evaluate(RENDER, [data, "srt"]), "srt")
    assert " ".join(cue.plaintext for cue in cues).split() == ["x" * 100, "in", "time", "y" * 60, "z"]
    assert all(before.end <= after.start for before, after in itertools.pairwise(cues))


def test_json_is_that_of_the_command_line(page: Page) -> None:
    event = {
        "type": "event",
        "label": "cut",
        "start": 2.28,
        "end": 2.32,
        "score": 0.98,
        "start_frame": 57,
        "end_frame": 58,
    }
    text = page.evaluate(RENDER, [result(spoken("good evening", 0.1), spoken("bye", 4.0), events=[event]), "json"])
    transcript = parse_json(text)
    assert transcript.text == "good evening bye" and transcript.source == "talk.mp4" and transcript.duration == 60.0
    assert [word.start for word in transcript.words] == [0.1, 0.45, 4.0]
    assert transcript.final and '"start_frame": 57' in text


def test_labels_alone_make_files_too(page: Page) -> None:
    event = {"label": "cut", "start": 62.28, "end": 62.32, "score": 0.98, "start_frame": 57, "end_frame": 58}
    data = result(events=[event])
    (cue,) = pysubs2.SSAFile.from_string(page.evaluate(RENDER, [data, "vtt"]), "vtt")
    assert (cue.start, cue.plaintext) == (62280, "cut")
    assert page.evaluate(RENDER, [data, "txt"]) == "1:02.28  cut\n"


@pytest.mark.parametrize(
    ("seconds", "decimals", "text"),
    [(0, 0, "0:00"), (59.99, 0, "0:59"), (59.96, 1, "1:00.0"), (3661, 0, "1:01:01"), (3599.95, 1, "1:00:00.0")],
)
def test_times(page: Page, seconds: float, decimals: int, text: str) -> None:
    clock = "async ([seconds, decimals]) => (await import('/times.js')).clock(seconds, decimals)"
    assert page.evaluate(clock, [seconds, decimals]) == text
