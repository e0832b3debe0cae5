"""Makes tests/data/tiny-3, a real bundle of three tiny TFLite members whose verdicts a test can foresee.

    python tests/data/make_tiny_bundle.py

The members' weights are set by hand, not trained. Long thin images are `chain`; of the others, those with a long side
under about 40 pixels are `sphere`, larger ones `jelly`. The three members place the borders a little apart: at an aspect
of 0.30, 0.40, 0.50 and a long side of 30, 40, 50 pixels. So an image far from the borders gets three votes, one between
them two. They see an image at two sides, but only its features decide. The bundle is committed: the camera host's tests
then need no TensorFlow.
"""

import shutil
from pathlib import Path

import keras
import numpy as np

from bundle.ensemble import MemberModel
from bundle.folder import write_bundle
from bundle.graph import multiply_adds, operators
from bundle.labels import format_labels
from bundle.manifest import SCHEMA_VERSION, Checks, HashedFile, Labels, Manifest, Member, VoteRule
from bundle.preprocess import FEATURES, InputSpec
from bundle.whole import json_bytes, sha256_hex

HERE = Path(__file__).parent
LABELS = ("chain", "sphere", "jelly")
SIDES = (16, 16, 24)  # pixels


def tiny_model(side: int, thin_aspect: float, large_pixels: float) -> keras.Model:
    pixels = keras.Input((side, side, 1), dtype="uint8", name="pixels")
    features = keras.Input((len(FEATURES),), dtype="float32", name="features")
    ink = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    joined = keras.layers.Concatenate()([ink, features])
    scores = keras.layers.Dense(len(LABELS), activation="softmax", name="scores")(joined)
    model = keras.Model([pixels, features], scores)
    aspect, long_side = 1 + FEATURES.index("aspect"), 1 + FEATURES.index("log_long_side")
    weights = np.zeros((1 + len(FEATURES), len(LABELS)), np.float32)
    weights[aspect, 0] = -400.0
    weights[long_side, 1], weights[long_side, 2] = -20.0, 20.0
    middle = np.log(large_pixels)
    model.get_layer("scores").set_weights(
        [weights, np.array([400.0 * thin_aspect, 20.0 * middle, -20.0 * middle], np.float32)]
    )
    return model


def main() -> None:
    contents = {"labels.txt": format_labels(LABELS), "training.json": json_bytes({"note": "weights set by hand"})}
    contents["validation.json"] = json_bytes({"note": "not validated: weights set by hand"})
    members = []
    borders = [(0.30, 30.0), (0.40, 40.0), (0.50, 50.0)]
    for number, (side, (aspect, large)) in enumerate(zip(SIDES, borders, strict=True), start=1):
        scratch = HERE / "partial.tflite"
        tiny_model(side, aspect, large).export(scratch, format="litert", verbose=False)
        data = scratch.read_bytes()
        scratch.unlink()
        file = f"members/{number:02d}-tiny.tflite"
        contents[file] = data
        model = MemberModel(data, file)
        members.append(
            Member(
                file,
                sha256_hex(data),
                "tiny",
                "float32",
                side,
                model.pixels_quantisation,
                model.output_quantisation,
                multiply_adds(operators(data)),
                Checks(0, 0.0, 0.0, 0.0),
            )
        )
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name="tiny-3",
        created="2026-11-23T00:00:00Z",
        input=InputSpec(),
        features=FEATURES,
        labels=Labels("labels.txt", sha256_hex(contents["labels.txt"]), len(LABELS)),
        members=tuple(members),
        order=(0, 1, 2),
        vote=VoteRule("hard", "mean_score", min_votes=2),
        records=tuple(HashedFile(name, sha256_hex(contents[name])) for name in ("training.json", "validation.json")),
    )
    out = HERE / "tiny-3"
    if out.exists():
        shutil.rmtree(out)
    print(write_bundle(out, manifest, contents).digest)


if __name__ == "__main__":
    main()
