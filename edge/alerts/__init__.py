"""Alerts: rules on what the camera host sees of itself, told to a command and to an MQTT broker, and not too often."""
