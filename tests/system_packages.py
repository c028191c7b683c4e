"""Install what the tests need of the system, where it is missing: OpenCV's libraries, ffmpeg, Chromium, a sound server.

Run before the tests by the command in the README: bare machines and containers lack them.
"""

import os
import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

LIBRARIES = ("libgl1", "libglib2.0-0")
PROGRAMS = {"ffmpeg": "ffmpeg", "chromium": "chromium", "pulseaudio": "pulseaudio", "pacat": "pulseaudio-utils"}
SOUND = {"portaudio": "libportaudio2"}  # a library, and its package
ALSA = "libasound2-plugins"  # makes the sound server a device of PortAudio


def opencv_loads() -> bool:
    """In a process of its own: what failed to load once is not tried again in the same one."""
    return subprocess.run([sys.executable, "-c", "import cv2"], capture_output=True).returncode == 0


def missing() -> list[str]:
    """Packages of Debian and Ubuntu that are needed and not there."""
    packages = [] if opencv_loads() else [*LIBRARIES]
    packages += [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    packages += [package for library, package in SOUND.items() if not find_library(library)]
    return packages if any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")) else [*packages, ALSA]


def main() -> int:
    packages = missing()
    if not packages:
        return 0
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if shutil.which("apt-get") and (not sudo or shutil.which("sudo")):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "--yes", "--no-install-recommends"]
        # One by one: a system that lacks one of them gets the others.
        for command in (["apt-get", "update"], *([*install, package] for package in packages)):
            subprocess.run([*sudo, *command], env=environment, check=False)
    left = missing()
    if left:
        print(f"install {' and '.join(left)}, or what your system has for them", file=sys.stderr)
    # Without a program the tests that need it are skipped; without OpenCV most fail.
    return 0 if opencv_loads() else 1


if __name__ == "__main__":
    sys.exit(main())
