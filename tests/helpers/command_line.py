"""What tests of the command line share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import transducer

# The working folder of the tests is another, so that the package has to be found from where it is.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(transducer.__file__).parents[1])}


def use_models(monkeypatch: pytest.MonkeyPatch, check: Callable[[str], Any], models: Mapping[str, Any]) -> None:
    """What the command line loads is one of these; `check` raises UsageError for other names."""

    def load(name: str) -> Any:
        check(name)
        return models[name]

    # Not setattr, which would look for the real one and import torch for it.
    monkeypatch.setitem(vars(transducer), "load", load)


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What standard error has, which has to be one line."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("transducer: error: ")
    return lines[0].removeprefix("transducer: error: ")
