"""`transducer transcribe`: every source through the model, results shown and written as they become final."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transducer
from transducer.cli.options import TextStages, decoding_options, set_threads, text_stages
from transducer.cli.outputs import plan_outputs, source_name, write_outputs
from transducer.cli.sources import check_formats, for_each_source
from transducer.cli.views import WarningReporter, choose_view
from transducer.errors import TransducerError, UsageError
from transducer.formats import check_format
from transducer.formats.words.streaming import ROW_FORMATS
from transducer.media.io.sources import RawFormat
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
    punctuate: bool = False
    digits: bool = False


def run(job: TranscribeJob) -> int:
    """Transcribe all sources; a bad one does not keep the others from being done.

    Raises:
        UsageError: options that cannot be meant, found before anything is decoded.
        TransducerError: of the only source.
        KeyboardInterrupt: after what was final has been written.
    """
    formats = tuple(dict.fromkeys(check_format(name) for name in job.formats)) or ("txt",)
    options = _options(job)
    check_formats(job.sources, formats, job.output_dir, NAMED_FORMATS)
    outputs = plan_outputs(job.sources, formats, job.output_dir)

    def load() -> tuple[Any, Any]:
        set_threads(job.threads)
        return transducer.load(job.model), text_stages(job.punctuate, job.digits)

    def work(loaded: tuple[Any, Any], source: str, files: dict[str, Path], header: str) -> bool:
        return _transcribe(*loaded, source, options, formats[0], header, files)

    return for_each_source(job.sources, outputs, formats[0] == "txt", load, work)


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


def _transcribe(
    model: Any,
    stages: TextStages,
    source: str,
    options: dict[str, Any],
    format: str,
    header: str,
    files: dict[str, Path],
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
                for segment in stages(session):
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
