"""Planktow at work in half a minute: a camera is played, the real daemon counts, the result is checked."""
