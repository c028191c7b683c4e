"""Videos for the tests, made by them: pictures that hold their own number, in files of any format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_BITS = 8
_TICK = Fraction(1, 90000)


def numbered(index: int, height: int = 72, width: int = 96) -> np.ndarray:
    """A colourful picture (height, width, 3) whose upper half holds `index` (0 to 255) in eight bars, black or white.

    The lower half is a gradient from left to right that slowly changes its colours.
    """
    image = np.zeros((height, width, 3), np.uint8)
    bars = np.repeat([(index >> bit) & 1 for bit in range(_BITS)], -(-width // _BITS))[:width]
    image[: height // 2] = (bars * 235 + 10)[None, :, None]
    ramp = np.linspace(0, 1, width)
    colours = np.stack([40 + 160 * ramp, 200 - 120 * ramp, np.full(width, 60 + index % 128)], axis=1)
    image[height // 2 :] = colours.astype(np.uint8)[None]
    return image


def number_in(image: np.ndarray) -> int:
    """The number that `numbered` wrote into a picture, also when it was made smaller or coded with loss."""
    row = image[image.shape[0] // 4].mean(axis=1)
    width = image.shape[1]
    middles = [round((bit + 0.5) * width / _BITS) for bit in range(_BITS)]
    return sum(int(row[middle] > 128) << bit for bit, middle in enumerate(middles))


def can_encode(codec: str) -> bool:
    try:
        av.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def write_video(
    path: Path,
    codec: str = "libx264",
    images: Iterable[np.ndarray] | int = 10,
    *,
    rate: Fraction | int = 25,
    times: Sequence[Fraction | float] | None = None,
    pix_fmt: str | None = None,
    rotation: int = 0,
    sound: np.ndarray | None = None,
    sound_start: float = 0.0,
    sound_codec: str = "aac",
    source: str = "rgb24",
    flags: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    file_format: str | None = None,
) -> Path:
    """Encode pictures (h, w, 3), or so many numbered ones; the name gives the container.

    Args:
        times: of the frames in seconds; None for one every 1 / rate.
        rotation: degrees in the display matrix, as `VideoStream.set_display_rotation` takes them.
        sound: (n,) at 48 kHz, as a second stream.
        source: the format that the pictures have as arrays.
        flags: attributes of the codec's context, such as color_range.
    """
    if isinstance(images, int):
        images = [numbered(i) for i in range(images)]
    images = list(images)
    with av.open(str(path), "w", format=file_format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = images[0].shape[:2] if images else (72, 96)
        stream.pix_fmt = pix_fmt or stream.codec_context.codec.video_formats[0].name
        if times is not None:
            stream.time_base = stream.codec_context.time_base = _TICK
        for key, value in (flags or {}).items():
            setattr(stream.codec_context, key, value)
        if rotation:
            stream.set_display_rotation(rotation)
        audio = container.add_stream(sound_codec, rate=48000, layout="mono") if sound is not None else None
        packets = []
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format=source)
            if times is None:
                frame.pts, frame.time_base = index, 1 / Fraction(rate)
            else:
                frame.pts, frame.time_base = round(Fraction(times[index]) / _TICK), _TICK
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if audio is not None:
            packets += _encode_sound(audio, sound, sound_start)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base if p.dts is not None else 0):
            container.mux(packet)
    return path


def _encode_sound(stream, sound: np.ndarray, start: float) -> list[av.Packet]:
    stream.codec_context.open()
    size = stream.codec_context.frame_size
    resampler = av.AudioResampler(stream.codec_context.format.name, "mono", 48000)
    packets = []
    for position in range(0, len(sound), size):
        block = np.ascontiguousarray(sound[None, position : position + size].astype(np.float32))
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate = 48000
        for converted in resampler.resample(frame):
            converted.pts, converted.time_base = position + round(start * 48000), Fraction(1, 48000)
            packets += stream.encode(converted)
    return packets + stream.encode(None)
