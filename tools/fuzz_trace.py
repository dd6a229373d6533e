# SPDX-License-Identifier: GPL-2.0-only
"""Fuzz the decoder: python tools/fuzz_trace.py [CORPUS] [libFuzzer's options, as -runs=1000000].

The options --seeds CAPTURE CORPUS alone make a corpus of a saved tracefs directory.

One input is a trace: two bytes that choose page size, long size, absolute times and windows,
then the pages of two CPUs. It has to come to its end in bounded memory, with nothing but named
errors; every record has to lie inside the data, and times have to be in order. What numba
compiles runs as plain Python, so that atheris sees every branch; with NUMBA_DISABLE_JIT=0 and
NUMBA_BOUNDSCHECK=1 in the environment it runs compiled, faster and blind, each index checked.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path

COMPILED = os.environ.setdefault("NUMBA_DISABLE_JIT", "1") == "0"

import atheris  # noqa: E402

# numba cannot compile what atheris has instrumented.
OPAQUE = ["pykit.trace.records", "pykit.trace.columns"] if COMPILED else []
with atheris.instrument_imports(include=["pykit.trace"], exclude=OPAQUE):
    import numpy as np

    from pykit.trace import pages, records, walk
    from pykit.trace.columns import Extractor, Varying
    from pykit.trace.errors import DamageError
    from pykit.trace.formats import PageLayout, parse_format, parse_header

#: All ways in which a field can lie: widths, misaligned, an array, both references.
FORMAT = """name: any
ID: {}
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:u8 byte;\toffset:2;\tsize:1;\tsigned:0;
\tfield:s16 odd;\toffset:3;\tsize:2;\tsigned:1;
\tfield:u64 wide;\toffset:8;\tsize:8;\tsigned:0;
\tfield:u16 list[2];\toffset:16;\tsize:4;\tsigned:0;
\tfield:__data_loc char[] data;\toffset:20;\tsize:4;\tsigned:1;
\tfield:__rel_loc char[] rel;\toffset:24;\tsize:4;\tsigned:1;

print fmt: "%s", REC->byte
"""
HEADER_PAGE = """\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:{0};\tsigned:1;
\tfield: char data;\toffset:{1};\tsize:{2};\tsigned:0;
"""
HEADER_EVENT = "type_len time_delta type == 29 type == 30 "
#: Ids as real kernels give them, too; every fourth one is unknown, every fourth one not wanted.
KNOWN = {
    number: parse_format(FORMAT.format(number), "any", "format")
    for number in range(2048)
    if number % 4
}
SLOTS = np.full(1 << 16, records.SKIPPED, dtype=np.int32)
WANTED = [number for number in KNOWN if number % 4 > 1]
SLOTS[WANTED] = np.array(WANTED) % 4 - 2
FOLDER = Path(tempfile.mkdtemp(prefix="pykit-fuzz-", dir="/dev/shm"))
#: Longer inputs show nothing new.
_MOST = 1024


@functools.cache
def layout_of(choice: int) -> PageLayout:
    """Long size (bit 0), page size (bits 1-3), whether there are absolute times (bit 4)."""
    long_size, size = 4 if choice & 1 else 8, 64 << (choice >> 1 & 7)
    text = HEADER_PAGE.format(long_size, 8 + long_size, size - 8 - long_size)
    return parse_header(text, HEADER_EVENT + ("type == 31" if choice & 16 else ""), "header")


def seeds(corpus: Path, capture: Path) -> None:
    """Make inputs of the first pages of saved tracefs directories, cut to small pages."""
    size = 256
    for number, raw in enumerate(sorted(capture.glob("**/trace_pipe_raw"))):
        data = raw.read_bytes()
        cut = b"".join(
            data[at : at + 8] + (size - 16).to_bytes(8, "little") + data[at + 16 : at + size]
            for at in range(0, min(len(data), 16384), 4096)
        )
        (corpus / f"seed-{number}").write_bytes(bytes([2 << 1 | 16, 255]) + cut)


def one(data: bytes) -> None:
    """Decode one input."""
    if len(data) < 2 or len(data) > _MOST:
        return
    choice, batch = data[0], data[1] + 1
    layout = layout_of(choice & 63)
    size = layout.page_size
    middle = 2 + (len(data) - 2) // 2 // size * size
    files = []
    for cpu, raw in enumerate((data[2:middle], data[middle:])):
        path = FOLDER / f"cpu{cpu}"
        path.write_bytes(raw)
        files.append(pages.CpuFile(cpu, path))
    walked = walk.Walk(files, layout, KNOWN, budget=0 if choice & 64 else 1 << 14)
    buffer = walked.windows.buffer
    extractor = Extractor([KNOWN[2].fields, KNOWN[3].fields], walked.windows.endian)
    total, top = 0, [0, 0]
    with np.errstate(all="ignore"):
        for found in walked.records(SLOTS, batch):
            total += int(found.size.sum()) + 4 * len(found.size)
            assert (found.at.astype(np.int64) + found.size <= len(buffer) - pages.GUARD).all()
            assert (found.ts >= 0).all()
            for cpu in (0, 1):
                mine = found.ts[found.owner == cpu]
                if len(mine):
                    assert int(mine.min()) >= top[cpu] - records.BACKWARDS_NS
                    top[cpu] = max(top[cpu], int(mine.max()))
            columns, _ = extractor.columns(buffer, found.at, found.size, found.slot)
            for slot, mine in enumerate(columns):
                rows = int(np.count_nonzero(found.slot == slot))
                for column in mine.values():
                    assert len(column.ends if isinstance(column, Varying) else column) == rows
    assert total <= len(data)
    assert all(isinstance(error, DamageError) and "\n" not in str(error) for error in walked.damage)


def main() -> None:
    """Make seeds, or hand over to libFuzzer."""
    if sys.argv[1:2] == ["--seeds"]:
        seeds(Path(sys.argv[3]), Path(sys.argv[2]))
        return
    # Compiling takes longer than any input may.
    one(bytes(_MOST))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
