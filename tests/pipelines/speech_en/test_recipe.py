"""The recipe of the bundled model: what it is trained on, what it starts from, and a short run of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transducer.model.network import Network
from transducer.training.command import train_command
from transducer.training.recipe_file import load_recipe

SPEECH = str(Path(__file__).resolve().parents[3] / "pipelines" / "speech_en")
TABLES = ["librispeech-train", "speechocean-train", "vctk-p239", "librispeech-devclean", "cathy", "ljspeech"]


def tables(source) -> list[str]:
    return [dataset.path.stem for dataset in source.datasets]


def test_it_never_trains_on_dev(shared_data):
    recipe = load_recipe(SPEECH, shared_data, False)
    assert len(recipe.sources) == len(recipe.phases) == 2
    for source in recipe.sources:
        assert tables(source) == TABLES
        assert all(dataset.licence and dataset.path.is_file() for dataset in (*source.datasets, source.noise))
    assert tables(recipe.dev) == ["librispeech-dev"]
    quick = load_recipe(SPEECH, shared_data, True, ("seed=3",))
    assert quick.model == recipe.model and quick.seed == 3
    assert sum(phase.steps for phase in quick.phases) < 10 < sum(phase.steps for phase in recipe.phases)


def test_it_starts_from_whisper_and_learns_from_it(shared_data):
    recipe = load_recipe(SPEECH, shared_data, True, ("start=whisper-tiny.en",))
    network = Network(replace(recipe.model, units={name: len(units) for name, units in recipe.units.items()}))
    random = network.encoder.stages[0].conv1.weight.clone()
    recipe.initial(network)
    assert not network.encoder.stages[0].conv1.weight.allclose(random)
    assert all("teacher" in [objective.name for objective in phase.objectives] for phase in recipe.phases)


def test_its_phases_run(shared_data, tmp_path):
    assert train_command(SPEECH, data=str(shared_data), output=str(tmp_path / "run"), quick=True) == 0
    report = (tmp_path / "run" / "report.md").read_text()
    assert "| ctc |" in report and "| crf |" in report
