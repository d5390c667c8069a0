"""Addresses as anybody may see them: in logs, errors, `/config` and health there is no key in one.

Keys stand in three places: before the host (`user:key@`), behind the `?`, and as a part of the path
that no person would choose: a long one with letters and digits.
"""

import re

_ADDRESS = re.compile(
    r"(?P<scheme>\b\w+://)(?P<host>[^/?#\s\"']*)(?P<path>[^?#\s\"']*)(?P<rest>[?#][^\s\"']*)?"
)
_KEY = re.compile(r"(?<=/)(?=[^/]*\d)(?=[^/]*[A-Za-z])[^/]{12,}")
_HIDDEN = "***"


def shown(text: str) -> str:
    """Take the keys out of the addresses in a text."""
    return _ADDRESS.sub(_without_keys, text)


def host_of(url: str) -> str:
    """Give host and port; the text itself if there are none."""
    found = _ADDRESS.search(url)
    return (found["host"].rpartition("@")[2] if found else "") or shown(url)


def _without_keys(found: re.Match[str]) -> str:
    user, _, host = found["host"].rpartition("@")
    host = f"{_HIDDEN}@{host}" if user else host
    path = _KEY.sub(_HIDDEN, found["path"])
    query = f"{found['rest'][0]}{_HIDDEN}" if found["rest"] and len(found["rest"]) > 1 else ""
    return f"{found['scheme']}{host}{path}{query}"
