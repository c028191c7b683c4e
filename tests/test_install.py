"""What an installation needs: what is imported is declared, what is declared is used, and inference needs no more."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from transducer.errors import TransducerError
from transducer.model import torchaudio

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Distributions whose modules have another name.
MODULES = {"opencv-python": "cv2", "scikit-learn": "sklearn"}
# Run, or found by others, and not imported.
TOOLS = {"pytest", "pytest-xdist", "ruff", "mypy", "python-multipart"}
EXTRAS = ("train", "live", "server", "images", "hub", "onnx", "scale")  # the others are for its developers
SAMPLE, VIDEO = ROOT / "sample_media" / "the-way.mp3", ROOT / "sample_media" / "shots.mp4"


def modules_of(requirements: list[str]) -> set[str]:
    names = [re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower() for requirement in requirements]
    return {MODULES.get(name, name).replace("-", "_") for name in names if name != PROJECT["name"]}


def imports(*folders: str) -> dict[str, str]:
    """Top-level names of the modules that the sources import -> one file that does."""
    found = {}
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0]: str(path) for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    found[node.module.partition(".")[0]] = str(path)
                elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
                    found[ast.literal_eval(node.args[0]).partition(".")[0]] = str(path)
    own = {
        "transducer",
        "pipelines",
        "sample_media",
        *(path.stem for path in (ROOT / "bench").glob("*.py")),
        *(path.stem for path in (ROOT / "tests" / "helpers").glob("*.py")),
    }
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | own}


def test_what_is_imported_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    package = modules_of(PROJECT["dependencies"] + [name for extra in EXTRAS for name in extras[extra]]) | {"torch"}
    strange = {name: path for name, path in imports("transducer", "pipelines").items() if name not in package}
    # torchaudio is imported by its name as text.
    assert not strange
    rest = package | modules_of(extras["test"] + extras["bench"])
    assert not {name: path for name, path in imports("tests", "bench", "sample_media").items() if name not in rest}


def test_what_is_declared_is_used() -> None:
    used = set(imports("transducer", "pipelines", "tests", "bench")) | {"torchaudio", "tensorboard"}
    declared = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    assert (
        not {name for part in declared for name in modules_of(part)} - used - {tool.replace("-", "_") for tool in TOOLS}
    )


def test_the_lock_has_what_is_declared_and_fits_the_ranges() -> None:
    from packaging.requirements import Requirement

    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    locked = dict(line.lower().replace("_", "-").split("==") for line in lines)
    extras = PROJECT["optional-dependencies"]
    for text in PROJECT["dependencies"] + [name for extra in (*EXTRAS, "test") for name in extras[extra]]:
        requirement = Requirement(text)
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(locked[requirement.name.lower()]), text


TRAINING_ONLY = ("torchaudio", "librosa", "tensorboard", "matplotlib", "scipy", "sklearn", "numba", "sounddevice")
BLOCKED = """
import sys

for name in {names!r}:
    sys.modules[name] = None
from transducer.cli import main

sys.exit(main({arguments!r}))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["transcribe", str(SAMPLE), "--punctuate", "--digits"],
        ["transcribe", str(SAMPLE), "--search", "greedy", "--format", "srt"],
        ["label", str(VIDEO)],
        ["annotate", str(VIDEO)],
        ["info", "speech-en"],
    ],
)
def test_inference_imports_nothing_of_training(arguments: list[str], tmp_path: Path) -> None:
    program = BLOCKED.format(names=TRAINING_ONLY, arguments=arguments)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("error", [ImportError("undefined symbol: x"), OSError("libc10_cuda.so: cannot open")])
def test_a_pair_that_does_not_load_is_named(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(torchaudio, "import_module", fail)
    with pytest.raises(TransducerError, match=r"torchaudio [\d.]+ with torch .* does not load .*pairs that do"):
        torchaudio.torchaudio_functional()


def test_a_missing_torchaudio_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torchaudio'", name="torchaudio")

    monkeypatch.setattr(torchaudio, "import_module", fail)
    with pytest.raises(TransducerError, match=r"pip install '\.\[train\]'"):
        torchaudio.torchaudio_functional()
