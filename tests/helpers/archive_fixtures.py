"""What tests of archives share: a worker with a model that reads scripts, which can be made to crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from command_line import ENVIRONMENT

# Runs in every Python process that has the folder on its path, and does something in workers: the model is that of
# fake_model.py if FAKE is set; opening killer.wav ends the process as a bug in a codec does, opening hang.wav takes for
# ever; the first LOST of them, counted in the file STARTS, are killed before they can begin.
_INJECTED = """
import os, signal, sys, time
def crash(event, arguments):
    if event == "open" and str(arguments[0]).endswith("killer.wav"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if event == "open" and str(arguments[0]).endswith("hang.wav"):
        time.sleep(1e6)
if sys.argv and sys.argv[0] == "-c":
    if "LOST" in os.environ:
        with open(os.environ["STARTS"], "ab", buffering=0) as starts:
            starts.write(b".")
            if starts.tell() <= int(os.environ["LOST"]):
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(crash)
    if os.environ.get("FAKE"):
        import transducer, fake_model
        vars(transducer)["load"] = fake_model.load
"""


def inject(folder: Path, fake: bool = True) -> dict[str, str]:
    """The environment of workers that have a fake model, and a decoder that crashes."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_INJECTED)
    places = [str(folder), str(Path(__file__).parent), ENVIRONMENT["PYTHONPATH"]]
    return {"PYTHONPATH": os.pathsep.join(places), "FAKE": "1" if fake else ""}


def write_scripts(folder: Path, count: int, damaged: int = 0) -> Path:
    """Scripts in folders inside a folder; the last of them break off."""
    for number in range(count):
        path = folder / f"{number % 7}" / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"word {number}\n" + ("!damaged\n" if number >= count - damaged else "hello there\n" * 20))
    return folder


def start(*arguments: Any, **environment: str) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "transducer", *map(str, arguments)],
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    """The whole lines of a summary by the names of their outputs; the last one counts."""
    path = folder / "summary.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return {entry["output"]: entry for entry in map(json.loads, lines)}


def results(folder: Path) -> dict[str, bytes]:
    """The files of results below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}
