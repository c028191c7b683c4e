"""Where a transcription goes: names of output files, settled before anything is decoded."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from transducer.atomic import atomic_write
from transducer.cli.console import report, write_stdout
from transducer.errors import UsageError
from transducer.formats import check_format, render, write_transcript
from transducer.media.io.sources import STANDARD_INPUT, is_pipe, open_source, printable
from transducer.results import Transcript


def source_name(source: str) -> str:
    """What to call a source in headers, messages and results; without passwords and control characters."""
    if source == STANDARD_INPUT:
        return "standard input"
    if "://" in source:
        account = urlsplit(source).netloc.rpartition("@")
        source = source.replace("".join(account), account[2], 1)
    return printable(source)


def _file_name(source: str) -> str:
    if source == STANDARD_INPUT:
        return "stdin"
    if "://" in source:
        parts = urlsplit(source)
        return PurePosixPath(unquote(parts.path)).name or parts.hostname or "stream"
    return Path(source).name


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
    if looked_at:
        open_source(source).close()


def plan_outputs(
    sources: Sequence[str],
    formats: Sequence[str],
    folder: str | None,
    check: Callable[[str], str] = check_format,
) -> list[dict[str, Path]]:
    """For every source its output files by format: FOLDER/NAME.FORMAT, and none at all without a folder.

    NAME is without its last suffix, unless two sources of different suffixes would then share a file. `check` gives
    a format's proper name, or raises UsageError.

    Raises:
        UsageError: unknown format, two sources with the same output file, a folder that cannot be made or written.
    """
    formats = list(dict.fromkeys(check(name) for name in formats))
    if folder is None:
        return [{} for _ in sources]
    names = [_file_name(source) for source in sources]
    stems = [PurePosixPath(name).stem or name for name in names]
    count = Counter(stems)
    stems = [stem if count[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
    taken: dict[str, str] = {}
    for stem, source in zip(stems, sources, strict=True):
        if stem in taken:
            raise UsageError(
                f"{source_name(taken[stem])} and {source_name(source)} would both be written to "
                f"{Path(folder) / stem}.{formats[0]}; write them into different folders"
            )
        taken[stem] = source
    require_folder(Path(folder), "--output-dir")
    return [{format: Path(folder) / f"{stem}.{format}" for format in formats} for stem in stems]


def require_folder(folder: Path, option: str) -> None:
    """Make the folder that an option names, if need be, and see that files can be made in it.

    Raises:
        UsageError: they cannot.
    """
    probe = folder / f".transducer-{os.urandom(6).hex()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Permission bits do not tell of read-only file systems, and not the superuser of anything: try it.
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        probe.unlink()
    except FileExistsError as error:
        raise UsageError(f"{folder}: not a folder; {option} needs one") from error
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}; choose another place for {option}") from error


def write_outputs(transcript: Transcript, outputs: dict[str, Path]) -> bool:
    """Write every output file; returns whether all could be written.

    What cannot be written to its file is reported and goes to standard output, so that the work is not lost.
    """
    complete = True
    for format, path in outputs.items():
        try:
            write_transcript(transcript, format, path)
        except OSError as error:
            complete = False
            report("error", f"{path}: cannot be written: {error.strerror}; it goes to standard output instead")
            write_stdout(render(transcript, format))
    return complete


def write_pieces(pieces: Callable[[], Iterable[str]], path: Path) -> bool:
    """Write one output file, whole or not at all; returns whether it could be written.

    What cannot be written to its file is reported and goes to standard output, so that the work is not lost.

    Args:
        pieces: gives the contents, from their start each time it is called.
    """
    try:
        with atomic_write(path) as file:
            file.writelines(pieces())
        return True
    except OSError as error:
        report("error", f"{path}: cannot be written: {error.strerror}; it goes to standard output instead")
    for piece in pieces():
        write_stdout(piece)
    return False
