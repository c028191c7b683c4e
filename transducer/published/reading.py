"""From the files of a published model to a network that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from transducer.errors import CheckpointError
from transducer.model.names import CONFIG
from transducer.model.network import Network
from transducer.model.skeleton import skeleton
from transducer.published import moonshine, moonshine_streaming, wav2vec2, whisper
from transducer.published.ctranslate2 import read_model
from transducer.published.detection import BINARY
from transducer.published.files import named, read_pickle, read_tensors, some, widened
from transducer.published.model import Adapted, Adapter, Published
from transducer.text.json_file import read_json
from transducer.text.tokenizers.tokenizer import Tokenizer

# By the type that a Hugging Face config names.
FAMILIES: dict[str, Adapter] = {
    "hubert": wav2vec2.adapt,
    "moonshine": moonshine.adapt,
    "moonshine_streaming": moonshine_streaming.adapt,
    "wav2vec2": wav2vec2.adapt,
    "whisper": whisper.adapt,
}
_SPECS = {"WhisperSpec": "whisper"}  # CTranslate2's names


def read_published(path: Path) -> tuple[Network, dict[str, Tokenizer]]:
    """A published model: its network in float32, ready to run, and its tokenizers by name.

    Args:
        path: a Hugging Face folder, a CTranslate2 folder, or a file of openai/whisper's (.pt).

    Raises:
        CheckpointError: a file is missing or damaged, of an unknown family, or has weights too few or too many.
    """
    family, published = _open(path)
    if family not in FAMILIES:
        raise CheckpointError(
            f"{path} is a model of the family {family[:40]!r}, which cannot be run: "
            f"there are {', '.join(sorted(FAMILIES))}"
        )
    adapted = FAMILIES[family](published)
    network = _assembled(adapted, path)
    return network, dict(adapted.units)


def _open(path: Path) -> tuple[str, Published]:
    if path.is_file():
        return _open_openai(path)
    if (path / BINARY).is_file():
        config = read_json(path / CONFIG) if (path / CONFIG).is_file() else {}
        kind, tensors = read_model(path / BINARY)
        generation = {
            "suppress_tokens": config.get("suppress_ids"),
            "begin_suppress_tokens": config.get("suppress_ids_begin"),
            "alignment_heads": config.get("alignment_heads"),
        }
        generation = {name: value for name, value in generation.items() if value is not None}
        return _SPECS.get(kind, kind), Published(path, "ctranslate2", config, tensors, path, generation)
    config = read_json(path / CONFIG)
    generation = {name: config[name] for name in ("suppress_tokens", "begin_suppress_tokens") if config.get(name)}
    if (path / "generation_config.json").is_file():
        generation |= read_json(path / "generation_config.json")
    family = str(config.get("model_type"))
    if family not in FAMILIES:  # before its weights are read
        return family, Published(path, "hugging_face", config, {}, path)
    tensors = widened(read_tensors(path), path)
    return family, Published(path, "hugging_face", config, tensors, path, generation)


def _open_openai(path: Path) -> tuple[str, Published]:
    found = read_pickle(path)
    if not isinstance(found, Mapping) or not {"dims", "model_state_dict"} <= found.keys():
        raise CheckpointError(f"{path} is no file of openai/whisper's: it has no dims and model_state_dict")
    dims: Any = found["dims"]
    tensors = widened(named(found["model_state_dict"], path), path)
    return "whisper", Published(path, "openai", dict(dims) if isinstance(dims, Mapping) else {}, tensors, path.parent)


def _assembled(adapted: Adapted, path: Path) -> Network:
    weights = {**adapted.weights}
    # The front-end has no weights, only filters.
    front = adapted.config.frontend.build().state_dict()
    weights |= {f"frontend.{name}": value for name, value in front.items()}
    try:
        network = skeleton(adapted.config, sum(weight.numel() for weight in weights.values()))
    except CheckpointError as error:
        raise CheckpointError(f"{path} describes a model that cannot be built: {error}") from None
    _check(network.state_dict(), weights, adapted, path)
    network.load_state_dict(weights, assign=True)
    network.eval().requires_grad_(False)
    return network


def _check(wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor], adapted: Adapted, path: Path) -> None:
    shared = wanted.keys() & weights.keys()
    problems = {
        "lacks": wanted.keys() - weights.keys(),
        "has more weights than its config says:": weights.keys() - wanted.keys(),
        "has other shapes than its config says for": {n for n in shared if wanted[n].shape != weights[n].shape},
    }
    found = [f"{what} {some([adapted.names(name) for name in names])}" for what, names in problems.items() if names]
    if found:
        raise CheckpointError(f"{path} {' and '.join(found)}: get it again")
