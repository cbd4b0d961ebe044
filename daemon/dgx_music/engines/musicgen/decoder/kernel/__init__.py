"""The optional decoder of our own: int8 on a processor, the whole step in one call into C that is compiled here."""
