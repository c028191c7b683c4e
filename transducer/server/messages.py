"""The messages of the WebSocket: the client's hello, checked, and results as JSON; see docs/server.md."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from transducer.formats.values import probability, word_from_dict, word_to_dict
from transducer.results import Event, Segment
from transducer.search.endpoint import EndpointRules
from transducer.search.options import NO_SECOND_PASS, Options
from transducer.server.limits import POLICY, TOO_BIG, UNSUPPORTED, Limits, Refused

PCM = {"pcm_s16le": "<i2", "pcm_f32le": "<f4"}
FORMATS = {"audio": (*PCM, "container"), "video": ("jpeg", "container")}
RATES = (4000, 192_000)
CHANNELS = 8
FPS = (0.1, 240.0)
_KEYS = ("type", "kind", "format", "rate", "channels", "fps", "timed", "model", "options")
_TOLD = ("language", "task", "prompt")
_DECODING = ("chunk_ms", "search", "beam", "nbest", "hotwords", "endpoint", "threshold", "results", "head", *_TOLD)
_TEXT = ("punctuate", "digits", "partials")
_REWRITTEN = "second_pass"


@dataclass(frozen=True)
class Hello:
    """What a client wants, checked.

    Attributes:
        kind: "audio" or "video".
        format: one of `FORMATS[kind]`.
        rate, channels: of PCM.
        fps: of JPEG pictures that come without times.
        timed: each JPEG message begins with its time in seconds, a little-endian float64.
        model: its name; "" for the first of the server's that takes such media.
        options: of the engine.
        punctuate, digits: of the text.
        partials: whether results that may still change are wanted.
    """

    kind: str = "audio"
    format: str = "container"
    rate: int = 16000
    channels: int = 1
    fps: float | None = None
    timed: bool = False
    model: str = ""
    options: Options = field(default_factory=Options)
    punctuate: bool = False
    digits: bool = False
    partials: bool = True

    @classmethod
    def parse(cls, text: str | bytes, limits: Limits) -> Hello:
        """From JSON.

        Raises:
            Refused: it is no hello, or asks for what is not there or too much.
            UsageError: an option that makes no sense.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise _wrong("the first message must be JSON: the hello") from None
        if not isinstance(data, dict) or data.get("type") != "hello":
            raise _wrong('the first message must be {"type": "hello", ...}')
        if unknown := sorted(map(str, data.keys() - set(_KEYS))):
            raise _wrong(f"unknown key {', '.join(unknown)[:200]}: there are {', '.join(_KEYS)}")
        kind = data.get("kind", "audio")
        if not isinstance(kind, str) or kind not in FORMATS:
            raise _wrong(f"unknown kind {_shown(kind)}: there are {', '.join(FORMATS)}")
        format = data.get("format", FORMATS[kind][0])
        if format not in FORMATS[kind]:
            raise _wrong(f"unknown format {_shown(format)} of {kind}: there are {', '.join(FORMATS[kind])}")
        fps, model = data.get("fps"), data.get("model", "")
        if fps is not None and not _is_number(fps, *FPS):
            raise _wrong(f"fps must be a number from {FPS[0]:g} to {FPS[1]:g}, got {_shown(fps)}")
        if not isinstance(model, str):
            raise _wrong(f"the model must be a name, got {_shown(model)}")
        options = data.get("options") or {}
        if not isinstance(options, dict):
            raise _wrong(f"options must be an object, got {_shown(options)}")
        return cls(
            kind,
            format,
            _whole("rate", data.get("rate", 16000), *RATES),
            _whole("channels", data.get("channels", 1), 1, CHANNELS),
            fps,
            _flag("timed", data.get("timed", False)),
            model,
            parse_options(options, limits),
            **{name: _flag(name, options.get(name, name == "partials")) for name in _TEXT},
        )


def parse_options(given: dict[str, Any], limits: Limits) -> Options:
    """The options of the engine among those of a hello. Raises Refused, UsageError.

    A second pass costs more than the first, so that it is made for those alone who ask for it.
    """
    known = (*_DECODING, *_TEXT, _REWRITTEN)
    if unknown := sorted(map(str, given.keys() - set(known))):
        raise _wrong(f"unknown option {', '.join(unknown)[:200]}: there are {', '.join(known)}")
    options = {name: given[name] for name in _DECODING if given.get(name) is not None}
    for name, most in (("beam", limits.beam), ("nbest", limits.nbest), ("chunk_ms", limits.chunk_ms)):
        if _is_number(options.get(name), most, math.inf) and options[name] > most:
            raise Refused(POLICY, "options", f"{name} is at most {most} here, got {_shown(options[name])}")
    for name in ("search", "results", "head", *_TOLD):
        if name in options and not isinstance(options[name], str):
            raise _wrong(f"{name} must be a word, got {_shown(options[name])}")
    if "hotwords" in options:
        options["hotwords"] = _hotwords(options["hotwords"], limits)
    if "endpoint" in options:
        options["endpoint"] = _endpoint(options["endpoint"], limits)
    rewritten = _flag(_REWRITTEN, given.get(_REWRITTEN, False))
    return Options.of({**options, _REWRITTEN: None if rewritten else NO_SECOND_PASS})


def _hotwords(given: Any, limits: Limits) -> tuple[Any, ...]:
    if not isinstance(given, list):
        raise _wrong(f"hotwords must be a list of phrases, or of [phrase, weight], got {_shown(given)}")
    if len(given) > limits.hotwords:
        raise Refused(TOO_BIG, "options", f"there may be {limits.hotwords} hotwords, got {len(given)}")
    for entry in given:
        phrase = entry[0] if isinstance(entry, list) and entry else entry
        if not isinstance(phrase, str) or len(phrase) > limits.phrase:
            raise _wrong(f"a hotword must be a phrase of at most {limits.phrase} characters, got {_shown(phrase)}")
    return tuple(tuple(entry) if isinstance(entry, list) else entry for entry in given)


def _endpoint(given: Any, limits: Limits) -> EndpointRules:
    names = list(EndpointRules.__dataclass_fields__)
    if not isinstance(given, dict) or not given.keys() <= set(names):
        raise _wrong(f"endpoint must be an object with some of {', '.join(names)}, got {_shown(given)}")
    for name, value in given.items():
        if not _is_number(value, 0.02, limits.segment):
            raise _wrong(f"{name} must be from 0.02 to {limits.segment:g} seconds, got {_shown(value)}")
    return EndpointRules(**given)


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(f"{name} must be a whole number from {least} to {most}, got {_shown(value)}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(f"{name} must be true or false, got {_shown(value)}")
    return value


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _shown(value: Any) -> str:
    """A client's value in a message: short, on one line."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong(message: str) -> Refused:
    return Refused(UNSUPPORTED, "hello", message)


def result_message(result: Segment | Event, segment: int) -> dict[str, Any]:
    """A result for a client; `segment` is the number of the segment that it belongs to."""
    if isinstance(result, Event):
        return {
            "type": "event",
            "label": result.label,
            "start": result.start,
            "end": result.end,
            "score": probability(result.score),
            "start_frame": result.start_frame,
            "end_frame": result.end_frame,
            **({} if result.values is None else {"values": list(result.values)}),
        }
    message: dict[str, Any] = {
        "type": "final" if result.final else "partial",
        "segment": segment,
        "start": result.start,
        "end": result.end,
        "text": result.text,
    }
    if not result.final:
        message["stable"] = result.stable_text
    message["words"] = [word_to_dict(word) for word in result.words]
    if result.alternatives:
        message["alternatives"] = [
            {"text": text, "log_prob": probability(score)} for text, score in result.alternatives
        ]
    return message


def segment_of(message: dict[str, Any]) -> Segment:
    """The final segment that a message tells of."""
    words = tuple(map(word_from_dict, message["words"]))
    return Segment(words, True, message["start"], message["end"], len(words))
