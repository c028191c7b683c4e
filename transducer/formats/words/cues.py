"""Words with times -> subtitle cues that can be read in time.

The limits are those of the usual guidelines (Netflix timed text style guide, BBC subtitle guidelines): at most
two lines of 42 characters, lines of similar length broken between phrases, 5/6 s to 7 s on screen, two frames
between cues, and about 17 characters a second wherever the speaker leaves the time for it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from transducer.formats.subtitles import Cue
from transducer.formats.words.phrases import break_cost
from transducer.results import Transcript, Word, text_of

LINE_LENGTH = 42  # characters; one of Chinese or Japanese is as wide as two, and takes as long to read
CHARACTERS_PER_SECOND = 17.0
MIN_MS = 833  # 5/6 s
MAX_MS = 7000
GAP_MS = 83  # two frames at 24 frames a second
SPANNED_PAUSE = 1.0  # seconds; no cue stays over a longer silence

# Weights of the search for the best division, in units of break_cost.
CUE_COST = 0.7  # of every further cue
SPAN_COST = 1.5  # of a segment that ends inside a cue
LINE_BREAK_COST = 0.7  # times break_cost and balance: a break of lines matters less than one of cues
UNBALANCE_COST = 3.0  # times the difference of two lines over their sum
HASTE_COST = 3.0  # of half a second too short, or of twice too fast


def make_cues(transcript: Transcript) -> list[Cue]:
    """Cut a transcript into cues: in time order, never overlapping, each with at least 1 ms and every word once.

    A word of more than 42 characters is parted into pieces of 42.
    """
    runs = [_lay_out(run) for run in _runs(transcript)]
    return _set_times([cue for run in runs for cue in run])


def spoken_words(transcript: Transcript) -> Iterator[Word]:
    """The words as cues show them one after the other: parted where they are too long, times ascending."""
    return (word for run in _runs(transcript) for word, _ in run)


def width(text: str) -> int:
    """Characters, those of double width (Unicode annex 11) twice."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def _runs(transcript: Transcript) -> Iterator[list[tuple[Word, bool]]]:
    """Stretches of speech between long silences, as (word, whether its segment ends here), times ascending."""
    run: list[tuple[Word, bool]] = []
    clock = 0.0
    for segment in transcript.segments:
        words = list(_pieces(segment.words))
        for number, word in enumerate(words):
            start = max(word.start, run[-1][0].start if run else clock)
            word = replace(word, start=start, end=max(word.end, start))
            if run and start - run[-1][0].end > SPANNED_PAUSE:
                yield run
                run = []
            run.append((word, number == len(words) - 1))
            clock = start
    if run:
        yield run


def _pieces(words: Iterable[Word]) -> Iterator[Word]:
    for word in words:
        text = " ".join(word.text.split())
        most = LINE_LENGTH if width(text) == len(text) else LINE_LENGTH // 2
        count = math.ceil(len(text) / most)
        for k in range(count):
            step = (word.end - word.start) / count
            start, first = word.start + k * step, k * most
            glued = " " not in text[first - 1 : first + 1] if k else word.glued
            yield Word(text[first : first + most].strip(), start, start + step, word.confidence, glued)


def _lay_out(run: list[tuple[Word, bool]]) -> list[Cue]:
    """The division into cues of least cost, by dynamic programming over the words."""
    words = [word for word, _ in run]
    count = len(words)
    edges = [0]  # where each word ends, with the space before it
    for word in words:
        edges.append(edges[-1] + (not word.glued) + width(word.text))

    def length_of(i: int, j: int) -> int:
        """The width of words i..j-1 on a line."""
        return edges[j] - edges[i] - (not words[i].glued)

    breaks = [0.0] * (count + 1)
    ended = [0]  # segments that end before word j
    for _, ends in run:
        ended.append(ended[-1] + ends)
    for j in range(1, count):
        left, right = words[j - 1], words[j]
        breaks[j] = 0.0 if run[j - 1][1] else break_cost(left.text, right.text, right.start - left.end)

    best = [0.0] + [math.inf] * count
    came_from = [0] * (count + 1)
    split_at = [0] * (count + 1)
    for i in range(count):
        for j in range(i + 1, count + 1):
            length = length_of(i, j)
            duration = words[j - 1].end - words[i].start
            if length > 2 * LINE_LENGTH + 1 or (duration > MAX_MS / 1000 and j > i + 1):
                break
            split, line_cost = _split_lines(i, j, length_of, breaks)
            if split < 0:
                continue
            until = words[j].start - GAP_MS / 1000 if j < count else math.inf
            seconds = min(until - words[i].start, MAX_MS / 1000)
            cost = best[i] + CUE_COST + breaks[j] + LINE_BREAK_COST * line_cost + _haste(length, seconds)
            cost += SPAN_COST * (ended[j - 1] - ended[i])
            if cost < best[j]:
                best[j], came_from[j], split_at[j] = cost, i, split

    cues = []
    j = count
    while j > 0:
        i, split = came_from[j], split_at[j]
        halves = [words[i:split], words[split:j]] if split else [words[i:j]]
        lines = tuple(map(text_of, halves))
        cues.append(Cue(round(words[i].start * 1000), round(words[j - 1].end * 1000), lines))
        j = i
    return cues[::-1]


def _split_lines(i: int, j: int, length_of: Callable[[int, int], int], breaks: list[float]) -> tuple[int, float]:
    """Where to break words i..j-1 into two lines (0: one line will do, -1: they do not fit), and what it costs."""
    length = length_of(i, j)
    if length <= LINE_LENGTH:
        return 0, 0.0
    choice, least = -1, math.inf
    for k in range(i + 1, j):
        upper, lower = length_of(i, k), length_of(k, j)
        if upper > LINE_LENGTH:
            break
        if lower > LINE_LENGTH:
            continue
        cost = breaks[k] + UNBALANCE_COST * abs(upper - lower) / length
        if cost < least:
            choice, least = k, cost
    return choice, least


def _haste(length: int, seconds: float) -> float:
    """The cost of `length` characters that can stay on the screen for `seconds` at most."""
    seconds = max(seconds, 0.01)
    too_short = max(0.0, MIN_MS / 1000 - seconds) * 2
    too_fast = max(0.0, min(length / seconds / CHARACTERS_PER_SECOND, 3.0) - 1.0)
    return HASTE_COST * (too_short + too_fast)


def _set_times(cues: list[Cue]) -> list[Cue]:
    """Let cues stay long enough to be read, out of the pause that follows, and keep them apart."""
    timed: list[Cue] = []
    for k, cue in enumerate(cues):
        start = max(cue.start, timed[-1].end) if timed else cue.start
        wanted = max(
            cue.end,
            start + MIN_MS,
            start + math.ceil(1000 * sum(map(width, cue.lines)) / CHARACTERS_PER_SECOND),
        )
        end = min(wanted, start + MAX_MS)
        if k + 1 < len(cues):
            room = cues[k + 1].start - start
            end = min(end, start + room - min(GAP_MS, room // 4))
        # Only words without any extent in time get here with no room at all; they push what follows back.
        timed.append(Cue(start, max(end, start + 1), cue.lines))
    return timed
