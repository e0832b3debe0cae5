"""What a member is trained on: one device, all of this machine, or all of several machines.

The batch of the run stays the whole batch, shared out in equal parts; the same images come in the same order as on one
device. TensorFlow shares by MirroredStrategy, JAX by Keras' DataParallel, PyTorch not at all. Several hosts need JAX: with
Keras 3.15 `fit` under TensorFlow's MultiWorkerMirroredStrategy fails before the first step (keras-team/keras issue 20585).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadConfig, PlanktowError
from trainer.feed import Batch, TrainingFeed

Which = Literal["one", "all"]

HOSTS = "KERAS_DISTRIBUTION_JOB_ADDRESSES"  # Keras' own variable, as are those for the number of hosts and of this one
_NOTE_BYTES = 256  # what a host may say of itself; all say equally much, so that it can be gathered as one array


class HostsDisagree(PlanktowError):
    """The hosts of a run stand at different points, or have different data or settings."""


@dataclass(frozen=True)
class Devices:
    """The devices that share each batch, on all hosts together."""

    count: int = 1
    host: int = 0  # which of the hosts this process is
    hosts: int = 1
    strategy: Any = None  # tf.distribute.Strategy or keras.distribution.DataParallel; None: one device, and no sharing

    def scope(self) -> AbstractContextManager[Any]:
        """A model is built, compiled, resumed and fitted inside it."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    def check_batch(self, batch: int, member: str) -> None:
        """Raises BadConfig where the devices would get unequal parts of a batch of so many images."""
        if batch % self.count:
            near = max(self.count, batch - batch % self.count)
            raise BadConfig(
                f"{member}: a batch of {batch} images cannot be shared equally by {self.count} devices; set batch = {near}, "
                "or train with --devices one"
            )

    def own(self, images: NDArray[np.intp]) -> NDArray[np.intp]:
        """This host's part of the validation images, (M,) indices.

        The first few stand twice where the number does not divide, because JAX shares out equal parts only.
        """
        wanted = -(-len(images) // self.count) * self.count
        return np.resize(images, wanted)[self.host :: self.hosts]

    def part(self, batch: int) -> int:
        """How many of a batch of at most so many images this host takes, if all devices take equally many."""
        return max(self.count, batch - batch % self.count) // self.hosts

    def xla(self) -> Literal["auto", False]:
        """Keras' jit_compile: whether the training is compiled by XLA."""
        backend = keras.backend.backend()
        return helps_xla(backend, backend == "tensorflow" and _tensorflow_gpus() > 0, self.strategy is not None)

    def batches(self, feed: TrainingFeed, epoch: int) -> Any:
        """What `fit` takes, from the epoch `epoch` on, counted from 0: this host's part of every batch."""
        if self.strategy is None:
            return feed.from_epoch(epoch)
        if keras.backend.backend() == "tensorflow":
            return _dataset(lambda: feed.from_epoch(epoch), feed.at(epoch, 0))
        return _parts(feed.from_epoch(epoch), self.host, self.hosts)

    def agree(self, standing: str, remedy: str) -> None:
        """Waits for all hosts; raises HostsDisagree unless all say the same of themselves. `standing` is at most 256 bytes."""
        if self.hosts == 1:
            return
        from jax.experimental import multihost_utils

        own = np.frombuffer(standing.encode()[:_NOTE_BYTES].ljust(_NOTE_BYTES), np.uint8)
        every = [bytes(note).decode().strip() for note in np.asarray(multihost_utils.process_allgather(own))]
        if len(set(every)) > 1:
            told = "; ".join(f"host {host} {note}" for host, note in enumerate(every))
            raise HostsDisagree(f"the hosts disagree: {told}. {remedy}")


def helps_xla(backend: str, gpu: bool, shared: bool) -> Literal["auto", False]:
    """Where XLA is used: under JAX, and on one GPU under TensorFlow. PyTorch has none (and `torch.compile` made it slower).

    On a processor under TensorFlow it slows convolutions down (141 images/s instead of 250 and more); a model mirrored on
    several devices it cannot compile (TensorFlow 2.21: a variable of the second device is out of its reach).
    """
    return "auto" if backend == "jax" or (backend == "tensorflow" and gpu and not shared) else False


def find_devices(which: Which, say: Callable[[str], None]) -> Devices:
    """The devices to train on; waits for the other hosts where the environment names some. Raises BadConfig.

    Only one device is taken unless all are asked for: on several, sums are taken in another order and, under TensorFlow,
    batch norms see each device's part alone, so the same run would end elsewhere on another machine without anybody asking.
    """
    if os.environ.get(HOSTS) or _tensorflow_workers() > 1:
        return _all_hosts(say)
    visible = _visible()
    if len(visible) < 2:
        return Devices()
    if which == "one":
        say(f"{len(visible)} devices can be used, one is: --devices all trains each member on all of them")
        return Devices()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        strategy: Any = tf.distribute.MirroredStrategy(visible)
    else:
        strategy = keras.distribution.DataParallel(devices=visible, auto_shard_dataset=False)
    say(f"{len(visible)} devices share each batch: {', '.join(visible)}")
    return Devices(len(visible), strategy=strategy)


def _all_hosts(say: Callable[[str], None]) -> Devices:
    if keras.backend.backend() != "jax":
        raise BadConfig(
            f"several hosts train together under JAX only: set KERAS_BACKEND=jax and {HOSTS} (docs/training.md), or unset "
            f"{HOSTS} and TF_CONFIG to train on this host alone"
        )
    import jax

    say(f"waiting for all hosts of {os.environ.get(HOSTS)}")
    try:
        keras.distribution.initialize()
    except (ValueError, RuntimeError) as error:
        raise BadConfig(f"the hosts of {HOSTS} cannot be joined: {str(error).splitlines()[0]}") from None
    strategy = keras.distribution.DataParallel(auto_shard_dataset=False)  # of all hosts' devices
    found = Devices(jax.device_count(), jax.process_index(), jax.process_count(), strategy)
    say(f"{found.count} devices of {found.hosts} hosts share each batch; this is host {found.host}")
    return found


def _tensorflow_workers() -> int:
    """How many hosts TensorFlow's own variable names."""
    try:
        return len(json.loads(os.environ.get("TF_CONFIG") or "{}")["cluster"]["worker"])
    except (ValueError, KeyError, TypeError):
        return 0


def _tensorflow_gpus() -> int:
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def _visible() -> list[str]:
    """The GPUs, or where there is none the processors: one, unless somebody divided it for a test."""
    if keras.backend.backend() == "torch":  # for which Keras has no way to share a batch
        return []
    if keras.backend.backend() != "tensorflow":
        return [str(name) for name in keras.distribution.list_devices()]
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]


def _dataset(make: Callable[[], Iterator[Batch]], like: Batch) -> Any:
    """A tf.data.Dataset of the batches. Not the bare iterator: under a strategy Keras 3.15 takes batches from it before the
    first epoch, to see their shapes, and goes on behind them; a data set it begins anew.
    """
    import tensorflow as tf

    spec = keras.tree.map_structure(lambda array: tf.TensorSpec(array.shape, array.dtype), like)
    return tf.data.Dataset.from_generator(make, output_signature=spec)


def _parts(batches: Iterator[Batch], host: int, hosts: int) -> Iterator[Batch]:
    """Each host draws and augments the whole batch, and trains on its block of it: all see what one alone would see."""
    for batch in batches:
        size = len(batch[2]) // hosts
        yield keras.tree.map_structure(lambda array: array[host * size : (host + 1) * size], batch)  # noqa: B023
