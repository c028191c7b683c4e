"""`transducer transcribe`: every source through the model, results shown and written as they become final."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transducer
from transducer.cli.console import report
from transducer.cli.options import decoding_options, set_threads
from transducer.cli.outputs import plan_outputs, require_file, source_name, write_outputs
from transducer.cli.views import WarningReporter, choose_view
from transducer.errors import TransducerError, UsageError
from transducer.formats import check_format
from transducer.formats.streaming import ROW_FORMATS
from transducer.media.sources import STANDARD_INPUT, RawFormat
from transducer.results import Segment, Transcript

# With these, the output of several sources on one pipe can still be told apart.
NAMED_FORMATS = frozenset(("txt", "json", "jsonl", "ctm"))


@dataclass(frozen=True)
class TranscribeJob:
    """What the command line asked for; None where nothing was said."""

    sources: tuple[str, ...]
    model: str
    formats: tuple[str, ...] = ()
    output_dir: str | None = None
    search: str | None = None
    beam: int | None = None
    chunk_ms: int | None = None
    hotwords: str | None = None
    nbest: int | None = None
    raw: str | None = None
    rate: int | None = None
    channels: int | None = None
    threads: int | None = None


def run(job: TranscribeJob) -> int:
    """Transcribe all sources; a bad one does not keep the others from being done.

    Raises:
        UsageError: options that cannot be meant, found before anything is decoded.
        TransducerError: of the only source.
        KeyboardInterrupt: after what was final has been written.
    """
    formats = tuple(dict.fromkeys(check_format(name) for name in job.formats)) or ("txt",)
    options = _options(job)
    _check_streams(job, formats)
    outputs = plan_outputs(job.sources, formats, job.output_dir)
    headers = len(job.sources) > 1 and (formats[0] == "txt" or job.output_dir is not None)

    failures: list[TransducerError] = []

    def fail(error: TransducerError) -> None:
        # What is wrong with an option is wrong for every source.
        if len(job.sources) == 1 or isinstance(error, UsageError):
            raise error
        report("error", str(error))
        failures.append(error)

    present = []
    for source, files in zip(job.sources, outputs, strict=True):
        try:
            require_file(source)
            present.append((source, files))
        except TransducerError as error:
            fail(error)
    if not present:
        return 1
    set_threads(job.threads)
    model = transducer.load(job.model)
    complete = True
    gap = ""
    for source, files in present:
        header = f"{gap}==> {source_name(source)} <==\n" if headers else ""
        try:
            complete &= _transcribe(model, source, options, formats[0], header, files)
            gap = "\n"
        except TransducerError as error:
            fail(error)
    return 0 if complete and not failures else 1


def _options(job: TranscribeJob) -> dict[str, Any]:
    options: dict[str, Any] = decoding_options(job.search, job.beam, job.chunk_ms, job.hotwords)
    if job.nbest is not None:
        options["nbest"] = job.nbest
    if job.raw is None:
        if job.rate is not None or job.channels is not None:
            raise UsageError("--rate and --channels describe bare samples: they need --raw FORMAT, such as s16le")
    elif job.rate is None or job.channels is None:
        raise UsageError("--raw says nothing of the rate: add --rate and --channels, such as --rate 16000 --channels 1")
    else:
        options["raw"] = RawFormat(job.raw, job.rate, job.channels)
    return options


def _check_streams(job: TranscribeJob, formats: tuple[str, ...]) -> None:
    if job.sources.count(STANDARD_INPUT) > 1:
        raise UsageError("standard input (-) can be read only once")
    if job.output_dir is None:
        if len(formats) > 1:
            raise UsageError(f"{len(formats)} formats ({', '.join(formats)}) do not fit one output: add --output-dir")
        if len(job.sources) > 1 and formats[0] not in NAMED_FORMATS:
            raise UsageError(f"{formats[0]} of several files does not fit one output: add --output-dir")


def _transcribe(
    model: Any, source: str, options: dict[str, Any], format: str, header: str, files: dict[str, Path]
) -> bool:
    """Transcribe one source; returns whether all its output files could be written."""
    name = source_name(source)
    view = choose_view(format, name, header, to_files=bool(files))
    # A live source may never end: hold its segments only for outputs that need them all.
    keep = bool(files) or format not in ROW_FORMATS
    finals: list[Segment] = []
    failure: BaseException | None = None
    session: Any = None
    try:
        with model.stream(source, **options) as session:
            warnings = WarningReporter(session)
            view.start(session)
            try:
                for segment in session:
                    if segment.final and keep:
                        finals.append(segment)
                    view.segment(segment)
                    warnings.report()
            finally:
                view.close()
                warnings.finish()
    except (TransducerError, KeyboardInterrupt) as error:
        # What is final by now is right, and it is written, whatever ended the source.
        failure = error
    complete = True
    if failure is None or finals:
        transcript = Transcript(tuple(finals), session.position, name, warnings=tuple(session.warnings))
        view.finish(transcript)
        complete = write_outputs(transcript, files)
    if failure is not None:
        raise failure
    return complete
