"""A bundle anew with a taxa.csv among its records: same members, same verdicts, another digest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bundle.errors import BadData
from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.manifest import HashedFile
from bundle.reference import REFERENCE, read_reference, write_reference
from bundle.taxa import TAXA, parse_taxa
from bundle.whole import sha256_hex


def with_taxa(bundle: Path, taxa: Path, out: Path) -> Bundle:
    """Writes the bundle folder `out`, which must not exist: `bundle` with the file `taxa` as its taxa.csv.

    One that `bundle` has already is replaced; a reference.json goes with it. Raises BadBundle and BadData; `out` is then
    not there.
    """
    try:
        data = taxa.read_bytes()
    except OSError as error:
        raise BadData(f"{taxa}: cannot be read ({error.strerror}); check the path") from None
    opened = open_bundle(bundle)
    parse_taxa(data, opened.labels, str(taxa))
    others = tuple(record for record in opened.manifest.records if record.file != TAXA)
    manifest = dataclasses.replace(opened.manifest, records=(*others, HashedFile(TAXA, sha256_hex(data))))
    reference = read_reference(bundle)
    written = write_bundle(out, manifest, {**opened.contents, TAXA: data})
    if reference is not None:  # it is of the verdicts, which are the same
        write_reference(out / REFERENCE, dataclasses.replace(reference, digest=written.digest), written.manifest.name)
    return written
