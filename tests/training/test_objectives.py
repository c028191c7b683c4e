"""What is learned: the losses of heads on batches of pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lights import HEADS, Lights, model, recipe_of
from training_fixtures import batch_of, tiny_model, trainer_of, with_units

from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import TCNConfig
from transducer.cores.transformer import TransformerConfig
from transducer.data.loader import Batch, collate
from transducer.data.pairs import Pair, fixed_pair
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.attention import AttentionConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.head import Loss
from transducer.heads.rnnt import RNNTConfig
from transducer.model.network import Network
from transducer.search.tokens.ctc import CTCGreedySearch
from transducer.training.encoded import Encoded
from transducer.training.evaluation import measure, rates
from transducer.training.initial import build_network
from transducer.training.objectives import HeadLoss, Objective, target_of


def losses_of(network: Network, batch: Batch, *objectives: Objective, bf16: bool = False) -> dict[str, Loss]:
    encoded = Encoded(network, batch, bf16)
    found = {objective.name: objective.loss(network, encoded) for objective in objectives}
    return {name: loss for name, loss in found.items() if loss is not None}


@pytest.mark.parametrize("kind", list(HEADS))
def test_every_kind_of_target_can_be_learned_by_heart(tmp_path, kind):
    steps = 220 if kind in ("ctc", "rnnt") else 90
    recipe = recipe_of(
        kind, train=Lights(4, kind), steps=steps, batch_frames=400, learning_rate=0.02, bf16=False, average_decay=0.8
    )
    trainer = trainer_of(recipe, tmp_path)
    losses = []
    trainer.run(lambda step, numbers: losses.append(numbers["loss:out"]))
    assert losses[-1] < 0.2 * losses[0]
    trainer.network.load_state_dict(trainer.average.weights)
    found = rates(measure(trainer.network, recipe.train, ["out"]))
    if kind in ("ctc", "rnnt"):
        assert found["error:out"] <= 0.1
    else:
        assert found["accuracy:out"] > 0.97


@pytest.mark.parametrize("inside", [True, False], ids=["one head with a CTC output", "two heads"])
def test_attention_and_ctc_learn_at_once(tmp_path, inside):
    """Both write what they see; each of two losses by itself would leave the other's output as it began."""
    decoder = AttentionConfig("labels", channels=24, layers=1, heads=2, smoothing=0.0, ctc=0.5 if inside else 0.0)
    heads = {"out": decoder} if inside else {"out": decoder, "ctc": CTCConfig("labels")}
    objectives = (HeadLoss("out"),) if inside else (HeadLoss("out", 0.5), HeadLoss("ctc", 0.5))
    recipe = recipe_of(
        train=Lights(4, "ctc"),
        model=model(heads=heads),
        objectives=objectives,
        steps=220,
        batch_frames=400,
        learning_rate=0.01,
        bf16=False,
        average_decay=0.8,
    )
    trainer = trainer_of(recipe, tmp_path)
    logged = []
    trainer.run(lambda step, numbers: logged.append(numbers))
    for objective in objectives:
        assert logged[-1][f"loss:{objective.name}"] < 0.3 * logged[0][f"loss:{objective.name}"]
    trainer.network.load_state_dict(trainer.average.weights)
    found = rates(measure(trainer.network, recipe.train, list(heads)))
    assert all(found[f"error:{name}"] <= 0.1 for name in heads)
    if inside:
        head = trainer.network.heads["out"]
        batch = collate([fixed_pair(recipe.train, index) for index in range(4)])
        outputs, mask = Encoded(trainer.network, batch, False).outputs("out", range(4))
        errors = CTCGreedySearch()
        for row, pair in enumerate(batch.pairs):
            log_probs = outputs[row, mask[row], head.channels :].detach().numpy()
            assert errors.best(errors.finish(errors.step(errors.init(), log_probs))).tokens == tuple(pair.y)


def test_a_loss_has_a_part_of_the_gradient_by_its_weight(tmp_path):
    """One step moves the layers that both share by both; a weight of nothing leaves them to the other."""
    heads = {"out": AttentionConfig("labels", channels=8, layers=1, heads=2), "ctc": CTCConfig("labels")}

    def moved(*weights: float) -> torch.Tensor:
        objectives = tuple(HeadLoss(name, weight) for name, weight in zip(heads, weights, strict=True))
        recipe = recipe_of(train=Lights(4, "ctc"), model=model(heads=heads), objectives=objectives, bf16=False)
        trainer = trainer_of(recipe, tmp_path / str(weights))
        encoded = Encoded(trainer.network, collate([fixed_pair(recipe.train, index) for index in range(4)]), False)
        losses = [objective.loss(trainer.network, encoded) for objective in objectives]
        gradients, _ = trainer._backward(objectives, {0: losses})
        names = [name for name, _ in trainer.network.named_parameters()]
        grad = gradients[names.index("encoder.stages.0.out.weight")]
        assert grad is not None
        return grad

    one, other = moved(1.0, 0.0), moved(0.0, 1.0)
    assert not torch.allclose(one, other, atol=1e-4)
    torch.testing.assert_close(moved(0.7, 0.3), 0.7 * one + 0.3 * other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "core", [TCNConfig(24, 48, 2, look_ahead=3), TransformerConfig(24, 2, 48, 1, 4, 8), RecurrentConfig("lstm", 24, 1)]
)
def test_every_core_takes_a_step(tmp_path, core):
    trainer = trainer_of(recipe_of(model=model(core=core, chunks=(2, 4)), steps=2), tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.run(lambda step, numbers: None)
    changed = [name for name, value in trainer.network.state_dict().items() if not torch.equal(value, before[name])]
    assert len(changed) > 0.8 * len(before)


@pytest.mark.parametrize("kind", list(HEADS))
def test_padding_changes_no_loss(kind):
    pairs = [fixed_pair(Lights(5, kind), index) for index in range(5)]
    network = build_network(recipe_of(kind)).eval()
    both = losses_of(network, collate(pairs), HeadLoss("out"))["out"]
    each = [losses_of(network, collate([pair]), HeadLoss("out"))["out"] for pair in pairs]
    torch.testing.assert_close(both.total, sum(loss.total for loss in each), rtol=1e-4, atol=1e-4)
    assert both.count == sum(loss.count for loss in each)


def test_labels_can_be_unknown_weighted_or_for_one_head_only():
    network = build_network(recipe_of(model=model(heads={"out": HEADS["framewise"], "clip": HEADS["pooled"]})))
    pair = fixed_pair(Lights(1), 0)

    def losses(y: object, weights: tuple[float, ...] | None = None) -> dict[str, float]:
        objectives = HeadLoss("out", label_weights=weights), HeadLoss("clip")
        found = losses_of(network, collate([replace(pair, y=y)]), *objectives)
        return {name: loss.mean.item() for name, loss in found.items()}

    assert losses({"clip": 2}).keys() == {"clip"}
    assert losses({"out": pair.y}).keys() == {"out"}
    assert losses({"out": np.full(len(pair.x), -1), "clip": -1}) == {}
    known = np.full(len(pair.x), -1)
    known[5] = 2
    alone = losses({"out": known})["out"]
    known[3] = 1
    pulled = losses({"out": known}, (1, 1e-6, 1, 1))["out"]
    assert pulled == pytest.approx(alone, rel=1e-3) != losses({"out": known})["out"]


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        ("framewise", 3, "learns from labels of its steps"),
        ("framewise", np.zeros(5, int), r"5 labels for \d+ steps"),
        ("framewise", np.zeros(20), "an array .T,. of integers"),
        ("framewise", np.full(20, 9), "there is no label 9"),
        ("pooled", [1, 2], "learns from one label"),
        ("ctc", 2, "learns from tokens, a list"),
        ("rnnt", [1, 7], "there is no token 7"),
    ],
)
def test_targets_of_the_wrong_kind_are_told(kind, y, message):
    pair = replace(fixed_pair(Lights(1), 0), y=y)
    with pytest.raises(UsageError, match=f"pair 'lights 0': .*{message}"):
        losses_of(build_network(recipe_of(kind)), collate([pair]), HeadLoss("out"))


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda: HeadLoss("other"), "objective other: the model has no head 'other', but out"),
        (lambda: HeadLoss("out", weight=float("nan")), "objective out: weight must be a number"),
        (lambda: HeadLoss("out", label_weights=(1.0, -1.0)), "a label's weight must be a number from 0 on"),
    ],
)
def test_objectives_that_make_no_sense_are_told(objective, message):
    with pytest.raises(UsageError, match=message):
        recipe_of(objectives=(objective(),))


def test_label_weights_are_as_many_as_labels():
    with pytest.raises(UsageError, match="2 weights for 4 labels"):
        recipe_of(objectives=(HeadLoss("out", label_weights=(1.0, 2.0)),))


def test_a_label_for_every_sample_goes_to_the_frame_that_it_is_in_the_middle_of(tmp_path):
    """Samples in, a label for each; the front-end's statistics come from the examples."""

    class Tones(Lights):
        def pair(self, index: int, rng: np.random.Generator) -> Pair:
            samples, label = 8000 + 1600 * index, 1 + index % 3
            wave = np.sin(np.arange(samples) * 0.1 * label) + 0.1 * rng.standard_normal(samples)
            return Pair(wave.astype(np.float32)[:, None], np.full(samples, label), f"tone {index}")

    sound = model(frontend=LogMelConfig(), encoder=ConvSubsamplingConfig(8))
    recipe = recipe_of(model=sound, train=Tones(6), dev=None, steps=12, batch_frames=40000, learning_rate=0.02)
    trainer = trainer_of(recipe, tmp_path)
    assert trainer.network.frontend.std.min() > 0 and trainer.network.frontend.mean.abs().max() > 1
    trainer.run(lambda step, numbers: None)
    assert rates(measure(trainer.network, recipe.train, ["out"]))["accuracy:out"] > 0.5


def test_a_label_for_every_feature_goes_to_the_frame_that_it_is_in_the_middle_of():
    """Features in, past the front-end, whose own stride does not count then."""
    network = Network(model(frontend=LogMelConfig(), encoder=ConvSubsamplingConfig(8), units={"labels": 4}))
    labels = np.arange(10) % 4
    for steps, wanted in ((10, [2, 2, 1]), (8, [2, 2])):
        pair = Pair(np.zeros((steps, 80), np.float32), labels[:steps], "features")
        assert target_of(network, "out", pair, -(-steps // 4)).tolist() == wanted


# --- on features, as recordings have them


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    config = tiny_model()
    heads = {**config.heads, "rnnt": RNNTConfig("characters", "stateless", 16)}
    return Network(with_units(tiny_model(heads))).eval()


ROWS = [("one", "ab", 60), ("two", "cab", 41), ("three", "bee", 44)]
ALL = HeadLoss("characters"), HeadLoss("phones"), HeadLoss("rnnt")


def test_sequence_losses_count_tokens_and_leave_out_what_has_no_target(network):
    losses = losses_of(network, batch_of(ROWS), *ALL)
    # Nobody knows how "bee" is pronounced.
    assert {name: loss.count for name, loss in losses.items()} == {"characters": 8, "phones": 5, "rnnt": 8}
    for objective in ALL:
        rows = ROWS[:2] if objective.name == "phones" else ROWS
        alone = [losses_of(network, batch_of([row], n), objective)[objective.name] for n, row in enumerate(rows)]
        total = sum(loss.total.item() for loss in alone)
        assert losses[objective.name].total.item() == pytest.approx(total, rel=1e-4)


def test_a_loss_that_no_row_has_a_target_for_is_left_out(network):
    assert list(losses_of(network, batch_of([("three", "bee", 44)]), *ALL[:2])) == ["characters"]


def test_features_are_normalised_where_they_enter(network):
    batch = batch_of(ROWS)
    network.frontend.mean.fill_(2.0)
    network.frontend.std.fill_(4.0)
    x, mask = Encoded(network, batch).features
    torch.testing.assert_close(x, (batch.x - 2) / 4 * mask[..., None])


def test_bf16_changes_losses_only_a_little(network):
    batch = batch_of(ROWS)
    exact, rounded = (losses_of(network, batch, ALL[0], ALL[2], bf16=bf16) for bf16 in (False, True))
    for name, loss in rounded.items():
        assert loss.total.dtype == torch.float32
        assert loss.mean.item() == pytest.approx(exact[name].mean.item(), rel=0.02)
