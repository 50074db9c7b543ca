"""File blocks: base64 bytes become files of the dataset, every other block is a pointer that passes through."""

from __future__ import annotations

import re

from filestore.codec import JSONObject, JSONValue
from filestore.errors import ShapeError
from filestore.shapes import Dialect, ObjectReader, expect_object, expect_text

__all__ = [
    "ATTACHMENT_NAME",
    "Attachments",
    "find_location",
    "has_digest_of_name",
    "own_storage_path",
    "parse_file_block",
    "render_file_block_for_file",
    "render_file_block_legacy",
]

ATTACHMENT_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,16}")
"""The name of a file in `files/`: the SHA-256 of its bytes, and an extension."""

_OWN_PATH = re.compile(rf"files/{ATTACHMENT_NAME.pattern}")
_ABSOLUTE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+", re.DOTALL)
_DETAILS = ("low", "high", "auto")
_STORAGE_KINDS = ("s3_compatible", "filesystem", "disabled")
_EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "video/mp4": "mp4",
    "text/plain": "txt",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "application/json": "json",
}
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
)


def has_digest_of_name(data: bytes, name: str) -> bool:
    """Tell whether bytes are those that the name of a file in `files/` is made of."""
    import hashlib  # slow to load, as OpenSSL is

    return hashlib.sha256(data).hexdigest() == name.partition(".")[0]


class Attachments:
    """The files that come along with one datapoint.

    Attributes:
        directory: The directory name of the dataset the datapoint goes into.
        files: Name in `files/` to bytes, filled while an input is parsed.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.files: dict[str, bytes] = {}

    def add(self, data: bytes, mime_type: str) -> JSONObject:
        """Keep `data` and return the `storage_path` that leads to it."""
        import hashlib

        extension = _EXTENSIONS.get(mime_type) or re.sub(r"[^a-z0-9]", "", mime_type.rpartition("/")[2].lower())[:16]
        name = f"{hashlib.sha256(data).hexdigest()}.{extension or 'bin'}"
        self.files[name] = data
        return own_storage_path(self.directory, f"files/{name}")


def own_storage_path(directory: str, path: str) -> JSONObject:
    """Return the wire form of a pointer to a file of the dataset in `directory`."""
    return {"kind": {"type": "filesystem", "path": directory}, "path": path}


def parse_file_block(reader: ObjectReader, dialect: Dialect, attachments: Attachments) -> JSONObject:
    """Return the normal form of a file block: a pointer or a URL, never bytes.

    Args:
        reader: The block.
        dialect: The grammar the block is written in.
        attachments: Receives the bytes of a base64 block.
    """
    if dialect is Dialect.LEGACY:
        keys = ("type", "mime_type", "data") if "data" in reader else ("type", "url", "mime_type")
        reader.refuse_unknown(keys)
        return _parse_base64(reader, attachments) if "data" in reader else _parse_url(reader)
    if dialect is Dialect.FILE or (dialect is Dialect.DRAFT and "data" not in reader):
        return _parse_in_file(reader, attachments.directory)
    if dialect is Dialect.DRAFT:
        reader.refuse_unknown((*_KEYS_IN_FILE, "data"))
    kind = reader.take("file_type", expect_text)
    if kind is None:
        kind = next((name for key, name in _UNTAGGED if key in reader), "url")
    if kind == "url":
        return _parse_url(reader)
    if kind == "base64":
        return _parse_base64(reader, attachments)
    if kind == "object_storage":
        return _parse_base64(reader, attachments, source_url=reader.take("source_url", expect_text))
    if kind == "object_storage_pointer":
        return _parse_pointer(reader)
    raise ShapeError(f"unknown variant `{kind}`, expected one of {_FILE_TYPES}", ("file_type",))


_KEYS_IN_FILE = ("type", "file_type", "url", "source_url", "mime_type", "storage_path", "detail", "filename")
_UNTAGGED = (("data", "base64"), ("storage_path", "object_storage_pointer"))
_FILE_TYPES = "`url`, `base64`, `object_storage_pointer`, `object_storage`"


def _parse_in_file(reader: ObjectReader, directory: str) -> JSONObject:
    hints = {"data": "bytes belong in `files/`: put the block into a draft, and it is stored there when it is adopted"}
    reader.refuse_unknown(_KEYS_IN_FILE, hints)
    path = reader.value.get("storage_path")
    if path is None:
        return _parse_url(reader)
    if isinstance(path, str):
        if _OWN_PATH.fullmatch(path) is None:
            raise ShapeError("expected files/<sha256>.<extension>", ("storage_path",))
        return _pointer(reader, own_storage_path(directory, path))
    return _parse_pointer(reader)


def _parse_url(reader: ObjectReader) -> JSONObject:
    url = reader.require("url", expect_text)
    if _ABSOLUTE_URL.fullmatch(url) is None:
        raise ShapeError("invalid URL: relative URL without a base", ("url",))
    mime_type = reader.take("mime_type", _parse_mime_type)
    block: JSONObject = {"type": "file", "file_type": "url", "url": url}
    if mime_type is not None:
        block["mime_type"] = mime_type
    return {**block, **_options(reader)}


def _parse_base64(reader: ObjectReader, attachments: Attachments, source_url: str | None = None) -> JSONObject:
    import base64
    import binascii

    text = reader.require("data", expect_text)
    if text.startswith("data:"):
        raise ShapeError("The `data` field must hold base64 alone, without a `data:` prefix", ("data",))
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ShapeError(f"invalid base64: {error}", ("data",)) from None
    mime_type = reader.take("mime_type", _parse_mime_type) or _sniff(data)
    return _pointer(reader, attachments.add(data, mime_type), mime_type, source_url)


def _parse_pointer(reader: ObjectReader) -> JSONObject:
    return _pointer(reader, reader.require("storage_path", _parse_storage_path))


def _pointer(
    reader: ObjectReader, path: JSONObject, mime_type: str | None = None, source_url: str | None = None
) -> JSONObject:
    return {
        "type": "file",
        "file_type": "object_storage_pointer",
        "source_url": source_url or reader.take("source_url", expect_text),
        "mime_type": mime_type or reader.require("mime_type", _parse_mime_type),
        "storage_path": path,
        **_options(reader),
    }


def _parse_storage_path(value: JSONValue) -> JSONObject:
    reader = ObjectReader(value, "struct StoragePath")
    kind = reader.require("kind", lambda inner: ObjectReader(inner).require("type", expect_text))
    if kind not in _STORAGE_KINDS:
        raise ShapeError(f"unknown variant `{kind}`, expected one of {', '.join(_STORAGE_KINDS)}", ("kind", "type"))
    reader.require("path", expect_text)
    return expect_object(value)


def _parse_mime_type(value: JSONValue) -> str:
    mime_type = expect_text(value)
    if "/" not in mime_type:
        raise ShapeError(f"invalid MIME type `{mime_type}`: a slash (/) was missing between the type and subtype")
    return mime_type


def _options(reader: ObjectReader) -> JSONObject:
    detail = reader.take("detail", expect_text)
    if detail is not None and detail not in _DETAILS:
        raise ShapeError(f"unknown variant `{detail}`, expected one of {', '.join(_DETAILS)}", ("detail",))
    options: JSONObject = {"detail": detail, "filename": reader.take("filename", expect_text)}
    return {key: value for key, value in options.items() if value is not None}


def _sniff(data: bytes) -> str:
    for magic, mime_type in _MAGIC:
        if data.startswith(magic):
            return mime_type
    if data[:4] == b"RIFF" and data[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if data[8:12] == b"WEBP" else "audio/wav"
    if data[4:8] == b"ftyp":
        return "video/mp4"
    raise ShapeError("No `mime_type` given, and none could be told from the bytes", ("mime_type",))


def find_location(block: JSONObject) -> tuple[str, str] | None:
    """Return the dataset's directory and the name in `files/` that a pointer of this store leads to."""
    match block.get("storage_path"):
        case {"kind": {"type": "filesystem", "path": str(directory)}, "path": str(path)} if _OWN_PATH.fullmatch(path):
            return directory, path.removeprefix("files/")
    return None


def render_file_block_for_file(block: JSONObject, directory: str) -> JSONObject:
    """Spell a file block as a datapoint file does: a file of the dataset itself is a relative path."""
    location = find_location(block)
    if location is None or location[0] != directory:
        return block
    rendered = {key: value for key, value in block.items() if key not in ("file_type", "source_url")}
    if block["source_url"] is not None:
        rendered["source_url"] = block["source_url"]
    return {**rendered, "storage_path": f"files/{location[1]}"}


def render_file_block_legacy(block: JSONObject) -> JSONObject:
    """Spell a file block as gateways up to 2025.10 did, which knew pointers alone."""
    if block["file_type"] == "url":
        mime_type = block.get("mime_type", "application/octet-stream")
        inner: JSONObject = {"url": block["url"], "mime_type": mime_type}
        return {"type": "file", "file": inner, "storage_path": {"kind": {"type": "disabled"}, "path": ""}}
    inner = {"url": block["source_url"], "mime_type": block["mime_type"]}
    return {"type": "file", "file": inner, "storage_path": block["storage_path"]}
