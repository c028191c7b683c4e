"""Many files: lists of them, what became of each, and the processes that work on them."""
