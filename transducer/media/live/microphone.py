"""The microphone: an endless source of samples."""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from transducer.errors import MediaError
from transducer.media.audio.mixing import Mixer
from transducer.media.audio.resampling import resample
from transducer.media.io.reader import MAX_WARNINGS

BLOCK = 0.02  # seconds of sound per array
BUFFER = 0.2  # seconds that the system holds for a reader that is late; sound is given as soon as it is there
PATIENCE = 5.0  # seconds without any sound, after which a device counts as gone; some need one to wake up


class Device(NamedTuple):
    """An input device.

    Attributes:
        number: to choose it by.
        channels: that it has, at most.
        rate: its own, in samples per second.
        default: whether it is taken when none is chosen.
    """

    number: int
    name: str
    channels: int
    rate: float
    default: bool


def microphones() -> list[Device]:
    """The input devices that there are.

    Raises:
        MediaError: there is none, or sounddevice or PortAudio is not installed.
    """
    sounddevice = _import_sounddevice()
    chosen = sounddevice.default.device[0]
    found = [
        Device(number, each["name"], each["max_input_channels"], each["default_samplerate"], number == chosen)
        for number, each in enumerate(sounddevice.query_devices())
        if each["max_input_channels"] > 0
    ]
    if not found:
        raise MediaError(f"there is no microphone: {_NONE}")
    return found


class Microphone(Iterator[np.ndarray]):
    """float32 arrays (samples,) at `rate`, a few of them per 0.1 s, until it is closed.

    Sound that the system had to drop, because nobody took it in time, is replaced by silence, so that times stay right,
    and told in `warnings`.

    Args:
        rate: samples per second to give; a device that can't record at it is resampled.
        device: number or part of the name of an input device; None for the system's default.
        since: seconds since second 0 of what is recorded together with it: the sound begins with as much silence.

    Raises:
        MediaError: sounddevice or PortAudio is not installed, or the device can't be opened; while it is iterated over,
            the device has gone. Says what to do.
    """

    def __init__(self, rate: int = 16000, device: int | str | None = None, since: Callable[[], float] | None = None):
        self._sounddevice = _import_sounddevice()
        self.name = "the default microphone" if device is None else f"the microphone {device!r}"
        self.warnings: list[str] = []
        self._since = since
        self._closed = threading.Event()
        self._blocks: queue.SimpleQueue[tuple[np.ndarray, bool, float] | Exception] = queue.SimpleQueue()
        try:
            self._stream = _open_stream(self._sounddevice, rate, device, self._take)
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise MediaError(f"{self.name} can't be opened: {_explain(error)}") from None
        self._sound: Any = resample(self._record(), rate)

    def __next__(self) -> np.ndarray:
        samples: np.ndarray = next(self._sound)
        return samples

    def close(self) -> None:
        """Stop recording; from the thread that iterates over it."""
        self._closed.set()
        self._sound.close()

    def _record(self) -> Iterator[tuple[int, np.ndarray]]:
        stream, rate, mixer = self._stream, round(self._stream.samplerate), Mixer()
        begun, count, gone = None, 0, True
        # PortAudio never comes back from the start of a device that goes away in the middle of it.
        starting = threading.Thread(target=self._start, daemon=True)
        try:
            starting.start()
            while not self._closed.is_set():
                block, overflow, now = self._next_block()
                if begun is None:
                    begun = now - len(block) / rate
                    late = round((self._since() if self._since is not None else 0.0) * rate) - len(block)
                    if late > 0:
                        yield rate, np.zeros(late, np.float32)
                count += len(block)
                lost = round((now - begun) * rate) - count if overflow else 0
                if lost > len(block):
                    self._tell_loss(count / rate, lost / rate)
                    count += lost
                    yield rate, np.zeros(lost, np.float32)
                yield rate, mixer.mix(block.T, rate)
            gone = False
        except GeneratorExit:
            gone = False
            raise
        except self._sounddevice.PortAudioError as error:
            raise MediaError(f"{self.name} has stopped: {_explain(error)}") from None
        finally:
            if gone:
                _abandon(self._sounddevice)
            else:
                starting.join(PATIENCE)
                stream.close()

    def _start(self) -> None:
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            self._blocks.put(error)

    def _take(self, block: np.ndarray, count: int, when: Any, status: Any) -> None:
        """What PortAudio calls, in its own thread, which may stay in there when a device goes away."""
        self._blocks.put((block.copy(), bool(status.input_overflow), time.monotonic()))

    def _next_block(self) -> tuple[np.ndarray, bool, float]:
        """(N, 1) samples, whether some were lost before them, and when they came."""
        try:
            block = self._blocks.get(timeout=PATIENCE)
        except queue.Empty:
            raise MediaError(f"{self.name} gives no sound any more; is it still plugged in? {_LIST}") from None
        if isinstance(block, Exception):
            raise block
        return block

    def _tell_loss(self, second: float, lost: float) -> None:
        if len(self.warnings) < MAX_WARNINGS:
            told = f"{lost:.2f} s of sound before {second + lost:.1f} s are lost: the machine was too busy to take them"
            self.warnings.append(f"{self.name}: {told}; silence is put in their place")


def microphone(
    rate: int = 16000, device: int | str | None = None, since: Callable[[], float] | None = None
) -> Microphone:
    """Record until it is closed; see `Microphone`."""
    return Microphone(rate, device, since)


def _open_stream(sounddevice: Any, rate: float, device: int | str | None, take: Callable[..., None]) -> Any:
    try:
        sounddevice.check_input_settings(device=device, channels=1, dtype="float32", samplerate=rate)
    except sounddevice.PortAudioError:
        # Many devices have one rate only; their own always works.
        rate = sounddevice.query_devices(device, "input")["default_samplerate"]
    return sounddevice.InputStream(
        samplerate=rate,
        blocksize=round(BLOCK * rate),
        device=device,
        channels=1,
        dtype="float32",
        latency=BUFFER,
        callback=take,
    )


def _abandon(sounddevice: Any) -> None:
    """Leave a device that has gone as it is: PortAudio would wait for it, at the end of the program as well."""
    waits: Any = getattr(sounddevice, "_exit_handler", None)
    atexit.unregister(waits)


_LIST = "transducer listen --list-devices shows what there is"
_NONE = "plug one in, see that the sound server (PipeWire, PulseAudio) runs, or name another source, such as -"


def _explain(error: Exception) -> str:
    """PortAudio's error, and what to do about it."""
    reason = " ".join(str(error).split())
    if "-9996" in reason or "no default input" in reason.lower() or "querying device -1" in reason.lower():
        return f"there is none ({reason}): {_NONE}"
    if "-9985" in reason or "unavailable" in reason.lower() or "busy" in reason.lower():
        return f"it is busy or gone ({reason}): close the program that records from it. {_LIST}"
    return f"{reason}. {_LIST}"


def _import_sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise MediaError("recording needs sounddevice; install it from the checkout: pip install '.[live]'") from None
    except OSError:  # what sounddevice raises when the system's library is missing
        raise MediaError(
            "recording needs PortAudio; install it, on Debian and Ubuntu with: apt install libportaudio2"
        ) from None
    return sounddevice
