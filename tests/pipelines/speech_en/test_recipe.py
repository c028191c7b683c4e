"""The recipe of the bundled model, and those that are compared with it: what they are trained on."""

from __future__ import annotations

from pathlib import Path

from pipelines.speech_en import compare, sizes
from transducer.training.command import train_command
from transducer.training.recipe_file import load_recipe

SPEECH = str(Path(__file__).resolve().parents[3] / "pipelines" / "speech_en")
TABLES = ["librispeech-train", "speechocean-train", "vctk-p239"]


def tables(source) -> list[str]:
    return [dataset.path.stem for dataset in source.datasets]


def test_the_bundled_models_recipe_never_trains_on_dev(shared_data):
    recipe = load_recipe(SPEECH, shared_data, False)
    assert tables(recipe.train) == TABLES and tables(recipe.dev) == ["librispeech-dev"]
    assert all(dataset.licence == "CC BY 4.0" and dataset.path.is_file() for dataset in recipe.train.datasets)
    assert recipe.train.noise.path.is_file()
    quick = load_recipe(SPEECH, shared_data, True, ("seed=3",))
    assert quick.model == recipe.model and quick.seed == 3
    assert sum(phase.steps for phase in quick.phases) < 25 < sum(phase.steps for phase in recipe.phases)


def test_mixtures_to_compare_never_train_on_dev(shared_data, tmp_path):
    for name in compare.MIXTURES.keys() - compare.SYNTHETIC_HOURS.keys():
        recipe = compare.recipe(shared_data, tmp_path, name, 5)
        assert tables(recipe.train) == TABLES
        assert (recipe.initial / "config.json").is_file() and recipe.phases[0].steps == 5


def test_sizes_to_compare_never_train_on_dev(shared_data):
    for size in sizes.SIZES:
        recipe = sizes.recipe(shared_data, size, 5)
        assert tables(recipe.train) == TABLES
        assert recipe.initial is None and [phase.steps for phase in recipe.phases] == [5]
        assert size == f"{recipe.model.core.layers}x{recipe.model.core.channels}"


def test_what_starts_from_whisper_never_trains_on_dev(shared_data):
    recipe = load_recipe(f"{SPEECH}/on_whisper.py", shared_data, False)
    more = ["librispeech-devclean", "cathy", "ljspeech"]
    assert all(tables(source) == [*TABLES, *more] for source in recipe.sources)
    assert tables(recipe.dev) == ["librispeech-dev"]


def test_what_starts_from_whisper_runs(shared_data, tmp_path):
    output = str(tmp_path / "run")
    assert train_command(f"{SPEECH}/on_whisper.py", data=str(shared_data), output=output, quick=True) == 0
    report = (tmp_path / "run" / "report.md").read_text()
    assert "| ctc |" in report and "| crf |" in report


def test_all_phases_run(shared_data, tmp_path):
    assert train_command(SPEECH, data=str(shared_data), output=str(tmp_path / "run"), quick=True) == 0
    report = (tmp_path / "run" / "report.md").read_text()
    for phase in ("frames", "joint", "texts", "silence", "phones", "crf", "pieces"):
        assert f"| {phase} |" in report
