"""Libraries that only an export needs: the camera host counts without them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bundle.errors import BadConfig


def library(module: str, form: str) -> Any:
    """The module, for the format `form`. Raises BadConfig where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise BadConfig(
            f"{form} needs the library {module}, which cannot be loaded ({error}); run: pip install 'planktow[export]'"
        ) from None
