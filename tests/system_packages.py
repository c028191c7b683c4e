"""Install the libraries of the system that OpenCV's wheel needs, where they are missing.

Run before the tests by the command in the README: bare machines and containers lack them.
"""

import os
import shutil
import subprocess
import sys

PACKAGES = ("libgl1", "libglib2.0-0")


def missing() -> bool:
    """In a process of its own: what failed to load once is not tried again in the same one."""
    return subprocess.run([sys.executable, "-c", "import cv2"], capture_output=True).returncode != 0


def main() -> int:
    if not missing():
        return 0
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if shutil.which("apt-get") and (not sudo or shutil.which("sudo")):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
        for command in (["apt-get", "update"], install):
            subprocess.run([*sudo, *command], env=environment, check=False)
    if missing():
        print(
            f"OpenCV does not load: install {' and '.join(PACKAGES)}, or what your system has for them", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
