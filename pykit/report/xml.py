# SPDX-License-Identifier: GPL-2.0-only
"""Build the elements of a JUnit file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from pykit.text import printable

# Characters that XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """Return text with escapes for what is not printable or not legal in XML."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", printable(text))


def suite(root: ET.Element, name: str) -> ET.Element:
    """Add a testsuite to the root."""
    return ET.SubElement(root, "testsuite", name=legal(name))


def case(parent: ET.Element, name: str, seconds: float) -> ET.Element:
    """Add a testcase to a testsuite."""
    return ET.SubElement(
        parent,
        "testcase",
        name=legal(name),
        classname=f"pykit.{parent.get('name')}",
        time=f"{seconds:.3f}",
    )


def document(root: ET.Element) -> bytes:
    """Return the file in UTF-8 with an XML declaration; set the counts of suites and root."""
    for element in (root, *root.iter("testsuite")):
        element.set("tests", str(len(list(element.iter("testcase")))))
        for plural, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(plural, str(len(list(element.iter(name)))))
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"
