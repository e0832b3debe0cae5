"""The systemd units of a camera: made, installed, removed."""
