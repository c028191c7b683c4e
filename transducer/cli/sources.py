"""What commands over several sources share: which formats they can have, and that a bad one does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transducer.cli.console import report
from transducer.cli.outputs import require_file, source_name
from transducer.errors import TransducerError, UsageError
from transducer.media.io.sources import STANDARD_INPUT


def check_formats(
    sources: Sequence[str], formats: Sequence[str], output_dir: str | None, named: frozenset[str]
) -> None:
    """See that what the sources give can be told apart.

    Args:
        named: formats of which several results fit on one output.

    Raises:
        UsageError: they cannot; or standard input is named twice. TransducerError: a page with pictures is wanted,
            and OpenCV cannot be loaded.
    """
    if sources.count(STANDARD_INPUT) > 1:
        raise UsageError("standard input (-) can be read only once")
    if "html" in formats:
        from transducer.media.video.opencv import load_opencv

        load_opencv()  # for its pictures, which are made when all else is done
    if output_dir is not None:
        return
    if len(formats) > 1:
        raise UsageError(f"{len(formats)} formats ({', '.join(formats)}) do not fit one output: add --output-dir")
    if len(sources) > 1 and formats[0] not in named:
        raise UsageError(f"{formats[0]} of several files does not fit one output: add --output-dir")


def for_each_source(
    sources: Sequence[str],
    outputs: Sequence[dict[str, Path]],
    headers: bool,
    load: Callable[[], Any],
    work: Callable[[Any, str, dict[str, Path], str], bool],
) -> int:
    """Work on every source; returns the exit status: 1 if one failed, or not all could be written.

    Args:
        outputs: of each source, see `plan_outputs`.
        headers: whether several sources have headers on standard output; on a terminal they have them anyway.
        load: gives the model, after all sources have been looked at.
        work: (model, source, output files, header) -> whether all of it could be written.

    Raises:
        UsageError: from any source: what is wrong with an option is wrong for every source.
        TransducerError: of the only source.
    """
    failed = False

    def fail(error: TransducerError) -> None:
        nonlocal failed
        if len(sources) == 1 or isinstance(error, UsageError):
            raise error
        report("error", str(error))
        failed = True

    present = []
    for source, files in zip(sources, outputs, strict=True):
        try:
            require_file(source)
            present.append((source, files))
        except TransducerError as error:
            fail(error)
    if not present:
        return 1
    model = load()
    gap = ""
    for source, files in present:
        shown = len(sources) > 1 and (headers or bool(files))
        try:
            if not work(model, source, files, f"{gap}==> {source_name(source)} <==\n" if shown else ""):
                failed = True
            gap = "\n"
        except TransducerError as error:
            fail(error)
    return 1 if failed else 0
