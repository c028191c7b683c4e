"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from transducer.errors import UsageError
from transducer.results import Segment
from transducer.search.hotwords import read_hotwords

TextStages = Callable[[Iterable[Segment]], Iterator[Segment]]  # the segments of one source -> as they are to be read


def decoding_options(
    search: str | None, beam: int | None, chunk_ms: int | None, hotwords: str | None = None
) -> dict[str, Any]:
    """The options that were given, for `stream` and `transcribe` of the model; the others are left to it.

    Args:
        hotwords: the name of a file, see `read_hotwords`.

    Raises:
        UsageError: --beam or --hotwords with a greedy search, or a file of hotwords that cannot be read.
    """
    for option, value in (("--beam", beam), ("--hotwords", hotwords)):
        if value is not None and search == "greedy":
            raise UsageError(f"{option} is for --search beam, not for greedy")
    if beam is not None or hotwords is not None:
        search = "beam"
    phrases = None if hotwords is None else read_hotwords(hotwords)
    options = {"search": search, "beam": beam, "chunk_ms": chunk_ms, "hotwords": phrases}
    return {name: value for name, value in options.items() if value is not None}


def set_threads(threads: int | None) -> None:
    """Let torch use this many threads; its own default if None."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def text_stages(punctuate: bool, digits: bool) -> TextStages:
    """What is done to the text of every source: capitals and punctuation, then numbers as digits.

    Raises:
        CheckpointError: the model of punctuation is damaged.
    """
    if not (punctuate or digits):
        return iter
    from transducer.text.english.digits import digits as to_digits
    from transducer.text.readable import Readable, load_readable

    model = load_readable() if punctuate else None

    def stages(segments: Iterable[Segment]) -> Iterator[Segment]:
        if model is not None:
            segments = map(Readable(model), segments)
        return map(to_digits, segments) if digits else iter(segments)

    return stages
