"""`transducer annotate`: words and scenes of videos, in one go."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import transducer
from transducer.cli.console import report
from transducer.cli.label import check_threshold, read_pictures
from transducer.cli.label_views import Pictures, choose_whole_view
from transducer.cli.options import set_threads
from transducer.cli.outputs import plan_outputs, source_name, write_pieces
from transducer.cli.second_pass import TwoPasses
from transducer.cli.sources import check_formats, for_each_source
from transducer.engine.multi import AnnotateSession, Annotation
from transducer.errors import MediaError, TransducerError, UsageError
from transducer.formats.annotations import check_annotation_format, render_annotation

# With these, the output of several sources on one pipe can still be told apart.
NAMED_FORMATS = frozenset(("json", "jsonl", "txt"))


@dataclass(frozen=True)
class AnnotateJob:
    """What the command line asked for; None where nothing was said."""

    sources: tuple[str, ...]
    model: str
    shots: str
    formats: tuple[str, ...] = ()
    output_dir: str | None = None
    threshold: float | None = None
    threads: int | None = None


def run(job: AnnotateJob) -> int:
    """Annotate all sources; a bad one does not keep the others from being done.

    Raises:
        UsageError: options that cannot be meant.
        TransducerError: of the only source.
        KeyboardInterrupt: after what was certain has been written.
    """
    formats = tuple(dict.fromkeys(check_annotation_format(name) for name in job.formats)) or ("json",)
    check_formats(job.sources, formats, job.output_dir, NAMED_FORMATS)
    check_threshold(job.threshold)
    outputs = plan_outputs(job.sources, formats, job.output_dir, check_annotation_format)

    def load() -> Any:
        set_threads(job.threads)
        return transducer.load(job.model), transducer.load(job.shots)

    def work(models: Any, source: str, files: dict[str, Path], header: str) -> bool:
        return _annotate(*models, source, job, formats[0], header, files)

    return for_each_source(job.sources, outputs, formats[0] == "txt", load, work)


def _annotate(
    speech: Any, labeller: Any, source: str, job: AnnotateJob, format: str, header: str, files: dict[str, Path]
) -> bool:
    """Annotate one source; returns whether all its output files could be written."""
    name = source_name(source)
    view = choose_whole_view(header)
    failure: BaseException | None = None
    with TwoPasses(source, twice="html" in (files or (format,))) as passes:
        with AnnotateSession(speech, labeller, passes.first, job.threshold) as session:
            try:
                view.start(session)
                try:
                    session.run()
                finally:
                    view.close()
            except UsageError:
                raise  # nothing of it can be meant
            except (TransducerError, KeyboardInterrupt) as error:
                failure = error
            annotation = session.result(name)
        if annotation is None:
            raise failure or MediaError(f"{name}: has neither sound nor pictures")
        for warning in annotation.warnings:
            report("warning", warning)
        pictures: Pictures = tuple
        if annotation.labelling is not None and not isinstance(failure, KeyboardInterrupt):
            pictures = partial(read_pictures, passes, annotation.labelling, name)
        if not files:
            view.write(_pieces(annotation, format, pictures, indent=None))
        complete = True
        for kind, path in files.items():
            complete &= write_pieces(partial(_pieces, annotation, kind, pictures), path)
    if failure is not None:
        raise failure
    return complete


def _pieces(annotation: Annotation, format: str, pictures: Pictures, indent: int | None = 2) -> Any:
    return render_annotation(annotation, format, pictures() if format == "html" else (), indent)
