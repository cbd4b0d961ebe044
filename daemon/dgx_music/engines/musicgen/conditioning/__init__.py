"""What a take is conditioned on besides the tokens before it: text, a melody, a style, audio to go on from."""
