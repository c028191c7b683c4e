"""What a command is to do: the same for all that read sources, with what differs as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transducer.cli.options import WordJob, check_threads, check_threshold, read_text, word_options
from transducer.cli.overlay import check_overlay
from transducer.cli.scene_files import check_scene_files
from transducer.errors import UsageError
from transducer.formats import Format, check_format, find_format, suffix_format
from transducer.formats.events.timecode import parse_timecode
from transducer.media.io.sources import STANDARD_INPUT, RawFormat
from transducer.results import Annotation, Labelling, Transcript
from transducer.text.times import parse_time


@dataclass(frozen=True)
class Command:
    """What sets one command apart.

    Attributes:
        result: the type of what it gives.
        kinds: of the results of its models, in the order in which they are named.
        format: what is written if nothing is said.
    """

    result: type
    kinds: tuple[str, ...]
    format: str


COMMANDS = {
    "transcribe": Command(Transcript, ("words",), "txt"),
    "align": Command(Transcript, ("words",), "json"),
    "label": Command(Labelling, ("events",), "txt"),
    "annotate": Command(Annotation, ("words", "events"), "json"),
}


@dataclass(frozen=True)
class Job(WordJob):
    """What the command line asked for; None where nothing was said."""

    command: str
    files: Sequence[str] | None
    model: str
    shots: str | None = None
    format: Sequence[str] | None = None
    json: bool = False
    output: str | None = None
    output_dir: str | None = None
    recursive: bool = False
    files_from: str | None = None
    jobs: int | None = None
    resume: bool = False
    by_content: bool = False
    start: str | None = None
    length: str | None = None
    track: int | None = None
    device: str | None = None
    threads: int | None = None
    partials: bool = False
    text: str | None = None
    nbest: int | None = None
    raw: str | None = None
    rate: int | None = None
    channels: int | None = None
    punctuate: bool = False
    digits: bool = False
    karaoke: bool = False
    paragraphs: bool = False
    threshold: float | None = None
    frames: bool = False
    start_timecode: str | None = None
    overlay: str | None = None
    split: str | None = None
    images: str | None = None
    min_scene: str | None = None

    @property
    def archive(self) -> bool:
        """Whether it is one of many files, for workers and with a summary."""
        return bool(self.files_from or self.jobs or self.resume or self.by_content)

    @property
    def folders(self) -> dict[str, str]:
        """Those that files are written to, by their options."""
        named = {"--output-dir": self.output_dir, "--split": self.split, "--images": self.images}
        return {option: folder for option, folder in named.items() if folder is not None}

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,) if self.shots is None else (self.model, self.shots)


@dataclass(frozen=True)
class Plan:
    """A job that has been looked through.

    Attributes:
        job, command: as asked for.
        formats: their names; what a terminal or a pipe gets is the first of them.
        rendering: options for those formats that take them.
        sessions: for each model the options of its session.
        min_scene: seconds.
    """

    job: Job
    command: Command
    formats: tuple[str, ...]
    rendering: dict[str, Any]
    sessions: tuple[dict[str, Any], ...]
    min_scene: float | None = None

    def format(self, name: str) -> Format:
        return find_format(name, self.command.result)

    @property
    def needs_pictures(self) -> bool:
        return any(self.format(name).needs_pictures for name in self.formats)

    @property
    def reads_twice(self) -> bool:
        job = self.job
        return self.needs_pictures or any(made is not None for made in (job.overlay, job.split, job.images))


def make_plan(job: Job) -> Plan:
    """See that the options can be meant together.

    Raises:
        UsageError: they cannot.
    """
    command = COMMANDS[job.command]
    formats = _formats(job, command)
    rendering = {name: True for name in ("karaoke", "paragraphs") if getattr(job, name)}
    for option in rendering:
        able = [name for name in formats if option in find_format(name, command.result).options]
        if not able:
            raise UsageError(f"--{option} changes nothing in {', '.join(formats)}: see transducer {job.command} --help")
    if job.frames and not any(find_format(name, command.result).frames for name in formats):
        raise UsageError("--frames goes into json, csv, tsv: add one of them to --format")
    check_threads(job.threads)
    check_threshold(job.threshold)
    if job.start_timecode is not None:
        parse_timecode(job.start_timecode)
    common = _common_options(job)
    options = {"words": _word_options, "events": _event_options}
    sessions = tuple({**common, **options[kind](job)} for kind in command.kinds)
    min_scene = None if job.min_scene is None else parse_time(job.min_scene, "--min-scene", positive=True)
    return Plan(job, command, formats, rendering, sessions, min_scene)


def _formats(job: Job, command: Command) -> tuple[str, ...]:
    """What --format names, each with commas in it or not, what --json means, or the suffix of --output."""
    named = [name for option in job.format or () for name in option.split(",")] + ["json"] * job.json
    formats = tuple(dict.fromkeys(check_format(name, command.result) for name in named))
    if formats:
        return formats
    if job.output is not None:
        return (suffix_format(job.output, command.result),)
    return ("json",) if job.frames else (command.format,)


def _common_options(job: Job) -> dict[str, Any]:
    options = {
        "start": None if job.start is None else parse_time(job.start, "--start"),
        "length": None if job.length is None else parse_time(job.length, "--length", positive=True),
        "track": job.track,
    }
    return {name: value for name, value in options.items() if value is not None}


def _word_options(job: Job) -> dict[str, Any]:
    options = {**word_options(job), "partials": job.partials}
    if job.nbest is not None:
        options["nbest"] = job.nbest
    if job.text is not None:
        options["align"] = read_text(job.text)
    if job.raw is None:
        if job.rate is not None or job.channels is not None:
            raise UsageError("--rate and --channels describe bare samples: they need --raw FORMAT, such as s16le")
    elif job.rate is None or job.channels is None:
        raise UsageError("--raw says nothing of the rate: add --rate and --channels, such as --rate 16000 --channels 1")
    else:
        options["raw"] = RawFormat(job.raw, job.rate, job.channels)
    return options


def _event_options(job: Job) -> dict[str, Any]:
    options = {"threshold": job.threshold, "frames": job.frames or None}
    return {name: value for name, value in options.items() if value is not None}


def check_outputs(plan: Plan, sources: Sequence[str]) -> None:
    """See that what the sources give can be told apart.

    Raises:
        UsageError: it cannot; or standard input is named twice. TransducerError: a page with pictures is wanted, and
            OpenCV cannot be loaded.
    """
    job, formats = plan.job, plan.formats
    if job.overlay is not None:
        check_overlay(sources, job.overlay)
    check_scene_files(sources, job.folders)
    if list(sources).count(STANDARD_INPUT) > 1:
        raise UsageError("standard input (-) can be read only once")
    if plan.needs_pictures:
        from transducer.media.video.opencv import load_opencv

        load_opencv()  # for its pictures, which are made when all else is done
    if job.output is not None:
        if job.output_dir is not None:
            raise UsageError("--output names a file and --output-dir a folder: take one of them")
        if len(sources) > 1:
            raise UsageError("--output is a file for one source: name one, or use --output-dir")
    if job.output_dir is not None:
        return
    if len(formats) > 1:
        raise UsageError(f"{len(formats)} formats ({', '.join(formats)}) do not fit one output: add --output-dir")
    if len(sources) > 1 and not plan.format(formats[0]).named:
        raise UsageError(f"{formats[0]} of several files does not fit one output: add --output-dir")
