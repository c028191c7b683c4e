"""Media in: bytes from anywhere -> timed float32 samples and RGB frames, lazily and in constant memory."""

from transducer.media.audio import AudioReader, open_audio, read_audio
from transducer.media.live import microphone
from transducer.media.sources import RAW_ENCODINGS, RawFormat

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


def __getattr__(name: str):
    # OpenCV takes a while to load, and sound doesn't need it.
    if name in ("VideoFrame", "VideoReader", "open_video"):
        from transducer.media import video

        return getattr(video, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
