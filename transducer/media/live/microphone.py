"""The microphone: an endless source of samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from transducer.errors import MediaError
from transducer.media.audio.mixing import Mixer
from transducer.media.audio.resampling import resample

BLOCK = 0.02  # seconds of sound per array


def microphone(rate: int = 16000, device: int | str | None = None) -> Iterator[np.ndarray]:
    """Record until the iterator is closed: float32 arrays (samples,) at `rate`, a few of them per 0.1 s.

    Args:
        rate: samples per second to give; a device that can't record at it is resampled.
        device: number or part of the name of an input device; None for the system's default.

    Raises:
        MediaError: sounddevice or PortAudio is not installed, or the device can't be opened. Says what to do.
    """
    sounddevice = _import_sounddevice()
    try:
        stream = _open_stream(sounddevice, rate, device)
    except (sounddevice.PortAudioError, ValueError) as error:
        what = "the default microphone" if device is None else f"the microphone {device!r}"
        raise MediaError(
            f"{what} can't be opened ({' '.join(str(error).split())}); list what there is with: python -m sounddevice"
        ) from None
    return resample(_record(stream), rate)


def _record(stream: Any) -> Iterator[tuple[int, np.ndarray]]:
    rate, mixer = round(stream.samplerate), Mixer()
    with stream:
        while True:
            block, _ = stream.read(round(BLOCK * rate))
            yield rate, mixer.mix(block.T, rate)


def _open_stream(sounddevice: Any, rate: int, device: int | str | None) -> Any:
    try:
        sounddevice.check_input_settings(device=device, channels=1, dtype="float32", samplerate=rate)
    except sounddevice.PortAudioError:
        # Many devices have one rate only; their own always works.
        rate = sounddevice.query_devices(device, "input")["default_samplerate"]
    return sounddevice.InputStream(samplerate=rate, device=device, channels=1, dtype="float32", latency="low")


def _import_sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise MediaError("recording needs sounddevice; install it with: pip install sounddevice") from None
    except OSError:  # what sounddevice raises when the system's library is missing
        raise MediaError(
            "recording needs PortAudio; install it, on Debian and Ubuntu with: apt install libportaudio2"
        ) from None
    return sounddevice
