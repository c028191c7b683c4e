"""What a live command is to do, looked through before anything is opened."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from transducer.cli.console import is_terminal
from transducer.cli.options import WORD_OPTIONS, WordJob, check_threads, check_threshold, word_options
from transducer.cli.outputs import require_file_name
from transducer.errors import UsageError
from transducer.formats import check_format, find_format, suffix_format
from transducer.media.io.sources import STANDARD_INPUT, RawFormat
from transducer.results import Annotation, Labelling, Transcript
from transducer.search.endpoint import EndpointRules
from transducer.search.options import NO_SECOND_PASS

CHUNK_MS = 320  # of words by default: sooner than what a file gets, for about one word in a hundred more that is wrong
# What servers take.
TO_SERVERS = ("search", "beam", "chunk_ms", "nbest", "hotwords", "language", "task", "prompt", "second_pass")
MOST_FPS = 1000.0
LONGEST = 3600.0  # seconds of a sentence or a silence


@dataclass(frozen=True)
class LiveJob(WordJob):
    """What the command line asked for; None where nothing was said."""

    command: str
    source: str | None
    model: str
    device: str | None = None
    pace: bool = False
    raw: str | None = None
    rate: int | None = None
    channels: int | None = None
    track: int | None = None
    format: str | None = None
    output: str | None = None
    save: str | None = None
    exec: str | None = None
    end_silence: float | None = None
    max_segment: float | None = None
    nbest: int | None = None
    punctuate: bool = False
    digits: bool = False
    threads: int | None = None
    server: str | None = None
    token: str | None = None
    listen: bool = False
    speech: str = "speech-en"
    threshold: float | None = None
    fps: float | None = None
    size: str | None = None

    @property
    def hears(self) -> bool:
        """Whether words are wanted."""
        return self.command == "listen" or self.listen

    @property
    def speech_model(self) -> str:
        return self.speech if self.sees else self.model

    @property
    def sees(self) -> bool:
        return self.command == "watch"

    @property
    def is_address(self) -> bool:
        return self.source is not None and "://" in self.source

    @property
    def is_device(self) -> bool:
        """A microphone or a camera."""
        if self.source is None:
            return True
        return self.sees and (self.source.isdecimal() or self.source.startswith("/dev/video"))

    @property
    def is_live(self) -> bool:
        """Whether the source goes on while nobody reads it."""
        return self.is_device or self.is_address or self.pace

    @property
    def result(self) -> type:
        """The type of what comes at the end."""
        return Annotation if self.hears and self.sees else Transcript if self.hears else Labelling


@dataclass(frozen=True)
class LivePlan:
    """A job that has been looked through.

    Attributes:
        job: as asked for.
        format: of standard output.
        output_format: of the output file; None without one.
        words: options of the model of words.
        events: options of the model of events.
        raw, raw_pictures: the format of bare samples, and of bare frames.
    """

    job: LiveJob
    format: str
    output_format: str | None
    words: dict[str, Any]
    events: dict[str, Any]
    raw: RawFormat | None
    raw_pictures: Any

    @property
    def shows_screen(self) -> bool:
        """Whether a terminal shows text as it comes."""
        return self.format == "txt" and is_terminal(sys.stdout)

    @property
    def wants_partials(self) -> bool:
        """Whether anybody sees them."""
        return self.shows_screen or "jsonl" in (self.format, self.output_format)

    @property
    def keep(self) -> bool:
        """Whether some output needs all results at the end; else memory does not grow."""
        names = [name for name in (self.format, self.output_format) if name is not None]
        return any(not by_row(name, self.job.result) for name in names)


def by_row(name: str, result: type) -> bool:
    """Whether a format can be written while results come. Both words and events at once are their own rows."""
    return name in ("txt", "jsonl") if result is Annotation else find_format(name, result).rows is not None


def make_plan(job: LiveJob) -> LivePlan:
    """See that the options can be meant together.

    Raises:
        UsageError: they cannot.
    """
    check_threads(job.threads)
    check_threshold(job.threshold)
    if job.pace and (job.is_device or job.is_address or job.source == STANDARD_INPUT):
        raise UsageError("--pace is for files: all else comes at its own pace")
    if job.device is not None and not (job.is_device and job.hears):
        option = "--microphone" if job.sees else "--device"
        raise UsageError(f"{option} chooses a microphone, and there is none to be heard here: leave it out")
    if job.second_pass not in (None, NO_SECOND_PASS) and job.server is not None:
        raise UsageError("--second-pass names a model of this machine: a server chooses its own, or has none by none")
    for name in WORD_OPTIONS if job.server is not None else ():
        if name not in TO_SERVERS and getattr(job, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for models of this machine: a server does not take it")
    form = _format(job.format or "txt", job.result)
    written = None
    if job.output is not None:
        require_file_name(Path(job.output), "--output", job.source or "")
        written = _format(_suffix(job), job.result)
    if job.save is not None:
        require_file_name(Path(job.save), "--save", job.source or "")
    return LivePlan(job, form, written, _word_options(job), _event_options(job), _raw(job), _raw_pictures(job))


def _format(name: str, result: type) -> str:
    if result is Annotation and name.lower() in ("txt", "jsonl"):
        return name.lower()
    return check_format(name, result)


def _suffix(job: LiveJob) -> str:
    assert job.output is not None
    suffix = Path(job.output).suffix.lower().removeprefix(".")
    if job.result is Annotation and suffix in ("txt", "jsonl"):
        return suffix
    return suffix_format(job.output, job.result)


def _raw(job: LiveJob) -> RawFormat | None:
    if job.sees:
        return None
    if job.raw is None:
        if job.rate is not None or job.channels is not None:
            raise UsageError("--rate and --channels describe bare samples: they need --raw FORMAT, such as s16le")
        return None
    if job.is_device:
        raise UsageError("--raw describes bare samples, and a microphone has none: name a source, such as -")
    if job.rate is None or job.channels is None:
        raise UsageError("--raw says nothing of the rate: add --rate and --channels, such as --rate 16000 --channels 1")
    return RawFormat(job.raw, job.rate, job.channels)


def _raw_pictures(job: LiveJob) -> Any:
    """A `RawPictures`, where standard input has bare frames."""
    if not job.sees:
        return None
    if job.fps is not None and not (math.isfinite(job.fps) and 0 < job.fps <= MOST_FPS):
        raise UsageError(f"--fps must be more than 0 and at most {MOST_FPS:g}, got {job.fps:g}")
    if job.raw is None:
        if job.size is not None:
            raise UsageError("--size is that of bare frames: it needs --raw FORMAT, such as rgb24")
        if job.fps is not None and job.source != STANDARD_INPUT:
            raise UsageError("--fps is for standard input: all else says itself how fast its frames follow each other")
        return None
    if job.source != STANDARD_INPUT:
        raise UsageError("--raw describes bare frames on standard input: name - as the source")
    if job.listen:
        raise UsageError("bare frames have no sound: leave out --listen, or pipe a container")
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", job.size or "")
    if match is None or job.fps is None:
        raise UsageError("--raw says nothing of size and rate: add --size and --fps, such as --size 640x480 --fps 30")
    from transducer.media.live.piped import RawPictures

    found = RawPictures(job.raw, int(match[1]), int(match[2]), Fraction(job.fps).limit_denominator(1001))
    found.check()
    return found


def _word_options(job: LiveJob) -> dict[str, Any]:
    if not job.hears:
        return {}
    options = {"chunk_ms": CHUNK_MS, **word_options(job)}
    if job.nbest is not None:
        options["nbest"] = job.nbest
    rules = EndpointRules()
    for option, seconds in (("--end-silence", job.end_silence), ("--max-segment", job.max_segment)):
        if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= LONGEST):
            raise UsageError(f"{option} must be more than 0 and at most {LONGEST:g} seconds, got {seconds:g}")
    options["endpoint"] = EndpointRules(
        silence_without_words=max(rules.silence_without_words, job.end_silence or 0.0),
        silence_after_words=job.end_silence or rules.silence_after_words,
        max_length=job.max_segment or rules.max_length,
    )
    return options


def _event_options(job: LiveJob) -> dict[str, Any]:
    return {} if job.threshold is None else {"threshold": job.threshold}
