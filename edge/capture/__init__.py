"""When an image was taken."""
