"""Where the ship was."""
