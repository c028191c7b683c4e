"""How long the command line takes to answer, against the interpreter alone.

    python bench/cli_startup.py [--runs N]

Prints the median and the worst wall time of each command in milliseconds, first run of each left out.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

LIMIT = 0.5  # seconds in which --help has to answer
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "transducer --version": ["-m", "transducer", "--version"],
    "transducer --help": ["-m", "transducer", "--help"],
    "transducer transcribe --help": ["-m", "transducer", "transcribe", "--help"],
    "transducer transcribe (wrong usage)": ["-m", "transducer", "transcribe"],
    "import transducer": ["-c", "import transducer"],
}


def measure(arguments: list[str], runs: int) -> list[float]:
    """Wall seconds of every run but the first, which may have to read files from the disk."""
    seconds = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    late = []
    print(f"{'command':38}{'median':>10}{'worst':>10}")
    for name, arguments in COMMANDS.items():
        seconds = measure(arguments, runs)
        print(f"{name:38}{1000 * statistics.median(seconds):7.0f} ms{1000 * max(seconds):7.0f} ms")
        if "--help" in arguments and statistics.median(seconds) > LIMIT:
            late.append(name)
    for name in late:
        print(f"{name} takes longer than {1000 * LIMIT:.0f} ms", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
