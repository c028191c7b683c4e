"""Files and folders wherever they are, as pyarrow opens them: paths, s3://, gs://, hdfs:// and what fsspec knows."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from transducer.errors import MediaError, UsageError
from transducer.media.io.protocols import is_known


def locate(address: str) -> tuple[Any, str]:
    """A `pyarrow.fs.FileSystem` and the path in it.

    Raises:
        UsageError: nothing opens addresses of this kind, or what does is not installed.
    """
    from pyarrow import fs

    if "://" not in address:
        return fs.LocalFileSystem(), os.path.abspath(address)
    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(address)
        return found
    except (ValueError, OSError, NotImplementedError):  # of schemes that it does not know, a ValueError
        pass
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(address)
    except (ValueError, ImportError, OSError) as error:
        raise UsageError(f"{address}: cannot be opened: {error}") from None
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path


def folder_of(address: str) -> str:
    """The folder, or the address of the folder, that a file is in."""
    return address.rpartition("/")[0] if "://" in address else os.path.dirname(os.path.abspath(address))


def open_address(path: str) -> Any:
    """What a model reads of a path or address: itself, or an open file where only pyarrow gets there.

    Raises:
        UsageError: it is not there. MediaError: it cannot be reached.
    """
    if "://" not in path or is_known(urlsplit(path).scheme.lower()):
        return path
    system, place = locate(path)
    try:
        return system.open_input_file(place)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise MediaError(f"{path}: cannot be opened: {str(error).splitlines()[0]}") from None
