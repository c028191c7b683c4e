"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The networks of the tests are tiny, and threads that wait for each other take ten times as long as one. Programs that
# tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A name that is misspelt must not be looked for in the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# First calls load libraries, and machines are busy: time is measured in bench/, not here.
settings.register_profile("transducer", deadline=None)
settings.load_profile("transducer")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with recordings for training and tuning, which is not part of the project."""
    sibling = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TRANSDUCER_DATA") or sibling)
    if not folder.is_dir():
        pytest.skip("needs the shared data: set TRANSDUCER_DATA to its folder")
    return folder
