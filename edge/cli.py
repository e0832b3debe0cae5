"""planktow-edge: the commands of the camera host."""

from __future__ import annotations

from bundle.command import command_group

app = command_group("Counts plankton on the camera host: watch a folder, classify, count, report.")
