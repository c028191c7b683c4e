"""The microphone, with a stand-in for the library that talks to the sound card."""

from __future__ import annotations

import builtins
import sys
import types

import numpy as np
import pytest

from transducer.errors import MediaError
from transducer.media import microphone, open_audio


class FakeSounddevice(types.ModuleType):
    """A device that records a ramp of samples at one rate, and counts how often it is opened and closed."""

    class PortAudioError(Exception):
        pass

    def __init__(self, rate: int, there: bool = True):
        super().__init__("sounddevice")
        self.rate, self.there = rate, there
        self.opened = self.closed = self.recorded = 0

    def check_input_settings(self, device, channels, dtype, samplerate):
        if not self.there or samplerate != self.rate:
            raise self.PortAudioError("Invalid sample rate\n [PaErrorCode -9997]")

    def query_devices(self, device, kind):
        if not self.there:
            raise ValueError(f"No input device matching {device!r}")
        return {"default_samplerate": float(self.rate)}

    def InputStream(self, samplerate, device, channels, dtype, latency):
        module = self

        class Stream:
            def __init__(self):
                self.samplerate = samplerate

            def __enter__(self):
                module.opened += 1

            def __exit__(self, *exception):
                module.closed += 1

            def read(self, frames):
                start = module.recorded
                module.recorded += frames
                return np.arange(start, start + frames, dtype=np.float32)[:, None] * 1e-5, False

        return Stream()


def test_recording_at_the_rate_asked_for(monkeypatch):
    device = FakeSounddevice(16000)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    recording = microphone(16000)
    with open_audio(recording) as reader:
        sound = np.concatenate([next(reader) for _ in range(5)])
        assert reader.position == len(sound) / 16000
    np.testing.assert_array_equal(sound, np.arange(len(sound), dtype=np.float32) * np.float32(1e-5))
    assert device.recorded <= len(sound) + 320  # nothing is recorded ahead
    recording.close()
    assert (device.opened, device.closed) == (1, 1)


def test_a_device_with_another_rate_is_resampled(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSounddevice(48000))
    sound = np.concatenate([chunk for chunk, _ in zip(microphone(16000), range(20), strict=False)])
    np.testing.assert_allclose(sound[500:2000], 3e-5 * np.arange(500, 2000), atol=1e-3)


def test_no_such_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSounddevice(16000, there=False))
    with pytest.raises(MediaError, match=r"'headset'.*python -m sounddevice"):
        microphone(device="headset")


@pytest.mark.parametrize(
    ("error", "says"),
    [(ImportError("No module"), "pip install sounddevice"), (OSError("PortAudio library not found"), "libportaudio2")],
)
def test_what_to_install(monkeypatch, error, says):
    import_module = builtins.__import__

    def failing(name, *arguments, **keywords):
        if name == "sounddevice":
            raise error
        return import_module(name, *arguments, **keywords)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(MediaError, match=says):
        microphone()
