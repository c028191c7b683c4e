"""Published models by their names: from the cache of the Hugging Face hub, or fetched into it."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from transducer.errors import CheckpointError, UsageError
from transducer.published.catalogue import known

# What is read of a repository; it often has the same weights for other libraries as well.
FILES = [
    *("config.json", "generation_config.json", "preprocessor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "added_tokens.json"),
    *("vocabulary.json", "vocabulary.txt", "model.bin"),
    *("model.safetensors", "model.safetensors.index.json", "model-?????-of-?????.safetensors"),
]
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PATIENCE = 10.0  # seconds to reach the hub in
_INSTALL = "pip install '.[hub]' in the project's folder"


def is_name(name: str) -> bool:
    """Whether a name may be that of a published model: a short one that is known, or OWNER/NAME."""
    return known(name) is not None or _REPOSITORY.fullmatch(name) is not None


def cached(name: str) -> Path | None:
    """Where a published model lies in the cache; None where it does not, or not all of it."""
    hub = _library()
    if hub is None:
        return None
    try:
        folder = Path(hub.snapshot_download(**_request(name), local_files_only=True))
    except (hub.errors.LocalEntryNotFoundError, OSError, ValueError):
        return None
    weights = ("model.safetensors", "model.safetensors.index.json", "model.bin")
    return folder if any((folder / file).is_file() for file in weights) else None


def fetch(name: str) -> Path:
    """The folder of a published model, which is fetched if it is not in the cache; progress goes to standard error.

    Raises:
        UsageError: there is no such model, or huggingface_hub is not installed.
        CheckpointError: it is not in the cache, and cannot be fetched.
    """
    hub = _library()
    if hub is None:
        raise UsageError(f"the model {name!r} is one of the Hugging Face hub, which needs an extra: {_INSTALL}")
    if (folder := cached(name)) is not None:
        return folder
    errors = hub.errors
    try:
        if not _is_offline():
            _reach(hub.constants.ENDPOINT)
        return Path(hub.snapshot_download(**_request(name)))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        # Also for those that want a token; the hub does not tell which.
        raise UsageError(
            f"unknown model {name!r}: it is neither a folder, nor a bundled model, nor one that the Hugging Face hub "
            "shows without a token"
        ) from None
    except errors.HFValidationError:
        raise UsageError(f"unknown model {name!r}: the Hugging Face hub has no such names") from None
    except Exception as error:  # whatever its transport raises
        reason = (
            "HF_HUB_OFFLINE is set" if _is_offline() else (str(error).splitlines() or [type(error).__name__])[0][:120]
        )
        raise CheckpointError(
            f"{name} is no folder, and the model of this name is not in the cache of the Hugging Face hub and cannot "
            f"be fetched ({reason}): try again with a network, or give the folder of a copy"
        ) from None


def _reach(address: str) -> None:
    """Raises OSError where there is no way to an address: the hub's library would try again for half a minute, and say
    so each time. Any answer will do."""
    try:
        urlopen(address, timeout=_PATIENCE).close()
    except HTTPError:
        return
    except URLError as error:
        # Certificates are the library's affair; it may know others.
        if not isinstance(error.reason, ssl.SSLError):
            raise OSError(f"{address}: {error.reason}") from None


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")


def _request(name: str) -> dict[str, Any]:
    model = known(name)
    repository, revision = (model.repository, model.revision) if model else (name, None)
    return {"repo_id": repository, "revision": revision, "allow_patterns": FILES}


def _library() -> Any:
    try:
        import huggingface_hub.errors
    except ImportError:
        return None
    return huggingface_hub
