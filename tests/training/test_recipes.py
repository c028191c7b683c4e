"""Recipes: how they are found, their settings, and those of this project."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.speech_en import compare as speech_compare
from pipelines.speech_en import sizes as speech_sizes
from transducer.errors import UsageError
from transducer.training.recipe_file import load_recipe

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


def write_recipe(folder: Path, body: str) -> str:
    path = folder / "mine.py"
    path.write_text(
        "from pathlib import Path\nfrom transducer.training.recipe import Recipe\n"
        "def recipe(data: Path, quick: bool, *, steps: int = 3, rate: float = 0.1, fast: bool = False, "
        "noise: str | None = 'n.tsv') -> Recipe:\n" + body
    )
    return str(path)


def test_settings_go_to_the_recipe_as_what_they_are(tmp_path):
    echo = "    return Recipe(str((steps, rate, fast, noise)), None, {}, (), None, ())\n"
    path = write_recipe(tmp_path, echo + "other = recipe\n")
    assert load_recipe(path, tmp_path, False).name == "(3, 0.1, False, 'n.tsv')"
    settings = ("steps=7", "rate=1e-3", "fast=yes", "noise=none")
    assert load_recipe(path + ":other", tmp_path, False, settings).name == "(7, 0.001, True, None)"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "a setting is NAME=VALUE"),
        ("step=7", "has no setting 'step'; it has fast, noise, rate, steps"),
        ("quick=yes", "has no setting 'quick'"),
        ("steps=many", "'many' is no int"),
        ("fast=perhaps", "'perhaps' is no bool"),
    ],
)
def test_a_wrong_setting_is_told(tmp_path, setting, message):
    with pytest.raises(UsageError, match=message):
        load_recipe(write_recipe(tmp_path, "    return None\n"), tmp_path, False, (setting,))


def test_a_recipe_that_is_none_is_told(tmp_path):
    for spec, message in [
        (str(tmp_path / "none.py"), "no such recipe"),
        (str(tmp_path), "no such recipe"),
        (write_recipe(tmp_path, "    return 3\n"), "returned int, not a Recipe"),
        (write_recipe(tmp_path, "    return 3\n") + ":other", "has no function 'other'"),
    ]:
        with pytest.raises(UsageError, match=message):
            load_recipe(spec, tmp_path, False)
    (tmp_path / "mine.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(UsageError, match=r"mine\.py cannot be run: ModuleNotFoundError"):
        load_recipe(str(tmp_path / "mine.py"), tmp_path, False)


def test_the_bundled_models_recipe_never_trains_on_dev(shared_data):
    recipe = load_recipe(str(PIPELINES / "speech_en"), shared_data, False)
    assert [table.path.stem for table in recipe.train] == ["librispeech-train", "speechocean-train", "vctk-p239"]
    assert recipe.dev.path.stem == "librispeech-dev"
    assert all(table.licence == "CC BY 4.0" for table in recipe.train)
    assert all(path.is_file() for path in (recipe.lexicon, recipe.alignments, recipe.noise.path))
    quick = load_recipe(str(PIPELINES / "speech_en"), shared_data, True, ("seed=3",))
    assert quick.model == recipe.model and quick.seed == 3
    assert sum(phase.steps for phase in quick.phases) < 25 < sum(phase.steps for phase in recipe.phases)


def test_mixtures_to_compare_never_train_on_dev(shared_data, tmp_path):
    for name in speech_compare.MIXTURES.keys() - speech_compare.SYNTHETIC_HOURS.keys():
        recipe = speech_compare.recipe(shared_data, tmp_path, name, 5)
        assert [table.path.stem for table in recipe.train] == ["librispeech-train", "speechocean-train", "vctk-p239"]
        assert recipe.initial.name == "speech-en" and recipe.phases[0].steps == 5


def test_sizes_to_compare_never_train_on_dev(shared_data):
    for size in speech_sizes.SIZES:
        recipe = speech_sizes.recipe(shared_data, size, 5)
        assert [table.path.stem for table in recipe.train] == ["librispeech-train", "speechocean-train", "vctk-p239"]
        assert recipe.initial is None and [phase.steps for phase in recipe.phases] == [5]
        assert size == f"{recipe.model.core.layers}x{recipe.model.core.channels}"
