"""Text and tokens: normalisation, tokenizers and their files."""
