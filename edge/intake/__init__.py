"""From what lies in the watched folder to files that are ready to be read."""
