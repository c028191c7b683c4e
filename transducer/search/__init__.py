"""Search: from the outputs of a model to hypotheses, words and segments; one stream at a time, state explicit."""
