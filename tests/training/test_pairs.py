"""Training on pairs: batches, losses, resuming, whole runs."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lights import HEADS, UNITS, Lights, model, recipe_of
from training_fixtures import assert_same, without_times

import transducer
from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import TCNConfig
from transducer.cores.transformer import TransformerConfig
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.errors import CheckpointError, TransducerError, UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.search.events.rules import EventRules
from transducer.training.interrupt import Interrupt
from transducer.training.log import Log, read_log
from transducer.training.pair_evaluation import rates
from transducer.training.pair_loader import PairBatch, PairLoader, collate
from transducer.training.pair_loop import PairTrainer
from transducer.training.pair_losses import pair_losses
from transducer.training.pair_run import build_network, train_pairs
from transducer.training.pairs import Pair, PairRecipe, fixed_pair
from transducer.training.run import train_command


def trainer_of(recipe: PairRecipe, folder: Path) -> PairTrainer:
    loader = PairLoader(recipe.train, recipe.batch_frames, recipe.seed, buckets=recipe.buckets, prefetch=0)
    return PairTrainer(build_network(recipe), loader, recipe, folder)


# --- batches


def shape_of(batch: PairBatch) -> tuple:
    return batch.epoch, tuple(pair.id for pair in batch.pairs), batch.x.double().sum().item(), batch.following


def take(loader: PairLoader, count: int, position: tuple = (0, 0, 0)) -> list[tuple]:
    stream = loader.stream(*position)
    found = [shape_of(next(stream)) for _ in range(count)]
    stream.close()
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_from_any_position_on(workers):
    source = Lights(23)
    plain = take(PairLoader(source, 100, seed=3, buckets=2, prefetch=0), 25)
    loader = PairLoader(source, 100, seed=3, buckets=2, workers=workers)
    try:
        assert take(loader, 25) == plain
        for start in (0, 3, 10):
            assert take(loader, 4, plain[start][-1]) == plain[start + 1 : start + 5]
    finally:
        loader.close()
    seen = [pair for epoch, pairs, _, _ in plain for pair in pairs if epoch == 0]
    assert sorted(seen) == sorted(f"lights {number}" for number in range(23)) and plain[-1][0] > 0
    assert take(PairLoader(source, 100, seed=4, prefetch=0), 25) != plain
    assert plain[0] not in take(PairLoader(source, 100, seed=3, buckets=2, prefetch=0), 25)[10:]  # epochs differ


def test_batches_keep_to_their_budget_and_hold_what_is_alike():
    loader = PairLoader(Lights(40), 120, seed=1, prefetch=0)
    stream = loader.stream()
    padding = []
    for _ in range(30):
        batch = next(stream)
        assert batch.x.shape[0] == 1 or batch.x.shape[0] * batch.x.shape[1] <= 120
        assert torch.equal(batch.mask.sum(dim=1), batch.lengths)
        for row, pair in zip(batch.x, batch.pairs, strict=True):
            assert torch.equal(row[: len(pair.x)], torch.from_numpy(pair.x)) and not row[len(pair.x) :].any()
        padding.append(1 - float(batch.mask.float().mean()))
    assert np.mean(padding) < 0.08
    assert len(next(PairLoader(Lights(3), 5, seed=1, prefetch=0).stream()).pairs) == 1  # longer than the budget


def test_what_is_no_pair_is_told():
    class Bad(Lights):
        def pair(self, index: int, rng: np.random.Generator) -> Pair:
            return Pair(np.zeros((4, 3)), np.zeros(4, int), "wrong")

    for workers in (0, 1):
        loader = PairLoader(Bad(3), 100, 1, workers=workers)
        with pytest.raises(UsageError, match=r"pair 'wrong': x must be .* it is \(4, 3\) float64"):
            next(loader.stream())
        loader.close()
    with pytest.raises(UsageError, match="nothing to train on"):
        PairLoader(Lights(0), 100, 1)
    pairs = [Pair(np.zeros((2, channels), np.uint8), 1, f"clip {channels}") for channels in (3, 4)]
    with pytest.raises(UsageError, match="3 channels in 'clip 3', uint8 with 4 in 'clip 4'"):
        collate(pairs)


def test_errors_and_deaths_of_processes_arrive():
    class Failing(Lights):
        def pair(self, index: int, rng: np.random.Generator) -> Pair:
            if index == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            raise UsageError("clip 7 cannot be read") if index else ZeroDivisionError("a bug")

    def first(source: Lights) -> None:
        loader = PairLoader(source, 100, 1, workers=1)
        try:
            next(loader.stream())
        finally:
            loader.close()

    one = Failing(1)
    with pytest.raises(RuntimeError, match=r"example 0 cannot be made(.|\n)*ZeroDivisionError: a bug"):
        first(one)
    with pytest.raises(TransducerError, match=r"clip 7 cannot be read|has died"):
        first(Failing(5))


def test_processes_leave_interrupts_to_the_one_they_work_for():
    loader = PairLoader(Lights(30), 100, 1, workers=2)
    processes = loader._maker._processes
    stream = loader.stream()
    next(stream)
    for process in processes:
        os.kill(process.pid, signal.SIGINT)
    assert [next(stream).epoch for _ in range(10)] and all(process.is_alive() for process in processes)
    stream.close()
    loader.close()
    loader.close()
    assert not any(process.is_alive() for process in processes)


# --- losses


@pytest.mark.parametrize("kind", list(HEADS))
def test_every_kind_of_target_can_be_learned_by_heart(tmp_path, kind):
    steps = 220 if kind in ("ctc", "rnnt") else 90
    recipe = recipe_of(kind, train=Lights(4, kind), steps=steps, batch_frames=400, learning_rate=0.02, bf16=False)
    recipe = replace(recipe, average_decay=0.8)
    trainer = trainer_of(recipe, tmp_path)
    losses = []
    trainer.run(lambda step, numbers: losses.append(numbers["loss"]))
    assert losses[-1] < 0.2 * losses[0]
    trainer.network.load_state_dict(trainer.average.weights)
    found = rates(trainer.network, recipe.train, ["out"], bf16=False)
    if kind in ("ctc", "rnnt"):
        assert found["error:out"] <= 0.1
    else:
        assert found["accuracy:out"] > 0.97


@pytest.mark.parametrize(
    "core", [TCNConfig(24, 48, 2, look_ahead=3), TransformerConfig(24, 2, 48, 1, 4, 8), RecurrentConfig("lstm", 24, 1)]
)
def test_every_core_takes_a_step(tmp_path, core):
    trainer = trainer_of(recipe_of(model=model(core=core, chunks=(2, 4)), steps=2), tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.run(lambda step, numbers: None)
    changed = [name for name, value in trainer.network.state_dict().items() if not torch.equal(value, before[name])]
    assert len(changed) > 0.8 * len(before)


def test_padding_changes_no_loss():
    pairs = [fixed_pair(Lights(5), index) for index in range(5)]
    network = build_network(recipe_of())
    batch = collate(pairs)
    both = pair_losses(network, batch, ["framewise:out"], {}, bf16=False)["framewise:out"]
    each = [pair_losses(network, collate([pair]), ["framewise:out"], {}, bf16=False) for pair in pairs]
    total = sum(losses["framewise:out"].total for losses in each)
    torch.testing.assert_close(both.total, total, rtol=1e-4, atol=1e-4)
    assert both.count == sum(len(pair.x) for pair in pairs)


def test_labels_can_be_unknown_weighted_or_for_one_decoder_only():
    network = build_network(recipe_of(model=model(heads={"out": HEADS["framewise"], "clip": HEADS["pooled"]})))
    pair = fixed_pair(Lights(1), 0)
    names = ["framewise:out", "pooled:clip"]

    def losses(y: object, weights: list[float] | None = None) -> dict[str, float]:
        given = {"out": weights and torch.tensor(weights)}
        found = pair_losses(network, collate([replace(pair, y=y)]), names, given, bf16=False)
        return {name: loss.mean.item() for name, loss in found.items()}

    assert losses({"clip": 2}).keys() == {"pooled:clip"}
    assert losses({"out": pair.y}).keys() == {"framewise:out"}
    assert losses({"out": np.full(len(pair.x), -1), "clip": -1}) == {}
    known = np.full(len(pair.x), -1)
    known[5] = 2
    alone = losses({"out": known})["framewise:out"]
    known[3] = 1
    pulled = losses({"out": known}, [1, 1e-6, 1, 1])["framewise:out"]
    assert pulled == pytest.approx(alone, rel=1e-3) != losses({"out": known})["framewise:out"]


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        ("framewise", 3, "needs labels of frames"),
        ("framewise", np.zeros(5, int), r"5 labels for \d+ steps"),
        ("framewise", np.zeros(20), "an array .T,. of integers"),
        ("pooled", [1, 2], "needs one label"),
        ("ctc", 2, "needs tokens, a list"),
        ("rnnt", np.zeros(4, int), "needs tokens, a list"),
    ],
)
def test_targets_of_the_wrong_kind_are_told(kind, y, message):
    pair = replace(fixed_pair(Lights(1), 0), y=y)
    with pytest.raises(UsageError, match=f"pair 'lights 0': .*{message}"):
        pair_losses(build_network(recipe_of(kind)), collate([pair]), [f"{kind}:out"], {})


def test_an_unknown_loss_is_told(tmp_path):
    for losses in ({"framewise:other": 1.0}, {"focal:out": 1.0}):
        with pytest.raises(UsageError, match=f"there is no loss '{next(iter(losses))}'.* which are out"):
            trainer_of(recipe_of(losses=losses), tmp_path)


def test_sound_makes_pairs_too(tmp_path):
    """Samples in, a label for each of the encoder's frames; the front-end's statistics come from the examples."""

    @dataclass
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
    assert rates(trainer.network, recipe.train, ["out"])["accuracy:out"] > 0.5


# --- resuming


def test_resume_is_exact(tmp_path):
    recipe = recipe_of(model=model(core=TCNConfig(24, 48, 2, look_ahead=3, dropout=0.2), chunks=(1, 2)), steps=16)
    reports: dict[str, list] = {"whole": [], "parts": []}

    def report(name: str):
        return lambda step, numbers: reports[name].append((step, without_times(numbers)))

    whole = trainer_of(recipe, tmp_path / "whole")
    whole.run(report("whole"))
    whole.save()
    first = trainer_of(recipe, tmp_path / "parts")
    assert not first.load()
    first.run(report("parts"), until=8)
    first.save()
    torch.manual_seed(12345)  # whatever else draws random numbers must not matter
    second = trainer_of(recipe, tmp_path / "parts")
    assert second.load() and second.step == 8
    second.run(report("parts"))
    second.save()

    assert whole.position[0] > 1  # more than one epoch
    strip = [[(step, {k: v for k, v in row.items() if k != "frames_per_second"}) for step, row in reports[name]]
             for name in ("whole", "parts")]  # fmt: skip
    assert strip[0] == strip[1] and len(strip[0]) == 16
    assert_same(*(torch.load(tmp_path / name / "train.pt", weights_only=True) for name in ("whole", "parts")))


def stop_after(calls: int):
    asked = iter(range(calls))
    return lambda: next(asked, None) is None


def test_a_run_stopped_twice_is_the_run_that_was_not(tmp_path):
    recipe = recipe_of(workers=1, model=model(events=EventRules("spans")), card={"trained_on": []})
    assert train_pairs(recipe, tmp_path / "whole") == tmp_path / "whole" / "lights"
    assert train_pairs(recipe, tmp_path / "parts", stop=stop_after(2)) is None
    assert train_pairs(recipe, tmp_path / "parts", resume=True, stop=stop_after(2)) is None
    assert train_pairs(recipe, tmp_path / "parts", resume=True)
    logs = [
        [{k: v for k, v in without_times(row).items() if k != "frames_per_second"} for row in read_log(path)]
        for path in (tmp_path / "whole" / "log.jsonl", tmp_path / "parts" / "log.jsonl")
    ]
    assert logs[0] == logs[1] and [row["step"] for row in logs[0] if "accuracy:out" in row] == [4, 8, 10]
    states = [torch.load(tmp_path / name / "phases" / "train.pt", weights_only=True) for name in ("whole", "parts")]
    assert_same(*states)

    trained = transducer.load(tmp_path / "parts" / "lights")
    facts = trained.info()
    assert facts["training_steps"] == 10 and facts["measured"][0].startswith("accuracy (out) ")
    assert facts["events"] == {"kind": "spans"} and trained.units["labels"].tokens == UNITS["labels"].tokens
    report = (tmp_path / "parts" / "report.md").read_text()
    for part in ("M parameters", "| steps | 10 |", "accuracy (out)", "Look-ahead"):
        assert part in report
    for picture in ("loss.png", "rates.png", "confusion-out.png"):
        assert (tmp_path / "parts" / picture).read_bytes().startswith(b"\x89PNG") and picture in report

    with pytest.raises(UsageError, match="has a run already"):
        train_pairs(recipe, tmp_path / "parts")
    with pytest.raises(UsageError, match=r"another recipe \(other data, seed\)"):
        train_pairs(replace(recipe, seed=2, train=Lights(13)), tmp_path / "parts", resume=True)


def test_a_damaged_state_is_told(tmp_path):
    trainer = trainer_of(recipe_of(steps=2), tmp_path)
    trainer.run(lambda step, numbers: None)
    trainer.save()
    trainer.path.write_bytes(trainer.path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"train\.pt cannot be continued"):
        trainer_of(recipe_of(steps=2), tmp_path).load()


def test_a_run_can_start_from_a_checkpoint_and_measure_by_itself(tmp_path):
    first = train_pairs(recipe_of(steps=2), tmp_path / "first")
    asked = []

    def evaluate(network, dev):
        asked.append(len(dev))
        return {"accuracy:mine": 0.25}

    recipe = recipe_of("pooled", steps=1, initial=first, evaluate=evaluate, dev=Lights(2, "pooled"), storage="int8")
    network = build_network(recipe)
    trained = transducer.load(first).network.state_dict()
    own = network.state_dict()
    same = {name for name, value in trained.items() if name in own and torch.equal(own[name], value)}
    assert all(name in same for name in trained if name.startswith("encoder."))
    folder = train_pairs(recipe, tmp_path / "second")
    assert asked == [2, 2]  # at the end, and once more from the disk
    assert transducer.load(folder).config.card["measured"] == ["accuracy (mine) 25.0 % on held-out examples"]


# --- from the command line


RECIPE = """
from dataclasses import dataclass
from pathlib import Path

from lights import Lights, recipe_of


@dataclass
class Own(Lights):
    size: int = 12


def recipe(data: Path, quick: bool = False, *, steps: int = 4, cache: Path | None = None):
    assert cache is None or cache.name == "cache"
    return recipe_of(train=Own(), steps=2 if quick else steps, workers=1)
"""


def test_a_recipe_of_pairs_runs_from_the_command_line(tmp_path, capsys):
    recipe = tmp_path / "lights.py"
    recipe.write_text(RECIPE)
    assert train_command(str(recipe), output=str(tmp_path / "run"), quick=True) == 0
    said = capsys.readouterr().err
    assert "step 2 of 2: loss" in said and "accuracy (out)" in said and "frames a second" in said
    assert json.loads((tmp_path / "run" / "run.json").read_text())["phases"]["train"]["steps"] == 2
    with pytest.raises(UsageError, match="has no setting 'speed'"):
        train_command(str(recipe), output=str(tmp_path / "other"), settings=["speed=2"])
    with pytest.raises(UsageError, match="has a run already"):
        train_command(str(recipe), output=str(tmp_path / "run"))


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    recipe, output = tmp_path / "lights.py", str(tmp_path / "run")
    recipe.write_text(RECIPE)
    write = Log.__call__

    def interrupted(self: Log, step: int, numbers: dict[str, float]) -> None:
        write(self, step, numbers)
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Log, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_command(str(recipe), output=output, settings=["steps=50"])
    said = capsys.readouterr().err
    # The signal comes after the step is logged, and is seen after the next one.
    assert "stopped after step 3; it is saved" in said
    assert f"To go on: transducer train {recipe} --output {output} --set steps=50 --resume" in said
    assert not Interrupt()()
