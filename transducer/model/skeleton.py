"""A network without its weights, for those that are about to come from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from transducer.errors import CheckpointError
from transducer.model.config import ModelConfig
from transducer.model.network import Network

_FEW = 1_000_000  # of numbers: what can be made in no time, so that an error may name what there is not
_NEW = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
_RANDOM = {Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_, Tensor.exponential_}


class _Skeleton(TorchFunctionMode):
    """Leaves weights as they are, and counts them.

    The initialisers are left out because those of the meta device import torch's compiler, which takes seconds.
    """

    def __init__(self, most: int):
        super().__init__()
        self.left = most

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        made = func(*args, **kwargs)
        if func in _NEW:
            self.left -= made.numel()
            if self.left < 0:
                raise CheckpointError("it has more weights than there are")
        return made


def skeleton(config: ModelConfig, most: int) -> Network:
    """The network of a config on the meta device: no memory, no random numbers.

    Args:
        most: numbers that there are for its weights; what needs far more is not built to its end.

    Raises:
        CheckpointError: it needs more, or a part cannot be built.
    """
    try:
        with torch.device("meta"), _Skeleton(max(2 * most, _FEW)):
            return Network(config)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a part makes of sizes that nobody meant
        reason = (str(error).splitlines() or [""])[0][:200]
        raise CheckpointError(reason or type(error).__name__) from error
