"""The members at work: the one file that loads LiteRT, or tflite-runtime where that is all a host has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadBundle, PlanktowError
from bundle.manifest import Quantisation
from bundle.preprocess import Inputs

RUNTIME: Literal["ai-edge-litert", "tflite-runtime", "none"]
try:
    from ai_edge_litert.interpreter import Interpreter

    RUNTIME = "ai-edge-litert"
except ModuleNotFoundError:
    try:
        from tflite_runtime.interpreter import Interpreter

        RUNTIME = "tflite-runtime"
    except ModuleNotFoundError:
        RUNTIME = "none"  # said when a model is loaded: what needs no model, such as a report, works without


class MemberModel:
    """One TFLite model: uint8 pixels (B, S, S, 1) and float32 features (B, F) in, (B, C) scores out.

    The inputs are told apart by their type and rank, not by name, so that a bundle made with other tools works too.
    """

    def __init__(self, model: bytes, name: str, threads: int = 1) -> None:
        """Loads the model's bytes; `name` begins each error message. Raises BadBundle.

        tflite-runtime does not verify what it loads and may crash on damaged bytes: compare a hash first.
        """
        self.name = name
        _check_runtime()
        try:
            with _without_greeting():
                self._interpreter: Any = Interpreter(model_content=model, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise BadBundle(f"{name}: {RUNTIME} cannot load this model ({first})") from None
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        pixels = [detail for detail in inputs if detail["dtype"] is np.uint8 and len(detail["shape"]) == 4]
        features = [detail for detail in inputs if detail["dtype"] is np.float32 and len(detail["shape"]) == 2]
        if len(pixels) != 1 or len(features) != len(inputs) - 1 or len(features) > 1:
            raise BadBundle(
                f"{name}: the inputs are {_shapes(inputs)}; expected uint8 pixels (B, S, S, 1) and float32 features (B, F)"
            )
        if len(outputs) != 1 or len(outputs[0]["shape"]) != 2:
            raise BadBundle(f"{name}: the outputs are {_shapes(outputs)}; expected one of scores (B, C)")
        self._pixels, self._features, self._output = pixels[0], features[0] if features else None, outputs[0]
        _, self.side, width, channels = (int(length) for length in self._pixels["shape"])
        if width != self.side or channels != 1:
            raise BadBundle(f"{name}: the pixels are {self.side} x {width} x {channels}; expected a grey square")
        self.feature_count = int(self._features["shape"][1]) if self._features else 0
        self.class_count = int(self._output["shape"][1])
        self._batch = int(self._pixels["shape"][0])

    @property
    def pixels_quantisation(self) -> Quantisation:
        """What the model file itself says of its pixel input."""
        return _quantisation(self._pixels)

    @property
    def output_quantisation(self) -> Quantisation:
        """What the model file itself says of its output."""
        return _quantisation(self._output)

    def rehearse(self) -> None:
        """Runs a blank batch of two. Raises BadBundle for a model that loads but cannot run, or only one image at a time."""
        blank = np.full((2, self.side, self.side), 255, np.uint8), np.zeros((2, self.feature_count), np.float32)
        try:
            scores = self.scores(*blank)
        except (ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())
            raise BadBundle(f"{self.name}: the model loads but does not run on a batch of two ({why})") from None
        if scores.shape != (2, self.class_count) or not np.isfinite(scores).all():
            raise BadBundle(
                f"{self.name}: the model's scores of a blank batch of two are not 2 x {self.class_count} numbers"
            )

    def scores(self, pixels: NDArray[np.uint8], features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C) float32 scores of a batch: pixels (B, S, S) uint8, features (B, F) float32."""
        batch = len(pixels)
        if batch != self._batch:
            self._interpreter.resize_tensor_input(self._pixels["index"], (batch, self.side, self.side, 1))
            if self._features:
                self._interpreter.resize_tensor_input(self._features["index"], (batch, self.feature_count))
            self._interpreter.allocate_tensors()
            self._batch = batch
        self._interpreter.set_tensor(self._pixels["index"], pixels[..., np.newaxis])
        if self._features:
            self._interpreter.set_tensor(self._features["index"], features)
        self._interpreter.invoke()
        raw: NDArray[Any] = self._interpreter.get_tensor(self._output["index"])
        quantisation = self.output_quantisation
        if quantisation.scale == 0:
            return raw.astype(np.float32, copy=False)
        return (raw.astype(np.float32) - quantisation.zero_point) * np.float32(quantisation.scale)


class Ensemble:
    """All members of a bundle, run one after another on the same batch. Not for use from two threads at once."""

    def __init__(self, members: Sequence[MemberModel], order: Sequence[int] | None = None) -> None:
        """order: the members' indexes as they are asked in turn; None: as they stand."""
        self.members = tuple(members)
        self.order = tuple(range(len(members)) if order is None else order)

    def scores(self, inputs: Inputs) -> NDArray[np.float32]:
        """(N, B, C) float32 of B images, which must be there at each member's side."""
        return np.stack([member.scores(inputs.pixels[member.side], inputs.features) for member in self.members])


@contextmanager
def _without_greeting() -> Iterator[None]:
    """Keeps LiteRT's "Created TensorFlow Lite XNNPACK delegate" from being the first line that a person sees.

    It comes from C++, once a process, and no setting turns it off; what goes wrong here is raised, not printed. Takes the
    process's stderr away for these milliseconds, so only for the first interpreter.
    """
    global _greeted
    try:
        kept = None if _greeted else os.dup(2)
    except OSError:  # a service without a stderr
        kept = None
    if kept is None:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
        _greeted = True


_greeted = False


def _check_runtime() -> None:
    if RUNTIME == "none":
        raise PlanktowError(
            "neither ai-edge-litert nor tflite-runtime is installed; run: pip install planktow, or on 32-bit ARM with "
            "Python 3.11: pip install 'planktow[tflite-runtime]'"
        )
    if RUNTIME == "tflite-runtime" and int(np.__version__.partition(".")[0]) >= 2:
        raise PlanktowError(  # it imports, and then fails in the interpreter with a page about the C interface
            f"tflite-runtime does not work with numpy {np.__version__}; run: pip install 'planktow[tflite-runtime]', which "
            "brings numpy below 2 and OpenCV below 4.12"
        )


def _shapes(details: Sequence[Any]) -> str:
    return ", ".join(f"{detail['dtype'].__name__}{detail['shape'].tolist()}" for detail in details) or "none"


def _quantisation(detail: Any) -> Quantisation:
    scale, zero_point = detail["quantization"]
    return Quantisation(np.dtype(detail["dtype"]).name, float(scale), int(zero_point))
