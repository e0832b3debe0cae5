"""What this interpreter, with the libraries it has, makes of bundles and images; one JSON object on stdout.

    python -m tests.bundle.verdicts IMAGES BUNDLE [BUNDLE ...]

IMAGES is a folder; the files under it are taken in order of their paths. Run by test_tflite_runtime.py in several
environments, whose answers are then compared.
"""

import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np

from bundle.ensemble import RUNTIME
from bundle.errors import BadImage, PlanktowError
from bundle.folder import open_bundle
from bundle.preprocess import Inputs
from bundle.vote import ballots

BATCH = 16


def main(images: Path, bundles: list[Path]) -> None:
    files = sorted(path for path in images.rglob("*") if path.is_file())
    files = files[:: max(1, len(files) // 1000)]  # of a large folder a thousand or so, from all over it
    answer = {
        "runtime": RUNTIME,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "images": len(files),
        "bundles": {},
    }
    for path in bundles:
        bundle = open_bundle(path)
        ensemble = bundle.load()
        prepared, pixels, features = [], hashlib.sha256(), hashlib.sha256()
        for file in files:
            try:
                image = bundle.prepare(file.read_bytes())
            except BadImage:
                continue
            prepared.append(image)
            for side in sorted(image.pixels):
                pixels.update(image.pixels[side].tobytes())
            features.update(image.features.tobytes())
        batches = [prepared[start : start + BATCH] for start in range(0, len(prepared), BATCH)]
        scores = [ensemble.scores(Inputs.of(batch)) for batch in batches]
        answer["bundles"][path.name] = {
            "prepared": len(prepared),
            "pixels": pixels.hexdigest(),
            "features": features.hexdigest(),
            "verdicts": [int(label) for batch in batches for label in bundle.classify(ensemble, batch).label],
            "ballots": np.concatenate([ballots(batch) for batch in scores], axis=1).tolist(),
            "scores": np.concatenate(scores, axis=1).astype(float).round(5).tolist(),
        }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
    except PlanktowError as error:
        sys.exit(str(error))
