"""From tables of recordings to training batches: manifests, a cache of features, batch plans, a loader."""
