"""The loop of a phase: law 9, optimizers, averaged weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lights import model, recipe_of
from training_fixtures import (
    assert_same,
    batch_of,
    tiny_model,
    tiny_network,
    tone_recipe,
    trainer_of,
    without_times,
)

from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import TCNConfig
from transducer.data.augment.features import AugmentConfig
from transducer.data.pairs import Pair
from transducer.errors import CheckpointError, TransducerError
from transducer.heads.cascaded_rnnt import CascadedRNNTConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.head import Loss
from transducer.heads.rnnt import RNNTConfig
from transducer.training.loop import Trainer
from transducer.training.muon import Muon
from transducer.training.objectives import HeadLoss, Objective
from transducer.training.optimizer import Average, Optimizers, rate_fraction
from transducer.training.recipe import Phase, Recipe
from transducer.training.words import WordErrors

CHARACTERS = (HeadLoss("characters"),)


def phase_of(**changes: Any) -> Phase:
    return Phase(**{"name": "tones", "steps": 10, "objectives": CHARACTERS, "batch_frames": 500, **changes})


def stepped(recipe: Recipe, folder: Path, steps: tuple[int, ...]) -> tuple[list, Trainer]:
    """The reports of a phase that is left and loaded again after these steps."""
    reports: list = []
    for until in steps:
        torch.manual_seed(until)  # whatever else draws random numbers must not matter
        trainer = trainer_of(recipe, folder, cache=folder.parent / "cache")
        assert trainer.load() == bool(reports)
        trainer.run(lambda step, numbers: reports.append((step, without_times(numbers))), until=until)
        trainer.save()
    return reports, trainer


# --- law 9: resume, overfit


class Drawn(Objective):
    """Something of its own: a weight decay that depends on the number of the step, and on how often it was renewed."""

    name, apart = "drawn", True

    def __init__(self) -> None:
        self.renewed = 0

    def start(self, context: Any) -> Drawn:
        return Drawn()

    def renew(self, step: int, weights: Any) -> None:
        self.renewed += 1

    def loss(self, network: Any, batch: Any) -> Loss:
        weights = torch.cat([parameter.flatten() for parameter in network.parameters()])
        draw = np.random.default_rng(batch.number).uniform(0.1, 1) * self.renewed
        return Loss(draw * weights.square().sum(), 100)

    def state_dict(self) -> Any:
        return {"renewed": self.renewed}

    def load_state_dict(self, state: Any) -> None:
        self.renewed = state["renewed"]


def planned(folder: Path) -> Recipe:
    """Recordings, whose lengths are known, augmented."""
    phase = phase_of(warmup=3)
    return tone_recipe(folder / "data", tiny_model(chunks=(2, 4), dropout=0.2), (phase,), augment=AugmentConfig())


def windowed(folder: Path) -> Recipe:
    """Frames of a video, whose lengths are not."""
    core = TCNConfig(24, 48, 2, look_ahead=3, dropout=0.2)
    return recipe_of(model=model(core=core, chunks=(1, 2)))


@pytest.mark.parametrize("make", [planned, windowed])
def test_resume_is_exact(tmp_path, make):
    recipe = make(tmp_path)
    objectives = (*recipe.phases[0].objectives, Drawn())
    recipe = replace(recipe, phases=(replace(recipe.phases[0], objectives=objectives),))
    whole, trainer = stepped(recipe, tmp_path / "whole", (10,))
    parts, _ = stepped(recipe, tmp_path / "parts", (3, 5, 10))
    assert trainer.position[0] > 0  # more than one epoch
    assert parts == whole and len(whole) == 10
    name = f"{recipe.phases[0].name}.pt"
    assert_same(*(torch.load(tmp_path / folder / name, weights_only=True) for folder in ("whole", "parts")))


HEADS = [CTCConfig("characters"), *(RNNTConfig("characters", kind, 32) for kind in ("stateless", "lstm"))]


@pytest.mark.parametrize("head", HEADS)
def test_a_batch_can_be_learned_by_heart(tmp_path, head):
    phase = phase_of(
        steps=100,
        objectives=(HeadLoss("head"),),
        batch_frames=2000,
        learning_rate=0.04,
        warmup=10,
        average_decay=0.9,
        bf16=False,
    )
    texts = ("ab ce", "cad", "bed")
    plain = replace(tiny_model({"head": head}), conditioning=None)
    recipe = tone_recipe(tmp_path, plain, (phase,), ["head"], texts, speeds=(1.0,))
    trainer = trainer_of(recipe, tmp_path)
    trainer.run(lambda step, numbers: None)
    assert trainer.position == (100, 0, 0)  # one batch an epoch
    trainer.network.load_state_dict(trainer.average.weights)
    errors = WordErrors(recipe.units, ["head"])
    assert errors.texts(trainer.network, recipe.train) == {"head": [(text, text) for text in texts]}
    assert errors(trainer.network, recipe.train) == {"wer:head": 0, "cer:head": 0}


def test_stopping_saves_and_a_damaged_state_is_told(tmp_path):
    recipe = recipe_of(steps=6)
    trainer = trainer_of(recipe, tmp_path)
    trainer.run(lambda step, numbers: None, stop=lambda: trainer.step == 2)
    assert trainer.step == 2 and not trainer.finished
    assert trainer_of(recipe, tmp_path).load()
    trainer.path.write_bytes(trainer.path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"train\.pt cannot be continued"):
        trainer_of(recipe, tmp_path).load()


def test_a_gradient_that_is_not_finite_ends_the_phase(tmp_path):
    recipe = tone_recipe(tmp_path, tiny_model(), (phase_of(steps=2),))
    trainer = trainer_of(recipe, tmp_path)
    with torch.no_grad():
        trainer.network.heads["characters"].module[0].bias.fill_(torch.nan)
    with pytest.raises(TransducerError, match="phase tones, step 0: the gradient is not finite"):
        trainer.run(lambda step, numbers: None)


def test_a_batch_without_any_target_changes_no_weight():
    trainer = Trainer(tiny_network(), None, Phase("p", 3, (HeadLoss("phones"),)), Path(), 1)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    batch = batch_of([("one", "bee", 50)])
    assert isinstance(batch.pairs[0], Pair) and batch.pairs[0].target("phones") is None
    numbers = trainer.train_step(batch)
    assert numbers == {"loss": 0.0, "norm": 0.0, "rate": 0.02} and trainer.step == 1
    assert_same(dict(trainer.network.state_dict()), before)


# --- optimizers and averages


def test_muon_gets_the_inner_matrices_and_adamw_everything_else():
    heads = {"characters": CTCConfig("characters"), "rnnt": RNNTConfig("characters", "lstm", 16)}
    for core in (tiny_model().core, RecurrentConfig("lstm", 32, 2)):
        network = tiny_network(heads=heads, core=core)
        optimizers = Optimizers(network, Phase("p", 10, CHARACTERS))
        names = {id(parameter): name for name, parameter in network.named_parameters()}
        muon, adamw = (
            {names[id(p)] for group in part.param_groups for p in group["params"]} for part in optimizers.parts
        )
        assert type(optimizers.parts[0]) is Muon and type(optimizers.parts[1]) is torch.optim.AdamW
        assert muon | adamw == set(names.values()) and not muon & adamw
        shapes = {name: parameter.ndim for name, parameter in network.named_parameters()}
        assert all(shapes[name] == 2 and name.startswith("encoder.") for name in muon)
        assert all(".head." in n or ".back." in n for n in adamw if shapes[n] == 2 and not n.startswith("heads."))
        assert {"encoder.stages.0.conv1.weight", "encoder.stages.0.conv2.weight"} <= adamw
        assert "encoder.stages.0.out.weight" in muon
        assert {"heads.rnnt.predictor.embedding.weight", "heads.rnnt.predictor.lstm.weight_hh_l0"} <= adamw


def test_muon_gets_the_matrices_inside_a_cascaded_head():
    heads = {"written": CascadedRNNTConfig("characters", "phones", layers=1), "phones": CTCConfig("phones")}
    network = tiny_network(heads=heads)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    muon, adamw = (
        {names[id(p)] for group in part.param_groups for p in group["params"]}
        for part in Optimizers(network, Phase("p", 10, CHARACTERS)).parts
    )
    assert muon | adamw == set(names.values()) and not muon & adamw
    inside = {name for name in muon if name.startswith("heads.")}
    assert all(".core." in name or ".lstm." in name for name in inside)
    assert {"heads.written.predictor.lstm.weight_hh_l0", "heads.written.core.stages.2.module.0.weight"} <= inside
    heads = {"predictor.embedding.weight", "out.weight", "frames.weight", "source.module.0.weight"}
    assert {f"heads.written.{name}" for name in heads} <= adamw


def test_the_learning_rate_rises_and_falls_linearly():
    phase = Phase("p", 111, CHARACTERS, warmup=10, final_fraction=0.05)
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
