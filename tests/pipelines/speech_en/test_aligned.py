"""Cascaded heads, trained along the alignment on recorded and spliced posteriors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from speech_fixtures import speech_recipe, tone_speech
from training_fixtures import UNITS, tiny_model

from pipelines.speech_en.aligned import Lattice, _BlankAndPiece, aligned_loss, lattice, predictor_loss, spell
from pipelines.speech_en.posteriors import Heard, PosteriorBank, hear
from pipelines.speech_en.sentences import AlignedBatches, AlignedLoss, PredictorLoss, Sentences, Vocabulary
from pipelines.speech_en.speech import Speech
from pipelines.speech_en.targets import Targets
from transducer.data.augment.features import AugmentConfig
from transducer.data.ranks import Ranks
from transducer.errors import UsageError
from transducer.heads.cascaded_rnnt import CascadedRNNT, CascadedRNNTConfig
from transducer.heads.ctc import CTCConfig
from transducer.model.network import Network
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.subwords import Subwords
from transducer.training.initial import build_network
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.run import train

PHONES = {"ab": [1, 2], "ba": [2, 1], "cab": [3, 1, 2]}


def heard(words: list[str], path: list[int]) -> Heard:
    """Posteriors that say the path, and in the last column the number of the frame in ten thousandths."""
    log_probs = np.full((len(path), 5), -9.0)
    log_probs[np.arange(len(path)), path] = -0.01
    log_probs[:, 4] = -np.arange(len(path)) / 10_000
    return Heard(words, log_probs.astype(np.float16), np.array(path, dtype=np.int16))


# A pause, "ab cab", a long pause, "ba", a pause.
PATH = [0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 3, 3, 0, 1, 0, 2, *[0] * 12, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0]
BANK = PosteriorBank([heard(["ab", "cab", "ba"], PATH)], PHONES)


def spoken(log_probs: np.ndarray) -> list[int]:
    """The tokens that posteriors say, with repeats and blanks taken out."""
    best = log_probs[:, :4].argmax(axis=1)
    runs = best[np.flatnonzero(np.diff(best, prepend=-1))]
    return [int(token) for token in runs if token]


def frames_of(log_probs: np.ndarray) -> list[int]:
    """Where frames come from."""
    return np.round(-log_probs[:, 4] * 10_000).astype(int).tolist()


def places(part: Lattice) -> dict[tuple[int, int], tuple[bool, bool]]:
    columns = (part.time.tolist(), part.written.tolist(), part.emits.tolist(), part.waits.tolist())
    return {(t, u): (emits, waits) for t, u, emits, waits in zip(*columns, strict=True)}


def alignments(part: Lattice, steps: int) -> set[tuple[int, ...]]:
    """The steps of all pieces, for every way through."""
    there, found = places(part), set()

    def walk(time: int, written: int, when: tuple[int, ...]) -> None:
        emits, waits = there[time, written]
        if emits:
            walk(time, written + 1, (*when, time))
        if waits and time + 1 < steps:
            walk(time + 1, written, when)
        if time == steps - 1 and written == len(part.pieces):
            found.add(when)

    walk(0, 0, ())
    return found


def test_all_pieces_of_a_word_come_in_its_time():
    part = lattice([[3, 4], [5]], [1, 4], 9, earliest=1, latest=2, spread=0)
    assert part.pieces == [3, 4, 5]
    assert alignments(part, 9) == {(a, b, c) for a in (2, 3) for b in (2, 3) for c in (5, 6) if a <= b}
    assert len(places(part)) == len(part.time) < 9 * 4


def test_the_first_pieces_of_a_word_may_come_earlier():
    part = lattice([[3, 4], [5]], [3, 4], 9, earliest=1, latest=2, spread=2)
    assert alignments(part, 9) == {(a, b, c) for a in (2, 3, 4, 5) for b in (4, 5) for c in (5, 6) if a <= b}
    assert alignments(lattice([[3], [4, 5]], [3, 4], 6, 0, 0, spread=9), 6) == {(3, 3, 4), (3, 4, 4)}


def test_what_ends_late_comes_on_the_last_step():
    assert alignments(lattice([[3], [4]], [1, 9], 3, earliest=1, latest=4), 3) == {(2, 2)}
    assert alignments(lattice([], [], 3), 3) == {()}


def test_without_restriction_it_is_the_loss_of_an_rnnt():
    head, units = tiny_head(), Characters("abc")
    rows = [BANK.splice([word], [PHONES[word]], np.random.default_rng(0), pause=0) for word in ("ab", "cab")]
    loss = aligned_loss(head, rows, units, bf16=False, earliest=-99, latest=99)
    assert loss.count == 7  # letters and the spaces that end words
    truth = 0.0
    for row in rows:
        log_probs = torch.from_numpy(row.log_probs)[None]
        frames, mask = head.project(log_probs, torch.ones(log_probs.shape[:2], dtype=torch.bool))
        truth += head.nll(frames, mask.sum(1), [units.encode(row.words[0] + " ")]).item()
    assert loss.total.item() == pytest.approx(truth, rel=1e-4)
    assert aligned_loss(head, rows, units, bf16=False).total > loss.total


def test_log_probabilities_of_the_blank_and_a_piece_with_their_gradient():
    generator = torch.Generator().manual_seed(1)
    values, weights = torch.randn(600, 7, generator=generator) * 3, torch.randn(600, 2, generator=generator)
    values[3, 0] = -torch.inf
    pieces = torch.randint(1, 7, (600,), generator=generator)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        logits = [values.to(dtype, copy=True).requires_grad_() for _ in range(2)]
        log_probs = logits[0].float().log_softmax(dim=-1)
        wanted = torch.stack([log_probs[:, 0], log_probs.gather(1, pieces[:, None])[:, 0]], dim=1)
        found = _BlankAndPiece.apply(logits[1], pieces)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted)
        for result in (wanted, found):
            (result * weights)[wanted.isfinite()].sum().backward()
        assert logits[1].grad.dtype == dtype
        torch.testing.assert_close(logits[1].grad, logits[0].grad, rtol=tolerance, atol=tolerance)


def test_recordings_come_as_they_are():
    (row,) = BANK.recorded(np.random.default_rng(0), 5)
    assert row.words == ["ab", "cab", "ba"] and spoken(row.log_probs) == [1, 2, 3, 1, 2, 2, 1]
    assert [PATH[end - 1] for end in row.ends] == [2, 2, 1] and [PATH[end] for end in row.ends] == [0, 0, 0]


@pytest.mark.parametrize("seed", range(8))
def test_a_spliced_sentence_says_its_words(seed):
    words = ["cab", "ba", "ab", "ab"]
    row = BANK.splice(words, [PHONES[word] for word in words], np.random.default_rng(seed), pause=0.5)
    assert row.words == words
    # Neighbours of the same phone are told apart by what is between them, or are one.
    assert spoken(row.log_probs) in ([3, 1, 2, 2, 1, 1, 2, 1, 2], [3, 1, 2, 1, 2, 1, 2], [3, 1, 2, 2, 1, 2, 1, 2])
    for number, end in enumerate(row.ends):
        said = [PHONES[word][-1] for word in words[: number + 1]]
        assert spoken(row.log_probs[: end + 1])[-1] == said[-1]


def test_long_pauses_belong_to_no_phone():
    taken = set()
    for seed in range(30):
        row = BANK.splice(["ba"], [[2, 1]], np.random.default_rng(seed), pause=0)
        begin = next(i for i, frame in enumerate(row.log_probs[:, :4].argmax(axis=1)) if frame)
        taken |= set(frames_of(row.log_probs[begin : row.ends[0] + 1]))
    assert taken <= {*range(4, 20), *range(25, 35)} and not taken & set(range(19, 25))


def test_words_recorded_often_are_taken_whole():
    often = PosteriorBank([heard(["cab"], [0, 3, 1, 0, 2, 0])] * 3, PHONES)
    rows = [often.splice(["cab"], [[3, 1, 2]], np.random.default_rng(seed), whole=1, pause=0) for seed in range(3)]
    assert all(frames_of(row.log_probs)[: row.ends[0] + 1] == list(range(6)) for row in rows)


def test_a_phone_that_was_never_recorded_makes_no_sentence():
    assert BANK.splice(["x"], [[4]], np.random.default_rng(0)) is None


def test_characters_say_where_a_word_ends_and_pieces_where_it_begins():
    assert spell("ab", Characters("ab")) == Characters("ab").encode("ab ")
    pieces = Subwords.train(["ab ba abba", "ba ab"], 12)
    assert spell("ab", pieces) == pieces.encode("ab")


def tiny_head() -> CascadedRNNT:
    torch.manual_seed(0)
    return CascadedRNNT(4, 5, len(Characters("abc")), 2, 16, 2, 32, 1, 3, 4, 8, 24, delay=1)


def test_the_predictor_learns_what_comes_next():
    units, head = Characters("abc"), tiny_head()
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    texts = [units.encode("ab cab ab cab "), units.encode("cab ab ")]
    first = predictor_loss(head, texts, bf16=False)
    assert first.count == 21
    torch.testing.assert_close(
        first.total, sum(predictor_loss(head, [text], bf16=False).total for text in texts), rtol=1e-4, atol=1e-3
    )
    expected = [head.internal_lm(head.predictor(torch.tensor([text])))[0, :-1] for text in texts]  # beam search's
    written = sum(part[range(len(text)), text].sum() for part, text in zip(expected, texts, strict=True))
    torch.testing.assert_close(first.total, -written, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(torch.cat(expected).exp().sum(dim=1), torch.ones(first.count))
    assert (torch.cat(expected)[:, 0] == -torch.inf).all()
    for _ in range(60):
        optimizer.zero_grad()
        loss = predictor_loss(head, texts, bf16=False)
        loss.mean.backward()
        optimizer.step()
    assert loss.mean < 0.3 < first.mean
    assert all(parameter.grad is None for parameter in [*head.core.parameters(), *head.source.parameters()])


def test_a_head_learns_to_write_what_is_said_when_it_is_over():
    units, head, rng = Characters("abc"), tiny_head(), np.random.default_rng(0)
    lexicon = {"a": [1], "bc": [2, 3]}
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.01)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, 250)
    for _ in range(250):
        words = [list(lexicon)[k] for k in rng.integers(2, size=4)]
        rows = [BANK.splice(words, [lexicon[word] for word in words], rng) for _ in range(4)]
        optimizer.zero_grad()
        loss = aligned_loss(head, rows, units, rng, bf16=False, earliest=1, latest=2, spread=0)
        loss.mean.backward()
        optimizer.step()
        decay.step()
    assert loss.count == sum(len("".join(row.words)) + 4 for row in rows)
    words = ["bc", "a", "bc"]
    row = BANK.splice(words, [lexicon[word] for word in words], rng)
    with torch.inference_mode():
        x, mask = torch.from_numpy(row.log_probs)[None], torch.ones(1, len(row.log_probs), dtype=torch.bool)
        frames, _ = head.project(x, mask)
    search = RNNTGreedySearch(head.predictor, head.joint, head.max_symbols)
    found = search.best(search.step(search.init(), frames[0]))
    assert units.decode(found.tokens) == "bc a bc "
    late = [found.frames[token] - end // 2 for token, end in zip((2, 4, 7), row.ends, strict=True)]
    assert all(1 <= steps <= 2 for steps in late)


PLAIN = AugmentConfig(noise_probability=0.0)


@pytest.fixture(scope="module")
def cascade(tmp_path_factory) -> Recipe:
    """A recipe with a phase for a cascaded head; its recordings are prepared."""
    head = CascadedRNNTConfig("characters", "phones", width=16, heads=2, hidden=24, layers=1, predictor=12)
    heads = {"written": head, "characters": CTCConfig("characters"), "phones": CTCConfig("phones")}
    phases = (
        Phase("heads", 2, (HeadLoss("characters"), HeadLoss("phones")), batch_frames=600),
        Phase(
            "written",
            6,
            (AlignedLoss("written"), PredictorLoss("written", 0.5)),
            batches=Sentences("written", (PLAIN, PLAIN), 75, 100),
        ),
    )
    speech = tone_speech(tmp_path_factory.mktemp("tones"), prepare=True, sentences=sentences)
    return replace(speech_recipe(speech, tiny_model(heads, chunks=(2, 4)), phases), seed=3)


def sentences() -> list[str]:
    return ["dead cab", "abc"]


def heard_by(recipe: Recipe) -> tuple[Speech, Network, list[Heard]]:
    speech = recipe.train
    network = build_network(recipe)
    return speech, network, list(hear(network, "phones", speech, None, 1, bf16=False))


def test_batches_are_a_function_of_seed_and_number(cascade):
    speech, _, said = heard_by(cascade)
    words = {word for item in said for word in item.words}
    assert words <= {word for item in speech.store.utterances for word in item.text.split()}
    bank = PosteriorBank(said, {word: speech.spoken.tokens(word, "phones") for word in words})

    def batches(*position: int):
        made = AlignedBatches(lambda: bank, speech.texts, speech.spoken, "phones", UNITS["characters"], 1, 60, 60)
        stream = made.stream(*position)
        return [next(stream) for _ in range(3)]

    first = batches()
    again = batches(*first[0].following)
    for a, b in zip(first[1:], again, strict=False):
        assert (a.step, a.seed, a.amount) == (b.step, b.seed, b.amount)
        for part, same in zip(a.parts, b.parts, strict=True):
            assert [row.words for row in part] == [row.words for row in same]
            assert all(np.array_equal(x.log_probs, y.log_probs) for x, y in zip(part, same, strict=True))
    assert all(a.texts == b.texts for a, b in zip(first[1:], again, strict=False))
    assert UNITS["characters"].decode(first[0].texts[0]).split()[:3] in (
        ["dead", "cab", "abc"],
        ["cab", "abc", "dead"],
        ["abc", "dead", "cab"],
    )
    spliced = {word for batch in first for row in batch.parts[1] for word in row.words}
    assert spliced <= {"dead", "cab", "abc"}


def test_shards_share_the_sentences_of_a_batch(cascade):
    speech, _, said = heard_by(cascade)
    bank = PosteriorBank(said, {word: speech.spoken.tokens(word, "phones") for item in said for word in item.words})

    def batches(ranks: Ranks) -> list:
        made = AlignedBatches(
            lambda: bank, speech.texts, speech.spoken, "phones", UNITS["characters"], 1, 60, 60, ranks, prefetch=0
        )
        return [batch for batch, _ in zip(made.stream(), range(3), strict=False)]

    whole, alone = batches(Ranks()), batches(Ranks(shards=4))
    both = [batches(Ranks(2, rank, shards=4)) for rank in range(2)]
    for one, cut, *halves in zip(whole, alone, *both, strict=True):
        shards = [shard for half in halves for shard in half.shards.values()]
        assert list(cut.shards) == [0, 1, 2, 3] == [number for half in halves for number in half.shards]
        assert [(shard.texts, shard.seed) for shard in shards] == [(s.texts, s.seed) for s in cut.shards.values()]
        assert len({shard.seed for shard in shards}) == 4 and {half.following for half in halves} == {one.following}
        assert sorted(text for shard in shards for text in shard.texts) == sorted(one.texts)
        rows = sorted(row.words for shard in shards for part in shard.parts for row in part)
        assert rows == sorted(row.words for part in one.parts for row in part)
        assert one.amount == cut.amount == sum(half.amount for half in halves)


def test_what_is_heard_is_sharpened_by_a_power_for_each_recording(cascade, monkeypatch):
    said = heard_by(cascade)[2]
    monkeypatch.setattr("pipelines.speech_en.posteriors._SHARPEST", 1.0)
    plain = heard_by(cascade)[2]
    powers = []
    for a, b in zip(said, plain, strict=True):
        powers.append(np.ptp(a.log_probs[0]) / np.ptp(b.log_probs[0]))
        scaled = torch.from_numpy(b.log_probs.astype(np.float32) * powers[-1]).log_softmax(dim=-1)
        np.testing.assert_allclose(a.log_probs, scaled, atol=0.02)
    assert 1 <= min(powers) < 1.2 < 1.4 < max(powers) <= 1.61


@pytest.mark.parametrize(("swapped", "found"), [(0.0, {"dead", "cab", "abc"}), (1.0, {"abc"})])
def test_words_give_way_to_others_of_the_vocabulary(cascade, monkeypatch, swapped, found):
    spoken = cascade.train.spoken
    phones = {word: spoken.tokens(word, "phones") for word in ("dead", "cab", "abc")}
    path = [0, *(token for word in phones.values() for token in (*word, 0))]
    log_probs = np.zeros((len(path), len(UNITS["phones"])), np.float16)
    bank = PosteriorBank([Heard(list(phones), log_probs, np.array(path, np.int16))], phones)
    monkeypatch.setattr("pipelines.speech_en.sentences._SWAPPED", swapped)
    texts = ["dead cab", "abc abc"]  # what comes once is no vocabulary
    stream = AlignedBatches(lambda: bank, texts, spoken, "phones", UNITS["characters"], 1, 60, 200, prefetch=0).stream()
    batches = [next(stream) for _ in range(3)]
    assert {word for batch in batches for row in batch.parts[1] for word in row.words} == found
    read = {word for batch in batches for text in batch.texts for word in UNITS["characters"].decode(text).split()}
    assert read == {"dead", "cab", "abc"}  # what the predictor reads alone stays as it is


def test_rare_words_are_drawn_more_often_than_texts_have_them():
    words = [f"w{rank}" for rank in range(1, 3001)]
    texts = [" ".join([word] * max(2, 6000 // rank)) for rank, word in enumerate(words, 1)]
    vocabulary = Vocabulary([*texts, "once w1 w1"], lambda word: word != "w2")
    assert set(vocabulary.words) == {*words} - {"w2"}
    rng = np.random.default_rng(1)
    ranks = [int(vocabulary.draw(rng)[1:]) for _ in range(4000)]
    # 1 / (rank + 1000) up to 3000: half of the draws are from the first thousand, where Zipf's law has seven eighths.
    assert np.mean(np.array(ranks) <= 1000) == pytest.approx(0.5, abs=0.03)
    assert min(ranks) < 10 and max(ranks) > 2990


def test_a_run_trains_only_the_cascaded_head_and_resumes_exactly(cascade, tmp_path):
    steps = iter(range(100))

    def stop() -> bool:
        return next(steps) == 5  # in the middle of the second phase

    cache = tmp_path / "cache"
    train(cascade, tmp_path / "whole", cache=cache)
    assert train(cascade, tmp_path / "parts", cache=cache, stop=stop) is None
    assert train(cascade, tmp_path / "parts", cache=cache, resume=True)
    weights = [
        {phase: torch.load(tmp_path / run / "phases" / f"{phase}.pt") for phase in ("heads", "written")}
        for run in ("whole", "parts")
    ]
    for one, other in zip(*(run["written"]["network"].items() for run in weights), strict=True):
        assert one[0] == other[0] and torch.equal(one[1], other[1])
    before, after = weights[0]["heads"]["average"]["weights"], weights[0]["written"]["network"]
    changed = {name.split(".")[1] for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"written"}
    for name in ("weight", "bias"):
        there = after[f"heads.phones.module.0.{name}"]
        assert torch.equal(after[f"heads.written.source.module.0.{name}"], there)


def test_what_cannot_be_trained_is_told(cascade, tmp_path):
    _, phase = cascade.phases
    for head in ("phones", "none"):
        with pytest.raises(UsageError, match=f"aligned:{head}: the model has no cascaded RNN-T '{head}'"):
            replace(cascade, phases=(replace(phase, objectives=(AlignedLoss(head),)),))
    for batches, message in [
        (None, "the phase's batches must be Sentences for this head"),
        (Sentences("written", (), 75, 100), "no pass over the recordings"),
    ]:
        other = replace(cascade, phases=(replace(phase, batches=batches),))
        with pytest.raises(UsageError, match=message):
            train(other, tmp_path / str(batches is None), cache=tmp_path / "cache")
    unknown = AlignedBatches(
        lambda: BANK, ["zzz"], Targets(UNITS), "phones", UNITS["characters"], 1, 10, 10, prefetch=0
    )
    with pytest.raises(UsageError, match="nearly all sentences"):
        next(unknown.stream())
