"""What the images cannot tell: the water they came from, where and how deep it was, and which are one tow."""
