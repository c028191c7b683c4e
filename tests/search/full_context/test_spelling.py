"""Full-context models with a CTC output as streams, and what their segments say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tiny_full_context import speech
from tiny_spelling import RATE, tiny_spelling

from transducer.errors import UsageError
from transducer.results import Segment
from transducer.search.full_context.spelling import Spelled, SpellingTranscriber
from transducer.search.full_context.transcriber import Asked


def listen(packets: list[np.ndarray], **options) -> list[Segment]:
    stream = tiny_spelling().stream(**options)
    return [*itertools.chain.from_iterable(map(stream.push, packets)), *stream.finish()]


def test_packets_do_not_matter_stable_words_stay_and_times_go_forward() -> None:
    sound = np.concatenate([speech(0), speech(1)])
    found = listen([sound])
    assert listen(np.array_split(sound, 37)) == found
    finals = [segment for segment in found if segment.final]
    assert len(finals) >= 2 and any(len(segment.words) > 1 for segment in finals)
    assert any(segment.stable for segment in found if not segment.final)
    promised, last = (), 0.0
    for segment in found:
        assert segment.words[: len(promised)] == promised
        promised = () if segment.final else segment.words[: segment.stable]
        times = [last, *itertools.chain.from_iterable((word.start, word.end) for word in segment.words)]
        assert times == sorted(times)
        if segment.final:
            last = segment.end
    assert last <= len(sound) / RATE
    assert {letter for segment in finals for letter in segment.text} <= set("ABCDE ")


def test_a_segment_says_what_its_steps_say_and_begins_with_whole_words() -> None:
    rows = [3, 0, 3, 2, 2, 4, 4, 0, 2, 5]  # AA|B|C
    log_probs = np.log(np.full((len(rows), 6), 0.02)).astype(np.float32)
    log_probs[np.arange(len(rows)), rows] = np.log(0.9)
    writer, heard = SpellingTranscriber(None, Asked(), 2), Spelled(log_probs, 2 * len(rows))
    (text,) = writer.write(heard, (), None)
    assert text.tokens == (3, 3, 2, 4, 2, 5)
    assert text.mean == pytest.approx(np.log(0.9), abs=1e-6)
    assert writer.starts(heard, text.tokens, None) == [0, 4, 6, 10, 16, 18, 20]
    assert writer.write(heard, (3, 3), None)[0].tokens == text.tokens
    for prefix in ((3,), (3, 3, 4), (4, 2, 4)):  # were it another letter, another word would have been promised
        tokens = writer.write(heard, prefix, None)[0].tokens
        assert tokens[: len(prefix) + 1] == (*prefix, 2)
    assert writer.write(heard, text.tokens, None)[0].tokens == text.tokens


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": "beam"}, "has greedy search alone, not 'beam'"),
        ({"hotwords": ["a"]}, "hotwords: this is for a model with a decoder"),
        ({"language": "de"}, "has one language"),
        ({"align": "a b"}, "cannot align"),
    ],
)
def test_what_it_cannot_do_it_says(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tiny_spelling().engine(**options)
