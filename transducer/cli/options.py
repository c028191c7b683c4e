"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from transducer.errors import UsageError
from transducer.results import Segment
from transducer.search.hotwords import read_hotwords

TextStages = Callable[[Iterable[Segment]], Iterator[Segment]]  # the segments of one source -> as they are to be read

# More than anybody needs, and less than what takes all of a machine.
BEAM_LIMIT = 1000  # hypotheses
NBEST_LIMIT = 100
CHUNK_MS_LIMIT = 60_000
RATE_LIMIT = 1_000_000  # samples a second
CHANNELS_LIMIT = 64


# Options that only one kind of search has, by the names that `transducer.search.options.Options` gives them.
OF_SEARCH = {
    "beam": ("beam", "hotwords", "length_penalty", "coverage_penalty", "language_model", "language_weight"),
    "sample": ("temperature", "top_k", "top_p", "seed"),
}

OF_FULL_CONTEXT = ("language", "task", "prompt", "second_pass")
# What every command has that writes words.
WORD_OPTIONS = (
    "search",
    "chunk_ms",
    *(name for names in OF_SEARCH.values() for name in names),
    *OF_FULL_CONTEXT,
)


@dataclass(frozen=True, kw_only=True)
class WordJob:
    """What the command line says of `WORD_OPTIONS`; None where nothing was said."""

    search: str | None = None
    beam: int | None = None
    chunk_ms: int | None = None
    hotwords: str | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    length_penalty: float | None = None
    coverage_penalty: float | None = None
    language_model: str | None = None
    language_weight: float | None = None
    language: str | None = None
    task: str | None = None
    prompt: str | None = None
    second_pass: str | None = None


def decoding_options(search: str | None, **given: Any) -> dict[str, Any]:
    """The options that were given, for `stream` and `transcribe` of the model; the others are left to it.

    Args:
        search: "greedy", "beam" or "sample"; one that only one of these has says which it is to be.
        given: `beam`, `chunk_ms`, `hotwords` (the name of a file, see `read_hotwords`) and the others of `OF_SEARCH`;
            None where nothing was said.

    Raises:
        UsageError: an option of another search, or a file of hotwords that cannot be read.
    """
    options = {name: value for name, value in given.items() if value is not None}
    for kind, names in OF_SEARCH.items():
        for name in names:
            if name in options and search not in (None, kind):
                raise UsageError(f"--{name.replace('_', '-')} is for --search {kind}, not for {search}")
        if options.keys() & set(names):
            search = kind
    if "hotwords" in options:
        options["hotwords"] = read_hotwords(options["hotwords"])
    return options if search is None else {"search": str(search), **options}


def word_options(job: WordJob) -> dict[str, Any]:
    """Of a job's options, those of `WORD_OPTIONS` that were given.

    Raises:
        UsageError: see `decoding_options`.
    """
    given = {name: getattr(job, name) for name in WORD_OPTIONS if name not in ("search", *OF_FULL_CONTEXT)}
    told = {name: getattr(job, name) for name in OF_FULL_CONTEXT}
    options = decoding_options(job.search, **given)
    return options | {name: str(value) for name, value in told.items() if value is not None}


def read_text(path: str) -> str:
    """A text to align. Raises UsageError where the file cannot be read, or is no text."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = "it must be UTF-8 text" if isinstance(error, ValueError) else getattr(error, "strerror", error)
        raise UsageError(f"{path}: cannot read the text ({reason})") from None


def check_threshold(threshold: float | None) -> None:
    """Raises UsageError if it is no probability that tells anything from anything."""
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError(f"--threshold {threshold:g} is no probability between 0 and 1")


def check_threads(threads: int | None) -> None:
    """Raises UsageError if there are fewer cores than that: more threads only get into each other's way."""
    if threads is None:
        return
    from transducer.media.io.prefetch import usable_cores

    if threads > (cores := usable_cores()):
        raise UsageError(f"--threads {threads} is more than this machine has: use {cores} at most")


def set_threads(threads: int | None) -> None:
    """Let networks use this many threads; one if None.

    The models are small. On a machine that is busy, a second thread makes them three times as slow, and on one that is
    not, hardly faster.

    Raises:
        UsageError: see `check_threads`.
    """
    check_threads(threads)
    from transducer.engine.threads import VARIABLE
    from transducer.engine.threads import set_threads as compute_with

    compute_with(threads or int(os.environ.get(VARIABLE, "1")))


def text_stages(punctuate: bool, digits: bool) -> TextStages:
    """What is done to the text of every source: capitals and punctuation, then numbers as digits.

    Raises:
        CheckpointError: the model of punctuation is damaged.
    """
    if not (punctuate or digits):
        return iter
    from transducer.engine import readable

    readable.text_stages(punctuate, digits)  # what is wrong with the model is said before a source is read

    def stages(segments: Iterable[Segment]) -> Iterator[Segment]:
        for stage in readable.text_stages(punctuate, digits):
            segments = map(stage, segments)
        return iter(segments)

    return stages
