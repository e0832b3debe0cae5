"""`planktow-edge check`: whether this host is fit to count, and what to do where it is not."""
