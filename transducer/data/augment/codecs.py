"""What recordings go through before anybody hears them: telephones and codecs at low bit rates."""

from __future__ import annotations

import io
from typing import NamedTuple, cast

import av
import numpy as np
from av.audio.stream import AudioStream

from transducer.data.augment.waveform import change_speed
from transducer.media import read_audio


class Codec(NamedTuple):
    """One way to store or send speech.

    Attributes:
        container, name: of FFmpeg.
        rate: samples a second that it is given; those above its half are lost.
        bit_rates: bits a second, one of these; none where the codec has but one.
    """

    container: str
    name: str
    rate: int
    bit_rates: tuple[int, ...] = ()


CODECS = (
    Codec("wav", "pcm_mulaw", 8000),  # G.711: the telephone
    Codec("ogg", "libopus", 16000, (6000, 9000, 12000)),
    Codec("mp3", "libmp3lame", 16000, (8000, 16000, 24000)),
)


def through_codec(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Samples, float32 (N,), after a codec drawn at random; the same length and rate, and no later."""
    codec = CODECS[int(rng.integers(len(CODECS)))]
    bit_rate = int(rng.choice(codec.bit_rates)) if codec.bit_rates else None
    if not len(samples):
        return samples
    heard = sent_through(samples, rate, codec, bit_rate)[: len(samples)]
    return np.pad(heard, (0, len(samples) - len(heard))).astype(np.float32)


def sent_through(samples: np.ndarray, rate: int, codec: Codec, bit_rate: int | None = None) -> np.ndarray:
    """Samples after this codec, at the same rate; it may have added or lost some at the end."""
    data = encode(change_speed(samples, 1.0, rate, codec.rate), codec, bit_rate)
    return read_audio(io.BytesIO(data), rate)


def encode(samples: np.ndarray, codec: Codec, bit_rate: int | None = None) -> bytes:
    """Samples at the codec's rate -> a file."""
    file = io.BytesIO()
    with av.open(file, "w", format=codec.container) as container:
        stream = cast(AudioStream, container.add_stream(codec.name, rate=codec.rate, layout="mono"))
        if bit_rate:
            stream.bit_rate = bit_rate
        whole = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = codec.rate, 0
        # Encoders want frames of their own size and format.
        resampler = av.AudioResampler(stream.format, "mono", codec.rate, stream.codec_context.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()
