"""OpenAI's transcription interface: POST /v1/audio/transcriptions, GET /v1/models.

Source: the API reference of OpenAI, "Create transcription", and what its Python client reads.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import zlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from transducer.formats import render
from transducer.results import Segment, Transcript
from transducer.server.access import Access
from transducer.server.limits import FULL, INTERNAL, POLICY, UNSUPPORTED, Refused
from transducer.server.messages import segment_of
from transducer.server.pool import Pool, log
from transducer.server.uploads import Upload, disconnected, received

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
ALIAS = "whisper-1"  # what programs ask for that know one server only
_LANGUAGES = {"en": "english"}  # verbose_json has names
_PHRASE = 4  # words of an entry of a prompt that is a list of phrases
_FLAGS, _NUMBERS = ("punctuate", "digits", "second_pass"), ("beam", "chunk_ms")  # of our own


class Transcriptions:
    """The interface over a pool.

    Args:
        pool: of streams.
        access: what clients need.
    """

    def __init__(self, pool: Pool, access: Access):
        self._pool, self._access = pool, access
        self._since = int(time.time())
        self._uploads = 0
        self.routes = [
            Route("/v1/audio/transcriptions", self._guard(self.transcribe), methods=["POST"]),
            Route("/v1/models", self._guard(self.models)),
            Route("/v1/models/{name:path}", self._guard(self.model)),
        ]

    def _guard(self, handle: Any) -> Any:
        """Errors as OpenAI's clients read them."""

        async def guarded(request: Request) -> Response:
            try:
                self._access.check(request)
                response: Response = await handle(request)
                return response
            except Refused as refusal:
                self._pool.metrics.errors.labels(refusal.kind).inc()
                return JSONResponse(_error(refusal), refusal.status)
            except Exception:
                log.exception("%s", request.url.path)
                failure = Refused(INTERNAL, "internal", "something went wrong in the server; its log says what")
                return JSONResponse(_error(failure), failure.status)

        return guarded

    async def models(self, request: Request) -> Response:
        """All models."""
        return JSONResponse({"object": "list", "data": [self._model(name) for name in self._pool.facts]})

    async def model(self, request: Request) -> Response:
        """One of them."""
        return JSONResponse(self._model(self._find(request.path_params["name"])))

    def _model(self, name: str) -> dict[str, Any]:
        facts = self._pool.facts[name]
        return {"id": name, "object": "model", "created": self._since, "owned_by": "transducer", **facts}

    def _find(self, name: str) -> str:
        """The model of this name, or of its alias."""
        words = [known for known, facts in self._pool.facts.items() if facts["results"] == "words"]
        if name == ALIAS and words:
            return words[0]
        if name not in self._pool.facts:
            there = ", ".join(self._pool.facts)
            raise Refused(UNSUPPORTED, "model", f"the model {name[:80]!r} does not exist: there are {there}")
        return name

    async def transcribe(self, request: Request) -> Response:
        """A file -> its words."""
        async with AsyncExitStack() as stack:
            stack.enter_context(self._slot())
            upload = await stack.enter_async_context(received(request, self._pool.limits))
            wanted = _Wanted.of(upload)
            hello = wanted.hello(self._find(wanted.model))
            stream = await self._pool.open(json.dumps(hello), upload.name, upload.path)
            stack.callback(stream.drop)
            results = stream.results()
            language = (await anext(results))["language"]
            if wanted.language.lower() not in ("", language, _LANGUAGES.get(language)):
                raise _wrong("language", f"the model {hello['model']} knows {language or 'no language'} only")
            if wanted.stream:
                kept = stack.pop_all()
                return StreamingResponse(_events(results, kept), media_type="text/event-stream")
            whole = await _unless_gone(request, _transcript(results, upload.name, language))
        return wanted.response(whole)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Room for a file."""
        if self._uploads >= self._pool.limits.uploads:
            raise Refused(FULL, "full", f"{self._uploads} files are being worked on; try again later")
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1


@dataclass(frozen=True)
class _Wanted:
    """What a form asks for; `words` and `segments` are of verbose_json, `options` of the hello."""

    model: str
    format: str
    language: str
    stream: bool
    words: bool
    segments: bool
    options: dict[str, Any]

    @classmethod
    def of(cls, upload: Upload) -> _Wanted:
        """Raises Refused for what makes no sense."""
        fields = upload.fields

        def one(name: str, default: str = "") -> str:
            return fields.get(name, [default])[-1].strip()

        format, times = one("response_format", "json"), fields.get("timestamp_granularities", ["segment"])
        if format not in FORMATS:
            raise _wrong("response_format", f"response_format must be one of {', '.join(FORMATS)}")
        if not set(times) <= {"word", "segment"}:
            raise _wrong("timestamp_granularities", "timestamp_granularities are word and segment")
        stream = _flag("stream", one("stream", "false"))
        if stream and format not in ("json", "text"):
            raise _wrong("stream", "stream goes with the response_format json or text")
        if not 0 <= _number("temperature", one("temperature", "0")) <= 1:
            raise _wrong("temperature", "temperature must be a number from 0 to 1")
        options: dict[str, Any] = {name: _flag(name, one(name)) for name in _FLAGS if name in fields}
        options |= {name: _number(name, one(name)) for name in _NUMBERS if name in fields}
        if "search" in fields:
            options["search"] = one("search")
        phrases = [*fields.get("keywords", ()), *_phrases(one("prompt"))]
        if phrases:
            options["hotwords"] = phrases
        options["partials"] = stream
        return cls(one("model"), format, one("language"), stream, "word" in times, "segment" in times, options)

    def hello(self, model: str) -> dict[str, Any]:
        options = {"second_pass": True, **self.options}
        return {"type": "hello", "kind": "audio", "format": "container", "model": model, "options": options}

    def response(self, whole: Transcript) -> Response:
        if self.format == "json":
            return JSONResponse({"text": whole.text, "usage": _usage(whole.duration)})
        if self.format == "verbose_json":
            return JSONResponse(_verbose(whole, self.words, self.segments))
        text = render(whole, "txt" if self.format == "text" else self.format)
        return PlainTextResponse(text)


async def _transcript(results: AsyncIterator[dict[str, Any]], name: str, language: str) -> Transcript:
    segments, warnings, duration = [], [], 0.0
    async for message in results:
        if message["type"] == "final":
            segments.append(segment_of(message))
        elif message["type"] == "warning":
            warnings.append(message["message"])
        elif message["type"] == "finished":
            duration = message["duration"]
    return Transcript(tuple(segments), duration, name, language, tuple(warnings))


async def _events(results: AsyncIterator[dict[str, Any]], kept: AsyncExitStack) -> AsyncIterator[str]:
    """Server-sent events: what has become certain, in pieces that make up the text, and the text at the end."""
    text, before, duration = "", "", 0.0  # before: the segments that are final
    async with kept:
        try:
            async for message in results:
                kind = message["type"]
                if kind in ("partial", "final"):
                    more = message["text" if kind == "final" else "stable"]
                    apart = before and more and not message["words"][0].get("glued")
                    certain = f"{before} {more}" if apart else before + more
                    if len(certain) > len(text):
                        yield _event({"type": "transcript.text.delta", "delta": certain[len(text) :]})
                        text = certain
                    before = certain if kind == "final" else before
                elif kind == "finished":
                    duration = message["duration"]
        except Refused as refusal:
            yield _event(_error(refusal))
            return
        yield _event({"type": "transcript.text.done", "text": text, "usage": _usage(duration)})


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Transcript]) -> Transcript:
    """What work gives, unless the client leaves before."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Refused(POLICY, "gone", "the client has gone")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


def _verbose(whole: Transcript, words: bool, segments: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "task": "transcribe",
        "language": _LANGUAGES.get(whole.language, whole.language),
        "duration": whole.duration,
        "text": whole.text,
        "usage": _usage(whole.duration),
    }
    if words:
        found["words"] = [{"word": word.text, "start": word.start, "end": word.end} for word in whole.words]
    if segments:
        found["segments"] = [_segment(number, segment) for number, segment in enumerate(whole.segments)]
    return found


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """With what Whisper tells of a segment. There are no tokens; segments without speech are not there at all."""
    text = segment.text.encode()
    logs = [math.log(max(word.confidence, 1e-4)) for word in segment.words]
    return {
        "id": number,
        "seek": round(segment.start * 100),  # Whisper's frames of 10 ms
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": sum(logs) / len(logs),
        "compression_ratio": len(text) / len(zlib.compress(text)),
        "no_speech_prob": 0.0,
    }


def _usage(duration: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": duration}


def _phrases(prompt: str) -> list[str]:
    """A prompt that is a list of short phrases, with commas or a line each; none of a text, which has no use here."""
    phrases = [phrase.strip(" .") for phrase in prompt.replace("\n", ",").split(",")]
    phrases = [phrase for phrase in phrases if any(map(str.isalpha, phrase))]
    return phrases if all(len(phrase.split()) <= _PHRASE for phrase in phrases) else []


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise _wrong(name, f"{name} must be true or false")
    return text.lower() in ("true", "1")


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(name, f"{name} must be a number")
    return int(number) if number == int(number) else number


def _wrong(name: str, message: str) -> Refused:
    return Refused(UNSUPPORTED, name, message)


def _error(refusal: Refused) -> dict[str, Any]:
    """As OpenAI's clients read it."""
    wrong = refusal.status < 500
    kind = "invalid_request_error" if wrong else "server_error"
    code = {"model": "model_not_found", "token": "invalid_api_key"}.get(refusal.kind)
    error = {"message": refusal.message, "type": kind, "param": refusal.kind if wrong else None, "code": code}
    return {"error": error}
