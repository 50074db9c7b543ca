"""Host names in ASCII (RFC 1123) and in any script (RFC 5890 to 5892), for the formats that need them."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["is_hostname", "is_idn_hostname", "is_plain_hostname"]

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_LETTERS = frozenset({"Ll", "Lu", "Lo", "Lm", "Mn", "Mc", "Nd"})
_VIRAMA = 9
"""The combining class of the signs that a zero-width joiner may follow."""

# Letters and marks that RFC 5892 (2.6) leaves out all the same.
_DISALLOWED = frozenset("\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b")
# Characters of other categories that are allowed in some places (RFC 5892, appendix A).
_CONTEXTUAL = frozenset("-\u00b7\u0375\u05f3\u05f4\u200c\u200d\u30fb")
_MIDDLE_DOT, _KERAIA, _KATAKANA_DOT, _JOINERS, _HEBREW = "\u00b7", "\u0375", "\u30fb", "\u200c\u200d", "\u05f3\u05f4"


def is_hostname(text: str) -> bool:
    """Tell whether `text` is a host name in ASCII; a label in Punycode must stand for one in another script.

    >>> is_hostname("www.example.com"), is_hostname("-a"), is_hostname("xn--a")
    (True, False, False)
    """
    return len(text) <= 253 and all(_is_ascii_label(label) for label in text.split("."))


def is_plain_hostname(text: str) -> bool:
    """Tell whether `text` is a host name in ASCII, whatever Punycode in it stands for.

    >>> is_plain_hostname("xn--a"), is_plain_hostname("a_b")
    (True, False)
    """
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.split("."))


def is_idn_hostname(text: str) -> bool:
    """Tell whether `text` is a host name in any script.

    >>> is_idn_hostname("bücher.example"), is_idn_hostname("a_b.example")
    (True, False)
    """
    if len(text) > 253:
        return False
    labels = _DOTS.split(unicodedata.normalize("NFKC", text).casefold())
    return all(_is_ascii_label(label) if label.isascii() else _is_unicode_label(label) for label in labels)


def _is_ascii_label(label: str) -> bool:
    if _LABEL.fullmatch(label) is None:
        return False
    if label[2:4] != "--":
        return True
    if label[:2].lower() != "xn":
        return False
    try:
        decoded = label[4:].encode().decode("punycode")
    except UnicodeError:
        return False
    return not decoded.isascii() and decoded == unicodedata.normalize("NFC", decoded) and _is_unicode_label(decoded)


def _is_unicode_label(label: str) -> bool:
    if label[:1] == "-" or label[-1:] == "-" or label[2:4] == "--" or len(label.encode("punycode")) > 59:
        return False
    if unicodedata.category(label[0]).startswith("M") or any(character in _DISALLOWED for character in label):
        return False
    if not all(unicodedata.category(character) in _LETTERS or character in _CONTEXTUAL for character in label):
        return False
    return _mixes_digits_well(label) and all(
        _is_in_context(label, index) for index, character in enumerate(label) if character in _CONTEXTUAL
    )


def _mixes_digits_well(label: str) -> bool:
    arabic = any("\u0660" <= character <= "\u0669" for character in label)
    return not (arabic and any("\u06f0" <= character <= "\u06f9" for character in label))


def _is_in_context(label: str, index: int) -> bool:
    """Check one character by the rules of RFC 5892, appendix A."""
    character, before, after = label[index], label[:index][-1:], label[index + 1 : index + 2]
    if character in _JOINERS:
        return bool(before) and unicodedata.combining(before) == _VIRAMA
    if character == _MIDDLE_DOT:
        return before == after == "l"
    if character == _KERAIA:
        return "\u0370" <= after <= "\u03ff"
    if character in _HEBREW:
        return "\u0590" <= before <= "\u05ff"
    if character == _KATAKANA_DOT:
        scripts = ("HIRAGANA", "KATAKANA", "CJK")
        others = label.replace(_KATAKANA_DOT, "")
        return any(unicodedata.name(each, "").startswith(scripts) for each in others)
    return True
