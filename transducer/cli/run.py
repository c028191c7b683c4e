"""Every source through the models of a command: results shown while they come, and written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import transducer
from transducer.cli.console import report
from transducer.cli.job import Job, Plan, check_outputs, make_plan
from transducer.cli.long_scenes import LongScenes
from transducer.cli.options import TextStages, set_threads, text_stages
from transducer.cli.outputs import Target, plan_outputs, source_name, write_pieces
from transducer.cli.overlay import make_overlay
from transducer.cli.scene_files import write_images, write_scenes
from transducer.cli.second_pass import TwoPasses
from transducer.cli.sessions import check_kind, lacks_parts, listing, open_annotation, open_session, transcript
from transducer.cli.sources import DONE, FAILED, PARTS_MISSING, find_sources, for_each_source
from transducer.cli.thumbnails import find_timecode, read_pictures
from transducer.cli.views import Pictures, View, WarningReporter, choose_view
from transducer.errors import MediaError, TransducerError, UsageError
from transducer.formats import pieces
from transducer.formats.subtitles import SRT_END_MS
from transducer.results import Annotation, Labelling, Segment

NO_FILES = "Missing argument 'FILES': name files or folders, or a list of them with --files-from"
Followed = tuple[BaseException | None, Any, bool]  # what ended it early, the result by then, whether parts are missing


def run(job: Job) -> int:
    """Do what the command line asks for; a bad source does not keep the others from being done.

    Raises:
        UsageError: options that cannot be meant, found before anything is decoded.
        TransducerError: of the only source.
        KeyboardInterrupt: after what was certain has been written.
    """
    plan = make_plan(job)
    if job.archive:
        from transducer.cli.archive.run import run_media

        return run_media(plan)
    if not job.files:
        raise UsageError(NO_FILES)
    sources = find_sources(job.files, job.recursive)
    check_outputs(plan, [source.name for source in sources])
    targets = plan_outputs(sources, plan.formats, job.folders, job.output)

    def load() -> tuple[list[Any], TextStages]:
        set_threads(job.threads)
        device = {} if job.device is None else {"device": job.device}
        models = [transducer.load(name, **device) for name in job.models]
        for model, name, kind in zip(models, job.models, plan.command.kinds, strict=True):
            check_kind(model, name, kind)
        return models, text_stages(job.punctuate, job.digits)

    def work(loaded: tuple[list[Any], TextStages], source: str, target: Target, header: str) -> int:
        return _work(plan, *loaded, source, target, header)

    return for_each_source(sources, targets, plan.formats[0] == "txt", load, work)


def _work(plan: Plan, models: list[Any], stages: TextStages, source: str, target: Target, header: str) -> int:
    """One source; returns its status."""
    name, shown, files = source_name(source), plan.formats[0], target.files
    options = plan.format(shown).pick(plan.rendering)
    view = choose_view(shown, plan.command.result, name, header, bool(files), options)
    with TwoPasses(source, plan.reads_twice) as passes:
        # A live source may never end: hold its segments only for outputs that need them all.
        keep = bool(files) or plan.format(shown).rows is None
        failure, result, lacking = follow(plan, models, stages, passes, name, view, keep)
        if result is None:
            raise failure or MediaError(f"{name}: has no {'pictures' if plan.command.result is Labelling else 'sound'}")
        # After Ctrl-C nobody wants to wait for pictures.
        result, pictures = with_pictures(plan, passes, result, name, not isinstance(failure, KeyboardInterrupt))
        labelling = getattr(result, "labelling", result)
        view.finish(result, pictures)
        written = [write_pieces(partial(pieces_of, plan, result, kind, pictures), path) for kind, path in files.items()]
        if failure is None and isinstance(labelling, Labelling):
            make_files(plan.job, passes, labelling, target, source)
    if failure is not None:
        raise failure
    return FAILED if not all(written) else PARTS_MISSING if lacking else DONE


def with_pictures(plan: Plan, passes: TwoPasses, result: Any, name: str, wanted: bool = True) -> tuple[Any, Pictures]:
    """What only a source that is read again tells: the result with its timecode, and the pictures for a page.

    Args:
        wanted: whether there are to be pictures.
    """
    if isinstance(result, Labelling):
        result = replace(result, start_timecode=plan.job.start_timecode or find_timecode(passes, result))
    if "srt" in plan.formats and result.duration * 1000 >= SRT_END_MS:
        report("warning", f"{name}: is longer than 100 hours, which not every reader of srt takes; vtt has room")
    labelling = getattr(result, "labelling", result)
    if isinstance(labelling, Labelling) and wanted:
        return result, partial(read_pictures, passes, labelling, name)
    return result, tuple


def make_files(job: Job, passes: TwoPasses, labelling: Labelling, target: Target, source: str) -> None:
    """What else there is to be made of a video whose labels are known."""
    if job.overlay is not None:
        make_overlay(passes, labelling, job.overlay)
    if job.images is not None:
        write_images(passes, labelling, job.images, target.stem)
    if job.split is not None:
        write_scenes(passes, labelling, job.split, target.stem, source)


def follow(
    plan: Plan, models: list[Any], stages: TextStages, passes: TwoPasses, name: str, view: View, keep: bool
) -> Followed:
    """A source through the models of a command.

    Args:
        keep: whether the result is wanted as a whole.
    """
    if plan.command.result is Annotation:
        return _follow_both(plan, models, stages, passes, name, view)
    return _follow(plan, models[0], stages, passes, name, view, keep)


def _follow(
    plan: Plan, model: Any, stages: TextStages, passes: TwoPasses, name: str, view: View, keep: bool
) -> Followed:
    """A source through one model. What is certain when it breaks off is right, and it is a result."""
    words = plan.command.kinds == ("words",)
    failure: BaseException | None = None
    finals: list[Segment] = []
    session: Any = None
    try:
        opened = open_session(model, passes.first, plan.command.kinds[0], plan.sessions[0])
        with LongScenes(opened, plan.min_scene) if plan.min_scene is not None else opened as session:
            warnings = WarningReporter(session)
            view.start(session)
            try:
                for item in stages(session) if words else listing(session):
                    if keep and isinstance(item, Segment) and item.final:
                        finals.append(item)
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
    if session is None:
        return failure, None, False
    if words:
        result = transcript(session, tuple(finals), name) if failure is None or finals else None
    else:
        found = session.result()
        result = replace(found, source=name) if found.frames else None
    return failure, result, lacks_parts(session)


def _follow_both(
    plan: Plan, models: list[Any], stages: TextStages, passes: TwoPasses, name: str, view: View
) -> Followed:
    """A source through a model of words and one of events, side by side."""
    failure: BaseException | None = None
    with open_annotation(models, passes.first, *plan.sessions) as session:
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
    if annotation.transcript is not None:
        segments = tuple(stages(annotation.transcript.segments))
        annotation = replace(annotation, transcript=replace(annotation.transcript, segments=segments))
    return failure, annotation, lacks_parts(session)


def pieces_of(plan: Plan, result: Any, format: str, pictures: Pictures) -> Iterator[str]:
    options = plan.format(format).pick(plan.rendering)
    if plan.format(format).needs_pictures:
        options["thumbnails"] = pictures()
    return pieces(result, format, **options)
