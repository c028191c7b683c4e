"""A long run of the server: hours of sound, as fast as it goes, and the memory it takes on the way.

    python bench/soak.py [--hours 4] [--clients 4] [--session 600] [--readings 12] [--json]

Each client speaks sessions of so many seconds of sound, one after the other, the samples again and again; some sessions
are broken off, some are files by HTTP. The resident memory of the server and its worker is read at equal distances of
sound. It has to stay flat: the last reading is compared with one after a quarter of the time.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import threading
import wave
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from clients import ROOT, SAMPLES, start_server
from rich.console import Console
from rich.table import Table

from transducer.media import read_audio
from transducer.server.client import ServerStream

RATE = 16000
PIECE = 10.0  # seconds


class Progress:
    """Seconds of sound that have been worked on, by all clients."""

    def __init__(self, whole: float):
        self.whole, self.seconds, self.words = whole, 0.0, 0
        self._changed = threading.Condition()

    def add(self, seconds: float, words: int = 0) -> None:
        with self._changed:
            self.seconds += seconds
            self.words += words
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        return self.seconds >= self.whole

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.seconds >= seconds)


def speak(port: int, number: int, sound: np.ndarray, session: float, progress: Progress) -> None:
    """One client, until the end."""
    rounds = 0
    while not progress.over:
        rounds += 1
        if rounds % 5 == 4:
            upload(port, np.roll(sound, number * 7919), progress)
        else:
            stream(port, np.roll(sound, number * 7919), session, progress, broken=rounds % 5 == 2)


def stream(port: int, sound: np.ndarray, session: float, progress: Progress, broken: bool) -> None:
    pieces, size = int(session / PIECE), int(PIECE * RATE)
    with ServerStream(f"ws://127.0.0.1:{port}", format="pcm_s16le") as opened:

        def send() -> None:
            for piece in range(pieces):
                opened.send(np.take(sound, range(piece * size, (piece + 1) * size), mode="wrap").tobytes())
            opened.finish()

        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        seen = 0.0
        for message in opened:
            if message["type"] == "final":
                progress.add(message["end"] - seen, len(message["words"]))
                seen = message["end"]
                if broken and seen > session / 2:
                    return
        progress.add(session - seen)
        sending.join()


def upload(port: int, sound: np.ndarray, progress: Progress) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", ""))
        writer.writeframes(sound.tobytes())
    form = {"files": {"file": ("sound.wav", file.getvalue())}, "data": {"model": "speech-en"}}
    answer = httpx.post(f"http://127.0.0.1:{port}/v1/audio/transcriptions", timeout=None, **form)
    answer.raise_for_status()
    progress.add(len(sound) / RATE, len(answer.json()["text"].split()))


def resident(process: int) -> float:
    """Megabytes of memory that a process has now."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--session", type=float, default=600.0)
    parser.add_argument("--readings", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    parts = [read_audio(ROOT / "sample_media" / name, RATE) for name in SAMPLES]
    sound = (np.concatenate(parts) * 32767).astype("<i2")
    progress = Progress(args.hours * 3600)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        server, port = start_server(1, 64, Path(folder) / "errors.txt")
        try:
            (worker,) = map(int, Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split())
            clients = [
                threading.Thread(target=speak, args=(port, number, sound, args.session, progress), daemon=True)
                for number in range(args.clients)
            ]
            for client in clients:
                client.start()
            for reading in range(1, args.readings + 1):
                progress.wait(progress.whole * reading / args.readings)
                taken = {"worker": resident(worker), "server": resident(server.pid)}
                rows.append({"hours": progress.seconds / 3600, "words": progress.words, **taken})
            for client in clients:
                client.join()
            errors = (Path(folder) / "errors.txt").read_text().splitlines()[1:]
        finally:
            server.terminate()
            server.wait()
    early, late = rows[len(rows) // 4], rows[-1]
    growth = {name: late[name] / early[name] for name in ("worker", "server")}
    if args.json:
        print(json.dumps({"rows": rows, "growth": growth, "errors": errors}))
        return
    table = Table("hours of sound", "words", "worker", "server", title=f"{args.clients} clients")
    for row in rows:
        memory = [f"{row[name]:.0f} MB" for name in ("worker", "server")]
        table.add_row(f"{row['hours']:.2f}", str(row["words"]), *memory)
    Console().print(table)
    print(f"memory at the end by that after a quarter: worker {growth['worker']:.3f}, server {growth['server']:.3f}")
    print("\n".join(errors[:20]) or "no errors")


if __name__ == "__main__":
    main()
