"""The formats that are asserted, each a small pure check of a text.

They are the formats upstream's engine asserts for drafts 4 to 7; later drafts take `format` for an annotation.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date
from functools import cache

from filestore.schema.hostnames import is_hostname, is_idn_hostname, is_plain_hostname
from filestore.schema.patterns import is_pattern

__all__ = ["DRAFT4_FORMATS", "DRAFT6_FORMATS", "DRAFT7_FORMATS", "is_uri_reference"]

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII)


def is_date(text: str) -> bool:
    """Tell whether `text` is a `full-date` of RFC 3339.

    >>> is_date("2024-02-29"), is_date("2023-02-29")
    (True, False)
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = map(int, match.groups())
    try:
        date(year or 2000, month, day)  # the year 0, a leap year, is one for RFC 3339 but not for Python
    except ValueError:
        return False
    return True


def is_time(text: str) -> bool:
    """Tell whether `text` is a `full-time` of RFC 3339; a leap second only at the end of a day in UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    hour, minute, second, offset_hour, offset_minute = (int(part or 0) for part in match.group(1, 2, 3, 5, 6))
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        return False
    offset = (offset_hour * 60 + offset_minute) * (-1 if match[4] == "-" else 1)
    return second < 60 or (hour * 60 + minute - offset) % 1440 == 1439


def is_date_time(text: str) -> bool:
    """Tell whether `text` is a `date-time` of RFC 3339."""
    return text[10:11] in ("T", "t") and is_date(text[:10]) and is_time(text[11:])


def is_ipv4(text: str) -> bool:
    """Tell whether `text` is an IPv4 address of four decimal numbers."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    """Tell whether `text` is an IPv6 address, without a zone."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


# RFC 5321 and 6531: words joined by dots, or a quoted string; a display name before `<…>` is accepted.
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_EMAIL = re.compile(
    rf"(?P<local>{_WORD}(?:\.{_WORD})*|\"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*\")@(?P<domain>[^@<>]+)"
)
_DISPLAY_NAME = re.compile(r"[^<>@]+ ?<([^<>]*)>")


def _is_email(text: str, is_domain: Callable[[str], bool]) -> bool:
    named = _DISPLAY_NAME.fullmatch(text)
    match = _EMAIL.fullmatch(named[1] if named else text)
    if match is None or len(match["local"].encode(errors="surrogatepass")) > 64:
        return False
    domain = match["domain"]
    if domain.startswith("[") and domain.endswith("]"):
        literal = domain[1:-1]
        return is_ipv6(literal[5:]) if literal.startswith("IPv6:") else is_ipv4(literal)
    return is_domain(domain)


def is_email(text: str) -> bool:
    """Tell whether `text` is a mail address in ASCII.

    >>> is_email("joe@example.com"), is_email("joe@"), is_email("jöe@example.com")
    (True, False, False)
    """
    return text.isascii() and _is_email(text, is_hostname)


def is_idn_email(text: str) -> bool:
    """Tell whether `text` is a mail address, in any script."""
    return _is_email(text, is_idn_hostname)


# RFC 3987's ucschar and iprivate.
_UCSCHAR = r"\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + "".join(
    f"\\U{plane:08x}-\\U{plane + 0xFFFD:08x}" for plane in [*range(0x10000, 0xE0000, 0x10000)]
)
_UCSCHAR += r"\U000e1000-\U000efffd"
_PRIVATE = r"\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"


def _compile_uri(letters: str, private: str, *, absolute: bool) -> re.Pattern[str]:
    character = rf"(?:[A-Za-z0-9._~!$&'()*+,;=:@{letters}-]|%[0-9A-Fa-f]{{2}})"
    name = character.replace(":@", "")
    query = rf"(?:[/?{private}]|{character})"
    host = rf"(?:\[(?:(?P<ipv6>[0-9A-Fa-f:.]+)|[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]|{name}*)"
    authority = rf"//(?:(?:{name}|:)*@)?{host}(?::[0-9]*)?(?:/{character}*)*"
    path = rf"(?!//)(?:{character}|/)*"
    scheme = r"[A-Za-z][A-Za-z0-9+.-]*:"
    start = scheme if absolute else rf"(?:{scheme}|(?![^/?#]*:))"
    return re.compile(rf"{start}(?:{authority}|{path})(?:\?{query}*)?(?:#(?:[/?]|{character})*)?")


def _make_uri_check(*, international: bool, absolute: bool) -> Callable[[str], bool]:
    @cache  # when first asked for: these take long to compile, and few schemas ask
    def get_pattern() -> re.Pattern[str]:
        return _compile_uri(*((_UCSCHAR, _PRIVATE) if international else ("", "")), absolute=absolute)

    def is_uri(text: str) -> bool:
        match = get_pattern().fullmatch(text)
        return match is not None and (match["ipv6"] is None or is_ipv6(match["ipv6"]))

    return is_uri


is_uri = _make_uri_check(international=False, absolute=True)
is_uri_reference = _make_uri_check(international=False, absolute=False)
is_iri = _make_uri_check(international=True, absolute=True)
is_iri_reference = _make_uri_check(international=True, absolute=False)

_VARIABLE = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+(?:\.(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+)*(?::[1-9][0-9]{0,3}|\*)?"
_URI_TEMPLATE = re.compile(
    rf"(?:[^\x00-\x20\"<>%\\^`{{|}}]|%[0-9A-Fa-f]{{2}}|\{{[+#./;?&=,!@|]?{_VARIABLE}(?:,{_VARIABLE})*\}})*"
)
_JSON_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_RELATIVE_JSON_POINTER = re.compile(rf"(?:0|[1-9][0-9]*)(?:#|{_JSON_POINTER.pattern})")


def _make_check(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


DRAFT4_FORMATS: dict[str, Callable[[str], bool]] = {
    "date": is_date,
    "date-time": is_date_time,
    "email": is_email,
    "hostname": is_plain_hostname,
    "idn-email": is_idn_email,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "regex": is_pattern,
    "time": is_time,
    "uri": is_uri,
}
DRAFT6_FORMATS = DRAFT4_FORMATS | {
    "json-pointer": _make_check(_JSON_POINTER),
    "uri-reference": is_uri_reference,
    "uri-template": _make_check(_URI_TEMPLATE),
}
DRAFT7_FORMATS = DRAFT6_FORMATS | {
    "hostname": is_hostname,
    "idn-hostname": is_idn_hostname,
    "iri": is_iri,
    "iri-reference": is_iri_reference,
    "relative-json-pointer": _make_check(_RELATIVE_JSON_POINTER),
}
