"""The second pass on a stream: where segments end, what comes before that, and how little the cutting matters."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_laws import pieces

from transducer.errors import UsageError
from transducer.heads.attention import AttentionConfig, AttentionHead
from transducer.model.config import DecodingConfig, ModelConfig
from transducer.search.context import SearchContext
from transducer.search.endpoint import EndpointRules
from transducer.search.options import Options
from transducer.text.tokenizers.characters import Characters

LETTERS = Characters("abc")
STEP, CHANNELS = 0.1, 4


def head(ctc: float = 0.3, **config) -> AttentionHead:
    torch.manual_seed(5)
    sizes = {"channels": 8, "heads": 2, "layers": 1, "ratio": 1.0, "extra": 2, "max_memory": 30}
    made = AttentionConfig("letters", ctc=ctc, **{**sizes, **config}).build(
        CHANNELS, ModelConfig(units={"letters": len(LETTERS)})
    )
    for parameter in made.eval().requires_grad_(False).decoder.parameters():
        parameter *= 1.5
    return made


def search(made: AttentionHead, **options):
    options.setdefault("endpoint", EndpointRules(2.0, 0.5, 1.5))
    return made.search(
        SearchContext(Options(**options), DecodingConfig(), None, LETTERS, STEP, None, "mine"),
    )


def outputs(seed: int, text: str, ctc: bool = True) -> np.ndarray:
    """(T, C + V): random steps, and a first pass that is sure of a text, "-" for the blank."""
    steps = np.random.default_rng(seed).normal(0, 2, (len(text), CHANNELS)).astype(np.float32)
    first = np.log(np.full((len(text), len(LETTERS)), 0.02, np.float32))
    for row, character in zip(first, text, strict=True):
        row[0 if character == "-" else LETTERS.encode(character)[0]] = np.log(0.9)
    return np.concatenate([steps, first], axis=1) if ctc else steps


def run(found, frames: np.ndarray, cuts: list[int], save: bool = False) -> list:
    state, results = found.init(), []
    for part in pieces(frames, cuts):
        ((state, new),) = found.step([state], [part])
        results += new
        if save:
            state = pickle.loads(pickle.dumps(state))
    return results + found.flush(state)[1]


def finals(results: list) -> list:
    return [segment for segment in results if segment.final]


TEXT = "--ab-c-b------a-b-c-" + "ab c" * 6 + "-" * 30 + "a-bb"


@given(
    st.lists(st.integers(0, len(TEXT)), max_size=8), st.integers(0, 20), st.sampled_from(["greedy", "beam", "sample"])
)
@settings(max_examples=25)
def test_segments_do_not_depend_on_how_outputs_are_cut(cuts, seed, kind):
    made, frames = head(), outputs(seed, TEXT)
    whole = finals(run(search(made, search=kind), frames, []))
    assert finals(run(search(made, search=kind), frames, sorted(cuts), save=True)) == whole
    assert all(0 < word.confidence <= 1 for segment in whole for word in segment.words)
    assert all(segment.start < segment.end <= len(TEXT) * STEP + 1e-6 for segment in whole)


def test_the_decoder_reads_the_segment_that_has_ended():
    """The endpoint is the first pass's; the words are those that the decoder finds in just these steps."""
    made, frames = head(), outputs(1, "--ab-c-------")
    state, results = search(made).init(), []
    found = search(made)
    ends = []
    for number, step in enumerate(frames):
        ((state, new),) = found.step([state], [step[None]])
        results += new
        ends += [number + 1 for segment in new if segment.final]
    assert [segment.text for segment in results if not segment.final] == ["a", "ab", "abc"]
    assert all(segment.stable == 0 for segment in results if not segment.final)
    assert ends == [11]  # half a second after the c
    expected = made.search(
        SearchContext(Options(), DecodingConfig(), None, LETTERS, STEP, None, "mine")
    ).search.decoding([frames[:11, :CHANNELS]], [0])[0][0]
    (final,) = finals(results)
    assert final.text == " ".join(LETTERS.decode(expected.tokens).split()) != "abc"


def test_a_long_segment_is_decoded_up_to_where_it_is_cut():
    """In the gap before the last word; what follows is the beginning of the next one."""
    made, frames = head(), outputs(2, "ab-- c-ab- -cc- aabaca")
    decoded = []
    found = search(made)
    decoding = found.search.decoding
    found.search.decoding = lambda memories, numbers: decoded.extend(map(len, memories)) or decoding(memories, numbers)
    run(found, frames, [3, 15])
    assert decoded[0] < 15 and sum(decoded) == len(frames)


def test_without_a_first_pass_only_its_length_ends_a_segment():
    made = head(0.0, max_memory=20)
    frames = outputs(3, "-" * 50, ctc=False)
    found, decoded = made.search(SearchContext(Options(), DecodingConfig(), None, LETTERS, STEP, None, "mine")), []
    decoding = found.search.decoding
    found.search.decoding = lambda memories, numbers: decoded.extend(map(len, memories)) or decoding(memories, numbers)
    results = run(found, frames, [7, 30])
    assert decoded == [20, 20, 10] and all(segment.final for segment in results)
    assert found.idle(found.step([found.init()], [frames[:4]])[0][0]) == 0
    # A silence that would end a segment of other models ends nothing here; a flush does.
    assert search(made, endpoint=EndpointRules(0.1, 0.1, 100.0)).endpointer.max_length == 20
    ((state, new),) = found.step([found.init()], [frames[:4]])
    state, results = found.flush(state)
    assert new == [] and len(finals(results)) <= 1 and found.flush(state)[1] == []


def test_clients_that_end_together_get_what_they_would_get_alone():
    made = head()
    clients = [outputs(seed, TEXT) for seed in range(4)]
    found = search(made, search="beam", nbest=2)
    together = [segment for _, segment in found.step([found.init()] * 4, clients)]
    assert together == [found.step([found.init()], [frames])[0][1] for frames in clients]
    assert all(1 <= len(segment.alternatives) <= 2 for segment in finals(together[0]))


def test_state_is_bounded():
    made, found = head(), search(head())
    state, sizes = found.init(), []
    for seed in range(60):
        ((state, _),) = found.step([state], [outputs(seed, TEXT)])
        sizes.append(len(pickle.dumps(state)))
    assert max(sizes[30:]) <= max(sizes[:30]) + 100
    assert made.config.max_memory == 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.5}, "temperature goes with search='sample', and this one is 'greedy'"),
        ({"search": "sample", "beam": 3}, "beam goes with search='beam', and this one is 'sample'"),
        ({"search": "greedy", "length_penalty": 1.0, "coverage_penalty": 0.1}, "coverage_penalty, length_penalty goes"),
        ({"nbest": 2}, "alternatives come from a beam search"),
        ({"threshold": 0.5}, "thresholds are for models of events"),
        ({"hotwords": ("abc",), "search": "beam"}, "hotwords need a beam search with a lexicon"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        search(head(), **options)


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0}, {"top_p": 1.5}, {"top_k": 0}, {"seed": -1}, {"seed": 1.5}, {"length_penalty": "a"}],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(UsageError):
        Options(**options)


def test_other_heads_refuse_options_of_decoders():
    from transducer.heads.ctc import CTC
    from transducer.heads.framewise import Framewise

    for made in (CTC(4, len(LETTERS)), Framewise(4, len(LETTERS))):
        for options in ({"temperature": 1.0}, {"length_penalty": 1.0}, {"search": "sample"}):
            with pytest.raises(UsageError, match=r"attention decoders|models of words"):
                made.search(SearchContext(Options(**options), DecodingConfig(), None, LETTERS, STEP, None, "mine"))
