"""What the files of a model's folder are called."""

CONFIG, WEIGHTS, UNITS, WORDS = "config.json", "model.safetensors", "units", "words"
EXPORTED = "export.json"  # of a model that was exported
