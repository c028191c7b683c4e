"""What is taken for a text and what is not, by a stand-in for the model: noise, circles, doubled texts, languages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from transducer.results import Segment
from transducer.search.endpoint import Endpointer, EndpointRules
from transducer.search.full_context.detector import SpeechDetector
from transducer.search.full_context.search import FullContextSearch, in_speech
from transducer.search.full_context.segmenter import Segmenter
from transducer.search.full_context.transcriber import Asked, Heard, Text
from transducer.search.tokens.words import WordTimer
from transducer.text.tokenizers.byte_pairs import BytePairs

WORDS = ("Ġone", "Ġtwo", "Ġthree", "Ġfour", "Ġfive", "Ġsix", "Ġseven", "Ġeight")
TOKENS = BytePairs(WORDS)


def text(*tokens: int, mean: float = -0.1) -> Text:
    return Text(tokens, tuple(mean for _ in tokens), mean, mean * len(tokens))


@dataclass
class Script:
    """Says what it is told to, one answer after the other, and keeps what it was asked."""

    answers: list[Text]
    no_speech: float = 0.0
    languages: list[dict[str, float]] = field(default_factory=list)
    asked: Asked = field(default_factory=Asked)
    invents: bool = True
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def read(self, features: Any, whole: bool = False) -> Heard:
        self.calls.append(("read", len(features), whole))
        return Heard(None, len(features), len(features) // 2)

    def opening(self, heard: Heard) -> tuple[float, dict[str, float]]:
        return self.no_speech, self.languages.pop(0) if self.languages else {}

    def write(
        self,
        heard: Any,
        prefix: Any,
        language: Any,
        temperature: Any = None,
        number: int = 0,
        draft: bool = False,
        guess: Any = (),
        suggest: Any = None,
    ) -> list[Text]:
        self.calls.append(("write", prefix, language, temperature, draft))
        answer = self.answers.pop(0)
        assert answer.tokens[: len(prefix)] == prefix
        return [answer]

    def starts(self, heard: Heard, tokens: tuple[int, ...], language: Any) -> list[int]:
        return np.linspace(0, heard.steps, len(tokens) + 1).astype(int).tolist()


def search(script: Script, growth: int = 0) -> FullContextSearch:
    segmenter = Segmenter(SpeechDetector(), Endpointer(EndpointRules(max_length=28), 0.01), growth)
    return FullContextSearch(segmenter, script, WordTimer(TOKENS, 0.01))


def sound(seconds: float = 3.0) -> np.ndarray:
    """A second of silence, speech that changes its loudness, and silence."""
    rng = np.random.default_rng(0)
    said = rng.normal(-1, 0.3, (int(seconds * 100), 20))
    return np.concatenate([np.full((100, 20), -8.0), said, np.full((120, 20), -8.0)]).astype(np.float32)


def hear(script: Script, growth: int = 0, features: np.ndarray | None = None) -> list[Segment]:
    found = search(script, growth)
    ((state, results),) = found.step([found.init()], [sound() if features is None else features])
    return [*results, *found.flush(state)[1]]


GOOD, CIRCLE = text(0, 1, 2, 3), text(0, *(1, 2) * 20)


def test_a_good_text_is_written_once() -> None:
    script = Script([GOOD])
    (final,) = hear(script)
    assert (final.final, final.text) == (True, "one two three four")
    assert [call for call in script.calls if call[0] == "write"] == [("write", (), None, None, False)]
    assert 0.6 <= final.start < final.end <= 4.4


@pytest.mark.parametrize("bad", [CIRCLE, text(0, 1, mean=-2.0), text(*range(6), *range(6))])
def test_one_that_is_not_good_is_written_again_with_the_whole_window(bad: Text) -> None:
    script = Script([bad, GOOD])
    (final,) = hear(script)
    assert final.text == "one two three four"
    assert [call[2] for call in script.calls if call[0] == "read"] == [False, True]


def test_then_it_is_drawn_at_rising_temperatures() -> None:
    script = Script([CIRCLE, CIRCLE, CIRCLE, GOOD])
    (final,) = hear(script)
    assert final.text == "one two three four"
    assert [call[3] for call in script.calls if call[0] == "write"] == [None, None, 0.2, 0.4]


def test_a_circle_that_nothing_helps_against_is_gone_round_once() -> None:
    (final,) = hear(Script([CIRCLE] * 7))
    assert final.text == "one two three"


@pytest.mark.parametrize(
    "script",
    [
        Script([text(0, 1, mean=-1.5)], no_speech=0.7),  # improbable, and probably no speech
        Script([CIRCLE, CIRCLE], no_speech=0.3),  # none of the windows has a good text
        Script([text()]),
    ],
)
def test_nothing_is_written_of_what_is_no_speech(script: Script) -> None:
    assert hear(script) == []
    assert not script.answers


def test_words_that_two_decodings_agree_on_are_stable_and_forced() -> None:
    answers = [text(0, 1), text(0, 1, 2), text(0, 1, 2, 4), text(0, 1, 2, 3, 4)]
    script = Script([*answers, text(0, 1, 2, 3, 4), text(0, 1, 2, 3, 4)])
    results = hear(script, growth=100)
    assert [(s.final, s.stable) for s in results][-1] == (True, 5)
    partials = [s for s in results if not s.final]
    assert [s.stable for s in partials] == sorted(s.stable for s in partials)
    prefixes = [call[1] for call in script.calls if call[0] == "write"]
    assert prefixes[0] == ()
    assert (0, 1) in prefixes
    for earlier in partials:
        assert results[-1].words[: earlier.stable] == earlier.words[: earlier.stable]


def test_a_doubled_text_is_not_shown_twice() -> None:
    script = Script([text(*range(6), *range(6)), *[text(*range(7))] * 5])
    partial = hear(script, growth=200)[0]
    assert not partial.final
    assert partial.text == "one two three four five six"


def test_a_language_does_not_flip_once_it_is_known() -> None:
    script = Script([GOOD, GOOD], languages=[{"de": -0.1, "nl": -2.5}, {"de": -1.2, "nl": -0.4}])
    hear(script, features=np.concatenate([sound(), sound()]))
    assert [call[2] for call in script.calls if call[0] == "write"] == ["de", "de"]


def test_an_uncertain_language_is_told_by_all_that_was_heard() -> None:
    script = Script([GOOD, GOOD], languages=[{"de": -0.6, "nl": -0.8}, {"de": -1.5, "nl": -0.3}])
    hear(script, features=np.concatenate([sound(), sound()]))
    assert [call[2] for call in script.calls if call[0] == "write"] == ["de", "nl"]


def test_words_begin_and_end_in_speech() -> None:
    speech = np.zeros(100, bool)
    speech[10:40] = speech[60:90] = True
    marks = in_speech([0, 20, 45, 75, 99], [0, 1, 2, 3], speech)
    assert marks == [(10, 20), (20, 40), (60, 75), (75, 90)]


def test_a_language_without_spaces_has_words_of_characters() -> None:
    tokenizer = BytePairs(("ä", "»", "Ĭ", "å¤©", "å¤©æ°Ķ", "ï¼Į", "Ġå¥½"))
    script = Script([text(0, 1, 2, 3, 5, 6, 4)], languages=[{"zh": -0.1, "nl": -2.5}])
    segmenter = Segmenter(SpeechDetector(), Endpointer(EndpointRules(max_length=28), 0.01))
    chinese = FullContextSearch(segmenter, script, WordTimer(tokenizer, 0.01))
    ((_, results),) = chinese.step([chinese.init()], [sound()])
    (final,) = results
    assert [word.text for word in final.words] == ["今", "天，", "好", "天气"]
    assert final.text == "今天， 好天气"
    assert final.language == "zh"


def test_no_word_is_stable_in_a_segment_of_less_than_2_seconds() -> None:
    script = Script([text(0, 1)] * 12)
    hear(script, growth=60)  # after 0.6, 1.2, 1.8 and 2.4 seconds of the segment, and so on
    prefixes = [call[1] for call in script.calls if call[0] == "write"]
    assert prefixes[:5] == [(), (), (), (), (0,)]


def test_a_single_word_after_stable_ones_may_be_improbable() -> None:
    script = Script([text(0, 1, 2, 3)] * 4 + [text(0, 1, 2, 3, 4)] * 8)
    script.answers[4:] = [answer._replace(log_probs=(0.0,) * 4 + (-2.0,), mean=-2.0) for answer in script.answers[4:]]
    final = hear(script, growth=60)[-1]
    assert final.final and final.text == "one two three four five"
    assert not any(call[0] == "read" and call[2] for call in script.calls)  # nothing in the whole window
