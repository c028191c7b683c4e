"""Media for the tests, made by them: sounds with known properties, and files of any format that hold them."""

from __future__ import annotations

import io
import itertools
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


# What stands in files that are no media.
NO_MEDIA = {
    "empty": b"",
    "text": b"This is a letter to a friend, and neither sound nor video.\n" * 50,
    "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n",
    "noise": np.random.default_rng(0).bytes(20000),
}


def sine(seconds: float, rate: int, frequency: float = 440.0, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def noise(seconds: float, rate: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Noise below 4 kHz, so that resampling and codecs keep all of it; any stretch of it is recognisable."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, round(seconds * rate)))
    spectrum[np.fft.rfftfreq(round(seconds * rate), 1 / rate) > 4000] = 0
    sound = np.fft.irfft(spectrum, round(seconds * rate))
    return level * sound / sound.std()


def lag(sound: np.ndarray, reference: np.ndarray) -> int:
    """By how many samples `sound` comes later than `reference`, from their cross-correlation."""
    size = 2 ** int(np.ceil(np.log2(len(sound) + len(reference))))
    product = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size))
    peak = int(np.argmax(np.fft.irfft(product, size)))
    return peak if peak < size // 2 else peak - size


def pcm(samples: np.ndarray, encoding: str) -> bytes:
    """Samples (n,) or (n, channels) from -1 to 1 -> interleaved PCM in one of FFmpeg's raw encodings."""
    kind, bits, order = encoding[0], int(encoding[1:].rstrip("lbe")), "<" if encoding.endswith("le") else ">"
    if kind == "f":
        return samples.astype(f"{order}f{bits // 8}").tobytes()
    steps = np.round(np.clip(samples, -1, 1 - 2.0 ** (1 - bits)) * 2 ** (bits - 1)).astype(np.int64)
    if kind == "u":
        steps = steps + 2 ** (bits - 1)
    data = steps.astype(f"{order}i8").reshape(-1, 1).view(np.uint8)
    return (data[:, : bits // 8] if order == "<" else data[:, -(bits // 8) :]).tobytes()


def wav(samples: np.ndarray, rate: int, bits: int = 16, float_samples: bool = False) -> bytes:
    """A WAV file of samples (n,) or (n, channels)."""
    encoding = ("f" if float_samples else "u" if bits == 8 else "s") + str(bits) + ("" if bits == 8 else "le")
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    return wav_header(samples.size * bits // 8, rate, channels, bits, 3 if float_samples else 1) + pcm(
        samples, encoding
    )


def wav_header(size: int, rate: int = 16000, channels: int = 1, bits: int = 16, tag: int = 1) -> bytes:
    width = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * width % 2**32, width, bits)
    return (
        b"RIFF"
        + struct.pack("<I", size + 36)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + b"data"
        + struct.pack("<I", size)
    )


def write_media(
    path: Path,
    codec: str,
    *sounds: np.ndarray,
    rate: int = 44100,
    start: float = 0.0,
    gap_at: float | None = None,
    gap: float = 0.0,
    video: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode sounds, each (n,) or (n, channels), as the audio streams of a file; the name gives the container.

    Args:
        start: of the sound in seconds, in its timestamps.
        gap_at, gap: timestamps jump by `gap` seconds after the frame that holds second `gap_at`.
        video: seconds of a picture to go with it, from time 0.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        picture = container.add_stream("mpeg4", rate=25) if video else None
        if picture is not None:
            picture.width = picture.height = 64
        streams = []
        for sound in sounds:
            layout = _LAYOUTS[1 if sound.ndim == 1 else sound.shape[1]]
            streams.append(container.add_stream(codec, rate=rate, layout=layout))
        packets = []
        for index in range(round(video * 25)):
            image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), index % 256, np.uint8), format="rgb24")
            image.pts, image.time_base = index, Fraction(1, 25)
            packets += picture.encode(image)
        packets += picture.encode(None) if picture is not None else []
        for stream, sound in zip(streams, sounds, strict=True):
            packets += _encode(stream, sound, rate, start, gap_at, gap)
        # Muxers want what belongs together in time close together in the file.
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def _encode(stream, sound, rate, start, gap_at, gap) -> list[av.Packet]:
    stream.codec_context.open()
    context = stream.codec_context
    sound = (sound if sound.ndim == 2 else sound[:, None]).astype(np.float32)
    resampler = av.AudioResampler(context.format.name, context.layout.name, rate)
    size = context.frame_size or 1024
    packets = []
    for position in range(0, len(sound), size):
        block = np.ascontiguousarray(sound[position : position + size].T)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=context.layout.name)
        frame.sample_rate = rate
        for converted in resampler.resample(frame):
            late = gap if gap_at is not None and position > gap_at * rate else 0
            converted.pts, converted.time_base = position + round((start + late) * rate), Fraction(1, rate)
            packets += stream.encode(converted)
    return packets + stream.encode(None)


def write_talk(folder: Path, seconds: float = 1.5) -> dict[str, Path]:
    """The same sound in files of the usual formats, by the ends of their names; fast.mp4 has its index in front."""
    sound = noise(seconds, 44100)
    files = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "m4a": "aac", "mkv": "aac", "ts": "aac"}
    paths = {end: write_media(folder / f"talk.{end}", codec, sound) for end, codec in files.items()}
    paths["fast.mp4"] = write_media(folder / "fast.mp4", "aac", sound, options={"movflags": "faststart"})
    paths["webm"] = write_media(folder / "talk.webm", "libopus", noise(seconds, 48000), rate=48000)
    return paths


class Trickle(io.RawIOBase):
    """A file that gives as many bytes at a time as it likes, with or without seeking."""

    def __init__(self, data: bytes, sizes, seekable: bool = False):
        self._file = io.BytesIO(data)
        self._sizes = itertools.cycle(sizes)
        self._seekable = seekable
        self.bytes_read = 0

    def readable(self):
        return True

    def seekable(self):
        return self._seekable

    def seek(self, offset, whence=0):
        assert self._seekable
        return self._file.seek(offset, whence)

    def tell(self):
        return self._file.tell()

    def read(self, size=-1):
        data = self._file.read(min(size, next(self._sizes)) if size >= 0 else size)
        self.bytes_read += len(data)
        return data
