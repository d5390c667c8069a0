"""Bytes of a web document to text, whatever its server and its author say of the encoding.

Both are wrong often: a server that says ISO-8859-1 by default, a file that says UTF-8 and is not.
So the bytes are asked first: what is valid UTF-8 is UTF-8, by chance that hardly happens.
"""

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,100}encoding\s*=\s*["']([\w.:-]{1,40})["']""")
# Python has codecs that are no encodings of documents, and some that take minutes (punycode).
_SENSIBLE = re.compile(
    r"(utf|iso|windows|cp|koi8|mac|big5|gb|euc|shift|sjis|latin|us|ascii|tis|hz)[\w.:-]*", re.ASCII
)
_LAST_RESORT = "windows-1252"  # what browsers take "ISO-8859-1" and nothing at all for


def text_of(body: bytes, charset: str = "") -> str:
    """Decode. `charset` is what the server said. Never fails: at worst signs are replaced."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body.decode(name, "replace").removeprefix("\ufeff")
    found = _DECLARED.search(body[:1024])
    declared = found[1].decode() if found else ""
    for name in ("" if b"\x1b" in body[:4096] else "utf-8", charset, declared):
        text = _decoded(body, name)
        if text is not None:
            return text
    damaged = body.decode("utf-8", "replace")
    broken = damaged.count("\ufffd")
    sound = sum(sign > "\x7f" for sign in damaged) - broken
    return damaged if broken <= sound else body.decode(_LAST_RESORT, "replace")


def _decoded(body: bytes, name: str) -> str | None:
    name = name.lower()
    if name in {"iso-8859-1", "latin-1", "latin1", "us-ascii"}:
        return None  # the last resort reads these, and what people write between 80 and 9f
    if not _SENSIBLE.fullmatch(name):
        return None
    try:
        return body.decode(name)
    except (LookupError, ValueError):
        return None
