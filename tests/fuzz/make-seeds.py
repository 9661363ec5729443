# SPDX-License-Identifier: BSD-3-Clause
"""Writes the first inputs of the fuzz targets, from which all others were bred.

usage: make-seeds.py FOLDER

Makes corpus-image and corpus-ops in FOLDER.  The first image is that of tests/golden (make-v2.c),
the others are what can happen to it; the operations are those that make-v2.c does, and some more.
"""

import pathlib
import struct
import sys

SEAL, SEAL_COPY, NO_COPY, AT_END, HOLES, PROBE = 1, 2, 4, 8, 16, 32
ENTRIES = [(0, 3), (1, 4), (5, 10), (7, 11), (511, 7), (512, 8), (519, 9)]


def superblock(
    pages=700, index=2, blocks=520, spare=20, kind=1, generation=1, check=1
):
    return struct.pack(
        "<8sIIQQQIIQQQQQQQ16s64sQ",
        b"KMEMBLK\n",
        2,
        kind,
        0,
        0,
        0,
        4096,
        check,
        pages,
        1,
        index,
        blocks,
        spare,
        generation,
        10000000000,
        bytes.fromhex("0123456789ab4cde8f0123456789abcd"),
        "golden é v2".encode(),
        0x0123456789ABCDEF,
    )


def image(flags=SEAL | SEAL_COPY, pages=700, first=None, second=None, entries=ENTRIES):
    first = first or superblock()
    second = second or first
    differs = bytes(a ^ b for a, b in zip(first, second))
    data = struct.pack("<BHB", flags, pages, 0) + first + differs + bytes(8)
    for entry in entries:
        slot, page, *high = entry
        data += struct.pack("<HHB", slot, page, *(high or [0]))
    return data


IMAGES = {
    "golden": image(flags=SEAL | SEAL_COPY | PROBE),
    "no-checksums": image(flags=0),
    "primary-damaged": image(flags=SEAL_COPY),
    "copy-damaged": image(flags=SEAL),
    "copy-gone": image(flags=SEAL | NO_COPY),
    "copy-newer": image(second=superblock(generation=2)),
    "copy-older": image(first=superblock(generation=2), second=superblock()),
    "device-larger": image(pages=720),
    "device-smaller": image(pages=690),
    "too-small": image(pages=2),
    "holes": image(flags=SEAL | SEAL_COPY | HOLES),
    "wild": image(entries=ENTRIES + [(2, 699), (3, 2), (6, 20, 1)]),
    "turned": image(entries=ENTRIES + [(2, 20, 128), (3, 21, 32), (6, 22, 64)]),
    "unchecked": image(first=superblock(check=0), entries=ENTRIES + [(6, 20, 32)]),
    "shared": image(entries=ENTRIES + [(2, 3), (513, 9)]),
    "tail": image(entries=ENTRIES + [(520, 3), (1023, 5)]),
    "tail-and-wild": image(flags=SEAL, entries=ENTRIES + [(520, 3), (9, 0, 255)]),
    "none": image(first=superblock(index=0, blocks=0, spare=0, kind=0, check=0), entries=[]),
    "tiny": image(pages=5, first=superblock(5, 1, 1, 1), entries=[(0, 3)]),
    # The sums of what it says wrap around.
    "overflow": image(first=superblock(index=0, blocks=2**64 - 500, spare=600)),
    "leaf": image(pages=520, first=superblock(520, 1, 512, 5), entries=[(511, 518)]),
}

WRITE, TRIM, ZERO, NO_HOLE, READ, EXTENTS, FLUSH, REOPEN = range(8)
WHOLE = 128


def op(what, offset=0, count=0, fill=5):
    return (
        bytes([what | fill << 3])
        + offset.to_bytes(3, "little")
        + count.to_bytes(3, "little")
    )


def ops(blocks, spare, prealloc, *rest):
    return bytes([blocks - 1, spare - 1, prealloc]) + b"".join(rest)


P = 4096
OPS = {
    "golden": ops(
        20,
        2,
        0,
        op(WRITE, 0, P),
        op(WRITE, P + 100, 17),
        op(WRITE, 5 * P, P),
        op(WRITE, 6 * P, P),
        op(WRITE, 19 * P, P),
        op(REOPEN),
        op(WRITE, 5 * P, P, 6),
        op(NO_HOLE, 7 * P, P),
        op(TRIM, 6 * P, P),
        op(EXTENTS, 0, 20 * P),
        op(READ, 0, 20 * P),
    ),
    "edges": ops(
        8,
        1,
        0,
        op(WRITE, 100, 3 * P),
        op(ZERO, 50, P + 100),
        op(TRIM, 10, 3 * P),
        op(NO_HOLE, 4 * P - 1, P + 2),
        op(EXTENTS, 5, 7 * P),
        op(READ, 99, 4 * P),
        op(FLUSH),
    ),
    "full": ops(
        4,
        1,
        1,
        op(WRITE, 0, 4 * P),
        op(WRITE, 0, 4 * P, 3),
        op(TRIM, 0, 4 * P),
        op(WRITE, 1, 4 * P - 1),
        op(REOPEN),
        op(READ, 0, 4 * P),
    ),
    "outside": ops(
        2, 1, 0, op(WRITE, 0, 2 * P + 1), op(READ, 2 * P, 1), op(TRIM, 2 * P + 1, 0)
    ),
    "large": ops(
        64,
        8,
        0,
        op(WRITE | WHOLE, 0, 64 * P),
        op(ZERO, 1000, 40 * P),
        op(WRITE, 5 * P + 5, 50 * P),
    ),
}

for name, seeds in (("image", IMAGES), ("ops", OPS)):
    folder = pathlib.Path(sys.argv[1]) / ("corpus-" + name)
    folder.mkdir(exist_ok=True)
    for seed, data in seeds.items():
        (folder / ("seed-" + seed)).write_bytes(data)
