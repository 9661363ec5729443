# SPDX-License-Identifier: BSD-3-Clause
"""Makes each damaged device of a table and compares what becomes of it with what the table says.

usage: damage.py TABLE BASE-IMAGE DEVICE FOLDER KMEMBLK READ-ALL [NBDKIT PLUGIN]

BASE-IMAGE is od(1)'s text of a sound device, DEVICE the file to make, FOLDER for what is passing.
Without NBDKIT no device is opened for writing.  The table is records of lines, a word each and what
belongs to it:

    case NAME
    image RECIPE   damage, in this order; what is not named is as in the base image
    check N        the exit status of `kmemblk check`; then its output, each line behind a `|`
    open ok        a writable open; or else its message, which nbdkit puts on standard error
    opened RECIPE  what such an open makes of it; without this line, no change
    reads all      what a read-only open can read; or `all but VOLUME BLOCK..., VOLUME...`, where a
                   volume without blocks is one that is not there, or `nothing`; ` and VOLUME`: one
                   more is there
    zeroes VOLUME BLOCK..., ...  what reads as zeroes and has contents in the base image: nothing
                   tells it
    other VOLUME BLOCK..., ...  what reads as that block was or is in another view of its family: check
                   tells that two have its page or its table, but its check value is right
    repair N       the exit status of `kmemblk check --repair`; then its output; or `same`: as check
    becomes same   what repair made: no change; or `base`, the base image; or a RECIPE
    then all       what can be read after it; without this line, the same as before

`DEVICE` in a message stands for the name of the file.  VOLUME is a snapshot, too: VOLUME@SNAPSHOT, or as UUID@SNAPSHOT one
whose volume is not there.  A recipe is steps, with `;` between them:

    put OFFSET HEX            bytes, checksums or not
    zero PAGE                 a whole page
    primary FIELD=VALUE...    fields of the superblock, and a right checksum
    copy, both FIELD=VALUE... the same of its copy, or of each
    record VOLUME FIELD=VALUE... the same of a volume's record; VALUE `=VOLUME` is that one's uuid
    duplicate VOLUME PAGE     its record on another page, too
    set PLACE VALUE           an entry
    size BYTES                cut off, or longer by zeroes
    grow PAGES STEPS          longer by zeroes, and so many steps of a growth to that: the copy at the end; the
                              former copy cleared; of the superblock its checksum, its size, and all of it
    keep PAGE                 as it is in the base image

Where an entry is, in the volumes as the base image has them (one in a table that is shared is one for all who share it):

    directory NUMBER          that of a record
    second NUMBER             the same in the directory's copy
    each NUMBER               both
    table VOLUME LEVEL NUMBER that names a table
    block VOLUME BLOCK        that names the page of a block
    below PAGE INDEX VOLUME LEVEL NUMBER  in any page, one that names a table, or at level 0 a block

Its value is a number; `^BIT`, what it was with that bit turned; or `@PAGE`, one that names a page
rightly there (a block: with check value 0).
"""

import pathlib
import subprocess
import sys
import uuid

from crc32c import crc32c
from map import PAGE, PAGE_MASK, place_entry, with_parity

# Offset and width, from kmemblk-format(5).
FIELDS = {
    "version": (8, 4),
    "type": (12, 4),
    "compat": (16, 8),
    "ro_compat": (24, 8),
    "incompat": (32, 8),
    "page_size": (40, 4),
    "check": (44, 4),
    "device_pages": (48, 8),
    "directory_start": (56, 8),
    "directory_pages": (64, 8),
    "spare_pages": (72, 8),
    "generation": (80, 8),
    "created": (88, 8),
    "uuid0": (96, 1),
    "label0": (112, 1),
    "label63": (175, 1),
    "reserved": (176, 1),
    "reserved_end": (4091, 1),
}
RECORD_FIELDS = {
    "magic0": (0, 1),
    "height": (8, 4),
    "flags": (12, 4),
    "blocks": (16, 8),
    "family": (24, 8),
    "created": (32, 8),
    "uuid0": (40, 1),
    "name0": (56, 1),
    "name1": (57, 1),
    "name62": (118, 1),
    "name63": (119, 1),
    "uuid": (40, 16),
    "volume": (120, 16),
    "volume0": (120, 1),
    "origin": (136, 16),
    "origin0": (136, 1),
    "sequence": (152, 8),
    "reserved": (160, 1),
    "reserved_end": (4083, 1),
}
RECORD_CRC = 4084
LEVEL_RECORD = 63
ENTRIES = 512


def read_base(path):
    image, line = bytearray(), b""
    for text in pathlib.Path(path).read_text().splitlines():
        if text == "*":
            continue
        offset, *pairs = text.split()
        while len(image) < int(offset, 16):
            image += line
        line = bytes.fromhex("".join(pairs))
        image += line
    return image


def number(image, at, width=8):
    return int.from_bytes(image[at : at + width], "little")


def page_of(image, at):
    return number(image, at) & PAGE_MASK


def set_fields(image, page, fields, crc_at, settings, uuids=None):
    at = page * PAGE
    for setting in settings:
        field, value = setting.split("=", 1)
        offset, width = fields[field]
        if value[0] == "=":
            value = uuids[value[1:]]
        else:
            value = int(value, 0).to_bytes(width, "little")
        image[at + offset : at + offset + width] = value
    crc = crc32c(image[at : at + crc_at])
    image[at + crc_at : at + crc_at + 4] = crc.to_bytes(4, "little")


def directory_pages(image):
    return number(image, 64)


class Volume:
    """A volume of a sound image, or a snapshot."""

    def __init__(self, image, slot):
        self.image, self.slot = image, slot
        self.record = page_of(image, PAGE + 8 * slot)
        at = self.record * PAGE
        self.height, self.blocks = number(image, at + 8, 4), number(image, at + 16)
        self.family = number(image, at + 24)
        self.uuid, self.volume = image[at + 40 : at + 56], image[at + 120 : at + 136]
        self.name = image[at + 56 : at + 120].rstrip(b"\0").decode()

    def find(self, level, place):
        """Where the entry is that names the table at a place, or at level 0 the page of a block."""
        at = self.record * PAGE + PAGE - 8
        for above in range(self.height, level, -1):
            page = page_of(self.image, at)
            assert page, f"{self.name} has no table there"
            index = place >> 9 * (above - level - 1) & ENTRIES - 1
            at = page * PAGE + 8 * index
        return at

    def entry(self, page, level, place):
        """The right one; of a block, without check value."""
        return place_entry(self.family, page, level, place) if level else with_parity(page)

    def named(self):
        """Level, place and page of all that it names; of what is shared again and again."""
        ways = [(self.record * PAGE + PAGE - 8, self.height, 0)]
        while ways:
            at, level, place = ways.pop()
            page = page_of(self.image, at)
            if page == 0:
                continue
            yield level, place, page
            if level > 0:
                below = range(ENTRIES)
                ways += [(page * PAGE + 8 * i, level - 1, place * ENTRIES + i) for i in below]


def volumes_of(image):
    slots = range(ENTRIES * directory_pages(image))
    volumes = [Volume(image, slot) for slot in slots if page_of(image, PAGE + 8 * slot)]
    names = {bytes(volume.uuid): volume.name for volume in volumes}
    for volume in volumes:
        if any(volume.volume):
            whose = names.get(bytes(volume.volume), str(uuid.UUID(bytes=bytes(volume.volume))))
            volume.name = f"{whose}@{volume.name}"
    return volumes


class Maker:
    """Makes images from recipes."""

    def __init__(self, base):
        self.base, self.last = base, len(base) // PAGE - 1
        self.volumes = {volume.name: volume for volume in volumes_of(base)}

    def places(self, words):
        """Offsets of an entry, and what makes the right one of a page."""
        kind, *words = words
        if kind in ("directory", "second", "each"):
            slot = int(words[0])
            second = 1 + directory_pages(self.base)
            pages = {"directory": [1], "second": [second], "each": [1, second]}[kind]
            right = lambda page: place_entry(0, page, LEVEL_RECORD, slot)
            return [page * PAGE + 8 * slot for page in pages], right
        if kind == "below":
            at, words = int(words[0]) * PAGE + 8 * int(words[1]), words[2:]
            volume, level, place = self.volumes[words[0]], int(words[1]), int(words[2])
        else:
            volume, place = self.volumes[words[0]], int(words[-1])
            level = int(words[1]) if kind == "table" else 0
            at = volume.find(level, place)
        return [at], lambda page: volume.entry(page, level, place)

    def set_entry(self, image, words, value):
        offsets, right = self.places(words)
        for at in offsets:
            if value[0] == "^":
                entry = number(image, at) ^ 1 << int(value[1:])
            elif value[0] == "@":
                entry = right(int(value[1:]))
            else:
                entry = int(value, 0)
            image[at : at + 8] = entry.to_bytes(8, "little")

    def grow(self, image, pages, steps):
        end = (pages - 1) * PAGE
        image += bytes(pages * PAGE - len(image))
        image[end:] = image[:PAGE]
        fields = [f"device_pages={pages}", f"generation={number(image, 80) + 1}"]
        set_fields(image, pages - 1, FIELDS, PAGE - 4, fields)
        if steps > 1:
            image[self.last * PAGE : (self.last + 1) * PAGE] = bytes(PAGE)
        for part in [slice(PAGE - 8, PAGE), slice(48, 56), slice(0, PAGE)][: max(0, steps - 2)]:
            image[part] = image[end:][part]

    def step(self, image, what, words):
        if what == "put":
            data = bytes.fromhex(words[1])
            image[int(words[0]) : int(words[0]) + len(data)] = data
        elif what == "zero":
            at = int(words[0]) * PAGE
            image[at : at + PAGE] = bytes(PAGE)
        elif what == "set":
            self.set_entry(image, words[:-1], words[-1])
        elif what == "record":
            page = self.volumes[words[0]].record
            uuids = {volume.name: volume.uuid for volume in self.volumes.values()}
            set_fields(image, page, RECORD_FIELDS, RECORD_CRC, words[1:], uuids)
        elif what == "duplicate":
            old, new = self.volumes[words[0]].record * PAGE, int(words[1]) * PAGE
            image[new : new + PAGE] = image[old : old + PAGE]
        elif what == "grow":
            self.grow(image, int(words[0]), int(words[1]))
        elif what == "keep":
            at = int(words[0]) * PAGE
            image[at : at + PAGE] = self.base[at : at + PAGE]
        elif what == "size":
            size = int(words[0])
            image[:] = image[:size] + bytes(max(0, size - len(image)))
        else:
            for page in {"primary": [0], "copy": [self.last], "both": [0, self.last]}[what]:
                set_fields(image, page, FIELDS, PAGE - 4, words)

    def made(self, recipe):
        image = bytearray(self.base)
        for step in [] if recipe == "base" else recipe.split(";"):
            what, *words = step.split()
            self.step(image, what, words)
        return image


def read_table(path):
    cases = []
    for line in pathlib.Path(path).read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "case":
            cases.append({"case": rest})
        elif word == "|":
            cases[-1][last].append(rest)
        elif line == "repair same":
            cases[-1]["repair"] = cases[-1]["check"]
        elif word in ("check", "repair"):
            cases[-1][word] = [rest]
            last = word
        elif word and not word.startswith("#"):
            cases[-1][word] = rest
    return cases


def blocks_of(case, word):
    """Blocks of each volume that read as zeroes, or as others, as a case says."""
    volumes = [part.split() for part in case.get(word, "").split(",") if part.strip()]
    return {name: [int(block) for block in blocks] for name, *blocks in volumes}


class Bench:
    def __init__(self, base, device, folder, kmemblk, read_all, *server):
        self.base = read_base(base)
        self.maker = Maker(self.base)
        self.volumes = self.maker.volumes.values()
        self.disks = {volume.name: self.disk_of(volume) for volume in self.volumes}
        self.device = pathlib.Path(device)
        self.copy = pathlib.Path(folder) / "blocks"
        self.kmemblk, self.read_all, self.server = kmemblk, read_all, server
        self.case, self.zeroes, self.other, self.wrong = "", {}, {}, 0

    def disk_of(self, volume):
        """The blocks that are not zeroes."""
        found = {}
        for level, block, page in volume.named():
            data = bytes(self.base[page * PAGE : (page + 1) * PAGE])
            if level == 0 and any(data):
                found[block] = data
        return found

    def expect(self, what, wanted, got):
        if wanted != got:
            self.wrong += 1
            print(f"{self.case}: {what}:\n    expected {wanted!r}\n    got      {got!r}")

    def run(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        output = (done.stdout + done.stderr).replace(str(self.device), "DEVICE")
        return done.returncode, output.splitlines()

    def checked(self, *options):
        status, output = self.run(self.kmemblk, "check", *options, self.device)
        return [str(status)] + output

    def opened(self):
        status, output = self.run(
            self.server[0], "-U", "-", self.server[1], self.device, "--run", "true"
        )
        warnings = "nbdkit: kmemblk: warning: "
        output = [line for line in output if not line.startswith(warnings)]
        return "ok" if status == 0 and not output else "; ".join(output)

    def lost_of(self, volume, told):
        """Blocks of a volume that could not be read; the others are compared with the base's."""
        size, data, lost = told
        lost += [range(size, volume.blocks)] if size < volume.blocks else []
        gone = lambda block: any(block in blocks for blocks in lost)
        disk = self.disks[volume.name]
        zeroes = self.zeroes.get(volume.name, [])
        wanted = {block: disk[block] for block in disk if not gone(block) and block not in zeroes}
        other = self.other.get(volume.name, [])
        for block in wanted.keys() | data.keys():
            if (wanted.get(block) == data.get(block)) == (block in other):
                self.expect("contents", f"{volume.name}: {block} as it was", "something else")
        return [f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in lost]

    def told(self, output):
        """Of each volume its size, what blocks hold, and which are lost."""
        volumes, at, copy = {}, 0, self.copy.read_bytes()
        lines = iter(output)
        for line in lines:
            what, name, *numbers = line.split()
            first, last = int(numbers[0]), int(numbers[-1])
            if what == "volume":
                volumes[name] = (first, {}, [])
            elif what == "data":
                volumes[name][1][first] = copy[at : at + PAGE]
                at += PAGE
            else:
                volumes[name][2].append(range(first, last + 1))
                message = next(lines)
                wanted = f"read: DEVICE: volume {name}: block {first} "
                self.expect("a lost block's message", wanted, message[: len(wanted)])
        return volumes

    def reads(self):
        """What can be read."""
        status, output = self.run(self.read_all, self.device, self.copy)
        if status == 1:
            return "nothing"
        told, missing = self.told(output), []
        for volume in self.volumes:
            if volume.name not in told:
                missing.append(volume.name)
                continue
            lost = self.lost_of(volume, told.pop(volume.name))
            if lost:
                missing.append(" ".join([volume.name] + lost))
        text = "all but " + ", ".join(missing) if missing else "all"
        return "".join([text] + [f" and {name}" for name in told])

    def without_free(self, image):
        """A server may give the storage of free pages back."""
        image = bytearray(image)
        used = set()
        for volume in volumes_of(image):
            used |= {volume.record} | {page for _, _, page in volume.named()}
        for page in set(range(1 + 2 * directory_pages(image), number(image, 48) - 1)) - used:
            image[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
        return image

    def expect_image(self, when, wanted, free=False):
        got = self.device.read_bytes()
        same = self.without_free(got) == self.without_free(wanted) if free else got == wanted
        self.expect(f"the device's bytes {when}", "as expected", "as expected" if same else "not")

    def try_case(self, case):
        self.case = case["case"]
        self.zeroes, self.other = blocks_of(case, "zeroes"), blocks_of(case, "other")
        image = self.maker.made(case["image"])
        self.device.write_bytes(image)
        self.expect("check", case["check"], self.checked())
        self.expect("reads", case["reads"], self.reads())
        self.expect_image("after check", image)
        if self.server:
            self.expect("open", case["open"], self.opened())
            opened = self.maker.made(case["opened"]) if "opened" in case else image
            self.expect_image("after an open", opened, free=case["open"] == "ok")
            self.device.write_bytes(image)
        self.try_repair(case, image)

    def try_repair(self, case, image):
        becomes = case["becomes"]
        if becomes != "same":
            image = self.maker.made(becomes)
        self.expect("repair", case["repair"], self.checked("--repair"))
        self.expect_image("after repair", image)
        self.expect("reads after repair", case.get("then", case["reads"]), self.reads())
        # Nothing more to do: clean, or what was left.
        again = "0" if case["repair"][0] in "01" else case["repair"][0]
        self.expect("a second repair", again, self.checked("--repair")[0])
        self.expect_image("after a second repair", image)


def main(table, *arguments):
    bench = Bench(*arguments)
    cases = read_table(table)
    for case in cases:
        bench.try_case(case)
    print(f"{len(cases)} damaged devices")
    return 1 if bench.wrong else 0


sys.exit(main(*sys.argv[1:]))
