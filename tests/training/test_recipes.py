"""Recipes: how they are found, and their settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lights import UNITS, Lights, model, recipe_of

from transducer.errors import UsageError
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.recipe_file import load_recipe

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
RECIPES = [
    *PIPELINES.glob("*/recipe.py"),
    *(path for path in PIPELINES.glob("*.py") if "def recipe(" in path.read_text()),
]


def write_recipe(folder: Path, body: str) -> str:
    path = folder / "mine.py"
    path.write_text(
        "from pathlib import Path\nfrom dataclasses import replace\nfrom lights import recipe_of\n"
        "def recipe(data: Path, quick: bool, *, steps: int = 3, rate: float = 0.1, fast: bool = False, "
        "noise: str | None = 'n.tsv'):\n" + body
    )
    return str(path)


ECHO = "    return recipe_of(steps=steps, card={'all': (steps, rate, fast, noise)})\n"


def test_settings_go_to_the_recipe_as_what_they_are(tmp_path):
    path = write_recipe(tmp_path, ECHO + "other = recipe\n")
    assert load_recipe(path, tmp_path, False).card["all"] == (3, 0.1, False, "n.tsv")
    settings = ("steps=7", "rate=1e-3", "fast=yes", "noise=none")
    assert load_recipe(path + ":other", tmp_path, False, settings).card["all"] == (7, 0.001, True, None)


def test_every_recipe_has_settings_of_the_run_and_of_its_phases(tmp_path):
    path = write_recipe(
        tmp_path,
        "    made = recipe_of()\n"
        "    return replace(made, phases=(made.phases[0], replace(made.phases[0], name='more-of-it', steps=5)))\n",
    )
    plain = load_recipe(path, tmp_path, False, ("steps=2",))  # its own, which it makes nothing of
    assert [phase.steps for phase in plain.phases] == [10, 5] and plain.seed == 1
    settings = ("workers=0", "seed=9", "learning-rate=0.5", "more_of_it.steps=8", "bf16=no", "storage=int8")
    made = load_recipe(path, tmp_path, False, settings)
    assert (made.workers, made.seed, made.storage) == (0, 9, "int8")
    assert [(phase.steps, phase.learning_rate, phase.bf16) for phase in made.phases] == [
        (10, 0.5, False),
        (8, 0.5, False),
    ]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "a setting is NAME=VALUE"),
        ("step=7", "has no setting 'step'; it has fast, noise, rate, steps, and what all recipes have: .*warmup"),
        ("quick=yes", "has no setting 'quick'"),
        ("other.clip=1", "has no setting 'other.clip'"),
        ("steps=many", "'many' is no int"),
        ("fast=perhaps", "'perhaps' is no bool"),
        ("steps=0", "phase train: steps must be a whole number from 1 on, not 0"),
        ("batch-frames=-1", "phase train: batch_frames must be a whole number from 1 on, not -1"),
        ("learning-rate=nan", "phase train: learning_rate must be a number from 0 on, not nan"),
        ("clip=0", "phase train: clip must be a number above 0"),
        ("average-decay=1.5", "average_decay must be a number from 0 to 1"),
        ("workers=-1", "recipe lights: workers must be a whole number from 0 on"),
        ("storage=int4", "storage is 'int4'; there are float32, float16, int8"),
    ],
)
def test_a_wrong_setting_is_told(tmp_path, setting, message):
    with pytest.raises(UsageError, match=message):
        load_recipe(write_recipe(tmp_path, ECHO), tmp_path, False, (setting,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": "7"}, "steps must be a whole number from 1 on, not '7'"),
        ({"steps": True}, "steps must be a whole number"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"weight_decay": float("inf")}, "weight_decay must be a number"),
        ({"bf16": 1}, "bf16 must be true or false, not 1"),
        ({"objectives": ()}, "it needs objectives, each with a name of its own"),
        ({"objectives": [HeadLoss("out")]}, "objectives must be a tuple of objectives"),
        ({"objectives": (HeadLoss("out"), HeadLoss("out"))}, "each with a name of its own"),
        ({"objectives": ("out",)}, "an objective must be an Objective, not 'out'"),
        ({"name": "../x"}, "a name is made of letters"),
    ],
)
def test_a_phase_that_makes_no_sense_is_told(changes, message):
    with pytest.raises(UsageError, match=message):
        Phase(**{"name": "train", "steps": 1, "objectives": (HeadLoss("out"),), **changes})


def test_a_recipe_that_makes_no_sense_is_told():
    phase = Phase("train", 1, (HeadLoss("out"),))

    def recipe(phases: object, **changes: object) -> Recipe:
        plain = {"name": "r", "model": model(), "units": UNITS, "train": Lights(2), "dev": None, "phases": phases}
        return Recipe(**plain | changes)

    for phases, message in (
        ((), "it needs phases"),
        ((phase, phase), "each with a name of its own"),
        ([phase], "tuple"),
    ):
        with pytest.raises(UsageError, match=message):
            recipe(phases)
    with pytest.raises(UsageError, match="evaluate_every must be a whole number"):
        recipe((phase,), evaluate_every=-5)
    with pytest.raises(UsageError, match="head out writes 'labels'; the units are none"):
        recipe((phase,), units={})
    with pytest.raises(UsageError, match="model must be a ModelConfig"):
        recipe((phase,), model=None)


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


def test_sources_are_counted_once():
    made = recipe_of()
    other = Lights(3)
    phases = tuple(Phase(name, 1, (HeadLoss("out"),), other) for name in ("b", "c"))
    made = Recipe("r", made.model, made.units, made.train, None, phases)
    assert [id(source) for source in made.sources] == [id(made.train), id(other)]


@pytest.fixture
def elsewhere(monkeypatch) -> Iterator[None]:
    """The modules of the folder pipelines are neither loaded nor found, as for who only has the package installed."""

    def loaded() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] == "pipelines"]

    known = {name: sys.modules.pop(name) for name in loaded()}
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "pipelines").is_dir()])
    yield
    for name in loaded():
        del sys.modules[name]
    sys.modules.update(known)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(PIPELINES)))
def test_the_recipes_of_a_checkout_find_their_neighbours(elsewhere, tmp_path, path):
    with pytest.raises(UsageError, match="has no function 'nothing'"):  # which is looked for in what has been run
        load_recipe(f"{path}:nothing", tmp_path, False)


def test_neighbours_in_a_package_go_by_its_name_and_by_that_of_its_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [*sys.path])
    package = tmp_path / "kitchen" / "soups"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "stock.py").write_text("STEPS = 7\n")
    path = write_recipe(package, "    return recipe_of(steps=stock.STEPS + STEPS)\n")
    body = "from soups import stock\nfrom kitchen.soups.stock import STEPS\n"
    Path(path).write_text(body + Path(path).read_text())
    assert load_recipe(path, tmp_path, False).phases[0].steps == 14
