# SPDX-License-Identifier: BSD-3-Clause
#
# The map of a device, followed and changed by hand, as kmemblk-format(5) has it; nothing of the library's.
#
#     map.py DEVICE entry BLOCK VALUE   makes VALUE the entry of BLOCK, and the tables on the way to it that
#                                       are missing, on free pages
#     map.py DEVICE page BLOCK          prints the page of BLOCK, 0 for none

import sys

PAGE = 4096
ENTRIES = 512
PAGE_MASK = (1 << 39) - 1


def crc24(data):
    """0x864CFB, bits reflected, begun with 0."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xDF3261 if value & 1 else 0)
    return value


def with_parity(entry):
    return entry | (bin(entry).count("1") & 1) << 63


def place_entry(family, page, level, number):
    """The entry that names the table at a place, or a record."""
    words = (family, page, level, number)
    return with_parity(page | crc24(b"".join(word.to_bytes(8, "little") for word in words)) << 39)


class Map:
    """The map of the first disk of an open file."""

    def __init__(self, device):
        self.device = device
        self.record = self.word(self.word(56) * PAGE) & PAGE_MASK
        self.height = self.word(self.record * PAGE + 8) & 0xFFFFFFFF
        self.family = self.word(self.record * PAGE + 24)

    def word(self, at):
        self.device.seek(at)
        return int.from_bytes(self.device.read(8), "little")

    def put(self, at, value):
        self.device.seek(at)
        self.device.write(value.to_bytes(8, "little"))

    def find(self, block, make=False):
        """Where the entry of a block is in the file; None where a table is missing."""
        at = self.record * PAGE + PAGE - 8
        for level in range(self.height, 0, -1):
            page = self.word(at) & PAGE_MASK
            if page == 0:
                if not make:
                    return None
                page = self.free_page()
                self.device.seek(page * PAGE)
                self.device.write(bytes(PAGE))
                self.put(at, place_entry(self.family, page, level, block >> 9 * level))
            at = page * PAGE + 8 * (block >> 9 * (level - 1) & ENTRIES - 1)
        return at

    def free_page(self):
        """One that no entry names; from the end, where tests put nothing."""
        used = set(self.pages())
        page = self.word(48) - 2
        while page in used:
            page -= 1
        return page

    def pages(self):
        """All that the map names, tables included."""
        ways = [(self.record * PAGE + PAGE - 8, 1, self.height)]
        while ways:
            at, count, level = ways.pop()
            for i in range(count):
                page = self.word(at + 8 * i) & PAGE_MASK
                if page == 0:
                    continue
                yield page
                if level > 0:
                    ways.append((page * PAGE, ENTRIES, level - 1))


def main():
    with open(sys.argv[1], "r+b") as device:
        disk = Map(device)
        block = int(sys.argv[3])
        if sys.argv[2] == "entry":
            disk.put(disk.find(block, make=True), int(sys.argv[4], 0))
        else:
            at = disk.find(block)
            print(0 if at is None else disk.word(at) & PAGE_MASK)


if __name__ == "__main__":
    main()
