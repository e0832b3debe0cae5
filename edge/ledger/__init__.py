"""The SQLite file in which every image and verdict stands: written, read, copied, checked, repaired."""
