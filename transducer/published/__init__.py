"""Models that others have published, in their own files: readers of formats, and an adapter for each family."""
