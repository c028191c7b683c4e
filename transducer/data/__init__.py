"""From tables of recordings to training batches: items, a cache of features, batch plans, a loader."""
