"""A program: trains a small network without batch norms on one or two devices, and writes what they learnt.

That is the losses, and each device's copy of the weights and of the optimizer's state.

mirrored.py one|all OUT.npz
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from bundle.preprocess import FEATURES, InputSpec
from trainer.config import Augmentation, MemberRun, Network
from trainer.data.dataset import Dataset, Findings
from trainer.devices import find_devices
from trainer.feed import TrainingFeed
from trainer.optimizer import optimizer_for

IMAGES, SIDE = 64, 16
MEMBER = MemberRun(
    "a",
    epochs=3,
    seed=5,
    network=Network("residual_cnn"),
    batch=16,
    learning_rate=0.1,
    weight_decay=0.5,
    backbone_rate=0.3,
    head_epochs=0.5,
    average=0.8,
    augmentation=Augmentation(),
)


def dataset() -> Dataset:
    random = np.random.default_rng(0)
    classes = (np.arange(IMAGES) % 3).astype(np.int32)
    pixels = random.integers(0, 80, (IMAGES, SIDE, SIDE)) + 60 * classes[:, None, None]
    names = tuple(f"{image:064x}" for image in range(IMAGES))
    return Dataset(
        labels=("a", "b", "c"),
        hashes=names,
        origins=("",) * IMAGES,
        files=names,
        classes=classes,
        pixels=pixels.astype(np.uint8),
        features=random.normal(size=(IMAGES, len(FEATURES))).astype(np.float32),
        digest="",
        findings=Findings(IMAGES, (), (), ()),
    )


def network() -> keras.Model:
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8", name="pixels")
    features = keras.Input((len(FEATURES),), name="features")
    x = keras.layers.Rescaling(1 / 256, name="ink")(pixels)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="stem_conv")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Concatenate(name="join")([x, features])
    return keras.Model([pixels, features], keras.layers.Dense(3, activation="softmax", name="logits")(x))


def main(which: str, out: str) -> None:
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    keras.utils.set_random_seed(1)
    data = dataset()
    devices = find_devices(which, print)
    feed = TrainingFeed(data, np.arange(IMAGES), MEMBER, InputSpec())
    with devices.scope():
        model = network()
        model.compile(optimizer_for(MEMBER, feed.steps), "categorical_crossentropy", jit_compile=devices.xla())
        fitted = model.fit(
            devices.batches(feed, 0), steps_per_epoch=feed.steps, epochs=MEMBER.epochs, shuffle=False, verbose=0
        )
        copies = tf.distribute.get_strategy().experimental_local_results
        found = {
            variable.path.replace("/", "."): np.stack([copy.numpy() for copy in copies(variable.value)])
            for variable in [*model.trainable_variables, *model.optimizer.variables]
        }
    np.savez(out, allow_pickle=False, loss=fitted.history["loss"], **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
