"""Many files through worker processes: what is listed goes out, what comes back is written down."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transducer.archive.manifest import BadLine, Item, Manifest
from transducer.archive.names import Names, fingerprint
from transducer.archive.pool import Finished, Killed, Moved, Pool, Said
from transducer.archive.summary import FAILED, Entry, Summary, identify
from transducer.archive.threads import in_threads
from transducer.atomic import remove_unfinished
from transducer.cli.archive.progress import Progress
from transducer.cli.archive.shared import Found, part_of
from transducer.cli.archive.work import SHARED, MediaSettings, Outcome, PredictSettings, Task, target_of
from transducer.cli.console import report
from transducer.cli.job import Plan
from transducer.cli.outputs import plan_outputs, require_folder, source_name
from transducer.cli.run import NO_FILES
from transducer.cli.sources import find_sources
from transducer.errors import UsageError
from transducer.media.io.sources import STANDARD_INPUT
from transducer.version import VERSION

_ELSEWHERE = ("files", "output_dir", "recursive", "files_from", "jobs", "resume", "by_content", "threads", "device")


_HASHING = 4  # threads that read files for their hashes, at least

_Listed = tuple[Item | BadLine, str | None, float | None]


@dataclass(frozen=True)
class Archive:
    """Which files, and how they are worked on; see the options of these names."""

    files: Sequence[str]
    output_dir: str | None
    recursive: bool = False
    files_from: str | None = None
    jobs: int | None = None
    resume: bool = False
    by_content: bool = False
    threads: int | None = None


def run_media(plan: Plan) -> int:
    """transcribe, label or annotate an archive; returns the exit status.

    Raises:
        UsageError: what cannot be meant, found before anything is decoded.
        KeyboardInterrupt: after the processes have ended.
    """
    job = plan.job
    for option, value in (("--output", job.output), ("--overlay", job.overlay)):
        if value is not None:
            raise UsageError(f"{option} is for one file: leave out --jobs, --files-from and --resume")
    archive = Archive(
        tuple(job.files or ()),
        job.output_dir,
        job.recursive,
        job.files_from,
        job.jobs,
        job.resume,
        job.by_content,
        job.threads,
    )
    settings = MediaSettings(replace(plan, job=replace(job, files=())))
    made = {name: value for name, value in vars(job).items() if name not in _ELSEWHERE and value}
    return _run(archive, settings, plan.formats, made, job.folders)


def run_predictions(archive: Archive, model: str, options: dict[str, Any], device: str | None) -> int:
    """predict, see `run_media`."""
    settings = PredictSettings(model, options, archive.output_dir or "", device, archive.threads)
    return _run(archive, settings, ("json",), {"command": "predict", "model": model, **options})


def _run(
    archive: Archive,
    settings: Any,
    formats: tuple[str, ...],
    made: dict[str, Any],
    folders: dict[str, str] | None = None,
) -> int:
    """Work on an archive.

    Args:
        settings: of the workers.
        formats: of the results, which are their suffixes.
        made: what results depend on beside their file.
        folders: see `plan_outputs`.
    """
    if archive.output_dir is None:
        raise UsageError("the results of many files need a folder: add --output-dir")
    folders = folders or {"--output-dir": archive.output_dir}
    listed = _listed(archive, formats, folders)
    with Summary(archive.output_dir, archive.resume) as summary, Progress() as progress:
        if archive.resume:
            remove_unfinished(Path(archive.output_dir))  # halves that a killed run has left
        jobs = archive.jobs or 1
        workers = jobs // len(archive.files) if archive.files and not archive.recursive else 1
        how = f"{fingerprint(VERSION, sorted(made.items())):016x}"

        def identified(found: _Listed) -> tuple[_Listed, str]:
            item, output, _ = found
            if output is None or isinstance(item, BadLine):
                return found, ""
            return found, _identity(item, how, archive.by_content)

        def tasks() -> Iterator[Task]:
            # A file that is read for its identity takes as long as the disk does.
            threads = max(jobs, _HASHING) if archive.by_content else 0
            for (item, output, share), identity in in_threads(identified, listed, threads):
                progress.list(share)
                if output is None:
                    name, error = (item.name, item.error) if isinstance(item, BadLine) else (item.name, "")
                    _note(summary, progress, Entry(name, None, FAILED, error=f"{name}: {error}"))
                    continue
                assert isinstance(item, Item)
                there = all(map(os.path.isfile, target_of(archive.output_dir, output, formats)))
                if there and summary.is_done(output, identity):
                    progress.skip()
                else:
                    yield Task(item, output, identity, workers)

        try:
            with Pool(settings, jobs, archive.threads) as pool, Shares(pool) as shares:
                for news in pool.run(tasks()):
                    if not shares.take(news):
                        _take(news, summary, progress)
            summary.tidy()
        except KeyboardInterrupt:
            report("interrupted", f"{progress.done} files are done; the same command with --resume does the rest")
            raise
    progress.tell()
    return progress.exit_status


class Shares:
    """Files that several workers share: from the one that finds out, to the parts, to the one that joins them.

    Args:
        pool: of the workers.
    """

    def __init__(self, pool: Pool):
        self._pool = pool
        self._folder = tempfile.TemporaryDirectory(prefix="transducer-")
        self._key = 0
        self._found: dict[str, dict[int, Found]] = {}  # by output: what the parts found that are over

    def __enter__(self) -> Shares:
        return self

    def __exit__(self, *exception: object) -> None:
        self._folder.cleanup()

    def take(self, news: Any) -> bool:
        """Whether there is more to be done for the file that the news are about, or nothing to tell any more."""
        if not isinstance(news, Finished | Killed):
            return False
        task: Task = news.task
        outcome: Outcome | None = news.outcome if isinstance(news, Finished) else None
        if task.part is None:
            if outcome is None or outcome.status != SHARED:
                return False
            self._found[task.output] = {}
            self._key += 1
            for number in range(task.workers):
                place = part_of(self._folder.name, number, task.workers, outcome.duration or 0.0, self._key)
                self._pool.add(task._replace(workers=1, part=place))
            return True
        parts = self._found.get(task.output)
        if parts is None:
            return True  # it has failed already
        if outcome is None or outcome.found is None:
            del self._found[task.output]
            return False
        parts[task.part.number] = outcome.found
        if len(parts) == task.part.parts:
            self._pool.add(task._replace(part=None, found=tuple(parts[number] for number in sorted(parts))))
        return True


def _take(news: Any, summary: Summary, progress: Progress) -> None:
    if isinstance(news, Said):
        report(*news.text.removeprefix("transducer: ").split(": ", 1)) if ": " in news.text else report(
            "note", news.text
        )
    elif isinstance(news, Moved) and news.task.part is None:
        start = news.task.item.options.get("start") or 0.0
        progress.move(news.task.output, max(news.seconds - start, 0.0))
    elif isinstance(news, Finished | Killed):
        task: Task = news.task
        name = source_name(task.item.path)
        if isinstance(news, Finished):
            outcome, seconds = news.outcome, news.seconds
        else:
            outcome, seconds = Outcome(FAILED, error=f"{name}: {news.cause}"), 0.0
        status, duration, error, _ = outcome
        entry = Entry(task.item.path, task.output, status, duration, error, seconds, task.identity)
        _note(summary, progress, entry)


def _note(summary: Summary, progress: Progress, entry: Entry) -> None:
    summary.add(entry)
    progress.finish(entry.output, entry.status, entry.duration)
    if entry.status == FAILED:
        report("error", entry.error or "")


def _listed(archive: Archive, formats: tuple[str, ...], folders: dict[str, str]) -> Iterator[_Listed]:
    """Every item with the name of its results (None where it has none), and how much of the list has been read.

    Raises:
        UsageError: at once, where nothing of it can be meant.
    """
    if archive.files_from is None:
        if not archive.files:
            raise UsageError(NO_FILES)
        if STANDARD_INPUT in archive.files:
            raise UsageError("standard input (-) is one source: leave out --jobs and --resume, or use --files-from -")
        sources = find_sources(archive.files, archive.recursive)
        targets = plan_outputs(sources, formats, folders)
        numbered = enumerate(zip(sources, targets, strict=True), start=1)
        return (
            (Item(source.name, source.name), str(target.stem), number / len(sources))
            for number, (source, target) in numbered
        )
    if archive.files:
        raise UsageError("--files-from takes the place of files: leave out one of them")
    for option, folder in folders.items():
        require_folder(Path(folder), option)
    return _of_list(Manifest(archive.files_from))


def _of_list(manifest: Manifest) -> Iterator[_Listed]:
    names = Names()
    for item in manifest:
        share = manifest.read / manifest.size if manifest.size else None
        if isinstance(item, Item):
            try:
                yield item, str(names.give(item)), share
                continue
            except UsageError as error:
                item = BadLine(f"{manifest.name}, line {item.line}", f"{item.name}: {error}", item.line)
        yield item, None, share


def _identity(item: Item, how: str, by_content: bool) -> str:
    try:
        return identify(item.path, how, item.options or "", by_content)
    except OSError:
        return ""  # that it cannot be read shows when it is opened
