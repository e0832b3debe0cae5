"""The bundles at work, and how others take their place while counting goes on: the one that counts, and the one that shadows.

Another bundle is taken up when its path leads to another folder, or at a SIGHUP: opened and verified whole beside the counting,
then loaded by one worker after another. Each verdict is recorded with the bundle that made it, so that nothing is in doubt
whenever a power cut comes; the next start opens what stands at the path then.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from bundle.errors import BadConfig, PlanktowError
from bundle.folder import Bundle, open_bundle
from bundle.labels import UNCLASSIFIED
from edge.config import EdgeConfig
from edge.daemon.pool import Pool
from edge.daemon.tuning import read_tuned
from edge.daemon.worker import Task
from edge.intake.overload import Backlog, bound_images, waiting_bytes
from edge.ledger.ledger import Ledger
from edge.shadow.shadowing import ShadowTask
from edge.swap.lookout import Lookout, Standing, look

log = logging.getLogger(__name__)

_BACKLOG_SECONDS = 0.5  # how often the backlog is looked at for the shadow
_AT_ONCE = ("bundle", "shadow", "alerts")  # taken up at once, or by another process


@dataclass(frozen=True)
class Reloading:
    """How the daemon hears that the settings are to be read anew."""

    asked: Callable[[], bool]  # since it was last called
    read: Callable[[], EdgeConfig]  # raises BadConfig


@dataclass(frozen=True)
class Start:
    """The bundles of a start, and where they stood."""

    counting: Bundle
    standing: Standing | None
    shadow: Bundle | None
    shadow_standing: Standing | None

    def shadow_task(self, config: EdgeConfig) -> ShadowTask | None:
        """What workers are told of the second bundle."""
        return None if self.shadow is None else ShadowTask(self.shadow, config.shadow.share)


def open_bundles(config: EdgeConfig) -> Start:
    """Opens what the settings name. Raises BadBundle, and BadConfig for a shadow that cannot be had."""
    standing = look(config.bundle)  # before the opening: what changes meanwhile is then seen as another
    counting = open_bundle(config.bundle)
    config.quality.check_labels([*counting.labels, UNCLASSIFIED])
    folder = config.shadow.folder
    if folder is None:
        return Start(counting, standing, None, None)
    shadow_standing = look(folder)
    try:
        return Start(counting, standing, open_bundle(folder), shadow_standing)
    except PlanktowError as error:
        raise BadConfig(f'shadow: {error}; or take it away (bundle = "" in [shadow])') from None


class Bundles:
    """One thread; `turn` returns within milliseconds, but for the pickling of a bundle to a worker."""

    def __init__(
        self,
        config: EdgeConfig,
        start: Start,
        pool: Pool,
        ledger: Ledger,
        wall_ns: Callable[[], int],
        steady: Callable[[], float],
    ) -> None:
        """`start` is what the workers of `pool` were started with."""
        self._config, self._pool, self._ledger = config, pool, ledger
        self._wall_ns, self._steady = wall_ns, steady
        task = self._task = self._whole = pool.task  # `_whole` is the last that all workers had
        self._trial: Task | None = None  # the workers' next one, until one of them has loaded it
        self._ids = {task.bundle.digest: ledger.bundle_id(task.bundle, wall_ns())}
        shadow = start.shadow
        if shadow is not None:
            ledger.shadow_bundle(shadow, wall_ns())
        self._lookout = Lookout("bundle", config.bundle, start.standing, task.bundle.digest, self._check_labels, steady)
        self._shadow_lookout = Lookout(
            "shadow",
            config.shadow.folder,
            start.shadow_standing,
            shadow.digest if shadow else None,
            lambda _: None,
            steady,
        )
        self._found: Bundle | None = None  # another one, and the ledger does not know it yet
        self._found_shadow: Bundle | None = None
        self._settings_problem: str | None = None
        self._said: list[str] = []
        self._shadows, self._look_at = True, 0.0

    @property
    def counting(self) -> Bundle:
        """The one that counts. While workers are being replaced it is the one before, and some verdicts are the new one's."""
        return self._whole.bundle

    @property
    def problems(self) -> list[str]:
        """What a person should know, a line each."""
        lines = (self._settings_problem, self._lookout.problem, self._shadow_lookout.problem)
        return [line for line in lines if line]

    @property
    def settled(self) -> bool:
        """Whether all that was asked for has been done or refused."""
        busy = self._lookout.busy or self._shadow_lookout.busy or self._found or self._found_shadow or self._trial
        return not busy and (self._pool.stuck or not self._pool.renewing)

    @property
    def shadows(self) -> bool:
        """Whether the shadow, if any, sees the next batch: it pauses before an image that counts has to wait for it."""
        if self._task.shadow is not None and self._steady() >= self._look_at:
            self._look_at = self._steady() + _BACKLOG_SECONDS
            self._shadows = self._ledger.waiting_count() <= self._most_waiting()
        return self._shadows

    def number_of(self, digest: str) -> int:
        """The ledger's number of a bundle that workers have or had."""
        return self._ids[digest]

    def turn(self) -> None:
        """A step. Raises sqlite3.OperationalError where the ledger cannot be written; the step is then taken later."""
        if self._trial is None:
            self._found = self._lookout.turn() or self._found
            self._found_shadow = self._shadow_lookout.turn() or self._found_shadow
            if self._found or self._found_shadow:
                self._take_up()
        elif (refusal := self._pool.refusal()) is not None:
            if self._trial.bundle is not self._task.bundle:
                self._lookout.refuse(refusal)
            if self._trial.shadow is not None and self._trial.shadow is not self._task.shadow:
                self._shadow_lookout.refuse(refusal)
            self._trial = None
        elif not self._pool.on_trial:
            self._task, self._trial = self._trial, None
        if self._trial is None and self._whole is not self._task and not self._pool.renewing:
            self._tell_change(self._whole, self._task)
            self._whole = self._task
        for problem in self.problems:
            if problem not in self._said:
                log.error("%s", problem)
        self._said = self.problems

    def reload(self, read: Callable[[], EdgeConfig]) -> None:
        """Takes up the bundles that the settings name now; of other settings that changed it says that they need a restart."""
        try:
            config = read()
        except PlanktowError as error:
            self._settings_problem = f"the settings are not taken up, those before hold: {error}"
            return
        self._settings_problem = None
        changed = [each.name for each in dataclasses.fields(EdgeConfig) if each.name not in _AT_ONCE]
        changed = [name for name in changed if getattr(config, name) != getattr(self._config, name)]
        if changed:
            log.warning("changed, and not taken up before the next start: %s", ", ".join(changed))
        self._config = replace(self._config, bundle=config.bundle, shadow=config.shadow)
        self._lookout.ask(config.bundle)
        self._shadow_lookout.ask(config.shadow.folder)
        now = (self._trial or self._task).shadow
        if now is not None and config.shadow.folder is None:
            self._found_shadow = None
            self._try(replace(self._trial or self._task, shadow=None))
        elif now is not None and now.share != config.shadow.share:
            self._try(replace(self._trial or self._task, shadow=ShadowTask(now.bundle, config.shadow.share)))

    def close(self) -> None:
        """Gives up what is being opened."""
        self._lookout.close()
        self._shadow_lookout.close()

    def _take_up(self) -> None:
        task, now_ns = self._task, self._wall_ns()
        if self._found is not None:
            bundle = self._found
            self._ids[bundle.digest] = self._ledger.bundle_id(bundle, now_ns)
            log.info("bundle %s was verified and is taken up by one worker after another", _name(bundle))
            tuned = read_tuned(self._config.ledger, bundle)
            task = replace(task, bundle=bundle, order=tuned.order if tuned else None)
        if self._found_shadow is not None:
            self._ledger.shadow_bundle(self._found_shadow, now_ns)
            task = replace(task, shadow=ShadowTask(self._found_shadow, self._config.shadow.share))
        self._found = self._found_shadow = None
        self._try(task)

    def _try(self, task: Task) -> None:
        self._trial = task
        self._pool.renew(task)

    def _check_labels(self, bundle: Bundle) -> None:
        self._config.quality.check_labels([*bundle.labels, UNCLASSIFIED])

    def _most_waiting(self) -> int:
        """Half of what may wait before images are left out: the shadow must not be what they are left out for."""
        settings = self._config.overload
        most = self._config.shadow.max_waiting
        if settings.policy == "keep":
            return most
        waiting = self._ledger.waiting_count()
        size = waiting_bytes(self._ledger.connection) if settings.max_megabytes and waiting else 0
        bound = bound_images(settings, Backlog(waiting, size, self._pool.speed))
        return most if bound is None else min(most, bound // 2)

    def _tell_change(self, before: Task, now: Task) -> None:
        if now.bundle is not before.bundle:
            log.info("bundle %s counts from now on, instead of %s", _name(now.bundle), _name(before.bundle))
        if now.shadow is not before.shadow:
            if now.shadow is None:
                log.info("no bundle shadows any more")
            else:
                log.info("bundle %s shadows a share of %g from now on", _name(now.shadow.bundle), now.shadow.share)


def _name(bundle: Bundle) -> str:
    return f"{bundle.manifest.name} ({bundle.digest[:12]})"
