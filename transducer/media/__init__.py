"""Media in: bytes from anywhere -> timed float32 samples and RGB frames, lazily and in constant memory."""

from typing import Any

from transducer.media.audio.reader import AudioReader, open_audio, read_audio
from transducer.media.io.sources import RAW_ENCODINGS, RawFormat
from transducer.media.live.microphone import microphone

__all__ = [
    "RAW_ENCODINGS",
    "AudioReader",
    "RawFormat",
    "VideoFrame",
    "VideoReader",
    "microphone",
    "open_audio",
    "open_video",
    "read_audio",
]


def __getattr__(name: str) -> Any:
    # OpenCV takes a while to load, and sound doesn't need it.
    if name in ("VideoFrame", "VideoReader", "open_video"):
        from transducer.media.video import reader as video

        return getattr(video, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
