"""What quantising cost and gained, as measured: the contents of a report. Shares are 0..1, times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from bundle.machine import Machine
from bundle.scores import Summary
from quantize.gates import Finding

AS_SHIPPED = "as shipped"  # the scheme of a choice whose members have different ones


@dataclass(frozen=True)
class Latency:
    """What one image takes in a batch of `batch`: the median of the batch's time, divided by the batch."""

    threads: int
    batch: int  # images
    milliseconds: float


@dataclass(frozen=True)
class Pace:
    """The latencies of one model with one number of threads, in short."""

    single: float  # milliseconds of an image on its own
    best: float  # milliseconds per image in the batch that suits the model best
    batch: int  # that batch, images

    @property
    def images_per_second(self) -> float:
        """At the best batch."""
        return 1000 / self.best


@dataclass(frozen=True)
class Variant:
    """One member in one scheme, measured on the validation images."""

    member: str
    architecture: str
    scheme: str
    chosen: bool  # this is what ships of the member
    size_bytes: int
    in_float: tuple[str, ...]  # convolutions that automatic mixed precision left in float32
    agreement: float  # share of the images on which it names the class that Keras names
    scores: Summary
    latencies: tuple[Latency, ...]

    def __post_init__(self) -> None:
        if not any(latency.batch == latency.threads == 1 for latency in self.latencies):
            raise ValueError(f"{self.member} as {self.scheme}: no latency of one image with one thread")

    @property
    def one_core(self) -> Pace:
        """With one thread."""
        return self._pace(1)

    @property
    def all_cores(self) -> Pace:
        """With as many threads as were measured at most."""
        return self._pace(max(latency.threads for latency in self.latencies))

    def _pace(self, threads: int) -> Pace:
        of = [latency for latency in self.latencies if latency.threads == threads]
        best = min(of, key=lambda latency: latency.milliseconds)
        smallest = min(of, key=lambda latency: latency.batch)
        return Pace(smallest.milliseconds, best.milliseconds, best.batch)


@dataclass(frozen=True)
class Refused:
    """A scheme, asked for as a comparison, that could not be made of a member."""

    member: str
    scheme: str
    reason: str


@dataclass(frozen=True)
class Choice:
    """Some of the members in one scheme, as an ensemble that votes; measured on the validation images."""

    members: tuple[str, ...]
    scheme: str  # AS_SHIPPED where the members' schemes differ
    chosen: bool  # this is the bundle
    size_bytes: int
    accuracy: float
    balanced_accuracy: float
    count_error: float  # Bray-Curtis between true and predicted counts
    milliseconds_one: float  # per image with one thread: the sum of the members' best batches
    milliseconds_all: float  # the same with all cores


@dataclass(frozen=True)
class ClassRecall:
    """Share of a class's held-out images that the ensemble finds, before and after quantising."""

    label: str
    images: int
    keras: float
    shipped: float

    @property
    def change(self) -> float:
        """Below 0: recall was lost."""
        return self.shipped - self.keras


@dataclass(frozen=True)
class Report:
    """All of it."""

    name: str  # of the bundle
    digest: str  # of the bundle
    measured: str  # when, UTC, ISO 8601
    machine: Machine
    validation_images: int
    test_images: int
    representative_images: int  # that set the integer ranges
    keras: Summary  # hard vote of the originals, validation images
    shipped: Summary  # the same of what ships
    keras_test: Summary | None  # the two on the test images, where there are any
    shipped_test: Summary | None
    variants: tuple[Variant, ...]
    refused: tuple[Refused, ...]
    choices: tuple[Choice, ...]
    classes: tuple[ClassRecall, ...]
    findings: tuple[Finding, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """Their names, each once, in order."""
        return tuple(dict.fromkeys(variant.member for variant in self.variants))

    @property
    def ships(self) -> tuple[Variant, ...]:
        """What ships of each member."""
        return tuple(variant for variant in self.variants if variant.chosen)

    @property
    def bundle(self) -> Choice | None:
        """What ships, among the choices."""
        return next((choice for choice in self.choices if choice.chosen), None)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The gates that do not hold."""
        return tuple(finding for finding in self.findings if not finding.passed)
