"""Label-synchronous search: a decoder writes token by token, and attends to the whole of a segment."""
