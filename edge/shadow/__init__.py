"""A second bundle that sees the same images and counts none."""
