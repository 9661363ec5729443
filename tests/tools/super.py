# SPDX-License-Identifier: BSD-3-Clause
"""Changes one field of both superblocks of a device, and their checksums with it.

usage: super.py DEVICE OFFSET HEX

OFFSET is that of the field in the superblock, HEX its new bytes.  A damaged field alone is caught
by the checksum; this makes a superblock that somebody wrote so.
"""

import sys

from crc32c import crc32c


def main(path, offset, value):
    value = bytes.fromhex(value)
    offset = int(offset)
    with open(path, "r+b") as device:
        for place, whence in ((0, 0), (-4096, 2)):
            device.seek(place, whence)
            page = bytearray(device.read(4096))
            page[offset : offset + len(value)] = value
            page[4092:] = crc32c(page[:4092]).to_bytes(4, "little")
            device.seek(place, whence)
            device.write(page)


main(*sys.argv[1:])
