"""Weltenstimme: self-hosted voice rooms; the server relays the audio and measures who speaks."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
