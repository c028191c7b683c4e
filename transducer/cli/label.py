"""`transducer label`: every video through the model, events shown and written as they become certain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import transducer
from transducer.cli.console import report
from transducer.cli.label_views import LabelView, Pictures, choose_label_view
from transducer.cli.options import set_threads
from transducer.cli.outputs import plan_outputs, require_folder, source_name, write_pieces
from transducer.cli.second_pass import TwoPasses, is_live
from transducer.cli.sources import check_formats, for_each_source
from transducer.cli.thumbnails import read_thumbnails
from transducer.cli.views import WarningReporter
from transducer.errors import MediaError, TransducerError, UsageError
from transducer.formats.events import check_label_format, render_labelling
from transducer.formats.events.sheet import Thumbnail, wanted_frames
from transducer.formats.events.tables import LISTED_SCENES
from transducer.results import Event, Labelling, Scene

# With these, the output of several sources on one pipe can still be told apart.
NAMED_FORMATS = frozenset(("txt", "json", "jsonl"))
FRAME_FORMATS = ("json", "csv", "tsv")


@dataclass(frozen=True)
class LabelJob:
    """What the command line asked for; None where nothing was said."""

    sources: tuple[str, ...]
    model: str
    formats: tuple[str, ...] = ()
    output_dir: str | None = None
    threshold: float | None = None
    frames: bool = False
    overlay: str | None = None
    threads: int | None = None


def run(job: LabelJob) -> int:
    """Label all sources; a bad one does not keep the others from being done.

    Raises:
        UsageError: options that cannot be meant, found before anything is decoded.
        TransducerError: of the only source.
        KeyboardInterrupt: after what was certain has been written.
    """
    formats = _formats(job)
    _check(job, formats)
    outputs = plan_outputs(job.sources, formats, job.output_dir, check_label_format)

    def load() -> Any:
        set_threads(job.threads)
        return transducer.load(job.model)

    def work(model: Any, source: str, files: dict[str, Path], header: str) -> bool:
        return _label(model, source, job, formats[0], header, files)

    return for_each_source(job.sources, outputs, formats[0] == "txt", load, work)


def _formats(job: LabelJob) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(check_label_format(name) for name in job.formats))
    return formats or (("json",) if job.frames else ("txt",))


def _check(job: LabelJob, formats: tuple[str, ...]) -> None:
    check_formats(job.sources, formats, job.output_dir, NAMED_FORMATS)
    check_threshold(job.threshold)
    if job.frames and not set(formats) & set(FRAME_FORMATS):
        raise UsageError(f"--frames goes into {', '.join(FRAME_FORMATS)}: add one of them to --format")
    if job.overlay is not None:
        _check_overlay(job, Path(job.overlay))


def check_threshold(threshold: float | None) -> None:
    """Raises UsageError if it is no probability that tells anything from anything."""
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError(f"--threshold {threshold:g} is no probability between 0 and 1")


def _check_overlay(job: LabelJob, target: Path) -> None:
    if len(job.sources) > 1:
        raise UsageError("--overlay makes a copy of one video: name one source")
    if is_live(job.sources[0]):
        raise UsageError("--overlay needs a source that can be read twice, and a live address cannot")
    from transducer.media.overlay.copy import CONTAINERS

    if target.is_dir():
        raise UsageError(f"{target}: is a folder; --overlay needs a file, such as {target / 'labels.mp4'}")
    if target.exists() and Path(job.sources[0]).exists() and target.samefile(job.sources[0]):
        raise UsageError(f"{target}: --overlay would write over the video that it reads; choose another name")
    if target.suffix.lower() not in CONTAINERS:
        raise UsageError(f"{target}: an unknown kind of video; end the name with one of {', '.join(CONTAINERS)}")
    require_folder(target.parent, "--overlay")


def _label(model: Any, source: str, job: LabelJob, format: str, header: str, files: dict[str, Path]) -> bool:
    """Label one source; returns whether all its output files could be written."""
    name = source_name(source)
    view = choose_label_view(format, name, header, to_files=bool(files))
    with TwoPasses(source, twice="html" in (files or (format,)) or job.overlay is not None) as passes:
        failure, labelling = _read(model, passes, job, view)
        if labelling is None:
            raise failure or MediaError(f"{name}: has no pictures")
        labelling = replace(labelling, source=name)
        interrupted = isinstance(failure, KeyboardInterrupt)
        # After Ctrl-C nobody wants to wait for pictures.
        pictures = partial(read_pictures, passes, labelling, name) if not interrupted else tuple
        view.finish(labelling, pictures)
        complete = True
        for kind, path in files.items():
            complete &= write_pieces(partial(_pieces, labelling, kind, pictures), path)
        if job.overlay is not None and failure is None:
            _overlay(passes, labelling, job.overlay)
    if failure is not None:
        raise failure
    return complete


def _read(
    model: Any, passes: TwoPasses, job: LabelJob, view: LabelView
) -> tuple[BaseException | None, Labelling | None]:
    """(what ended it early, what is certain by then), each None if there is none."""
    failure: BaseException | None = None
    session: Any = None
    try:
        with model.label_stream(passes.first, threshold=job.threshold, frames=job.frames) as session:
            warnings = WarningReporter(session)
            view.start(session)
            try:
                for item in listing(session):
                    view.item(item)
                    warnings.report()
            except KeyboardInterrupt:
                passes.stop()  # or closing the session would wait for more to come
                raise
            finally:
                view.close()
                warnings.finish()
    except (TransducerError, KeyboardInterrupt) as error:
        failure = error
    labelling = session.result() if session is not None else None
    return failure, labelling if labelling is not None and labelling.frames else None


def listing(session: Any) -> Iterator[Event | Scene]:
    """Events as they become certain, and before each the scenes that are over by then."""
    shown = 0

    def over() -> Iterator[Scene]:
        nonlocal shown
        while session.kind in LISTED_SCENES and shown < len(session.segments):
            shown += 1
            yield session.segments[shown - 1]

    for event in session:
        yield from over()
        yield event
    yield from over()


def read_pictures(passes: TwoPasses, labelling: Labelling, name: str) -> Iterator[Thumbnail]:
    """The pictures for the page of a labelling; a warning where there are none."""
    if passes.second is None:
        report("warning", f"{name}: is live and cannot be read a second time; the page has no pictures")
        return
    try:
        yield from read_thumbnails(passes.again, wanted_frames(labelling))
    except MediaError as error:
        report("warning", f"{error}; the page lacks pictures")


def _pieces(labelling: Labelling, format: str, pictures: Pictures) -> Iterator[str]:
    return render_labelling(labelling, format, pictures() if format == "html" else ())


def _overlay(passes: TwoPasses, labelling: Labelling, output: str) -> None:
    from transducer.media.overlay.copy import write_overlay

    transitions = labelling.kind == "transitions"
    warnings = write_overlay(passes.again(), output, labelling.events, labelling.segments, transitions=transitions)
    for warning in warnings:
        if warning not in labelling.warnings:
            report("warning", warning)
