"""`python -m edge`: the same commands as `planktow-edge`, for a program that starts another with its own interpreter."""

from edge.cli import app

app(prog_name="planktow-edge")
