"""Weights of another checkpoint to start from."""

from __future__ import annotations

from pathlib import Path

from transducer.model.checkpoint import load_checkpoint
from transducer.model.network import Network
from transducer.training.progress import say


def take_weights(network: Network, folder: Path) -> None:
    """Copy what fits by name and shape; says what is left as it was.

    Raises:
        CheckpointError: the folder cannot be used.
    """
    known, own = load_checkpoint(folder)[0].state_dict(), network.state_dict()
    fitting = {name: value for name, value in known.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict(fitting, strict=False)
    if anew := sorted(own.keys() - fitting.keys()):
        say(f"Not in {folder}, trained anew: {', '.join(anew[:8])}{' ...' if len(anew) > 8 else ''}")
