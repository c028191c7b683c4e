"""What a model with an attention decoder looks at while it writes.

Legend of axis suffixes: L layers, H heads, U tokens, T steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from transducer.engine.clock import SteadyClock
from transducer.engine.torch_backend import TorchBackend
from transducer.errors import UsageError
from transducer.heads.attention import AttentionHead
from transducer.media.text import Text
from transducer.model.sequence import Serial
from transducer.search.tokens.attention.decoding import Decoding

if TYPE_CHECKING:
    from transducer.engine.model import Model


class Attended(NamedTuple):
    """Attention over a whole source.

    Attributes:
        weights: (L, H, U, T) float32; the sum over T is 1.
        tokens: U spellings, the end last.
        steps: T names of what is attended to: tokens of a text, else seconds.
    """

    weights: NDArray[np.float32]
    tokens: tuple[str, ...]
    steps: tuple[str, ...]


def attended(model: Model, source: Any, text: str | None = None, head: str | None = None, **reading: Any) -> Attended:
    """What the decoder attends to at each token, the source taken as one segment.

    Args:
        text: that it is to write; what it does write if None.
        head: its name; the first attention decoder of the model if None.
        reading: options of the medium.

    Raises:
        UsageError: the model has no such decoder, the source is longer than a segment, or it has no steps.
    """
    found = {name: part for name, part in model.network.heads.items() if isinstance(part, AttentionHead)}
    if not found or (head is not None and head not in found):
        raise UsageError(f"the model {model.name} has no attention decoder {head or ''}".rstrip())
    part = found[head or next(iter(found))]
    tokenizer = model.units[part.config.units]
    backend = model.engine(head=head or next(iter(found))).network
    assert isinstance(backend, TorchBackend)
    network = backend.network
    with model.medium.open(source, **reading) as reader:
        blocks = [block.inputs for block in reader]
    inputs = np.concatenate(blocks) if blocks else np.zeros((0, model.medium.channels), model.medium.dtype)
    longest = part.config.max_memory * network.stride
    if not 1 <= len(inputs) <= longest:
        raise UsageError(f"a map of attention is of a source of 1 to {longest} steps, and this one has {len(inputs)}")
    outputs, mask = _forward(network, inputs, model.device)
    if text is None:
        memory = outputs[0, :, : part.channels].float().numpy(force=True)
        tokens = list(Decoding(part.decoder, part.limit)([memory])[0][0].tokens)
    else:
        tokens = tokenizer.encode(text)
    weights = part.attention_maps(outputs, mask, [tokens])[0].float().numpy(force=True)
    names = (*(tokenizer.tokens[token] for token in tokens), "<end>")
    return Attended(weights, names, _steps(model, inputs, network, weights.shape[-1]))


@torch.inference_mode()
def _forward(network: Serial, inputs: NDArray[Any], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.from_numpy(inputs)[None].to(device)
    outputs, mask = network(x, torch.ones(x.shape[:2], dtype=torch.bool, device=device))
    return outputs, mask


def _steps(model: Model, inputs: NDArray[Any], network: Serial, count: int) -> tuple[str, ...]:
    if isinstance(model.medium, Text) and network.stride == 1:
        return tuple(model.medium.tokenizer.tokens[int(token)] for token in inputs[:, 0])
    clock = SteadyClock(model.medium.rate / network.stride)
    return tuple(f"{clock.seconds(step):.2f}" for step in range(count))
