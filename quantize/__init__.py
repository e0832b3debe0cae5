"""From Keras members to a bundle: convert, check against the original, pack."""
