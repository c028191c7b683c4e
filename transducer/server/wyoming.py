"""The Wyoming protocol, which Home Assistant speaks: audio in, a transcript out.

Source: github.com/OHF-Voice/wyoming. An event is a line of JSON, then so many bytes of JSON, then so many of payload.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.ping import Ping, Pong

from transducer.server.limits import POLICY, TOO_BIG, UNSUPPORTED, Refused
from transducer.server.pool import Pool, PooledStream, log
from transducer.version import VERSION

_WIDTHS = {2: "pcm_s16le"}
_DATA = 1 << 18  # bytes of an event's JSON
_LINGER = 2.0  # seconds
_SITE = "https://github.com/OHF-Voice/wyoming"


async def listen(pool: Pool, host: str, port: int) -> asyncio.Server:
    """Serve the protocol at an address. Raises OSError where it cannot be had."""
    connections = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            if connections <= pool.limits.clients:
                await Session(pool, reader, writer).run()
        finally:
            connections -= 1
            writer.close()

    return await asyncio.start_server(accept, host, port)


class Session:
    """One connection, over which one request follows the other."""

    def __init__(self, pool: Pool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._pool, self._reader, self._writer = pool, reader, writer
        self._limits = pool.limits
        self._hello: dict[str, Any] = {"options": {"second_pass": True}}
        self._stream: PooledStream | None = None
        self._sending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until the client leaves, or sends what makes no sense."""
        ending = asyncio.create_task(self._end())
        try:
            while (event := await self._read()) is not None:
                try:
                    await self._handle(event)
                except (KeyError, TypeError, ValueError, AttributeError):
                    raise _wrong() from None
        except Refused as refusal:
            self._pool.metrics.errors.labels(refusal.kind).inc()
            await self._write(Error(text=refusal.message, code=refusal.kind).event())
            await self._linger()
        except (OSError, EOFError):
            pass
        except Exception:
            log.exception("a Wyoming client")
        finally:
            ending.cancel()
            self._drop()

    async def _end(self) -> None:
        """Once the server is to stop: the transcript of what has come, and the end."""
        await self._pool.stopping.wait()
        if self._stream is not None and self._sending is not None:
            await self._stream.finish()
            await self._sending
        self._writer.close()

    async def _handle(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self._write(self._info().event())
        elif Ping.is_type(event.type):
            await self._write(Pong(text=Ping.from_event(event).text).event())
        elif Transcribe.is_type(event.type):
            self._prepare(Transcribe.from_event(event))
        elif AudioStart.is_type(event.type):
            await self._start(event)
        elif AudioChunk.is_type(event.type) and self._stream is not None:
            await self._stream.send(event.payload or b"")
        elif AudioStop.is_type(event.type) and self._stream is not None and self._sending is not None:
            await self._stream.finish()
            await self._sending
            self._drop()

    def _prepare(self, wanted: Transcribe) -> None:
        """What the next audio is to become."""
        phrases = [*(wanted.transcript_names or ()), *(wanted.transcript_terms or ())]
        self._hello = {"options": {"second_pass": True, "hotwords": phrases}}
        if wanted.name:
            self._hello["model"] = wanted.name
        model = wanted.name or next(iter(self._models()), "")
        language = self._pool.facts.get(model, {}).get("language", "")
        if wanted.language and wanted.language.partition("-")[0].lower() != language:
            raise Refused(UNSUPPORTED, "language", f"the model {model} knows {language} only")

    async def _start(self, event: Event) -> None:
        sound = AudioStart.from_event(event)
        if sound.width not in _WIDTHS:
            raise Refused(UNSUPPORTED, "format", f"samples must have 2 bytes, got {sound.width}")
        self._drop()
        described = {"format": _WIDTHS[sound.width], "rate": sound.rate, "channels": sound.channels}
        hello = {"type": "hello", "kind": "audio", **described, **self._hello}
        self._stream = await self._pool.open(json.dumps(hello), "the stream")
        self._sending = asyncio.create_task(self._answer(self._stream))

    async def _answer(self, stream: PooledStream) -> None:
        """The transcript in pieces, as they become final, and as a whole."""
        language = ""
        texts: list[str] = []
        try:
            async for message in stream.results():
                if message["type"] == "ready":
                    language = message["language"]
                    await self._write(TranscriptStart(language=language).event())
                elif message["type"] == "final":
                    gap = " " if texts and not message["words"][0].get("glued") else ""
                    texts.append(gap + message["text"])
                    await self._write(TranscriptChunk(text=texts[-1]).event())
            await self._write(Transcript(text="".join(texts), language=language).event())
            await self._write(TranscriptStop().event())
        except Refused as refusal:
            self._pool.metrics.errors.labels(refusal.kind).inc()
            await self._write(Error(text=refusal.message, code=refusal.kind).event())
        except OSError:
            stream.drop()

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.drop()
            self._stream = None
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _models(self) -> list[str]:
        return [name for name, facts in self._pool.facts.items() if facts["results"] == "words"]

    def _info(self) -> Info:
        made_by = Attribution(name="transducer", url=_SITE)
        models = [
            AsrModel(
                name=name,
                attribution=made_by,
                installed=True,
                description=None,
                version=VERSION,
                languages=[self._pool.facts[name]["language"]],
            )
            for name in self._models()
        ]
        program = AsrProgram(
            name="transducer",
            attribution=made_by,
            installed=True,
            description="Streaming speech recognition",
            version=VERSION,
            models=models,
            supports_transcript_streaming=True,
        )
        return Info(asr=[program])

    async def _read(self) -> Event | None:
        """The next event; None at the end. The package's own reader takes as many bytes as a client says."""
        try:
            async with asyncio.timeout(self._limits.idle):
                line = await self._reader.readline()
                if not line.strip():
                    return None
                header = json.loads(line)
                data, payload = header.get("data") or {}, None
                sizes = [header.get(name) or 0 for name in ("data_length", "payload_length")]
                if not all(isinstance(size, int) and size >= 0 for size in sizes):
                    raise ValueError
                if sizes[0] > _DATA or sizes[1] > self._limits.message:
                    raise Refused(TOO_BIG, "message", f"an event may have {self._limits.message} bytes")
                if sizes[0]:
                    data = {**data, **json.loads(await self._reader.readexactly(sizes[0]))}
                if sizes[1]:
                    payload = await self._reader.readexactly(sizes[1])
                return Event(str(header["type"]), data, payload)
        except TimeoutError:
            raise Refused(POLICY, "idle", f"nothing came for {self._limits.idle:g} seconds") from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # also a line that is too long
            raise _wrong() from None

    async def _linger(self) -> None:
        """Read on for a moment: a connection that is closed with bytes unread takes its last message along."""
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(1 << 16):
                    pass

    async def _write(self, event: Event) -> None:
        with contextlib.suppress(OSError):
            await asyncio.wait_for(async_write_event(event, self._writer), self._limits.send)


def _wrong() -> Refused:
    return Refused(UNSUPPORTED, "message", "this is no event of the Wyoming protocol")
