"""Media in: bytes from anywhere -> timed float32 samples, lazily and in constant memory."""

from transducer.media.audio import AudioReader, open_audio, read_audio
from transducer.media.live import microphone
from transducer.media.sources import RAW_ENCODINGS, RawFormat

__all__ = ["RAW_ENCODINGS", "AudioReader", "RawFormat", "microphone", "open_audio", "read_audio"]
