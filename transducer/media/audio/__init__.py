"""Sound: any source -> mono samples at the rate asked for."""

from transducer.media.audio.reader import AudioReader, open_audio, read_audio

__all__ = ["AudioReader", "open_audio", "read_audio"]
