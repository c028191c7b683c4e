"""A phase ends when held-out examples show no progress any more: the best weights, and exact on resume."""

from __future__ import annotations

import pytest
import torch
from lights import recipe_of
from training_fixtures import assert_same, trainer_of, without_times

from transducer.errors import UsageError
from transducer.training.recipe import Phase
from transducer.training.run import train
from transducer.training.stopping import Plateau, score

RATES = [0.2, 0.5, 0.5, 0.4, 0.5, 0.9, 0.1]  # of the evaluations, one after the other


def run(folder, stops: tuple[int, ...], save_every: int = 3):
    """A phase of up to 60 steps with an evaluation every 4, left after some steps and loaded again."""
    recipe = recipe_of(steps=60, patience=3)
    reports, kept = [], {}
    for stop in (*stops, 60):
        torch.manual_seed(stop)
        trainer = trainer_of(recipe, folder)
        trainer.load()

        def evaluate(trainer=trainer) -> dict[str, float]:
            kept[trainer.step] = {name: value.clone() for name, value in trainer.average.weights.items()}
            return {"accuracy:out": RATES[trainer.step // 4 - 1]}

        trainer.run(
            lambda step, numbers: reports.append((step, tuple(without_times(numbers).items()))),
            save_every=save_every,
            evaluate_every=4,
            evaluate=evaluate,
            stop=lambda trainer=trainer, stop=stop: trainer.step == stop,
        )
    return trainer, reports, kept


def test_it_stops_and_keeps_the_last_of_the_best(tmp_path):
    trainer, _, kept = run(tmp_path / "whole", ())
    # The second is the best; the third and fifth are as good, and know more; none is better for three evaluations.
    assert trainer.step == 20 and trainer.finished
    assert_same(trainer.result, kept[20])
    again = trainer_of(recipe_of(steps=60, patience=3), tmp_path / "whole")
    assert again.load() and again.finished
    assert_same(again.result, kept[20])


@pytest.mark.parametrize("stops", [(4,), (7, 8), (2, 12, 19)])
def test_what_is_left_and_resumed_is_the_same(stops, tmp_path):
    whole, reports, _ = run(tmp_path / "whole", ())
    parts, others, _ = run(tmp_path / "parts", stops)
    assert parts.step == whole.step and dict(others) == dict(reports)
    assert_same(parts.result, whole.result)
    assert_same(dict(parts.network.state_dict()), dict(whole.network.state_dict()))


def test_a_killed_run_goes_on_from_its_last_state(tmp_path):
    """What was saved before an evaluation makes it once more."""
    whole, reports, _ = run(tmp_path / "whole", ())
    recipe = recipe_of(steps=60, patience=3)
    trainer = trainer_of(recipe, tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        trainer.run(
            lambda step, numbers: (_ for _ in ()).throw(KeyboardInterrupt) if step == 13 else None,
            save_every=5,
            evaluate_every=4,
            evaluate=lambda: {"accuracy:out": RATES[trainer.step // 4 - 1]},
        )
    resumed, others, _ = run(tmp_path / "killed", (), save_every=5)
    assert resumed.step == whole.step and set(others) <= set(reports)
    assert_same(resumed.result, whole.result)


def test_a_run_ends_early_and_its_card_says_after_how_many_steps(tmp_path):
    found = train(recipe_of(steps=200, patience=2, evaluate=lambda network, source: {"error": 0.5}), tmp_path)
    assert '"training_steps": 12' in (found / "config.json").read_text()


def test_patience_of_0_goes_on_to_the_end():
    plateau = Plateau(0)
    assert not any(plateau.judge({"accuracy": 0.1}) for _ in range(20)) and not plateau.over
    with pytest.raises(UsageError, match="patience must be a whole number from 0"):
        Phase("a", 1, recipe_of().phases[0].objectives, patience=-1)


def test_more_accuracy_and_less_error_are_progress():
    assert score({"accuracy:a": 0.5}) > score({"accuracy:a": 0.4})
    assert score({"error:a": 0.4}) > score({"error:a": 0.5})
    assert score({"accuracy:a": 0.5, "wer:b": 0.1}) > score({"accuracy:a": 0.5, "wer:b": 0.2})
