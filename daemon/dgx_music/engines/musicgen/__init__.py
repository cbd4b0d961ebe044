"""MusicGen (Copet et al. 2023): the neural engine."""
