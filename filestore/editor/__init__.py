"""The JSON Schema of a datapoint file, by which an editor completes and underlines while a person types."""

from filestore.editor.datapoint import editor_schema

__all__ = ["editor_schema"]
