"""Pictures of a video, encoded into another file."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from transducer.media.video.reader import VideoReader

# End of the name: FFmpeg's container, and the encoder for its pictures.
CONTAINERS = {
    ".mp4": ("mp4", "libx264"),
    ".m4v": ("mp4", "libx264"),
    ".mov": ("mov", "libx264"),
    ".mkv": ("matroska", "libx264"),
    ".ts": ("mpegts", "libx264"),
    ".webm": ("webm", "libvpx-vp9"),
    ".avi": ("avi", "mpeg4"),
}
_OPTIONS = {
    "libx264": {"crf": "20", "preset": "veryfast"},
    "libvpx-vp9": {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"},
    "mpeg4": {"qscale": "4", "flags": "+qscale"},
}
_FINEST_TICK = Fraction(1, 1_000_000)


def container_for(suffix: str) -> tuple[str, str]:
    """FFmpeg's container and encoder for files whose names end so (see `CONTAINERS`)."""
    container, encoder = CONTAINERS[suffix.lower()]
    # Some builds of FFmpeg lack the libraries; this encoder is its own.
    return container, encoder if encoder in av.codecs_available else "mpeg4"


class PictureEncoder:
    """A file's stream of pictures, in the order of their times.

    Args:
        container: the file.
        encoder: see `container_for`.
        reader: what the pictures come from, whose rate and clock they keep.
        shape: (height, width, 3) of the pictures.
    """

    def __init__(self, container: OutputContainer, encoder: str, reader: VideoReader, shape: tuple[int, ...]) -> None:
        self._container = container
        self._stream = _add_stream(container, encoder, reader, *shape[:2])
        self._reformatter = VideoReformatter()
        self._last: int | None = None

    def write(self, image: np.ndarray, time: Fraction) -> None:
        """A picture, uint8 (H, W, 3), that is shown from this time on, in seconds."""
        tick = self._stream.codec_context.time_base
        encoded = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(image, format="rgb24"),
            format=self._stream.codec_context.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            threads=1,
        )
        pts = round(time / tick)
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        encoded.pts, encoded.time_base, self._last = pts, tick, pts
        self._container.mux(self._stream.encode(encoded))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))


def _add_stream(container: OutputContainer, encoder: str, reader: VideoReader, height: int, width: int) -> VideoStream:
    rate = reader.fps.limit_denominator(65535)
    stream = cast(VideoStream, container.add_stream(encoder, rate=rate, options=_OPTIONS[encoder]))
    stream.height, stream.width = height, width
    # Colour at half the size needs even sides.
    even = height % 2 == 0 == width % 2
    stream.pix_fmt = "yuv420p" if even or encoder == "mpeg4" else "yuv444p"
    codec = stream.codec_context
    codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc = 1, 1, 1, 1  # BT.709, narrow
    constant = encoder == "mpeg4" or reader.tick < _FINEST_TICK
    codec.time_base = 1 / rate if constant else reader.tick
    stream.time_base = codec.time_base
    return stream
