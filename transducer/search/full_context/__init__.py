"""Streams of models that see all of a segment at once: pauses, growing segments, words that are confirmed."""
