"""Subtitles that underline each word while it is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transducer.formats.subtitles import Cue
from transducer.formats.words.cues import spoken_words
from transducer.results import Transcript, Word


def light_words(cues: Iterable[Cue], transcript: Transcript) -> Iterator[Cue]:
    """Part each of `make_cues(transcript)` into a cue a word, each of which lasts until the next word begins.

    Together they are on the screen for as long as the whole cue. A word that has no time of its own is not underlined.
    """
    words = spoken_words(transcript)
    for cue in cues:
        places = []
        for row, line in enumerate(cue.lines):
            first = 0
            while first < len(line):
                word = next(words)
                places.append((word, (row, first, first + len(word.text))))
                first += len(word.text)
                first += line[first : first + 1] == " "
        yield from _parts(cue, places)


def _parts(cue: Cue, places: list[tuple[Word, tuple[int, int, int]]]) -> Iterator[Cue]:
    start = cue.start
    for k, (_, lit) in enumerate(places):
        end = cue.end
        if k + 1 < len(places):
            end = min(max(round(places[k + 1][0].start * 1000), start), cue.end)
        if end > start:
            yield Cue(start, end, cue.lines, lit)
            start = end
