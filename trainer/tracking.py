"""Follows a run in MLflow, for those who compare runs there: settings, data digest, scores of each epoch and at the end."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bundle.errors import BadConfig
from bundle.pace import Say
from bundle.scores import Summary
from bundle.whole import write_whole
from trainer.config import MemberRun
from trainer.data.dataset import Dataset


class Tracking:
    """An experiment of MLflow that has the name of the run; each member is one MLflow run in it."""

    def __init__(self, uri: str, experiment: str, say: Say) -> None:
        """uri: a server such as http://host:5000. Raises BadConfig where it, or the extra `mlflow`, is not there."""
        # A server that does not answer must not hold up the training for the quarter of an hour that is MLflow's default.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")  # seconds
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise BadConfig("--mlflow needs the extra: pip install 'planktow[mlflow]'") from None
        self.say = say
        try:
            self.client = MlflowClient(tracking_uri=uri)
            found = self.client.get_experiment_by_name(experiment)
            self.experiment = found.experiment_id if found else self.client.create_experiment(experiment)
        except Exception as error:  # MLflow lets through what its stores raise, of any kind
            raise BadConfig(
                f"--mlflow {uri}: {_first_line(error)}; start the server, or leave the option out"
            ) from None

    def of_member(self, member: MemberRun, dataset: Dataset, note: Path) -> TrackedMember:
        """The member's MLflow run: the one named in the file `note`, or a new one, which is written there."""
        settings = {"data_digest": dataset.digest, "images": len(dataset.hashes)} | flat(dataclasses.asdict(member))
        return TrackedMember(self, member.name, settings, note)


class TrackedMember:
    """One MLflow run. A server that fails once the training has begun is no reason to stop it: what is missing is sent later."""

    def __init__(self, tracking: Tracking, name: str, settings: dict[str, Any], note: Path) -> None:
        self._tracking, self._client = tracking, tracking.client
        self._name, self._settings, self._note = name, settings, note

    def follow(self, history: list[dict[str, float]]) -> None:
        """Sends every epoch of the history that MLflow does not have yet."""
        self._try(lambda: self._send(history), "sent again after the next epoch")

    def finish(self, validation: Summary, test: Summary) -> None:
        """Sends the scores of the finished member and closes its run."""
        self._try(lambda: self._close(validation, test), "they are in training.json")
        self._note.unlink(missing_ok=True)

    def _run(self) -> str:
        if not self._note.exists():
            run = self._client.create_run(self._tracking.experiment, run_name=self._name).info.run_id
            for name, value in self._settings.items():
                self._client.log_param(run, name, value)
            self._note.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._note, run.encode())
        return self._note.read_text()

    def _send(self, history: list[dict[str, float]]) -> None:
        run = self._run()
        there = {metric.step for metric in self._client.get_metric_history(run, "val_loss")}
        for entry in history:
            epoch = int(entry["epoch"])
            if epoch in there:
                continue
            # val_loss goes last: where it is, the epoch is complete
            for name in sorted(entry.keys() - {"epoch"}, key=lambda name: name == "val_loss"):
                self._client.log_metric(run, name, entry[name], step=epoch)

    def _close(self, validation: Summary, test: Summary) -> None:
        run = self._run()
        for part, scores in (("validation", validation), ("test", test)):
            for name, value in dataclasses.asdict(scores).items():
                self._client.log_metric(run, f"{part}_{name}", value)
        self._client.set_terminated(run)

    def _try(self, send: Callable[[], None], otherwise: str) -> None:
        try:
            send()
        except Exception as error:  # as above
            self._tracking.say(f"MLflow did not take the scores of {self._name} ({_first_line(error)}); {otherwise}")


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'network': {'dropout': 0.2}} as {'network.dropout': 0.2}: MLflow's parameters have one level."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
