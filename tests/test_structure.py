"""The layers of the source: what is below knows nothing of what is above."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "bench"))

import structure  # noqa: E402


def test_no_import_runs_upward() -> None:
    assert structure.upward(ROOT) == []


def test_every_module_is_in_a_layer() -> None:
    assert structure.homeless(ROOT) == ["transducer.__init__"]  # it names all, and imports nothing


def test_an_import_upward_is_seen(tmp_path: Path) -> None:
    for name, text in {"heads/ctc.py": "", "text/words.py": "def f():\n    from transducer.heads import ctc\n"}.items():
        path = tmp_path / "transducer" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (line,) = structure.upward(tmp_path)
    assert line == "transducer/text/words.py:2: transducer.text.words imports transducer.heads.ctc"
