"""What a finished run is worth, and which of its members to ship."""
