"""What tests of the command line share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import transducer

# The working folder of the tests is another, so that the package has to be found from where it is.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(transducer.__file__).parents[1])}


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What standard error has, which has to be one line."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("transducer: error: ")
    return lines[0].removeprefix("transducer: error: ")
