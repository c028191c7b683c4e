"""Readable text: capitals and punctuation for the bare words of a recogniser, while they come."""

from transducer.text.readable.restore import Readable

__all__ = ["Readable"]
