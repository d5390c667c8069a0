"""RSS 0.9x to 2.0, RDF (RSS 1.0) and Atom, read with expat: every entry that can be read.

Feeds come from strangers, so nothing in them costs more than reading them once: a document that
declares entities is refused (a kilobyte of them unfolds to gigabytes, or reads our files), nothing
outside is ever loaded, and depth, text and number of entries are bounded. Feeds are also often
wrong: a document that breaks off gives what came before, with the error; a lone `&`, control
characters and HTML's named entities are mended.

Prefixes are compared as they are written, because feeds use prefixes that they never declared.
"""

import re
from html.entities import html5
from xml.parsers import expat

from msgspec import Struct

from tapewatch.model.errors import BadFrame
from tapewatch.news.encoding import text_of

MAX_ENTRIES = 500
MAX_TEXT = 8_000  # characters of one field; what is longer is cut
_MAX_DEPTH = 64
_FIELDS = {
    "title": "title",
    "link": "link",
    "guid": "id",
    "id": "id",
    "pubdate": "published",
    "published": "published",
    "issued": "published",  # Atom 0.3
    "dc:date": "published",
    "updated": "updated",
    "description": "summary",
    "summary": "summary",
}
_PAGE = re.compile(
    r"\s*(<\?xml[^>]*>\s*)?(<!--.{0,2000}?-->\s*)?<(!doctype\s+html|html)\b", re.IGNORECASE
)
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONE = re.compile(r"&(?!#?\w{1,32};)")


class WebPage(BadFrame):
    """A page for people where a feed should be: a challenge, a login, a notice."""


class Entry(Struct, frozen=True):
    """One article as the feed has it: texts may hold markup, any may be empty."""

    id: str = ""
    title: str = ""
    link: str = ""
    published: str = ""
    summary: str = ""


class Document(Struct, frozen=True):
    """What could be read. `error` says where the document broke off; empty if it did not."""

    entries: list[Entry]
    error: str = ""


def read(body: bytes, charset: str = "") -> Document:
    """Read a feed. Raises WebPage for a page of HTML, BadFrame for what is no feed at all."""
    text = text_of(body, charset).lstrip("\ufeff \t\r\n\0")
    if _PAGE.match(text):
        raise WebPage(f"a web page came instead of a feed: {_title(text)}")
    reader = _Reader()
    error = reader.parse(text)
    if error:
        mended = _Reader()
        still = mended.parse(_mend(text))
        if not still or len(mended.entries) > len(reader.entries):
            reader, error = mended, still
    if reader.root not in {"rss", "rdf", "feed"}:
        start = " ".join(text[:60].split())
        raise BadFrame(f"this is no feed: {error or 'it begins with ' + repr(start)}")
    return Document(reader.entries, error)


class _Refused(Exception):
    pass


class _Enough(Exception):
    pass


class _Reader:
    """Gathers entries while expat calls."""

    def __init__(self) -> None:
        self.root = ""
        self.entries: list[Entry] = []
        self._home = ""  # the prefix of the root: `atom:feed` has `atom:entry`
        self._depth = 0
        self._entry: dict[str, str] | None = None
        self._entry_depth = 0
        self._field = ""
        self._field_depth = 0
        self._text: list[str] = []
        self._length = 0
        self._is_permalink = True

    def parse(self, text: str) -> str:
        """Give the error in words, empty if there was none. What was read is in `entries`."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.UseForeignDTD(True)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._hear
        parser.SkippedEntityHandler = self._named
        parser.EntityDeclHandler = _refuse
        try:
            parser.Parse(text, True)
        except _Enough:
            return ""
        except (expat.ExpatError, _Refused, UnicodeEncodeError) as error:
            return str(error)
        return ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _Refused(f"elements lie more than {_MAX_DEPTH} deep")
        name = name.lower()
        if self._depth == 1:
            self._begin(name)
            return
        name = name.removeprefix(self._home)
        if self._entry is None:
            if name in {"item", "entry"}:
                self._entry, self._entry_depth = {}, self._depth
                self._is_permalink = True
                if "rdf:about" in attributes:
                    self._entry["id"] = attributes["rdf:about"]
        elif self._field:
            self._hear(" ")  # markup inside of a text: words stay apart
        elif self._depth == self._entry_depth + 1 and name in _FIELDS:
            self._open(_FIELDS[name], name, attributes)

    def _begin(self, name: str) -> None:
        prefix, colon, local = name.rpartition(":")
        if local in {"feed", "rss", "rdf"}:
            self.root = local
            self._home = prefix + colon if local == "feed" else ""

    def _open(self, field: str, name: str, attributes: dict[str, str]) -> None:
        assert self._entry is not None
        if field == "link" and "href" in attributes:  # Atom
            if attributes.get("rel", "alternate") == "alternate":
                self._entry.setdefault("link", attributes["href"][:MAX_TEXT])
            return
        if name == "guid":
            self._is_permalink = attributes.get("isPermaLink", "true").lower() != "false"
        self._field, self._field_depth = field, self._depth
        self._text, self._length = [], 0

    def _end(self, _name: str) -> None:
        if self._field and self._depth == self._field_depth:
            self._close()
        elif self._entry is not None and self._depth == self._entry_depth:
            self._finish(self._entry)
            self._entry = None
        elif self._field:
            self._hear(" ")
        self._depth -= 1

    def _close(self) -> None:
        """The first word on a field counts, but an empty one says nothing."""
        assert self._entry is not None
        text = "".join(self._text).strip()
        if text and (self._field == "id" or not self._entry.get(self._field)):
            self._entry[self._field] = text
        self._field = ""

    def _finish(self, found: dict[str, str]) -> None:
        guid = found.get("id", "")
        link = found.get("link", "")
        if not link and self._is_permalink and guid.startswith(("http://", "https://")):
            link = guid
        self.entries.append(
            Entry(
                id=guid,
                title=found.get("title", ""),
                link=link,
                published=found.get("published", "") or found.get("updated", ""),
                summary=found.get("summary", ""),
            )
        )
        if len(self.entries) == MAX_ENTRIES:
            raise _Enough

    def _hear(self, text: str) -> None:
        if self._field and self._length < MAX_TEXT:
            text = text[: MAX_TEXT - self._length]
            self._text.append(text)
            self._length += len(text)

    def _named(self, name: str, _is_parameter: bool) -> None:  # noqa: FBT001 - expat's signature
        self._hear(html5.get(f"{name};", f"&{name};"))


def _refuse(name: str, *_: object) -> None:
    raise _Refused(f"it declares an entity of its own ({name[:40]}), which no feed needs")


def _mend(text: str) -> str:
    """Do what authors forgot: escape a lone `&`, leave out signs that XML does not have."""
    text = _UNFIT.sub("", text)
    parts, at = [], 0
    while (start := text.find("<![CDATA[", at)) >= 0 and (end := text.find("]]>", start)) >= 0:
        parts += [_LONE.sub("&amp;", text[at:start]), text[start:end]]
        at = end
    return "".join([*parts, _LONE.sub("&amp;", text[at:])])


def _title(page: str) -> str:
    found = re.search(r"<title[^>]*>([^<]{1,100})", page[:4_000], re.IGNORECASE)
    return repr(" ".join(found[1].split())) if found else "it has no title"
