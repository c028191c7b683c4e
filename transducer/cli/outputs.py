"""Where results go: names of output files, settled before anything is decoded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from transducer.atomic import atomic_write
from transducer.cli.console import report, write_stdout
from transducer.errors import UsageError
from transducer.media.io.sources import STANDARD_INPUT, printable


class Source(NamedTuple):
    """What is read, as it was named, and where it lies inside the folder that was named instead of it."""

    name: str
    folder: PurePosixPath = PurePosixPath()


def source_name(source: str) -> str:
    """What to call a source in headers, messages and results; without passwords and control characters."""
    if source == STANDARD_INPUT:
        return "standard input"
    if "://" in source:
        account = urlsplit(source).netloc.rpartition("@")
        source = source.replace("".join(account), account[2], 1)
    return printable(source)


def file_name(source: str) -> str:
    """The name that files made of a source begin with."""
    if source == STANDARD_INPUT:
        return "stdin"
    if "://" in source:
        parts = urlsplit(source)
        return PurePosixPath(unquote(parts.path)).name or parts.hostname or "stream"
    return Path(source).name


class Target(NamedTuple):
    """What is written of a source: a file for each of some formats, and the name of other files, without suffix."""

    files: dict[str, Path]
    stem: PurePosixPath


def plan_outputs(
    sources: Sequence[Source], formats: Sequence[str], folders: Mapping[str, str], file: str | None = None
) -> list[Target]:
    """For every source its output files by format: NAME.FORMAT in the folder of --output-dir, or FILE.

    NAME is without its last suffix, unless two sources of different suffixes would then share a file. What comes from
    folders inside a folder goes into folders of the same names.

    Args:
        folders: those that files of each source are written to, by their options.

    Raises:
        UsageError: two sources with the same output file, a folder or file that cannot be made or written.
    """
    names = [source.folder / file_name(source.name) for source in sources]
    stems = [name.with_name(name.stem or name.name) for name in names]
    count = Counter(stems)
    stems = [stem if count[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
    for option, folder in folders.items():
        taken: dict[PurePosixPath, str] = {}
        for stem, source in zip(stems, sources, strict=True):
            if stem in taken:
                raise UsageError(
                    f"{source_name(taken[stem])} and {source_name(source.name)} would both be written to "
                    f"{Path(folder) / stem}.{formats[0]}; write them into different folders"
                )
            taken[stem] = source.name
        require_folder(Path(folder), option)
    if file is not None:
        require_file_name(Path(file), "--output", sources[0].name)
        return [Target({formats[0]: Path(file)}, stem) for stem in stems]
    place = folders.get("--output-dir")
    kinds = formats if place is not None else ()
    return [Target({kind: Path(place or "") / f"{stem}.{kind}" for kind in kinds}, stem) for stem in stems]


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


def require_file_name(path: Path, option: str, source: str, suffixes: Collection[str] = ()) -> None:
    """See that the file that an option names can be written.

    Args:
        source: what is read, which must not be written over.
        suffixes: what the name may end with; anything, if there are none.

    Raises:
        UsageError: it cannot.
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; {option} needs a file")
    if path.exists() and os.path.exists(source) and path.samefile(source):
        raise UsageError(f"{path}: {option} would write over what it reads; choose another name")
    if suffixes and path.suffix.lower() not in suffixes:
        raise UsageError(
            f"{path}: an unknown kind of file for {option}; end the name with one of {', '.join(suffixes)}"
        )
    require_folder(path.parent, option)


def write_pieces(pieces: Callable[[], Iterable[str]], path: Path) -> bool:
    """Write one output file, whole or not at all; returns whether it could be written.

    What cannot be written to its file is reported and goes to standard output, so that the work is not lost.

    Args:
        pieces: gives the contents, from their start each time it is called.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.writelines(pieces())
        return True
    except OSError as error:
        report("error", f"{path}: cannot be written: {error.strerror}; it goes to standard output instead")
    for piece in pieces():
        write_stdout(piece)
    return False
