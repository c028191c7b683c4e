"""Image networks as encoders of frames: a file for each network, with the names of published weights beside it."""

from transducer.encoders.images import encoder as encoder  # registers it
