"""Install what the tests need of the system, where it is missing: libraries for OpenCV's wheel, ffmpeg, Chromium.

Run before the tests by the command in the README: bare machines and containers lack them.
"""

import os
import shutil
import subprocess
import sys

LIBRARIES = ("libgl1", "libglib2.0-0")
PROGRAMS = ("ffmpeg", "chromium")  # packages of the same names


def opencv_loads() -> bool:
    """In a process of its own: what failed to load once is not tried again in the same one."""
    return subprocess.run([sys.executable, "-c", "import cv2"], capture_output=True).returncode == 0


def missing() -> list[str]:
    """Packages of Debian and Ubuntu that are needed and not there."""
    packages = [] if opencv_loads() else [*LIBRARIES]
    return packages + [program for program in PROGRAMS if not shutil.which(program)]


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
