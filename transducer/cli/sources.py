"""What commands read, one after the other: a bad source does not keep the rest from being done."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from transducer.cli.console import report
from transducer.cli.outputs import Source, Target, source_name
from transducer.errors import MediaError, TransducerError, UsageError
from transducer.media.io.sources import STANDARD_INPUT, is_pipe, open_source

DONE, FAILED, PARTS_MISSING = 0, 1, 3  # exit statuses

# What is taken from a folder; files of other names have to be named one by one.
MEDIA_SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aiff .amr .ape .avi .caf .flac .flv .m2ts .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpeg "
    ".mpg .mts .mxf .oga .ogg .ogv .opus .ts .vob .wav .webm .wma .wmv .wv".split()
)


def find_sources(named: Sequence[str], recursive: bool) -> list[Source]:
    """What is named, with the media files of folders, in the order of their names, in place of these.

    Files that are named themselves are not taken from folders once more, and a folder without any stays as it is. So
    does a pattern (`films/**/*.mp4`) that nothing matches; what matches keeps its place below the folder before the
    first wildcard.
    """
    given = {os.path.abspath(name) for name in named}
    sources: list[Source] = []
    for name in named:
        folder = name != STANDARD_INPUT and "://" not in name and os.path.isdir(name)
        if folder:
            found = list(_media_files(Path(name), recursive))
        else:
            found = list(_matches(name)) if glob.has_magic(name) and "://" not in name else []
        sources += (
            [source for source in found if os.path.abspath(source.name) not in given] if found else [Source(name)]
        )
    return sources


def _matches(pattern: str) -> Iterator[Source]:
    """The files that a pattern stands for, which the shell did not expand; none of one that is a name."""
    if os.path.lexists(pattern):
        return
    parts = Path(pattern).parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:first])
    for name in sorted(glob.glob(pattern, recursive=True)):
        if os.path.isfile(name):
            yield Source(name, PurePosixPath(Path(name).relative_to(base).parent))


def _media_files(folder: Path, recursive: bool) -> Iterator[Source]:
    for place, inside, files in os.walk(folder):
        inside[:] = sorted(name for name in inside if not name.startswith(".")) if recursive else []
        for name in sorted(files):
            if Path(name).suffix.lower() in MEDIA_SUFFIXES and not name.startswith("."):
                path = Path(place, name)
                yield Source(str(path), PurePosixPath(path.relative_to(folder).parent))


def require_file(source: str) -> None:
    """Look at a source before the model is loaded: seconds earlier, and for all sources at once.

    Addresses, pipes and devices are left alone: what is read from them is gone.

    Raises:
        MediaError: it is a path, and there is no file to read.
        UsageError: standard input is a terminal.
    """
    if source == STANDARD_INPUT:
        looked_at = sys.stdin is None or sys.stdin.isatty()
    elif "://" in source:
        looked_at = False
    else:
        looked_at = not is_pipe(source)
    if looked_at and os.path.isdir(source):
        raise MediaError(f"{source_name(source)}: is a folder without media files; see also --recursive")
    if looked_at:
        open_source(source).close()


def for_each_source(
    sources: Sequence[Source],
    targets: Sequence[Target],
    headers: bool,
    load: Callable[[], Any],
    work: Callable[[Any, str, Target, str], int],
) -> int:
    """Work on every source; returns the exit status: FAILED if one was, or else PARTS_MISSING if they are of one.

    Args:
        targets: of each source, see `plan_outputs`.
        headers: whether several sources have headers on standard output; on a terminal they have them anyway.
        load: gives the models, after all sources have been looked at.
        work: (models, source, target, header) -> the status of this one.

    Raises:
        UsageError: from any source: what is wrong with an option is wrong for every source.
        TransducerError: of the only source.
    """
    statuses = {DONE}

    def fail(error: TransducerError) -> None:
        if len(sources) == 1 or isinstance(error, UsageError):
            raise error
        report("error", str(error))
        statuses.add(FAILED)

    present = []
    for (source, _), target in zip(sources, targets, strict=True):
        try:
            require_file(source)
            present.append((source, target))
        except TransducerError as error:
            fail(error)
    if not present:
        return FAILED
    models = load()
    gap = ""
    for source, target in present:
        shown = len(sources) > 1 and (headers or bool(target.files))
        try:
            statuses.add(work(models, source, target, f"{gap}==> {source_name(source)} <==\n" if shown else ""))
            gap = "\n"
        except TransducerError as error:
            fail(error)
    return FAILED if FAILED in statuses else max(statuses)
