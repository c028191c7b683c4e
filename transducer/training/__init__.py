"""Training: recipes, losses, optimizers, the loop, and the report at the end."""
