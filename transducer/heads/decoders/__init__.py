"""Decoders that write token by token and attend to what an encoder has made."""
