"""XML from elsewhere, read without loading or expanding anything it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from greenlang_vectors.errors import ExtractionError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DEEPEST = 200
"""Elements within one another; acts and office documents stay far below."""


def parse(data: bytes) -> Element:
    """The root of an XML document.

    Raises:
        ExtractionError: "damaged" where it is not well-formed, or nested more than 200 deep;
            "unsafe" where it declares entities.
    """
    from xml.etree.ElementTree import ParseError  # noqa: PLC0415

    from defusedxml import DefusedXmlException  # noqa: PLC0415
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415

    try:
        root: Element = fromstring(data, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise ExtractionError(
            "unsafe",
            "Its XML declares entities, which are never expanded.",
            "Save it without a document type declaration.",
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise ExtractionError(
            "damaged", f"Its XML is not well-formed ({error}).", "Fetch the file again."
        ) from error
    _refuse_deep_nesting(root)
    return root


def local(element: Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _refuse_deep_nesting(root: Element) -> None:
    open_: list[Iterator[Element]] = [iter(root)]
    while open_:
        child = next(open_[-1], None)
        if child is None:
            open_.pop()
            continue
        if len(open_) >= DEEPEST:
            raise ExtractionError(
                "damaged",
                f"Its elements are nested more than {DEEPEST} deep.",
                "Save it again, or replace it by its text.",
            )
        open_.append(iter(child))
