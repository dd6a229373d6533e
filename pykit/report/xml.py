# SPDX-License-Identifier: GPL-2.0-only
"""The elements of a JUnit file, and text that XML can hold."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """The text, with a replacement character for each that XML cannot hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def suite(root: ET.Element, name: str) -> ET.Element:
    """A testsuite in the root."""
    return ET.SubElement(root, "testsuite", name=legal(name))


def case(parent: ET.Element, name: str, seconds: float) -> ET.Element:
    """A testcase in a testsuite."""
    return ET.SubElement(
        parent,
        "testcase",
        name=legal(name),
        classname=f"pykit.{parent.get('name')}",
        time=f"{seconds:.3f}",
    )


def document(root: ET.Element) -> bytes:
    """The whole file, UTF-8 with its XML declaration; every suite and the root get their counts."""
    for element in (root, *root.iter("testsuite")):
        element.set("tests", str(len(list(element.iter("testcase")))))
        for plural, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(plural, str(len(list(element.iter(name)))))
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"
