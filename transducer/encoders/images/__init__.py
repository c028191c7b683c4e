"""Image networks as encoders of frames and spectrograms: a file for each, with its published weights' names."""

from transducer.encoders.images import encoder as encoder  # registers it
from transducer.encoders.images import spectrogram as spectrogram
