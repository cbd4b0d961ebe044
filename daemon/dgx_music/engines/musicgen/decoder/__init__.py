"""Decoders: the language model on a device, several takes at once."""
