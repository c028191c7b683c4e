"""What a network is trained on."""

from __future__ import annotations

import os

import torch

from transducer.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str = "cpu") -> torch.device:
    """The device of this process: "cpu", "cuda" (of several, this rank's), or "auto", a GPU where there is one.

    Raises:
        UsageError: an unknown name, or no GPU that torch can use.
    """
    if name not in DEVICES:
        raise UsageError(f"unknown device {name!r}: there are {', '.join(DEVICES)}")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError("torch finds no GPU that it can use: leave out --device cuda")
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if number >= torch.cuda.device_count():
        raise UsageError(
            f"process {number} of this machine has no GPU of its own: there are {torch.cuda.device_count()}"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)
