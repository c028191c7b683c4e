"""OpenCV, loaded where it is used: its wheel needs libraries of the system that bare machines lack."""

from __future__ import annotations

from types import ModuleType

from transducer.errors import TransducerError


def load_opencv() -> ModuleType:
    """The module cv2.

    Raises:
        TransducerError: a library that it needs is not there; says how to get it.
    """
    try:
        import cv2
    except ImportError as error:
        raise TransducerError(
            f"OpenCV cannot be loaded ({error}); install what it needs, on Debian and Ubuntu by: "
            "apt-get install libgl1 libglib2.0-0"
        ) from None
    return cv2
