"""What a worker of the command line does with a file: its results, in files that appear whole or not at all."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import transducer
from transducer.archive.manifest import Item
from transducer.archive.summary import DONE, FAILED, PARTS_MISSING
from transducer.archive.watch import Watched
from transducer.archive.worker import CLIPS, SHORT
from transducer.atomic import atomic_write
from transducer.cli.archive.shared import Found, Part
from transducer.cli.console import report
from transducer.cli.job import Plan
from transducer.cli.options import set_threads, text_stages
from transducer.cli.outputs import Target, source_name
from transducer.cli.predict import document, x_of
from transducer.cli.run import follow, make_files, pieces_of, with_pictures
from transducer.cli.second_pass import TwoPasses
from transducer.cli.sessions import check_kind, lacks_parts
from transducer.cli.sources import require_file
from transducer.cli.views import Silent
from transducer.engine.multi import results_option
from transducer.errors import MediaError, TransducerError
from transducer.formats.values import to_json
from transducer.media.io.sources import is_pipe
from transducer.results import Labelling, Transcript

if TYPE_CHECKING:
    from transducer.engine.clips import Clip, ClipBatch
    from transducer.media.medium import BlockReader

_MEDIUM = "samples"  # pictures take longer to decode than to judge, which a batch does not change


SHARED = "shared"  # status of a file that is to be worked on in parts, and of each of them


class Task(NamedTuple):
    """A file, or a part of its work.

    Attributes:
        output: where its results go.
        identity: what the summary knows it by.
        workers: that may share it.
        part: what is to be done of it; None for all.
        found: of all its parts, which are to be joined.
    """

    item: Item
    output: str
    identity: str
    workers: int = 1
    part: Part | None = None
    found: tuple[Found, ...] = ()


class Outcome(NamedTuple):
    """What became of a task, see `transducer.archive.summary.Entry`."""

    status: str
    duration: float | None = None
    error: str | None = None
    found: Found | None = None


class FileWork:
    """What all commands share; see `transducer.archive.worker.Work`.

    Args:
        model: what short files go to in a batch; None where they do not.
        options: of its sessions.
    """

    def __init__(self, model: Any, options: dict[str, Any]):
        self._model, self._options = model, options
        self.clips: ClipBatch | None = None
        if model is not None and model.medium.name == _MEDIUM and not options.get("frames"):
            self.clips = model.clips(CLIPS, **options)

    def open(self, task: Task) -> BlockReader | None:
        path = task.item.path
        if task.item.line and os.path.isdir(path):
            raise MediaError(f"{source_name(path)}: is a folder; name the files in it")
        require_file(path)
        if self.clips is None or "://" in path or is_pipe(path):
            return None
        reader: BlockReader = self._model.open(path, **{**self._options, **task.item.options})
        if reader.duration is None or reader.duration - reader.start > SHORT:
            reader.close()
            return None
        return reader

    def finish(self, task: Task, clip: Clip, seconds: float) -> Outcome:
        if clip.failure is not None:
            raise clip.failure
        for warning in clip.warnings:
            report("warning", warning)
        result = replace(clip.result(), source=source_name(task.item.path))
        return self._deliver(task, self._read(result), lacks_parts(clip))

    def whole(self, task: Task, watch: Callable[[Watched], None]) -> Outcome:
        if task.part is not None:
            return Outcome(SHARED, found=self._find(task, task.part, watch))
        if task.workers > 1 and (duration := self._shared(task)) is not None:
            return Outcome(SHARED, duration)
        if task.found and (joined := self._join(task)) is not None:
            return self._deliver(task, *joined)
        return self._deliver(task, *self._follow(task, watch))

    def _shared(self, task: Task) -> float | None:
        """The seconds of a file that can be worked on in parts with the same result; None of any other."""
        from transducer.engine.relay import can_share

        # A batch for clips is there for sound and one model, which is what can be shared, too.
        path = task.item.path
        if self.clips is None or not can_share(self.clips.engine) or "://" in path or is_pipe(path):
            return None
        if {"start", "length"} & {*self._options, *task.item.options}:
            return None
        with self._model.open(path, **{**self._options, **task.item.options}) as reader:
            return reader.duration if reader.duration is not None and reader.duration > SHORT else None

    def _find(self, task: Task, part: Part, watch: Callable[[Watched], None]) -> Found:
        """What one of the streams that share a file finds in it."""
        from transducer.engine.relay import run_leg

        assert self.clips is not None
        engine = self.clips.engine
        with self._model.open(task.item.path, **{**self._options, **task.item.options}) as reader:
            watch(reader)
            leg = run_leg(engine, reader, part.first(self._model.rate, engine.block), part.meet)
            return Found(leg, tuple(reader.warnings), reader.incomplete)

    def _join(self, task: Task) -> tuple[Any, bool] | None:
        """The result of all parts, as of one stream; None where nothing was said: a session tells why."""
        from transducer.engine.relay import join

        segments, last = join([found.leg for found in task.found])
        end = task.found[last]
        if not segments:
            return None
        for warning in end.warnings:
            report("warning", warning)
        name, language = source_name(task.item.path), self._model.config.language
        result = Transcript(tuple(segments), end.leg.duration, name, language, end.warnings)
        return self._read(result), end.incomplete

    def failed(self, task: Task, error: Exception, seconds: float) -> Outcome:
        name = source_name(task.item.path)
        if isinstance(error, TransducerError):
            return Outcome(FAILED, error=str(error))
        if isinstance(error, OSError) and error.filename is not None:
            return Outcome(FAILED, error=f"{error.filename}: cannot be written: {error.strerror}")
        return Outcome(FAILED, error=f"{name}: went wrong: {type(error).__name__}: {error}")

    def _deliver(self, task: Task, result: Any, lacking: bool) -> Outcome:
        self._write(task, result)
        start = {**self._options, **task.item.options}.get("start") or 0.0
        return Outcome(PARTS_MISSING if lacking else DONE, max(result.duration - start, 0.0))

    def _read(self, result: Any) -> Any:
        """A result as it is to be read."""
        return result

    @abstractmethod
    def _follow(self, task: Task, watch: Callable[[Watched], None]) -> tuple[Any, bool]:
        """The result of a file that is worked on by itself, and whether parts of it are missing."""

    @abstractmethod
    def _write(self, task: Task, result: Any) -> None:
        """The files of a result. Raises OSError where one cannot be written."""


class _Shown(Silent):
    """In the place of what shows a session to people."""

    def __init__(self, watch: Callable[[Watched], None]):
        self._watch = watch

    def start(self, session: Any) -> None:
        self._watch(session)


class MediaWork(FileWork):
    """transcribe, label, annotate.

    Args:
        plan: of the job.
    """

    def __init__(self, plan: Plan):
        job, kinds = plan.job, plan.command.kinds
        set_threads(job.threads)
        device = {} if job.device is None else {"device": job.device}
        self._plan = plan
        self._models = [transducer.load(name, **device) for name in job.models]
        for model, name, kind in zip(self._models, job.models, kinds, strict=True):
            check_kind(model, name, kind)
        self._stages = text_stages(job.punctuate, job.digits)
        alone = len(kinds) == 1 and plan.min_scene is None
        super().__init__(
            self._models[0] if alone else None, {**results_option(self._models[0], kinds[0]), **plan.sessions[0]}
        )

    def _read(self, result: Any) -> Any:
        if not isinstance(result, Transcript):
            return result
        return replace(result, segments=tuple(self._stages(result.segments)))

    def _follow(self, task: Task, watch: Callable[[Watched], None]) -> tuple[Any, bool]:
        sessions = tuple({**options, **task.item.options} for options in self._plan.sessions)
        name = source_name(task.item.path)
        with TwoPasses(task.item.path, self._plan.reads_twice) as passes:
            plan = replace(self._plan, sessions=sessions)
            failure, result, lacking = follow(plan, self._models, self._stages, passes, name, _Shown(watch), True)
            if failure is not None:
                raise failure
            if result is None:
                what = "pictures" if plan.command.result is Labelling else "sound"
                raise MediaError(f"{name}: has no {what}")
            return result, lacking

    def _write(self, task: Task, result: Any) -> None:
        plan, item = self._plan, task.item
        with TwoPasses(item.path, plan.reads_twice) as passes:
            result, pictures = with_pictures(plan, passes, result, source_name(item.path))
            for path, format in target_of(plan.job.output_dir, task.output, plan.formats).items():
                write_file(path, partial(pieces_of, plan, result, format, pictures))
            labelling = getattr(result, "labelling", result)
            if isinstance(labelling, Labelling):
                make_files(plan.job, passes, labelling, Target({}, PurePosixPath(task.output)), item.path)


class PredictWork(FileWork):
    """predict: a JSON document for each x, as with `--json`.

    Args:
        settings: of the job.
    """

    def __init__(self, settings: PredictSettings):
        set_threads(settings.threads)
        self._settings = settings
        device = {} if settings.device is None else {"device": settings.device}
        model = transducer.load(settings.model, **device)
        model.engine(**settings.options)  # an option that is not for this model is told before any x
        super().__init__(model, settings.options)

    def _follow(self, task: Task, watch: Callable[[Watched], None]) -> tuple[Any, bool]:
        x = x_of(self._model, task.item.path)
        with self._model.session(x, keep=True, **{**self._options, **task.item.options}) as session:
            watch(session)
            for _ in session:
                pass
            for warning in session.warnings:
                report("warning", warning)
            return session.result(), lacks_parts(session)

    def _write(self, task: Task, result: Any) -> None:
        for path in target_of(self._settings.output_dir, task.output, ("json",)):
            write_file(path, lambda: iter([to_json(document(task.item.name, result))]))


@dataclass(frozen=True)
class MediaSettings:
    """See `transducer.archive.worker.Settings`."""

    plan: Plan

    def start(self) -> MediaWork:
        return MediaWork(self.plan)


@dataclass(frozen=True)
class PredictSettings:
    """The same of `predict`."""

    model: str
    options: dict[str, Any]
    output_dir: str
    device: str | None = None
    threads: int | None = None

    def start(self) -> PredictWork:
        return PredictWork(self)


def target_of(folder: str | None, output: str, formats: tuple[str, ...]) -> dict[Path, str]:
    """The files of a result, and the format of each."""
    return {Path(folder or "", f"{output}.{format}"): format for format in formats}


def write_file(path: Path, pieces: Callable[[], Iterator[str]]) -> None:
    """One file, whole or not at all. Raises OSError with the file's name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.writelines(pieces())
    except OSError as error:
        raise OSError(error.errno, error.strerror or os.strerror(error.errno or 0), str(path)) from error
