"""Whether the sea still looks like the images that the classifier was validated on (docs/drift.md)."""
