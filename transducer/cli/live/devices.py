"""The microphones that there are."""

from __future__ import annotations

from transducer.cli.console import write_stdout
from transducer.cli.sources import DONE
from transducer.media.live.microphone import microphones


def print_devices() -> int:
    """A line for each: its number, name, channels and rate; a star marks the default.

    Raises:
        MediaError: there is none, or what is needed to ask is missing.
    """
    for device in microphones():
        star = "*" if device.default else " "
        write_stdout(f"{star} {device.number:>2}  {device.name}  ({device.channels} channels, {device.rate:g} Hz)\n")
    return DONE
