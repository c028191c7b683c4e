"""What the files of a checkpoint are called."""

CONFIG, WEIGHTS, UNITS, WORDS = "config.json", "model.safetensors", "units", "words"
