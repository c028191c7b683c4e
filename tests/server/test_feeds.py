"""What clients send, cut anywhere, becomes the steps of the whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transducer.errors import MediaError
from transducer.media.audio.resampling import resample
from transducer.server.feeds import Flush, Pipe, SampleFeed, decode_jpeg, decode_pictures
from transducer.server.limits import Refused
from transducer.server.messages import Hello


@given(
    st.lists(st.integers(0, 3000), max_size=8),
    st.sampled_from([("pcm_s16le", "<i2"), ("pcm_f32le", "<f4")]),
    st.sampled_from([8000, 16000, 44100]),
    st.integers(1, 2),
)
@settings(max_examples=40)
def test_samples_do_not_depend_on_the_pieces(cuts: list[int], kind: tuple[str, str], rate: int, channels: int) -> None:
    wave = np.sin(np.arange(5000) * 0.05) * np.linspace(0.1, 0.5, 5000)
    scaled = wave * 32767 if kind[0] == "pcm_s16le" else wave
    data = np.repeat(scaled[:, None], channels, axis=1).astype(kind[1]).tobytes()
    feed = SampleFeed(Hello(format=kind[0], rate=rate, channels=channels), 16000)
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in np.cumsum(cuts))})
    parts = [feed.push(data[a:b]) for a, b in pairwise(places)]
    found = np.concatenate([*parts, feed.end()])
    heard = np.frombuffer(data, kind[1]).reshape(-1, channels)[:, 0].astype(np.float32)
    heard /= np.float32(2**15 if kind[0] == "pcm_s16le" else 1)
    truth = np.concatenate(list(resample([(rate, heard)], 16000)))
    assert len(found) == round(5000 * 16000 / rate)
    np.testing.assert_allclose(found, truth, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_numbers_that_are_no_samples(value: float) -> None:
    with pytest.raises(Refused, match="finite numbers"):
        SampleFeed(Hello(format="pcm_f32le"), 16000).push(np.array([0.1, value], "<f4").tobytes())


def test_a_pipe_counts_what_is_taken() -> None:
    taken: list[int] = []
    pipe = Pipe("the stream", taken.append, limit=10)
    pipe.put(b"abcdef")
    pipe.put(b"gh")
    pipe.end()
    assert [pipe.read(4), pipe.read(4), pipe.read(4), pipe.read(4)] == [b"abcd", b"ef", b"gh", b""]
    assert sum(taken) == 8


def test_a_pipe_of_which_nothing_can_be_made_is_not_read_for_ever() -> None:
    pipe = Pipe("the stream", lambda count: None, limit=10)
    pipe.put(bytes(11))
    with pytest.raises(MediaError, match="nothing could be decoded"):
        pipe.read(100)
    pipe = Pipe("the stream", lambda count: None, limit=10)
    pipe.started = True
    pipe.put(bytes(11))
    assert len(pipe.read(100)) == 11


def test_pictures_have_times_that_increase() -> None:
    import cv2

    from transducer.media.video.medium import Frames

    picture = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    np.testing.assert_array_equal(decode_jpeg(jpeg), shown)
    pipe, hello = Pipe("the stream", lambda count: None, 1000), Hello(kind="video", format="jpeg", timed=True)
    for time in (0.5, 0.75, 0.75):
        pipe.put(np.float64(time).tobytes() + jpeg)
        pipe.put(Flush())
    items = decode_pictures(pipe, hello, Frames(16, 16))
    first, flush, second, _ = (next(items) for _ in range(4))
    assert (first.times, first.frames, second.times, second.frames) == ([0.5], [0], [0.75], [1])  # type: ignore[union-attr]
    assert isinstance(flush, Flush)
    with pytest.raises(Refused, match="increase"):
        next(items)
