"""Frames and sound in blocks of steps; they live in `transducer.media`."""

from transducer.media.audiovisual import audiovisual_blocks
from transducer.media.medium import Block as FrameBlock
from transducer.media.video.arrays import ArrayFrames, check_picture, pixels, resize
from transducer.media.video.medium import USUAL_FPS, frame_blocks

__all__ = [
    "USUAL_FPS",
    "ArrayFrames",
    "FrameBlock",
    "audiovisual_blocks",
    "check_picture",
    "frame_blocks",
    "pixels",
    "resize",
]
