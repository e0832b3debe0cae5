"""The loop that people write first: read an image, resize it, ask one model after another, insert a row, commit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from bundle.ensemble import MemberModel
from bundle.folder import Bundle
from bundle.preprocess import features
from bundle.vote import hard_vote

WHITE = 255  # the background's grey level, taken for granted


class NaiveLoop:
    """Interpreters with the library's defaults, one image at a time, SQLite with its defaults."""

    def __init__(self, bundle: Bundle) -> None:
        self._members = [MemberModel(bundle.contents[each.file], each.file) for each in bundle.manifest.members]

    def rate(self, files: Sequence[Path], database: Path) -> float:
        """Images a second, files to committed rows in a new `database`, which is deleted afterwards."""
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE verdict (file TEXT, label INTEGER, votes INTEGER)")
            connection.commit()
            began = time.perf_counter()
            for file in files:
                self.count(file, connection)
            rate = len(files) / (time.perf_counter() - began)
        database.unlink()
        return rate

    def count(self, file: Path, connection: sqlite3.Connection) -> None:
        """One image, from its file to a committed row."""
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        row = features(image, WHITE)[np.newaxis]
        scores = [member.scores(cv2.resize(image, (member.side,) * 2)[np.newaxis], row) for member in self._members]
        votes = hard_vote(np.stack(scores))
        verdict = (str(file), int(votes.label[0]), int(votes.votes[0]))
        connection.execute("INSERT INTO verdict VALUES (?, ?, ?)", verdict)
        connection.commit()
