"""CTC with a model of its tokens: against the enumeration of paths, and in a training run."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, product
from math import exp, log
from pathlib import Path

import pytest
import torch
from speech_fixtures import speech_recipe, tone_speech
from tones import TEXTS, write_tones
from training_fixtures import UNITS, tiny_model

from pipelines.speech_en.crf import CRFLoss, crf_loss, log_denominator, trigrams
from pipelines.speech_en.speech import Speech
from transducer.data.recordings import Dataset
from transducer.errors import UsageError
from transducer.heads.ctc import CTCConfig
from transducer.training.log import read_log
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase
from transducer.training.run import train

TOKENS = 3  # with the blank
MODEL = trigrams([[1, 2, 1], [2, 2, 1], [1]], TOKENS)


def outputs(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).log_softmax(dim=-1)


def sequences(row: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Token sequence -> its probability by all alignments with (T, V), times that of the model."""
    found: dict[tuple[int, ...], float] = {}
    for path in product(range(row.shape[1]), repeat=len(row)):
        tokens = tuple(token for token, _ in groupby(path) if token)
        read = [0, 0, *tokens, TOKENS]
        weight = torch.stack([MODEL[n] for n in zip(read, read[1:], read[2:], strict=False)]).prod().item()
        found[tokens] = found.get(tokens, 0.0) + weight * exp(sum(row[t, token].item() for t, token in enumerate(path)))
    return found


def test_trigrams_are_distributions_and_know_what_they_have_seen():
    torch.testing.assert_close(MODEL.sum(dim=-1), torch.ones(TOKENS, TOKENS))
    assert (MODEL[:, :, 0] == 0).all()  # the blank is no token
    assert MODEL[0, 0, 1] > MODEL[0, 0, 2]  # two of three sequences begin with 1
    assert MODEL[2, 1, TOKENS] > 0.5  # after 2, 1 all have ended
    unseen = MODEL[1, 1]  # what follows any 1: the end three times, 2 once
    assert unseen[TOKENS] > unseen[2] > unseen[1] > 0


def test_trigrams_of_nothing_know_nothing():
    torch.testing.assert_close(trigrams([], TOKENS)[1, 2], torch.tensor([0, 1 / 3, 1 / 3, 1 / 3]))


def test_too_many_tokens_for_a_table():
    with pytest.raises(UsageError, match="at most 100 tokens"):
        trigrams([], 2000)


def test_the_denominator_is_the_sum_over_all_sequences():
    x, lengths = outputs(3, 5, TOKENS), torch.tensor([5, 3, 1])
    expected = [log(sum(sequences(row[:length]).values())) for row, length in zip(x, lengths.tolist(), strict=True)]
    torch.testing.assert_close(log_denominator(x, lengths, MODEL), torch.tensor(expected), atol=1e-5, rtol=0)


def test_the_gradient_of_the_denominator():
    x, lengths = outputs(3, 6, TOKENS, dtype=torch.float64).requires_grad_(), torch.tensor([6, 4, 1])
    assert torch.autograd.gradcheck(lambda x: log_denominator(x.log_softmax(-1), lengths, MODEL.double()), x)


def test_what_is_behind_the_end_does_not_matter():
    x, lengths = outputs(2, 6, TOKENS), torch.tensor([6, 3])
    other = x.clone()
    other[1, 3:] = outputs(3, TOKENS, seed=5)
    assert torch.equal(log_denominator(x, lengths, MODEL), log_denominator(other, lengths, MODEL))
    alone = log_denominator(x[1:, :3], lengths[1:], MODEL)
    torch.testing.assert_close(log_denominator(x, lengths, MODEL)[1:], alone)


def test_the_targets_share_all_probability():
    x = outputs(1, 4, TOKENS)
    total = 0.0
    for tokens in sequences(x[0]):
        if tokens:
            total += exp(-crf_loss(x, torch.tensor([4]), [list(tokens)], MODEL).item())
    nothing = sequences(x[0])[()] / sum(sequences(x[0]).values())
    assert total + nothing == pytest.approx(1, abs=1e-5)


def test_a_target_that_cannot_fit_counts_nothing():
    x = outputs(2, 3, TOKENS).requires_grad_()
    losses = crf_loss(x, torch.tensor([3, 3]), [[1, 1, 1], [1, 2]], MODEL)
    assert losses[0] == 0 < losses[1]
    losses.sum().backward()
    assert not x.grad[0].any()
    assert x.grad[1].any()


def test_a_long_sequence_neither_overflows_nor_vanishes():
    x = outputs(2, 2000, TOKENS).requires_grad_()
    losses = crf_loss(x, torch.tensor([2000, 1700]), [[1, 2] * 200, [2]], MODEL)
    assert losses.isfinite().all()
    losses.sum().backward()
    assert x.grad.isfinite().all()


def test_training_with_it(tmp_path: Path, capsys):
    model = tiny_model({"crf": CTCConfig("phones"), "phones": CTCConfig("phones")})
    heads = {"crf": "phones", "phones": "phones"}
    speech = tone_speech(tmp_path, heads)
    objectives = CRFLoss("crf"), HeadLoss("phones")
    phase = Phase("both", 60, objectives, batch_frames=1500, warmup=2)
    write_tones(tmp_path / "dev", TEXTS[:2], "dev.tsv")
    dev = Speech((Dataset(tmp_path / "dev" / "dev.tsv"),), UNITS, heads, lexicon=tmp_path / "words.dict")
    train(replace(speech_recipe(speech, model, (phase,), dev), evaluate_every=60), tmp_path / "run")
    rows = read_log(tmp_path / "run" / "log.jsonl")
    found = [row["loss:crf:crf"] for row in rows if "loss:crf:crf" in row]
    assert len(found) == 60
    assert 0 < sum(found[-5:]) / 5 < 0.5 * found[0]
    assert {"phone error rate:crf", "phone error rate:phones"} < rows[-1].keys()
    said = capsys.readouterr().err
    assert "phone error rate (crf) " in said and "phone error rate (phones) " in said and "WER" not in said


def test_a_head_that_is_not_there(tmp_path: Path):
    with pytest.raises(UsageError, match="crf:words: the model has no CTC head 'words'"):
        speech_recipe(tone_speech(tmp_path), tiny_model(), (Phase("crf", 3, (CRFLoss("words"),)),))
