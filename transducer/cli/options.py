"""Options that several commands share."""

from __future__ import annotations

from transducer.errors import UsageError


def decoding_options(search: str | None, beam: int | None, chunk_ms: int | None) -> dict[str, str | int]:
    """The options that were given, for `stream` and `transcribe` of the model; the others are left to it.

    Raises:
        UsageError: --beam with a greedy search.
    """
    if beam is not None and search == "greedy":
        raise UsageError("--beam is for --search beam, not for greedy")
    if beam is not None:
        search = "beam"
    options = {"search": search, "beam": beam, "chunk_ms": chunk_ms}
    return {name: value for name, value in options.items() if value is not None}


def set_threads(threads: int | None) -> None:
    """Let torch use this many threads; its own default if None."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
