"""Which files may go when the disk must not fill, and their going."""
