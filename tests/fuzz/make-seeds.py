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
WRONG_PAGE, WRONG_CHECK, NO_CHECK, WRONG_PARITY = 1, 32, 64, 128
SNAPSHOT, ORIGIN, OTHER_FAMILY, ROOT, SAME_UUID, KIN_UNSEALED, LARGE, ALL = (
    1 << bit for bit in range(8)
)
DEFAULT, UNSEALED, WITHOUT_COPY, ONLY_COPY, NAME_OF_0, ELSEWHERE, RESERVED = 1, 2, 4, 8, 16, 32, 64


def superblock(pages=700, directory=1, spare=20, kind=1, generation=1, check=1):
    return struct.pack(
        "<8sIIQQQIIQQQQQQ16s64s",
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
        directory,
        spare,
        generation,
        10000000000,
        bytes.fromhex("0123456789ab4cde8f0123456789abcd"),
        "golden é v2".encode(),
    )


def block(volume, number, page, wrong=0, level=0):
    """Names a block's page, or a table on the way to it."""
    shift = 0
    while number >> shift > 65535:
        shift += 1
    return struct.pack("<BHBHBHB", 0, volume, level, number >> shift, shift, page, wrong)


def table(volume, level, number, page, wrong=0):
    return block(volume, number << 9 * level, page, wrong, level)


def size(blocks):
    shift = 0
    while blocks >> shift > 65535:
        shift += 1
    return blocks >> shift, shift


def volume(number, page, blocks, height=0, how=0):
    return struct.pack("<BHHBHBB", 1, number, page, height, *size(blocks), how)


def directory(number, page, which=3, further=0, wrong=0):
    return struct.pack("<BHHHHB", 2, number, page, further, which, wrong)


def poke(page, offset, differs, sealed=1):
    return struct.pack("<BHHIB", 3, page, offset, differs, sealed)


def volumes(count, page, blocks, height=0, how=0):
    return struct.pack("<BHHBHBB", 4, count, page, height, *size(blocks), how)


def kin(number, how=0, volume=1023, origin=1023, root=255, sequence=0):
    """Makes a volume a snapshot or a clone."""
    return struct.pack("<BHHHBBB", 5, number, volume, origin, root, sequence, how)


def own(volume, level, number):
    """Copies the tables on the way to a place, down to its level."""
    return b"\6" + table(volume, level, number, 0)[1:]


FIRST = [volume(0, 3, 520, how=DEFAULT)] + [
    block(0, number, page)
    for number, page in ((0, 7), (1, 8), (5, 24), (7, 25), (511, 11), (512, 13), (519, 14))
]
TALL = [volume(1, 4, 300000)] + [
    block(1, number, page) for number, page in ((0, 18), (262144, 21), (299998, 23))
]
GOLDEN = FIRST + TALL
# Tables are made from the end: the first volume's on 698 to 696, the second's from there on.
UPPER, LEAF_0, LEAF_1, TALL_3, TALL_2, TALL_LEAF, TALL_2B = range(698, 691, -1)

# v0@v2 and v0@v3, of which v0 has got another block, and has dropped the second leaf.
OLD = [volume(0, 3, 520), volume(2, 5, 520), kin(2, SNAPSHOT, volume=0, sequence=1)] + [
    block(2, number, page) for number, page in ((0, 30), (1, 31), (519, 32))
]
OLD_UPPER, OLD_LEAF_0, OLD_LEAF_1 = UPPER, LEAF_0, LEAF_1
CHAIN = OLD + [
    volume(3, 6, 520),
    kin(3, SNAPSHOT | ROOT, volume=0, root=2, sequence=2),
    own(3, 1, 0),
    block(3, 0, 33),
    kin(0, ROOT, root=3),
    own(0, 1, 0),
    block(0, 1, 34),
    block(0, 2, 35),
    table(0, 1, 1, 0),
]
# v4 of v0@v2.
CLONE = CHAIN + [
    volume(4, 7, 520),
    kin(4, ORIGIN | ROOT, origin=2, root=2),
    own(4, 1, 1),
    block(4, 513, 36),
]
CIRCLE = [
    volume(1, 4, 9),
    volume(2, 5, 9),
    kin(2, SNAPSHOT | ORIGIN, volume=1, origin=4, sequence=1),
    volume(3, 6, 9),
    kin(3, ORIGIN, origin=2),
    volume(4, 7, 9),
    kin(4, SNAPSHOT | ORIGIN, volume=3, origin=2, sequence=1),
    kin(1, ORIGIN, origin=4),
    block(1, 0, 30),
    block(4, 3, 31),
]


def image(
    flags=SEAL | SEAL_COPY, pages=700, first=None, second=None, statements=GOLDEN, more=()
):
    first = first or superblock()
    second = second or first
    differs = bytes(a ^ b for a, b in zip(first, second))
    data = struct.pack("<BHB", flags, pages, 0) + first + differs + bytes(8)
    return data + b"".join(statements) + b"".join(more)


def changed(*more, **options):
    return image(more=more, **options)


NO_CHECKS = superblock(check=0)
IMAGES = {
    "golden": image(flags=SEAL | SEAL_COPY | PROBE),
    "no-checksums": image(flags=0),
    "primary-damaged": image(flags=SEAL_COPY),
    "copy-damaged": image(flags=SEAL),
    "copy-gone": image(flags=SEAL | NO_COPY),
    "copy-newer": image(second=superblock(generation=2)),
    "copy-older": image(first=superblock(generation=2), second=superblock()),
    "device-larger": image(pages=720),
    "growth-cut": image(
        flags=SEAL | SEAL_COPY | AT_END, pages=720, second=superblock(pages=720, generation=2)
    ),
    "device-smaller": image(pages=690),
    "too-small": image(pages=2),
    "holes": image(flags=SEAL | SEAL_COPY | HOLES),
    "reserved": image(flags=SEAL | SEAL_COPY)[:356]
    + struct.pack("<HBBHBB", 300, 1, 1, 0, 0, 0)
    + b"".join(GOLDEN),
    "none": image(first=superblock(directory=0, spare=0, kind=0, check=0), statements=[]),
    "tiny": image(
        pages=9, first=superblock(pages=9, spare=1), statements=[volume(0, 3, 1), block(0, 0, 4)]
    ),
    "full": image(
        pages=8, first=superblock(pages=8, spare=1), statements=[volume(0, 3, 9), block(0, 0, 4)]
    ),
    # The sums of what it says wrap around.
    "overflow": image(first=superblock(spare=2**64 - 500)),
    "no-volumes": image(statements=[]),
    "wild": changed(block(0, 2, 699), block(0, 3, 2), block(1, 6, 20, WRONG_PAGE)),
    "turned": changed(block(0, 2, 30, WRONG_PARITY), block(1, 3, 31, WRONG_CHECK)),
    "mismatch": changed(block(0, 6, 30, NO_CHECK), block(0, 9, 31, WRONG_CHECK)),
    "unchecked": changed(block(0, 6, 20), first=NO_CHECKS),
    "unchecked-with-checks": changed(block(0, 6, 20, WRONG_CHECK), first=NO_CHECKS),
    "shared": changed(block(0, 2, 7), block(0, 513, 14)),
    "shared-by-volumes": changed(block(1, 2, 7)),
    "shared-unchecked": changed(block(1, 2, 7), block(0, 3, 8), first=NO_CHECKS),
    "past": changed(
        block(0, 520, 30), block(0, 1023, 31), table(0, 1, 2, 32), block(1, 400000, 33)
    ),
    "past-and-wild": changed(block(0, 520, 30), block(0, 9, 0, 255), flags=SEAL),
    "made-smaller": changed(poke(4, 16, 300000 ^ 600), poke(3, 16, 520 ^ 9)),
    "height-5": image(statements=[volume(0, 3, 2**39), block(0, 65535 << 23, 20), block(0, 7, 21)]),
    "height-more": image(statements=[volume(0, 3, 9, height=5), block(0, 8, 20)]),
    "height-lies": image(statements=[volume(0, 3, 9), block(0, 8, 20), poke(3, 8, 1 ^ 3)]),
    "height-too-small": changed(poke(4, 8, 3 ^ 2)),
    "height-impossible": changed(poke(4, 8, 3 ^ 6)),
    "record-unsealed": changed(poke(4, 24, 1, 0)),
    "record-reserved": image(statements=[volume(0, 3, 9), volume(1, 4, 9, how=RESERVED)]),
    "record-of-a-block": changed(directory(2, 7)),
    "record-named-twice": changed(directory(2, 3)),
    "record-of-no-data": changed(directory(2, 2), directory(3, 699)),
    "names-equal": image(statements=FIRST + [volume(1, 4, 9, how=NAME_OF_0)]),
    "directory-turned": changed(directory(1, 4, 1, wrong=WRONG_PARITY)),
    "directory-copy-turned": changed(directory(1, 4, 2, wrong=WRONG_CHECK)),
    "directory-both-turned": changed(directory(1, 4, 3, wrong=NO_CHECK)),
    "directory-lost": changed(directory(1, 0, 1)),
    "directory-cleared": changed(directory(0, 0, 1), directory(1, 0, 1)),
    "directory-turned-in-a-change": changed(
        volume(1, 5, 300000), directory(1, 5, 1, wrong=WRONG_PARITY), directory(1, 4, 2)
    ),
    "directory-turned-and-record": changed(
        directory(1, 4, 1, wrong=WRONG_PARITY), poke(4, 24, 1, 0)
    ),
    "directory-many-turned": image(
        statements=[volumes(150, 3, 9, how=ONLY_COPY), block(0, 5, 600)]
    ),
    "directory-turned-from-copy": changed(directory(1, 4, 1, wrong=WRONG_PARITY), flags=SEAL_COPY),
    "directory-copy-of-another": changed(volume(2, 5, 9), directory(1, 5, 2)),
    "directory-copy-behind": changed(directory(1, 0, 2)),
    "directory-copy-other": changed(directory(1, 30, 2)),
    "directory-elsewhere": image(statements=FIRST + [volume(1, 4, 9, how=ELSEWHERE)]),
    "root-turned": changed(table(1, 3, 0, TALL_3, WRONG_CHECK)),
    "root-of-a-leaf": changed(table(0, 2, 0, LEAF_0)),
    "root-of-another": changed(table(0, 2, 0, TALL_3)),
    "table-turned": changed(table(1, 2, 0, TALL_2, WRONG_PARITY)),
    # That of the other place, as it stands there.
    "table-out-of-place": changed(table(0, 1, 1, LEAF_1, WRONG_CHECK)),
    "table-twice": changed(table(0, 1, 1, LEAF_0)),
    "table-twice-unchecked": changed(table(0, 1, 1, LEAF_0), first=NO_CHECKS),
    "table-twice-upper": changed(table(1, 2, 1, TALL_2)),
    "table-twice-upper-unchecked": changed(table(1, 2, 1, TALL_2), first=NO_CHECKS),
    "table-twice-by-volumes": changed(table(1, 1, 0, LEAF_1)),
    "table-as-data": changed(block(0, 5, LEAF_1), block(1, 5, UPPER), block(1, 6, 3)),
    "data-as-table": changed(table(0, 1, 1, 7)),
    "record-as-table": changed(table(0, 1, 1, 4)),
    "free-page-as-table": changed(table(0, 1, 1, 300)),
    "cycle": changed(table(1, 2, 1, TALL_3)),
    "cycle-of-two": changed(table(1, 1, 1, TALL_3), table(1, 2, 0, TALL_2)),
    "cycle-deep": image(
        statements=[volume(0, 3, 2**39), block(0, 7, 20)]
        + [table(0, 4, 0, 698), table(0, 3, 1, 698), table(0, 2, 514, 698)]
        + [table(0, 1, 514 * 512 + 256, 698)]
    ),
    "all-volumes": image(
        statements=[volumes(512, 3, 1000), block(0, 5, 600), block(511, 999, 601)]
    ),
    "all-volumes-large": image(statements=[volumes(512, 3, 2**39), block(400, 65535 << 23, 600)]),
    "all-of-one-name": image(statements=[volumes(512, 3, 9, how=NAME_OF_0)]),
    "two-pages": image(
        first=superblock(directory=2),
        statements=[volume(0, 5, 520, how=DEFAULT), volume(511, 6, 9), volume(512, 7, 300000)]
        + [volume(1023, 8, 1), block(0, 3, 20), block(512, 299998, 21), block(1023, 0, 22)],
    ),
    "two-pages-turned": image(
        first=superblock(directory=2),
        statements=[volume(600, 5, 520), block(600, 519, 20), volume(601, 6, 9)]
        + [directory(600, 5, 1, wrong=WRONG_PARITY), directory(601, 6, 2, wrong=WRONG_CHECK)],
    ),
    "two-pages-full": image(
        pages=768,
        first=superblock(pages=768, directory=2, spare=1),
        statements=[volumes(600, 5, 1000), block(5, 5, 700), block(599, 999, 701)],
    ),
    "most-pages": image(
        pages=768,
        first=superblock(pages=768, directory=128),
        statements=[volume(1000, 300, 520), block(1000, 519, 400)],
    ),
    "pages-too-many": image(pages=768, first=superblock(pages=768, directory=129)),
    "snapshots": image(statements=CHAIN),
    "snapshots-unchecked": image(statements=CHAIN, first=NO_CHECKS),
    "snapshots-holes": image(flags=SEAL | SEAL_COPY | HOLES, statements=CHAIN),
    "clone": image(statements=CLONE),
    "clone-unchecked": image(statements=CLONE, first=NO_CHECKS),
    "clone-with-snapshot": image(
        statements=CLONE
        + [volume(5, 8, 520), kin(5, SNAPSHOT | ORIGIN | ROOT, 4, 2, 4, 1), own(4, 1, 0)]
        + [block(4, 0, 37), table(4, 1, 1, 0)]
    ),
    "clone-higher": image(
        statements=OLD
        + [volume(4, 7, 300000), kin(4, ORIGIN, origin=2), table(4, 2, 0, OLD_UPPER)]
        + [block(4, 262144, 36)]
    ),
    "clone-bare": image(statements=OLD + [volume(4, 7, 520), kin(4, ORIGIN, origin=2)]),
    "clones": image(
        statements=[volumes(512, 3, 520), kin(1, SNAPSHOT, 0, sequence=1), block(1, 0, 600)]
        + [block(1, 519, 601), kin(2, ORIGIN | ROOT | ALL, origin=1, root=1)]
        + [own(9, 1, 0), block(9, 5, 602)]
    ),
    "clones-bare": image(
        statements=[volumes(512, 3, 520), kin(1, SNAPSHOT, 0, sequence=1), block(1, 0, 600)]
        + [block(1, 519, 601), kin(2, ORIGIN | ALL, origin=1)]
    ),
    "snapshots-many": image(
        statements=[volumes(300, 3, 520), block(1, 0, 600), block(1, 519, 601)]
        + [kin(1, SNAPSHOT | ROOT | ALL | OTHER_FAMILY, 0, root=1, sequence=1)]
    ),
    "snapshots-many-of-one": image(
        statements=[volumes(300, 3, 520), kin(0, ALL, origin=1), kin(1, SNAPSHOT, 0, sequence=1)]
        + [block(1, 0, 600), block(1, 519, 601)]
        + [kin(2, SNAPSHOT | ROOT | ALL, 0, root=1, sequence=2), own(100, 1, 0), block(100, 0, 602)]
        + [kin(101, SNAPSHOT | ROOT | ALL, 0, root=100, sequence=101), kin(0, ROOT, root=100)]
    ),
    "circle": image(statements=CIRCLE),
    "circle-of-one": image(
        statements=[volume(1, 4, 9), volume(2, 5, 9)]
        + [kin(2, SNAPSHOT | ORIGIN, 1, 2, sequence=1), kin(1, ORIGIN | OTHER_FAMILY, origin=2)]
    ),
    "circle-of-all": image(
        statements=[volumes(200, 3, 9), kin(0, SNAPSHOT | ORIGIN | ALL, 0, 7, sequence=1)]
    ),
    "origin-gone": image(statements=CLONE + [kin(4, ORIGIN | OTHER_FAMILY, origin=77)]),
    # Nothing else is wrong.
    "origin-gone-bare": image(
        statements=FIRST + [volume(1, 4, 9), kin(1, ORIGIN | OTHER_FAMILY, origin=77)]
    ),
    "family-differs-bare": image(
        statements=FIRST + [volume(2, 5, 9), kin(2, SNAPSHOT | OTHER_FAMILY, 0, sequence=1)]
    ),
    "snapshot-higher-bare": image(
        statements=FIRST + [volume(2, 5, 9, height=3), kin(2, SNAPSHOT, 0, sequence=1)]
    ),
    "origin-a-volume": image(statements=CLONE + [kin(4, ORIGIN, origin=0)]),
    "origin-other": image(statements=CLONE + [kin(4, ORIGIN, origin=3)]),
    "origin-differs": image(statements=CHAIN + [kin(3, ORIGIN | OTHER_FAMILY, origin=2)]),
    "origin-unsealed": image(statements=CLONE + [poke(5, 24, 1, 0)]),
    "snapshot-cleared": image(statements=CHAIN + [directory(2, 0)]),
    "snapshot-lost": image(statements=CHAIN + [directory(3, 0, 1)]),
    "snapshot-turned": image(statements=CHAIN + [directory(2, 5, 1, wrong=WRONG_PARITY)]),
    "volume-gone": image(statements=CHAIN + [directory(0, 0)]),
    "volume-of-nobody": image(
        statements=[volume(2, 5, 9), kin(2, SNAPSHOT, 99, sequence=3), block(2, 0, 30)]
        + [volume(4, 7, 9), kin(4, ORIGIN | ROOT, origin=2, root=2)]
    ),
    "sequences-equal": image(
        statements=CHAIN + [kin(3, SNAPSHOT, volume=0, sequence=1)]
    ),
    "sequence-last": image(statements=OLD + [kin(2, SNAPSHOT | LARGE, 0, sequence=1)]),
    "sequence-none": image(statements=OLD + [kin(2, SNAPSHOT, 0)]),
    "uuids-equal": image(statements=CLONE + [kin(4, SAME_UUID, origin=2)]),
    "uuids-all-equal": image(
        statements=[volumes(200, 3, 9), kin(0, SAME_UUID | ALL | OTHER_FAMILY, origin=0)]
    ),
    "snapshots-of-one-name": image(statements=CHAIN + [poke(6, 57, 0x32 ^ 0x33)]),
    "snapshot-named-like-a-volume": image(statements=CHAIN + [poke(6, 57, 0x30 ^ 0x33)]),
    "family-differs": image(statements=CHAIN + [poke(6, 24, 1)]),
    "snapshot-higher": image(statements=OLD + [poke(5, 8, 2 ^ 3)]),
    "snapshot-past": image(statements=CLONE + [poke(5, 16, 520 ^ 1), poke(7, 16, 520 ^ 9)]),
    "snapshot-default": image(statements=CHAIN + [poke(6, 12, 1)]),
    "snapshot-of-a-snapshot": image(statements=CHAIN + [kin(3, SNAPSHOT, 2, sequence=9)]),
    "shared-turned": image(statements=CLONE + [block(2, 1, 31, WRONG_PARITY)]),
    "shared-mismatch": image(statements=CLONE + [block(4, 0, 30, WRONG_CHECK)]),
    "shared-leaf-turned": image(statements=CLONE + [table(2, 1, 1, OLD_LEAF_1, WRONG_CHECK)]),
    "shared-leaf-twice": image(statements=CLONE + [table(2, 1, 1, OLD_LEAF_0)]),
    "shared-comes-back": image(statements=CHAIN + [kin(0, ROOT, root=2)]),
    "shared-as-data": image(statements=CLONE + [block(0, 5, OLD_LEAF_0), block(4, 6, 5)]),
    "shared-with-another": image(
        statements=CLONE + [volume(1, 4, 520), table(1, 1, 0, OLD_LEAF_0), block(1, 512, 32)]
    ),
    "shared-with-the-volume": image(statements=CLONE + [block(4, 2, 35), block(2, 3, 34)]),
    "shared-elsewhere": image(statements=CLONE + [table(4, 1, 0, OLD_LEAF_1)]),
    "many-in-few": image(
        pages=80,
        first=superblock(pages=80, spare=2),
        statements=[volumes(70, 3, 30), block(0, 3, 75), block(69, 29, 76)],
    ),
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
