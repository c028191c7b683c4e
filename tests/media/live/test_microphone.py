"""The microphone, with a stand-in for the library that talks to the sound card."""

from __future__ import annotations

import builtins
import sys
import threading
import types

import numpy as np
import pytest

from transducer.errors import MediaError
from transducer.media import microphone, open_audio
from transducer.media.live import microphone as live


class FakeSounddevice(types.ModuleType):
    """A device that records a ramp of samples at one rate, and counts how often it is opened and closed."""

    class PortAudioError(Exception):
        pass

    def __init__(self, rate: int, there: bool = True):
        super().__init__("sounddevice")
        self.rate, self.there = rate, there
        self.opened = self.closed = self.recorded = 0
        self.unplugged = 96000  # samples, after which it gives none
        self.overflows: dict[int, float] = {}  # seconds that are lost before a sample
        self.clock = 0.0  # seconds that have passed

    def check_input_settings(self, device, channels, dtype, samplerate):
        if not self.there or samplerate != self.rate:
            raise self.PortAudioError("Invalid sample rate\n [PaErrorCode -9997]")

    def query_devices(self, device, kind):
        if not self.there:
            raise ValueError(f"No input device matching {device!r}")
        return {"default_samplerate": float(self.rate)}

    def InputStream(self, samplerate, blocksize, device, channels, dtype, latency, callback):
        module = self

        class Stream:
            def __init__(self):
                self.samplerate = samplerate

            def start(self):
                module.opened += 1
                self.give()

            def close(self):
                module.closed += 1

            def give(self):
                """All blocks at once, as a device whose reader was late."""
                while module.recorded < module.unplugged:
                    start = module.recorded
                    module.recorded += blocksize
                    lost = module.overflows.pop(start, 0.0)
                    module.clock += lost + blocksize / samplerate
                    block = np.arange(start, start + blocksize, dtype=np.float32)[:, None] * 1e-5
                    callback(block, blocksize, None, types.SimpleNamespace(input_overflow=bool(lost)))

        return Stream()


def test_recording_at_the_rate_asked_for(monkeypatch):
    device = FakeSounddevice(16000)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    recording = microphone(16000)
    with open_audio(recording) as reader:
        sound = np.concatenate([next(reader) for _ in range(5)])
        assert reader.position == len(sound) / 16000
    np.testing.assert_array_equal(sound, np.arange(len(sound), dtype=np.float32) * np.float32(1e-5))
    recording.close()
    assert (device.opened, device.closed) == (1, 1)


def test_a_device_with_another_rate_is_resampled(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSounddevice(48000))
    sound = np.concatenate([chunk for chunk, _ in zip(microphone(16000), range(20), strict=False)])
    np.testing.assert_allclose(sound[500:2000], 3e-5 * np.arange(500, 2000), atol=1e-3)


def test_a_device_that_goes_away(monkeypatch):
    device = FakeSounddevice(16000)
    device.unplugged = 3200
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    monkeypatch.setattr(live, "PATIENCE", 0.05)
    recording = microphone(16000)
    assert sum(len(next(recording)) for _ in range(10)) == 3200
    with pytest.raises(MediaError, match=r"gives no sound any more.*plugged in"):
        next(recording)
    assert device.closed == 0  # PortAudio would wait for it


def test_a_device_that_goes_away_while_it_starts(monkeypatch):
    device = FakeSounddevice(16000)
    open_stream, never = device.InputStream, threading.Event()

    def stuck(**options):
        stream = open_stream(**options)
        stream.start = never.wait
        return stream

    monkeypatch.setattr(device, "InputStream", stuck)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    monkeypatch.setattr(live, "PATIENCE", 0.05)
    with pytest.raises(MediaError, match=r"gives no sound any more.*plugged in"):
        next(microphone(16000))
    never.set()


def test_a_device_that_does_not_start(monkeypatch):
    device = FakeSounddevice(16000)
    monkeypatch.setitem(sys.modules, "sounddevice", device)

    def give():
        raise device.PortAudioError("Device unavailable [PaErrorCode -9985]")

    monkeypatch.setattr(device, "InputStream", lambda **_: types.SimpleNamespace(samplerate=16000, start=give))
    with pytest.raises(MediaError, match="has stopped: it is busy or gone"):
        next(microphone(16000))


def test_sound_that_is_lost_becomes_silence(monkeypatch):
    device = FakeSounddevice(16000)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    monkeypatch.setattr(live.time, "monotonic", lambda: device.clock)
    recording = microphone(16000)
    device.overflows[1600] = 0.5
    sound = np.concatenate([next(recording) for _ in range(11)])
    assert np.count_nonzero(sound[1:]) == len(sound) - 8000 - 1
    assert recording.warnings and "0.50 s of sound before 0.6 s are lost" in recording.warnings[0]


def test_no_such_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSounddevice(16000, there=False))
    with pytest.raises(MediaError, match=r"'headset'.*--list-devices"):
        microphone(device="headset")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ImportError("No module"), r"pip install '\.\[live\]'"),
        (OSError("not found"), "libportaudio2"),
    ],
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
