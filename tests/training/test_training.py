"""The loop of a phase: law 9, optimizers, averaged weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_fixtures import (
    UNITS,
    assert_same,
    batch_of,
    corpus_of,
    tiny_model,
    tiny_network,
    tone_recipe,
    trainer_of,
    without_times,
)

from transducer.cores.recurrent import RecurrentConfig
from transducer.data.augment.features import AugmentConfig
from transducer.errors import CheckpointError, TransducerError
from transducer.heads.cascaded_rnnt import CascadedRNNTConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.training.evaluate import error_rates, greedy_texts
from transducer.training.loop import PhaseTrainer
from transducer.training.optimizer import Average, Optimizers, rate_fraction
from transducer.training.recipe import Phase
from transducer.training.targets import Targets

# --- law 9: resume, overfit


def test_resume_is_exact(tmp_path):
    phase = Phase(
        "tones",
        steps=10,
        losses={"ctc:characters": 1.0, "ctc:phones": 0.5, "frames": 0.5},
        frames_per_batch=500,
        warmup=3,
        augment=AugmentConfig(),
    )
    recipe = tone_recipe(tmp_path, tiny_model(chunks=(2, 4), dropout=0.2), (phase,))
    corpus = corpus_of(recipe, tmp_path)
    reports: dict[str, list] = {"whole": [], "parts": []}

    def trainer(name: str) -> PhaseTrainer:
        return trainer_of(recipe, corpus, tmp_path / name)

    def report(name: str):
        return lambda step, numbers: reports[name].append((step, without_times(numbers)))

    whole = trainer("whole")
    whole.run(report("whole"))
    whole.save()
    first = trainer("parts")
    assert not first.load()
    first.run(report("parts"), until=5)
    first.save()
    torch.manual_seed(12345)  # whatever else draws random numbers must not matter
    second = trainer("parts")
    assert second.load() and second.step == 5
    second.run(report("parts"))
    second.save()

    assert whole.position[0] > 0  # more than one epoch
    assert reports["parts"] == reports["whole"] and len(reports["whole"]) == 10
    assert_same(*(torch.load(tmp_path / name / "tones.pt", weights_only=True) for name in ("whole", "parts")))


HEADS = [CTCConfig("characters"), *(RNNTConfig("characters", kind, 32) for kind in ("stateless", "lstm"))]


@pytest.mark.parametrize("decoder", HEADS)
def test_a_batch_can_be_learned_by_heart(tmp_path, decoder):
    kind = "ctc" if isinstance(decoder, CTCConfig) else "rnnt"
    phase = Phase(
        "tones",
        steps=100,
        losses={f"{kind}:head": 1.0},
        frames_per_batch=2000,
        learning_rate=0.04,
        matrix_learning_rate=0.02,
        warmup=10,
        augment=None,
        average_decay=0.9,
        bf16=False,
    )
    texts = ("ab ce", "cad", "bed")
    model = replace(tiny_model({"head": decoder}), conditioning=None)
    recipe = replace(tone_recipe(tmp_path, model, (phase,), texts), speeds=(1.0,))
    corpus = corpus_of(recipe, tmp_path)
    trainer = trainer_of(recipe, corpus, tmp_path)
    trainer.run(lambda step, numbers: None)
    assert trainer.position == (99, 1)  # one batch an epoch
    trainer.network.load_state_dict(trainer.average.weights)
    heard = greedy_texts(trainer.network, corpus.train, UNITS, 1, ["head"], bf16=False)
    assert heard == {"head": list(texts)}
    assert error_rates({"head": texts}, heard, ["head"]) == {"wer:head": 0, "cer:head": 0}


def test_stopping_saves_and_a_damaged_state_is_told(tmp_path):
    phase = Phase("tones", steps=6, losses={"ctc:characters": 1.0}, frames_per_batch=500)
    recipe = tone_recipe(tmp_path, tiny_model(), (phase,))
    corpus = corpus_of(recipe, tmp_path)
    trainer = trainer_of(recipe, corpus, tmp_path)
    trainer.run(lambda step, numbers: None, stop=lambda: trainer.step == 2)
    assert trainer.step == 2 and not trainer.finished
    assert trainer_of(recipe, corpus, tmp_path).load()
    trainer.path.write_bytes(trainer.path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"tones\.pt cannot be continued"):
        trainer_of(recipe, corpus, tmp_path).load()


def test_a_gradient_that_is_not_finite_ends_the_phase(tmp_path):
    phase = Phase("tones", steps=2, losses={"ctc:characters": 1.0}, augment=None)
    recipe = tone_recipe(tmp_path, tiny_model(), (phase,))
    trainer = trainer_of(recipe, corpus_of(recipe, tmp_path), tmp_path)
    with torch.no_grad():
        trainer.network.heads["characters"].module[0].bias.fill_(torch.nan)
    with pytest.raises(TransducerError, match="phase tones, step 0: the gradient is not finite"):
        trainer.run(lambda step, numbers: None)


def test_a_batch_without_any_target_changes_no_weight():
    trainer = PhaseTrainer(tiny_network(), None, Targets(UNITS), Phase("p", 3, {"ctc:phones": 1.0}), Path(), 1)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    numbers = trainer.train_step(batch_of([("one", "ab", 50)]))
    assert numbers == {"loss": 0.0, "norm": 0.0, "rate": 0.02} and trainer.step == 1
    assert_same(dict(trainer.network.state_dict()), before)


# --- optimizers and averages


def test_muon_gets_the_inner_matrices_and_adamw_everything_else():
    decoders = {"characters": CTCConfig("characters"), "rnnt": RNNTConfig("characters", "lstm", 16)}
    for core in (tiny_model().core, RecurrentConfig("lstm", 32, 2)):
        network = tiny_network(heads=decoders, core=core)
        optimizers = Optimizers(network, Phase("p", 10, {}))
        names = {id(parameter): name for name, parameter in network.named_parameters()}
        muon, adamw = (
            {names[id(p)] for group in part.param_groups for p in group["params"]} for part in optimizers.parts
        )
        assert type(optimizers.parts[0]) is torch.optim.Muon and type(optimizers.parts[1]) is torch.optim.AdamW
        assert muon | adamw == set(names.values()) and not muon & adamw
        shapes = {name: parameter.ndim for name, parameter in network.named_parameters()}
        assert all(shapes[name] == 2 and name.startswith("encoder.") for name in muon)
        assert all(".head." in n or ".back." in n for n in adamw if shapes[n] == 2 and not n.startswith("heads."))
        assert {"encoder.stages.0.conv1.weight", "encoder.stages.0.conv2.weight"} <= adamw
        assert "encoder.stages.0.out.weight" in muon
        assert {"heads.rnnt.predictor.embedding.weight", "heads.rnnt.predictor.lstm.weight_hh_l0"} <= adamw


def test_muon_gets_the_matrices_inside_a_cascaded_head():
    decoders = {"written": CascadedRNNTConfig("characters", "phones", layers=1), "phones": CTCConfig("phones")}
    network = tiny_network(heads=decoders)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    muon, adamw = (
        {names[id(p)] for group in part.param_groups for p in group["params"]}
        for part in Optimizers(network, Phase("p", 10, {})).parts
    )
    assert muon | adamw == set(names.values()) and not muon & adamw
    inside = {name for name in muon if name.startswith("heads.")}
    assert all(".core." in name or ".lstm." in name for name in inside)
    assert {"heads.written.predictor.lstm.weight_hh_l0", "heads.written.core.stages.2.module.0.weight"} <= inside
    heads = {"predictor.embedding.weight", "out.weight", "frames.weight", "source.module.0.weight"}
    assert {f"heads.written.{name}" for name in heads} <= adamw


def test_the_learning_rate_rises_and_falls_linearly():
    phase = Phase("p", steps=111, losses={}, warmup=10, final_fraction=0.05)
    rates = [rate_fraction(step, phase) for step in range(111)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10] == 1 and rates[60] == pytest.approx(0.525) and rates[-1] == pytest.approx(0.05)
    assert rates[10:] == sorted(rates[10:], reverse=True)

    network = tiny_network()
    optimizers = Optimizers(network, replace(phase, learning_rate=0.5, matrix_learning_rate=0.25))
    assert optimizers.step(60) == pytest.approx(0.525)
    assert [part.param_groups[0]["lr"] for part in optimizers.parts] == pytest.approx([0.525 * 0.25, 0.525 * 0.5])


def test_the_average_is_exponential_and_soon_forgets_the_start():
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 100.0)
    average = Average(network, decay=0.9)
    expected, values = 100.0, np.linspace(1, 2, 200)
    for number, value in enumerate(values, start=1):
        torch.nn.init.constant_(network.weight, value)
        average.update(network)
        decay = min(0.9, number / (number + 10))
        expected = decay * expected + (1 - decay) * value
        assert average.weights["weight"].item() == pytest.approx(expected, rel=1e-4)
    assert average.weights["weight"].item() == pytest.approx(2 - 0.9 / 0.1 * (values[1] - values[0]), abs=1e-3)
    assert network.weight.item() == 2  # the network itself goes its own way
