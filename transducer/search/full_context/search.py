"""The words of a stream, by a model that sees all of a segment at once.

A segment that grows is decoded again and again; the words that decodings in a row agree on are stable, and every
later decoding begins with them. Where a segment ends it is decoded once more, and is final.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.results import Segment, Word
from transducer.search.full_context.agreement import ENOUGH, Draft, votes
from transducer.search.full_context.detector import Bools
from transducer.search.full_context.greedy import Suggest, nothing
from transducer.search.full_context.quality import Thresholds, compression_ratio, once_round, said_once
from transducer.search.full_context.segmenter import Segmenter, SegmenterState, Stretch
from transducer.search.full_context.suggestions import Suggestions
from transducer.search.full_context.transcriber import Text, Writes
from transducer.search.result_search import Clock
from transducer.search.segments import timed_segment
from transducer.search.tokens.hypothesis import Hypothesis, Token
from transducer.search.tokens.words import WordTimer
from transducer.search.transcript import TranscriptBuilder
from transducer.text.unspaced import LANGUAGES

EARLIEST = 2.0  # seconds of a segment before any word of it is stable: less is little to go by
SETTLED = 2.0  # how much more log-probability a language needs than any other, to be that of the stream


class FullContextState(NamedTuple):
    """State of a stream.

    Attributes:
        segmenter: where segments begin and end.
        draft: of the segment that grows.
        shown: the partial segment that was given out last; None where it had no words.
        languages: log-probabilities of the segments so far, added up.
        language: of the stream, once it is certain.
    """

    segmenter: SegmenterState
    draft: Draft = Draft()
    shown: Segment | None = None
    languages: tuple[tuple[str, float], ...] = ()
    language: str | None = None


class Judged(NamedTuple):
    """What a segment is taken to say.

    Attributes:
        texts: best first; one without new tokens where nobody speaks.
        heard: that they were written of.
        certain: whether they were taken as they were.
    """

    texts: list[Text]
    heard: Any
    certain: bool


@dataclass(frozen=True)
class FullContextSearch:
    """Final and partial segments. What comes depends on the numbers of steps alone; clients are decoded one by one.

    Attributes:
        segmenter: cuts the stream.
        transcriber: of one segment.
        timer: makes words of tokens; a frame is a step of the front-end.
        thresholds: of what is not taken for a text.
        alternatives: n of the n-best list that final segments get; 0 for none.
    """

    segmenter: Segmenter
    transcriber: Writes
    timer: WordTimer
    thresholds: Thresholds = field(default_factory=Thresholds)
    alternatives: int = 0

    kind = "words"

    def init(self) -> FullContextState:
        """See `ResultSearch`."""
        return FullContextState(self.segmenter.init(), language=self.transcriber.asked.language)

    def step(
        self, states: Sequence[FullContextState], outputs: Sequence[Any]
    ) -> list[tuple[FullContextState, list[Segment]]]:
        """See `ResultSearch`: (T_i, F) features of the front-end each."""
        return [self._step(state, np.asarray(part)) for state, part in zip(states, outputs, strict=True)]

    def flush(self, state: FullContextState) -> tuple[FullContextState, list[Segment]]:
        """See `ResultSearch`."""
        segmenter, stretch = self.segmenter.flush(state.segmenter)
        state = state._replace(segmenter=segmenter)
        if stretch is not None:
            return self._final(state, stretch)
        return state._replace(draft=Draft(), shown=None), self._retracted(state)

    def whole(
        self, state: FullContextState, begin: int, features: NDArray[np.float32], heard: Sequence[str] = ()
    ) -> tuple[FullContextState, list[Segment]]:
        """One segment that somebody else has cut out: (T, F) from step `begin` on. Its final, if it has words.

        Args:
            heard: the words that somebody else has heard there: a greedy search is faster with them, and says the same.
        """
        everywhere = np.ones(len(features), np.bool_)
        suggest = Suggestions(self.timer.tokenizer, heard) if heard and self.transcriber.invents else nothing
        return self._final(state, Stretch(begin, begin + len(features), True, features, everywhere), suggest)

    def idle(self, state: FullContextState) -> int:
        """See `ResultSearch`."""
        return 0 if state.segmenter.begin is not None else state.segmenter.position - state.segmenter.free

    def needed(self, state: FullContextState) -> range:
        """See `ResultSearch`."""
        begin = state.segmenter.free if state.segmenter.begin is None else state.segmenter.begin
        return range(begin, state.segmenter.position + 1)

    def times_of(self, segment: Segment) -> range:
        """See `ResultSearch`."""
        at = self.timer.frame_at
        return range(int(at(segment.start)), int(at(segment.end)) + 3)

    def builder(self, keep: bool, scores: bool) -> TranscriptBuilder:
        """See `ResultSearch`."""
        return TranscriptBuilder(keep)

    def facts(self) -> dict[str, Any]:
        """See `ResultSearch`: when words come, as far as numbers of steps say it."""
        seconds, rules, growth = self.timer.seconds_per_frame, self.segmenter.endpointer, self.segmenter.growth
        pause, longest = rules.after_words * seconds, rules.max_length * seconds
        said = f"final {pause:g} s into a pause, after {longest:g} s at the latest"
        if not growth:
            return {"segments": said}
        every, short = growth * seconds, self.segmenter.short * seconds
        grown = f"read anew every {every:g} s up to {short:g} s, then less often; words that two readings agree on stay"
        return {"latency_ms": round(1000 * every + 1000 * self.segmenter.lag * seconds), "segments": f"{grown}; {said}"}

    def result(self, segment: Segment, clock: Clock) -> Segment | None:
        """See `ResultSearch`."""
        return timed_segment(segment, clock, self.timer)

    def _step(self, state: FullContextState, features: NDArray[Any]) -> tuple[FullContextState, list[Segment]]:
        segmenter, stretches = self.segmenter.step(state.segmenter, features)
        results: list[Segment] = []
        for stretch in stretches:
            state, found = self._final(state, stretch) if stretch.final else self._partial(state, stretch)
            results += found
        if segmenter.begin is None and state.shown is not None:
            # What seemed to be speech was too short to be a segment.
            results += self._retracted(state)
            state = state._replace(draft=Draft(), shown=None)
        return state._replace(segmenter=segmenter), results

    def _partial(self, state: FullContextState, stretch: Stretch) -> tuple[FullContextState, list[Segment]]:
        """One more decoding of a segment that grows."""
        draft = state.draft
        if stretch.spoken == draft.heard:
            return state, []  # nothing has been said since
        heard = self.transcriber.read(stretch.features)
        language = draft.language or state.language
        if language is None and self.transcriber.languages:
            language = self._language(state, self.transcriber.opening(heard)[1])
        (text,) = self.transcriber.write(heard, draft.tokens, language, draft=True, guess=draft.guess)
        text = _with_stable(text, draft)
        if self.transcriber.invents:
            kept = max(self._said_once(text), len(draft.tokens))
            text = text._replace(tokens=text.tokens[:kept], log_probs=text.log_probs[:kept])
            if not self._is_good(text):
                text = _only_stable(draft)
        words, spans = self._words(heard, stretch, draft, text, language)
        counted = votes(draft, words[len(draft.words) :])
        # The last word may go on, and what follows says whether a sentence ends with it.
        early = len(stretch.features) * self.timer.seconds_per_frame < EARLIEST
        able = 0 if early else max(0, len(counted) - 1)
        count = next((n for n, votes_of_it in enumerate(counted[:able]) if votes_of_it < ENOUGH), able)
        stable = words[: len(draft.words) + count]
        size = spans[len(stable) - 1][1] if count else len(draft.tokens)
        draft = Draft(
            text.tokens[:size],
            stable,
            text.log_probs[:size],
            tuple(word.text for word in words[len(stable) :]),
            counted[count:],
            text.tokens[size:],
            stretch.spoken,
            language if stable else None,
        )
        shown = Segment(words, False, words[0].start, words[-1].end, stable=len(stable)) if words else None
        changed = shown != state.shown
        results = [shown] if changed and shown is not None else self._retracted(state) if changed else []
        return state._replace(draft=draft, shown=shown), results

    def _final(
        self, state: FullContextState, stretch: Stretch, suggest: Suggest = nothing
    ) -> tuple[FullContextState, list[Segment]]:
        """The segment is over."""
        draft = state.draft
        heard = self.transcriber.read(stretch.features)
        no_speech, languages = self.transcriber.opening(heard)
        language = draft.language or self._language(state, languages)
        texts, heard, certain = self._judge(heard, stretch, draft, language, no_speech, suggest)
        words, _ = self._words(heard, stretch, draft, texts[0], language)
        after = FullContextState(state.segmenter, language=state.language)
        if not words:
            return after._replace(languages=state.languages), self._retracted(state)
        after = self._learn(after, state.languages, languages) if certain else after
        alternatives: dict[str, float] = {}
        for text in texts[: self.alternatives]:
            alternatives.setdefault(" ".join(self.timer.tokenizer.decode(text.tokens).split()), text.score)
        found = Segment(
            words, True, words[0].start, words[-1].end, len(words), tuple(alternatives.items()), language or ""
        )
        return after, [found]

    def _judge(
        self,
        heard: Any,
        stretch: Stretch,
        draft: Draft,
        language: str | None,
        no_speech: float,
        suggest: Suggest,
    ) -> Judged:
        """The text of a whole segment: of the short window, of the whole one if that isn't good, then drawn."""
        tried: list[tuple[Text, Any]] = []
        for temperature in (None, None, *self.thresholds.temperatures):
            if len(tried) == 1:
                heard = self.transcriber.read(stretch.features, whole=True)
            texts = self.transcriber.write(
                heard, draft.tokens, language, temperature, stretch.begin, guess=draft.guess, suggest=suggest
            )
            texts = [_with_stable(text, draft) for text in texts]
            if not self.transcriber.invents:
                return Judged(texts, heard, True)
            if self._is_silent(texts[0], no_speech):
                return Judged([_only_stable(draft)], heard, False)
            doubled = not tried and self._said_once(texts[0]) < len(texts[0].tokens)
            if self._is_good(texts[0]) and not doubled:
                return Judged(texts, heard, True)
            tried.append((texts[0], heard))
            if len(tried) == 2 and no_speech > self.thresholds.doubtful:
                return Judged([_only_stable(draft)], heard, False)
        # The likeliest, once round its circle if it goes in one.
        text, heard = max(tried, key=lambda each: each[0].mean)
        kept = max(once_round(text.tokens), len(draft.tokens))
        return Judged([text._replace(tokens=text.tokens[:kept], log_probs=text.log_probs[:kept])], heard, False)

    def _is_silent(self, text: Text, no_speech: float) -> bool:
        limits = self.thresholds
        return no_speech > limits.no_speech and text.mean < limits.log_prob

    def _is_good(self, text: Text) -> bool:
        limits = self.thresholds
        return (
            text.mean >= limits.log_prob
            and compression_ratio(self.timer.tokenizer.decode(text.tokens)) <= limits.compression
            and once_round(text.tokens) == len(text.tokens)
        )

    def _said_once(self, text: Text) -> int:
        tokenizer = self.timer.tokenizer
        return said_once(text.tokens, lambda token: tokenizer.decode((token,)))

    def _language(self, state: FullContextState, found: dict[str, float]) -> str | None:
        """The likeliest language of a segment, by all that has been heard."""
        if state.language is not None or not found:
            return state.language
        before = dict(state.languages)
        return max(found, key=lambda language: found[language] + before.get(language, 0.0))

    @staticmethod
    def _learn(
        state: FullContextState, before: tuple[tuple[str, float], ...], found: dict[str, float]
    ) -> FullContextState:
        """A segment's languages are added; the stream has one for good as soon as that is clear."""
        if state.language is not None or not found:
            return state
        known = dict(before)
        total = {language: known.get(language, 0.0) + score for language, score in found.items()}
        first, second = sorted(total, key=total.__getitem__)[:-3:-1]
        settled = first if total[first] - total[second] >= SETTLED else None
        return state._replace(languages=tuple(total.items()), language=settled)

    def _words(
        self, heard: Any, stretch: Stretch, draft: Draft, text: Text, language: str | None
    ) -> tuple[tuple[Word, ...], list[tuple[int, int]]]:
        """The words of a text, those of the draft as they were; for each the first of its tokens, and one past them."""
        timer = self._timer(language)
        spans = timer.spans(text.tokens)
        if len(spans) <= len(draft.words):
            return draft.words, spans
        starts = self.transcriber.starts(heard, text.tokens, language)
        marks = in_speech(starts, [first for first, _ in spans], stretch.speech)
        tokens = (
            Token(token, begin, max(end, begin + 1), log_prob)
            for token, log_prob, (begin, end) in zip(text.tokens, text.log_probs, marks, strict=True)
        )
        words = timer.words(Hypothesis.of(tokens, text.score), stretch.begin)
        found, last = list(draft.words), draft.words[-1].end if draft.words else 0.0
        limit = stretch.end * self.timer.seconds_per_frame
        for word in words[len(found) :]:
            start = min(max(word.start, last), limit)
            last = min(max(word.end, start), limit)
            found.append(replace(word, start=start, end=last))
        return tuple(found), spans

    def _timer(self, language: str | None) -> WordTimer:
        """For a text in this language, or in English where it is translated."""
        unspaced = language in LANGUAGES and not self.transcriber.asked.translate
        return replace(self.timer, spaced=False) if unspaced else self.timer

    def _retracted(self, state: FullContextState) -> list[Segment]:
        """Nothing is left of the partial segment that was shown last."""
        if state.shown is None:
            return []
        now = state.shown.end
        return [Segment((), False, now, now)]


def _only_stable(draft: Draft) -> Text:
    return Text(draft.tokens, draft.log_probs, 0.0, 0.0)


def _with_stable(text: Text, draft: Draft) -> Text:
    """A text that begins with a draft's tokens, as probable as all of it is: what is new of it may be one word."""
    if not draft.tokens:
        return text
    log_probs = (*draft.log_probs, *text.log_probs[len(draft.tokens) :])
    return text._replace(log_probs=log_probs, mean=sum(log_probs) / len(log_probs))


def in_speech(starts: Sequence[int], firsts: Sequence[int], speech: Bools) -> list[tuple[int, int]]:
    """Begin and end of each token, by where tokens start (one more than there are): a word that would begin in a pause
    begins after it, and the one before it ends with the speech before the pause.

    Args:
        firsts: the tokens that begin words.
        speech: (T,) whether somebody may be speaking on each step of the segment.
    """
    begins, ends = list(starts[:-1]), list(starts[1:])
    spoken = np.flatnonzero(speech)
    if not len(spoken):
        return list(zip(begins, ends, strict=True))
    for index in firsts:
        place = int(np.searchsorted(spoken, begins[index]))
        if index:
            before = int(spoken[place - 1]) + 1 if place else 0
            ends[index - 1] = max(begins[index - 1], min(ends[index - 1], before))
        if place < len(spoken):
            begins[index] = max(begins[index], min(int(spoken[place]), starts[index + 1]))
    ends[-1] = max(begins[-1], min(ends[-1], int(spoken[-1]) + 1))
    return list(zip(begins, ends, strict=True))
