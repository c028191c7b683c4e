"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from transducer.errors import UsageError
from transducer.results import Segment

TextStages = Callable[[Iterable[Segment]], Iterator[Segment]]  # the segments of one source -> as they are to be read

HOTWORD_WEIGHT = 4.0  # of a phrase that has none of its own: 55 times as likely as the language model thinks


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


def read_hotwords(path: str) -> list[tuple[str, float]]:
    """Phrases with weights, one a line: "PHRASE" or "PHRASE<tab>WEIGHT"; empty lines and those with # are left out.

    Raises:
        UsageError: the file cannot be read, or a weight is no number.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the hotwords ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: hotwords must be UTF-8 text, a word or phrase a line") from None
    phrases = []
    for number, line in enumerate(lines, start=1):
        phrase, _, weight = line.strip().partition("\t")
        if not phrase or phrase.startswith("#"):
            continue
        try:
            value = float(weight or HOTWORD_WEIGHT)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UsageError(f"{path}, line {number}: {weight!r} is no weight; write PHRASE, a tab, and a number")
        phrases.append((phrase, value))
    return phrases


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
    from transducer.text.readable import Readable

    model = None
    if punctuate:
        from transducer.engine.readable import load_readable

        model = load_readable()

    def stages(segments: Iterable[Segment]) -> Iterator[Segment]:
        if model is not None:
            segments = map(Readable(model), segments)
        return map(to_digits, segments) if digits else iter(segments)

    return stages
