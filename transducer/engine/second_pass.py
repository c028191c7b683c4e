"""A model, and behind it a full-context model that writes each final segment anew; both hear the same samples.

Legend of axis suffixes: B batch, T steps, C channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from transducer.engine.torch_backend import TorchBackend
from transducer.engine.torch_networks import TorchNetworks
from transducer.errors import UsageError
from transducer.model.sequence import Serial, State, Streaming
from transducer.search.context import SearchContext
from transducer.search.full_context.search import FullContextSearch
from transducer.search.options import NO_SECOND_PASS, OF_FULL_CONTEXT, Options
from transducer.search.result_search import ResultSearch
from transducer.search.second_pass import SecondPassSearch

if TYPE_CHECKING:
    from transducer.engine.model import Model


SHARE = 0.6  # of the weight of a hotword: a decoder that has read them needs less, or writes them where they are not


class WithFeatures(Streaming):
    """Outputs (B, T, C) of one chain of stages, with the newest features of another one behind each, n * F.

    Features lag by as much as they look ahead, so that they cost no latency: those of a row end `lag` steps of their
    own before it does. Features before the first one, and those of rows that do not exist, are `silence`.

    Args:
        main: decides which rows there are, and looks no further ahead than its block.
        features: of whose steps n lie in one of the main chain.
        silence: the value of a feature where there is none.
    """

    def __init__(self, main: Serial, features: Streaming, silence: float):
        super().__init__()
        self.main, self.features, self.silence = main, features, silence
        self.steps = main.stride // features.stride
        if main.stride % features.stride or main.latency:
            raise UsageError(
                "a second pass needs a first model without look-ahead whose steps are a multiple of its own"
            )
        self.stride, self.lag = main.stride, features.latency

    @property
    def block(self) -> int:
        return self.main.block

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, y_mask = self.main(x, mask)
        z, z_mask = self.features(x, mask)
        z = torch.where(z_mask[..., None], z, self.silence)
        wanted = y.shape[1] * self.steps
        z = nn.functional.pad(z, (0, 0, self.lag, max(0, wanted - self.lag - z.shape[1])), value=self.silence)
        return torch.cat([y, z[:, :wanted].unflatten(1, (-1, self.steps)).flatten(2)], dim=-1), y_mask

    def init_state(self, batch: int, like: Tensor) -> State:
        return (self.main.init_state(batch, like), self.features.init_state(batch, like))

    def step(self, x: Tensor, mask: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        y, y_mask, main = self.main.step(x, mask, state[0])
        z, z_mask, features = self.features.step(x, mask, state[1])
        z = torch.where(z_mask[..., None], z, self.silence)
        return torch.cat([y, z.unflatten(1, (-1, self.steps)).flatten(2)], dim=-1), y_mask, (main, features)


def with_second_pass(
    network: Any, search: ResultSearch[Any, Any], context: SearchContext, options: Options, model: Model
) -> tuple[TorchBackend, SecondPassSearch]:
    """The network and the search of a first model, with a second model behind them.

    Args:
        context: of the first search.
        options: what was asked for.
        model: the second one.

    Raises:
        UsageError: the two cannot go together.
    """
    name = f"the model {model.name}"
    if not isinstance(network, TorchBackend) or not isinstance(model.networks, TorchNetworks):
        raise UsageError("a second pass is for checkpoints: exported models have none")
    if network.whole or search.kind != "words" or isinstance(search, FullContextSearch):
        raise UsageError(f"a second pass follows a model that writes words while it hears, and not {context.model}")
    if model.rate is None or model.rate != round(network.stride / context.seconds_per_step):
        raise UsageError(
            f"{name} does not hear what {context.model} hears: a second pass needs samples at the same rate"
        )
    head: Any = next(iter(model.network.heads.values()))
    shared = ("hotwords", "nbest") if getattr(head, "decoder", None) is not None else ()
    passed = {option: value for option in (*OF_FULL_CONTEXT, *shared) if (value := getattr(options, option))}
    if passed.keys() & shared:
        passed["search"] = "beam"  # without which a decoder has no alternatives
    passed["hotwords"] = [hotword._replace(weight=SHARE * hotword.weight) for hotword in passed.get("hotwords", ())]
    second = model.engine(partials=False, second_pass=NO_SECOND_PASS, **passed).search
    if not isinstance(second, FullContextSearch):
        raise UsageError(f"{name} is no full-context model, such as Whisper, and a second pass needs one")
    frontend: Any = model.network.frontend
    stage = WithFeatures(network.network, frontend, head.config.silence)
    features = stage.steps * frontend.features
    combined = SecondPassSearch(search, second, features, context.seconds_per_step, stage.steps, stage.lag)
    return TorchBackend(Serial(stage), network.device), combined
