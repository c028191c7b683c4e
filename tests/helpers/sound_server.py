"""A PulseAudio server of a test's own, whose microphone hears what is played into a null sink."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest


def require_sound_server() -> None:
    """Skip where it cannot run, with the reason."""
    for program in ("pulseaudio", "pacat", "pactl"):
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program}: see tests/system_packages.py")
    if ctypes.util.find_library("portaudio") is None:
        pytest.skip("needs PortAudio: see tests/system_packages.py")
    if importlib.util.find_spec("sounddevice") is None:
        pytest.skip("needs sounddevice: the extra live")


class SoundServer:
    """Runs in `folder` until `close`. Programs that are started with `environment` record from it, and play into it.

    ALSA's plugin for PulseAudio makes it the devices "pulse" and "default" of PortAudio.
    """

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder),
            "HOME": str(folder),
            "PULSE_SERVER": f"unix:{folder}/socket",
            "PULSE_SOURCE": "spoken.monitor",
            "PULSE_SINK": "spoken",
        }
        script = folder / "modules.pa"
        script.write_text(
            "load-module module-null-sink sink_name=spoken rate=16000 channels=1\n"
            f"load-module module-native-protocol-unix socket={folder}/socket auth-anonymous=1\n"
        )
        (folder / ".asoundrc").write_text("pcm.!default pulse\nctl.!default pulse\n")
        command = ["pulseaudio", "-n", "-F", str(script), "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while self._control("info").returncode:
            if self._process.poll() is not None or time.monotonic() > until:
                self.close()
                pytest.skip(f"pulseaudio does not run here: {(folder / 'log').read_text()[-300:]}")
            time.sleep(0.05)

    def play(self, samples: np.ndarray) -> None:
        """float32 (N,) at 16 kHz, in real time."""
        command = ["pacat", "--playback", "--rate=16000", "--channels=1", "--format=s16le", "--device=spoken"]
        stored = np.round(samples * 32767).astype("<i2").tobytes()
        subprocess.run(command, input=stored, env=self.environment, check=True, timeout=60)

    def is_recorded(self) -> bool:
        """Whether some program records."""
        return bool(self._control("list", "short", "source-outputs").stdout.strip())

    def unplug(self) -> None:
        """Take the sink away, and its monitor with it."""
        self._control("unload-module", "module-null-sink")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _control(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["pactl", *command], env=self.environment, capture_output=True, timeout=20)
