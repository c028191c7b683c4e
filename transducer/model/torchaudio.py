"""torchaudio, loaded where training needs it: inference never imports it, so its wheel cannot break that."""

from __future__ import annotations

from importlib import import_module, metadata
from types import ModuleType

from transducer.errors import TransducerError

# Pairs that load, by trial. A wheel of torchaudio fits the torch that it was built with, and pip knows nothing of that.
PAIRS = "torchaudio 2.11.0 with torch 2.11 or 2.12, torchaudio 2.11.1 with torch 2.14"


def torchaudio_functional() -> ModuleType:
    """The module torchaudio.functional.

    Raises:
        TransducerError: it is not installed, or does not load with the torch that is; names both and pairs that load.
    """
    try:
        return import_module("torchaudio.functional")
    except ModuleNotFoundError as error:
        if error.name != "torchaudio":
            raise
        raise TransducerError("this needs torchaudio: from the project's folder, pip install '.[train]'") from None
    except (ImportError, OSError) as error:  # OSError: a library that it was linked to is missing, or lacks a symbol
        versions = " with ".join(f"{name} {metadata.version(name)}" for name in ("torchaudio", "torch"))
        reason = str(error).splitlines()[0]
        raise TransducerError(f"{versions} does not load ({reason}); pairs that do: {PAIRS}") from None
