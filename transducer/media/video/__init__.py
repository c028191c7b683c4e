"""Pictures: any source -> RGB frames with exact times."""

from typing import Any

__all__ = ["VideoFrame", "VideoReader", "open_video"]


def __getattr__(name: str) -> Any:
    # The reader loads FFmpeg's filters and scalers, which whoever wants a small part of this package doesn't need.
    if name in __all__:
        from transducer.media.video import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
