"""Many clients at once: streams of speech at the pace of speech, with abusers among them, against one server.

    python bench/clients.py [--clients 16 32 48] [--seconds 60] [--chunk-ms N] [--search beam] [--abusers 8]
                            [--workers 2] [--packet-ms 100] [--limit 0.5] [--json]

The server and the clients share this machine. Each client speaks the samples from another place on. For every result
it is known from the model offline with how much sound it comes: its lag is the time from when that much had been sent
to when the result arrived. A number of clients holds if 99 % of the results lag less than the limit; every text has to
be the offline one. CPU is in seconds per second of a stream. Runs stop at the first number that does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ("the-way.mp3", "island.wav", "tea.m4a", "letters.opus", "apple-tree.flac", "call-back.webm")
PLACES = 8  # different sounds; more clients repeat them


@dataclass
class Expected:
    """A sound and what the model says of it offline.

    Attributes:
        samples: int16, at the model's rate.
        results: (type, text) of each, in order.
        due: seconds of sound with which each comes.
    """

    samples: np.ndarray
    results: list[tuple[str, str]] = field(default_factory=list)
    due: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(text for kind, text in self.results if kind == "final")


def expect(seconds: float, options: dict[str, Any]) -> tuple[int, list[Expected]]:
    """The rate of the model, and the sounds with what it says of them."""
    import transducer
    from transducer.media import read_audio

    model = transducer.load("speech-en")
    rate = int(model.rate or 0)
    whole = np.concatenate([read_audio(ROOT / "sample_media" / name, rate) for name in SAMPLES])
    found = []
    for place in range(PLACES):
        samples = np.resize(np.roll(whole, -place * len(whole) // PLACES), int(seconds * rate))
        expected = Expected((samples * 32767).astype("<i2"))
        stream = model.stream(**options)
        heard = expected.samples.astype(np.float32) / np.float32(2**15)
        for start in range(0, len(heard), stream.block):
            part = heard[start : start + stream.block]
            results = stream.push(part)
            results += stream.finish() if start + stream.block >= len(heard) else []
            for result in results:
                expected.results.append(("final" if result.final else "partial", result.text))
                expected.due.append((start + len(part)) / rate)
        found.append(expected)
    return rate, found


@dataclass
class Outcome:
    """What became of a client.

    Attributes:
        lags: in seconds, of all results.
        same: its text is the offline one.
        error: what went wrong; "" if nothing did.
    """

    lags: list[float] = field(default_factory=list)
    same: bool = False
    error: str = ""


async def client(address: str, hello: dict[str, Any], rate: int, expected: Expected, packet: float) -> Outcome:
    """One good client."""
    outcome, size = Outcome(), int(packet * rate)
    arrivals: list[tuple[float, str, str]] = []
    clock = time.monotonic
    try:
        async with connect(address, max_size=None, compression=None, ping_interval=None) as socket:
            await socket.send(json.dumps(hello))
            json.loads(await socket.recv())
            began = clock()

            async def send() -> None:
                sent = 0
                while sent < len(expected.samples):
                    sent = min(sent + size, len(expected.samples))
                    # A packet goes out when its last sample has been recorded.
                    await asyncio.sleep(max(0.0, began + sent / rate - clock()))
                    await socket.send(expected.samples[max(0, sent - size) : sent].tobytes())
                await socket.send('{"type": "finish"}')

            sending = asyncio.create_task(send())
            async for text in socket:
                message = json.loads(text)
                if message["type"] in ("partial", "final"):
                    arrivals.append((clock() - began, message["type"], message["text"]))
                elif message["type"] == "error":
                    outcome.error = message["message"]
            await sending
    except Exception as error:
        outcome.error = f"{type(error).__name__}: {error}"
    said = " ".join(text for _, kind, text in arrivals if kind == "final")
    outcome.same = said == expected.text
    if [(kind, text) for _, kind, text in arrivals] == expected.results:
        outcome.lags = [moment - due for (moment, *_), due in zip(arrivals, expected.due, strict=True)]
    else:  # a partial differs: the finals tell
        due = [seconds for (kind, _), seconds in zip(expected.results, expected.due, strict=True) if kind == "final"]
        finals = [moment for moment, kind, _ in arrivals if kind == "final"]
        outcome.lags = [moment - seconds for moment, seconds in zip(finals, due, strict=False)]
    return outcome


async def abuse(port: int, address: str, number: int) -> None:
    """A client that does what it should not, again and again until it is cancelled."""
    kind = number % 6
    while True:
        with suppress(Exception):
            if kind == 0:  # half-open
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /v1/stream HTTP/1.1\r\n")
                await asyncio.sleep(30)
                writer.close()
            elif kind == 1:  # garbage
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(os.urandom(100_000))
                await reader.read()
                writer.close()
            else:
                async with connect(address, max_size=None, compression=None, ping_interval=None) as socket:
                    await socket.send('{"type": "hello", "format": "pcm_s16le"}')
                    await socket.recv()
                    if kind == 2:  # byte by byte
                        for _ in range(2000):
                            await socket.send(b"\0")
                            await asyncio.sleep(0.002)
                    elif kind == 3:  # giant messages
                        await socket.send(bytes(4 << 20))
                        await socket.recv()
                    elif kind == 4:  # sudden disconnects
                        await socket.send(os.urandom(200_000))
                        socket.transport.abort()
                    else:  # sends as fast as it can, and reads nothing
                        for _ in range(100):
                            await socket.send(os.urandom(100_000))
        await asyncio.sleep(1.0)


async def run(
    port: int, hello: dict[str, Any], count: int, rate: int, sounds: list[Expected], packet: float, abusers: int
) -> list[Outcome]:
    address = f"ws://127.0.0.1:{port}/v1/stream"
    bad = [asyncio.create_task(abuse(port, address, number)) for number in range(abusers)]

    async def later(number: int) -> Outcome:
        await asyncio.sleep(2.0 * number / count)  # people do not begin at once
        return await client(address, hello, rate, sounds[number % len(sounds)], packet)

    try:
        return list(await asyncio.gather(*(later(number) for number in range(count))))
    finally:
        for task in bad:
            task.cancel()
        await asyncio.gather(*bad, return_exceptions=True)


def start_server(workers: int, clients: int, errors: Path) -> tuple[subprocess.Popen[bytes], int]:
    command = [sys.executable, "-m", "transducer", "serve", "--port", "0", "--model", "speech-en"]
    command += ["--workers", str(workers), "--max-clients", str(clients)]
    with errors.open("w") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})
    while "listening at" not in errors.read_text():
        if process.poll() is not None:
            raise SystemExit(errors.read_text())
        time.sleep(0.1)
    return process, int(errors.read_text().rpartition(":")[2])


def cpu_seconds(process: int) -> float:
    """CPU time of a process and its children so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[16, 32, 48])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--chunk-ms", type=int)
    parser.add_argument("--search")
    parser.add_argument("--packet-ms", type=int, default=100)
    parser.add_argument("--abusers", type=int, default=8)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--limit", type=float, default=0.5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    given = {"chunk_ms": args.chunk_ms, "search": args.search}
    options = {name: value for name, value in given.items() if value is not None}
    hello = {"type": "hello", "format": "pcm_s16le", "options": options}
    rate, sounds = expect(args.seconds, options)
    rows, largest = [], 0
    with tempfile.TemporaryDirectory() as folder:
        server, port = start_server(args.workers, max(args.clients) + args.abusers, Path(folder) / "errors.txt")
        try:
            for count in args.clients:
                used, mine = cpu_seconds(server.pid), time.process_time()
                done = asyncio.run(run(port, hello, count, rate, sounds, args.packet_ms / 1000, args.abusers))
                lags = np.array([lag for outcome in done for lag in outcome.lags] or [np.inf])
                row = {
                    "clients": count,
                    **{f"p{part}": float(np.percentile(lags, part)) for part in (50, 90, 99)},
                    "max": float(lags.max()),
                    "server_cpu": (cpu_seconds(server.pid) - used) / (count * args.seconds),
                    "clients_cpu": (time.process_time() - mine) / (count * args.seconds),
                    "same": sum(outcome.same for outcome in done),
                    "errors": sorted({outcome.error for outcome in done if outcome.error}),
                }
                rows.append(row)
                if row["p99"] >= args.limit or row["errors"] or row["same"] < count:
                    break
                largest = count
        finally:
            server.terminate()
            server.wait()
    if args.json:
        print(json.dumps({"largest": largest, "limit": args.limit, "rows": rows}))
        return
    title = f"{args.workers} workers, {args.abusers} abusers, {args.seconds:g} s, {options or 'usual options'}"
    table = Table("clients", "p50", "p90", "p99", "max", "CPU: server", "clients", "same texts", "errors", title=title)
    for row in rows:
        times = [f"{row[name]:.2f} s" for name in ("p50", "p90", "p99", "max")]
        times += [f"{row[name]:.4f}" for name in ("server_cpu", "clients_cpu")]
        table.add_row(str(row["clients"]), *times, f"{row['same']}", "; ".join(row["errors"]))
    Console(width=120).print(table)
    print(f"largest number with 99 % below {args.limit} s: {largest}")


if __name__ == "__main__":
    main()
