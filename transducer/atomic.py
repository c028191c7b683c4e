"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_NAME = re.compile(r"\.transducer-[0-9a-f]{12}\.tmp")  # of temporary files: nobody else's look like this
_OLD = 24 * 3600  # seconds without a write, after which the process that wrote is taken for dead
_cleaned: set[Path] = set()
_OPEN_FILES = ("/dev/std", "/dev/fd/", "/proc/")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open `path` for writing such that it takes its name only when everything is on the disk.

    The contents go to a temporary file in the same folder, which is synced and then renamed. When anything
    fails on the way (disk full, an interrupt, an error in the caller's block), the temporary file is removed,
    a file that was there before stays as it was, and the error goes on to the caller. What a killed process left
    behind is removed by a later one, a day after. A symbolic link keeps pointing where it did. What is no regular
    file (a device, a named pipe) is written directly.

    Args:
        path: the final name; its folder must exist.
        mode: "w" (text: UTF-8, newlines as given, unpaired surrogates as \\uXXXX) or "wb".

    Raises:
        OSError: as from open, write or rename.
    """
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "", "errors": "backslashreplace"}
    # Renaming over a device or a pipe would replace it, and what is open as standard output would not see it;
    # a folder must fail before anything is written.
    if (os.path.exists(path) and not os.path.isfile(path)) or os.path.abspath(path).startswith(_OPEN_FILES):
        with open(path, mode, **text) as file:
            yield file
        return
    target = Path(os.path.realpath(path))
    remove_old(target.parent)
    temporary = target.with_name(f".transducer-{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, mode.replace("w", "x"), **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def remove_old(folder: Path) -> None:
    """Remove temporary files of this module which a process that was killed left in a folder; once per process."""
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if not _NAME.fullmatch(entry.name):
                continue
            with contextlib.suppress(OSError):  # somebody else's, or gone by now
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > _OLD:
                    os.unlink(entry.path)


def remove_unfinished(folder: Path) -> None:
    """Remove all temporary files of this module in a folder and those inside it; for whoever alone writes there."""
    for place, _, names in os.walk(folder):
        for name in filter(_NAME.fullmatch, names):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(place, name))
