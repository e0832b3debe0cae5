"""Rules that set images aside, and take them back."""
