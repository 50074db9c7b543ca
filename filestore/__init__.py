"""Datasets of LLM datapoints as plain files in git."""

__version__ = "0.1.0"
