"""A new bundle in the place of the one at work, without a stop."""
