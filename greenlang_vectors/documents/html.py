"""HTML and XHTML: a walk over the document tree that keeps every visible word in its paragraph."""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from greenlang_vectors.documents.blocks import Block, assemble
from greenlang_vectors.documents.clean import clean, one_line, shorten
from greenlang_vectors.documents.footnotes import Anchors, without_private
from greenlang_vectors.documents.headings import (
    GENERIC,
    act_title,
    enumerator,
    may_be_heading,
    with_divisions,
)
from greenlang_vectors.documents.model import JSON, ExtractedDocument
from greenlang_vectors.documents.tables import Table
from greenlang_vectors.documents.text import decode
from greenlang_vectors.errors import ExtractionError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_INVISIBLE = _words(
    "script style template noscript head nav iframe object audio video canvas select datalist "
    "desc metadata title rp"
)
_INLINE = _words(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark math meter "
    "mi mn mo ms mtext msub msup mrow mfrac output progress q ruby rt s samp small span strike "
    "strong sub sup svg text tspan time tt u var wbr"
)
_BOLD = frozenset(("b", "strong"))
_VOID = _words("area base br col embed hr img input link meta param source track wbr")
_CELLS = frozenset(("td", "th"))
_BOLD_CLASS = re.compile(r"bold", re.IGNORECASE)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)

_XHTML = re.compile(
    r"\s*<\?xml\b|[^>]{0,500}<!DOCTYPE[^>]{0,500}XHTML|[^>]{0,500}<html[^>]{0,500}xmlns=", re.I
)
_SELF_CLOSING = re.compile(r"<([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>")
_DECLARED = re.compile(
    rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?([\w.:-]{1,40})|<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(/?)([A-Za-z][\w:-]*)")
_IMPLIED_END = _words(
    "p li dt dd tr td th thead tbody tfoot colgroup option optgroup a rb rt rp html head body"
)
_DEEPEST = 1_000
_FILE_NAME = re.compile(r"\S+\.\w{2,5}")


def extract_html(data: bytes, name: str, title: str | None = None) -> ExtractedDocument:
    """An HTML or XHTML document.

    Scripts, styles, navigation and hidden elements are left out; every other word of the body is
    kept. Rows of a data table are lines with " | " between cells; tables and grids that only lay
    out a list ("(a)" beside its text) become ordinary paragraphs.

    Raises:
        ExtractionError: "no_text" where nothing is visible, "damaged" where elements are nested
            more than 1,000 deep.
    """
    source = _source(data)
    _refuse_deep_nesting(source)
    parser = LexborHTMLParser(source)
    walk = _Walk()
    if parser.root is not None:
        walk.run(parser.root)
    blocks = with_divisions(walk.anchors.attached(walk.blocks))
    if not blocks:
        raise ExtractionError(
            "no_text",
            "It shows no text (scripts or pictures at most).",
            "Save the page as a reader sees it, or replace it by its text.",
        )
    return assemble(
        blocks,
        title=title or _title(parser, blocks) or name,
        media_type="text/html",
        metadata=_metadata(parser),
    )


def _source(data: bytes) -> str:
    declared = _DECLARED.search(data[:2048])
    encoding = (declared[1] or declared[2]).decode("ascii") if declared else ""
    text = ""
    if encoding and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            text = data.decode(encoding)
        except (LookupError, UnicodeError):
            text = ""
    text = without_private((text or decode(data)).replace("\x00", ""))
    if _XHTML.match(text[:2000]):
        text = _SELF_CLOSING.sub(_opened_and_closed, _without_cdata(text))
    return text


def _without_cdata(text: str) -> str:
    """CDATA sections as ordinary escaped text: to HTML they are comments."""
    first, *sections = text.split("<![CDATA[")
    pieces = [first]
    for section in sections:
        content, end, following = section.partition("]]>")
        pieces += [entities.escape(content), following] if end else [section]
    return "".join(pieces)


def _opened_and_closed(match: re.Match[str]) -> str:
    """`<a id="x"/>` as HTML understands it: without this it would swallow what follows."""
    name, attributes = match[1], match[2]
    return match[0] if name.lower() in _VOID else f"<{name}{attributes}></{name}>"


def _refuse_deep_nesting(source: str) -> None:
    """The parser takes quadratic time on deep nesting; browsers stop at about 500."""
    depth = 0
    for slash, name in _TAG.findall(source):
        lowered = name.lower()
        if lowered in _VOID or lowered in _IMPLIED_END:
            continue
        depth = max(0, depth - 1) if slash else depth + 1
        if depth > _DEEPEST:
            raise ExtractionError(
                "damaged",
                f"Its elements are nested more than {_DEEPEST:,} deep.",
                "Save the page again, or replace it by its text.",
            )


class _Walk:
    """Collects blocks from one tree, without recursion."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.anchors = Anchors()
        self._anchor = False
        self._out = self.blocks
        self._tables: list[Table] = []
        self._counters: list[int | None] = []
        self._parts: list[str] = []
        self._plain_parts: list[str] = []
        self._bold = 0
        self._preformatted = 0
        self._level: int | None = None

    def run(self, root: LexborNode) -> None:
        """Visits every node below `root`, in document order."""
        for node, entering in _events(root):
            if node.is_text_node:
                self._text(node.text_content or "")
            elif entering:
                self._enter(node)
            else:
                self._leave(node)
        self._flush()

    def _text(self, text: str) -> None:
        if not self._preformatted:
            text = text.replace("\n", " ").replace("\r", " ")
        self._parts.append(text)
        if not self._bold:
            self._plain_parts.append(text)

    def _enter(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if _is_bold(node, tag):
            self._bold += 1
        if tag == "br":
            self._parts.append("\n")
        elif tag == "a":
            self._open_anchor(node)
        elif tag not in _INLINE:
            self._boundary()
        if tag == "pre":
            self._preformatted += 1
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._level = int(tag[1])
        elif tag in ("ol", "ul", "menu"):
            self._counters.append(_first_number(node) if tag == "ol" else None)
        elif tag == "li":
            self._item()
        elif tag == "table":
            self._flush()
            self._tables.append(Table(self._out))
        elif tag == "tr" and self._tables:
            self._tables[-1].new_row(header=node.parent is not None and node.parent.tag == "thead")
        elif tag in _CELLS and self._tables:
            self._flush()
            self._out = self._tables[-1].new_cell(header=_is_header_cell(node, tag))

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag not in _INLINE and tag != "br":
            self._boundary()
        if _is_bold(node, tag):
            self._bold -= 1
        if tag == "a" and self._anchor:
            self._parts.append(self.anchors.closing)
            self._anchor = False
        if tag == "pre":
            self._preformatted -= 1
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._flush()
            self._level = None
        elif tag in ("ol", "ul", "menu"):
            self._counters.pop()
        elif tag == "li":
            self._flush()
        elif tag in _CELLS and self._tables:
            self._flush()
            self._out = self._tables[-1].outer
        elif tag == "table":
            self._flush()
            table = self._tables.pop()
            self._out = table.outer
            self._out.extend(table.blocks())

    def _open_anchor(self, node: LexborNode) -> None:
        """Notes an anchor that has a name and leads to another one of the page."""
        attributes = node.attributes
        target = attributes.get("href") or ""
        own = attributes.get("id") or attributes.get("name") or ""
        if own and target.startswith("#"):
            self._parts.append(self.anchors.opening(own, target[1:]))
            self._anchor = True

    def _item(self) -> None:
        """Starts a list item with the mark a browser would show."""
        number = self._counters[-1] if self._counters else None
        if number is None:
            mark = "- "
        else:
            mark = f"{number}. "
            self._counters[-1] = number + 1
        self._parts.append(mark)
        self._plain_parts.append(mark)

    def _boundary(self) -> None:
        """Ends the paragraph, unless it is so far only the mark of the one that follows."""
        if any(part and not part.isspace() for part in self._parts):
            text = one_line("".join(self._parts))
            if len(text) < 12 and enumerator(text) == text:
                self._parts = [text + " "]
                self._plain_parts = [text + " "]
                return
        self._flush()

    def _flush(self) -> None:
        text = clean("".join(self._parts))
        bare = without_private(text)
        plain = one_line("".join(self._plain_parts))
        self._parts.clear()
        self._plain_parts.clear()
        if not bare or bare == "-":
            return
        level = self._level
        if level is None and not self._tables and (not plain or enumerator(plain) == plain):
            words = bare[len(plain) :].strip()
            level = GENERIC if words and may_be_heading(words) else None
        self._out.append(Block(text, level=level))


def _events(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every visible node as it is entered and, for elements, left."""
    ancestors: list[LexborNode] = []
    node: LexborNode | None = root
    while node is not None:
        visible = node.is_text_node or (node.is_element_node and not _is_hidden(node))
        if visible:
            yield node, True
        child = node.first_child if visible else None
        if child is not None:
            ancestors.append(node)
            node = child
            continue
        if visible and node.is_element_node:
            yield node, False
        following = node.next if ancestors else None
        while following is None and ancestors:
            parent = ancestors.pop()
            yield parent, False
            following = parent.next if ancestors else None
        node = following


def _is_hidden(node: LexborNode) -> bool:
    tag = node.tag or ""
    if tag in _INVISIBLE:
        return True
    attributes = node.attributes
    return "hidden" in attributes or (
        "style" in attributes and _HIDDEN_STYLE.search(attributes["style"] or "") is not None
    )


def _is_bold(node: LexborNode, tag: str) -> bool:
    return tag in _BOLD or _BOLD_CLASS.search(node.attributes.get("class") or "") is not None


def _is_header_cell(node: LexborNode, tag: str) -> bool:
    """By its tag, or as the Official Journal marks the paragraphs of headers."""
    return tag == "th" or node.css_first("p.oj-tbl-hdr, p.tbl-hdr") is not None


def _first_number(node: LexborNode) -> int:
    start = node.attributes.get("start") or ""
    return int(start) if re.fullmatch(r"-?\d{1,6}", start) else 1


def _title(parser: LexborHTMLParser, blocks: list[Block]) -> str:
    """The act's own title, the first top heading, the `<title>`, or the first line."""
    top = parser.css_first("h1")
    declared = parser.css_first("title")
    declared_title = shorten(clean(declared.text())) if declared is not None else ""
    candidates = (
        act_title(blocks),
        shorten(clean(top.text())) if top is not None else "",
        "" if _FILE_NAME.fullmatch(declared_title) else declared_title,
        shorten(blocks[0].text[:1000].partition("\n")[0]),
    )
    return next((candidate for candidate in candidates if candidate), "")


def _metadata(parser: LexborHTMLParser) -> dict[str, JSON]:
    metadata: dict[str, JSON] = {}
    root = parser.css_first("html")
    language = root.attributes.get("lang") or root.attributes.get("xml:lang") if root else None
    if language:
        metadata["language"] = clean(language)
    for node in parser.css("meta[name]"):
        name = (node.attributes.get("name") or "").lower()
        content = clean(node.attributes.get("content") or "")
        if name in ("author", "description", "date") and content:
            metadata[name] = content
    return metadata
