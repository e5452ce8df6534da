"""Fitted state as JSON and arrays: files, copies, and what other processes get."""

from sklvm.state._save import load, save

__all__ = ["load", "save"]
