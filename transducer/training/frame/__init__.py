"""From pairs of any kind to a recipe: what is inferred of the data, and what can be chosen instead."""
