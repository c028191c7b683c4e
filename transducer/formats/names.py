"""Names of formats, as people type them."""

from __future__ import annotations

from collections.abc import Collection

from transducer.errors import UsageError


def known_format(name: str, formats: Collection[str]) -> str:
    """The format's name, in lower case and without a leading dot.

    Raises:
        UsageError: there is no such format; lists those there are.
    """
    key = name.lower().removeprefix(".")
    if key not in formats:
        raise UsageError(f"unknown format {name!r}; there are {', '.join(formats)}")
    return key
