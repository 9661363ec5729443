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
    reads all      what a read-only open can read; or `all but BLOCK...`, or `nothing`
    repair N       the exit status of `kmemblk check --repair`; then its output; or `same`: as check
    becomes same   what repair made: no change; or `base`, the base image; or a RECIPE
    then all       what can be read after it; without this line, the same as before

`DEVICE` in a message stands for the name of the file.  A recipe is steps, with `;` between them:

    put OFFSET HEX            bytes, checksums or not
    zero PAGE                 a whole page
    primary FIELD=VALUE...    fields of the superblock, and a right checksum
    copy, both FIELD=VALUE... the same of its copy, or of each
    entry BLOCK VALUE         an entry of the index
    page BLOCK PAGE           one that names a page, and has check value 0
    size BYTES                cut off, or longer by zeroes
"""

import pathlib
import subprocess
import sys

from crc32c import crc32c

PAGE = 4096
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
    "index_start": (56, 8),
    "index_pages": (64, 8),
    "blocks": (72, 8),
    "spare_pages": (80, 8),
    "generation": (88, 8),
    "created": (96, 8),
    "uuid0": (104, 1),
    "label0": (120, 1),
    "label63": (183, 1),
    "family0": (184, 1),
    "reserved": (192, 1),
    "reserved_end": (4091, 1),
}


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


def set_fields(image, page, settings):
    at = page * PAGE
    for setting in settings:
        field, value = setting.split("=")
        offset, width = FIELDS[field]
        image[at + offset : at + offset + width] = int(value, 0).to_bytes(width, "little")
    image[at + PAGE - 4 : at + PAGE] = crc32c(image[at : at + PAGE - 4]).to_bytes(4, "little")


def made(base, recipe):
    image, last = bytearray(base), len(base) // PAGE - 1
    for step in recipe.split(";"):
        what, *words = step.split()
        if what == "put":
            data = bytes.fromhex(words[1])
            image[int(words[0]) : int(words[0]) + len(data)] = data
        elif what == "zero":
            at = int(words[0]) * PAGE
            image[at : at + PAGE] = bytes(PAGE)
        elif what == "entry":
            at = PAGE + 8 * int(words[0])
            image[at : at + 8] = int(words[1], 0).to_bytes(8, "little")
        elif what == "page":
            at = PAGE + 8 * int(words[0])
            page = int(words[1])
            entry = page | (page.bit_count() & 1) << 63
            image[at : at + 8] = entry.to_bytes(8, "little")
        elif what == "size":
            size = int(words[0])
            image = image[:size] + bytes(max(0, size - len(image)))
        else:
            for page in {"primary": [0], "copy": [last], "both": [0, last]}[what]:
                set_fields(image, page, words)
    return image


def page_of(entry):
    return int.from_bytes(entry, "little") & (1 << 39) - 1


def disk_of(image):
    """What each block of a sound device holds."""
    for block in range(int.from_bytes(image[72:80], "little")):
        at = PAGE + 8 * block
        page = page_of(image[at : at + 8])
        yield bytes(image[page * PAGE : (page + 1) * PAGE]) if page else bytes(PAGE)


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


class Bench:
    def __init__(self, base, device, folder, kmemblk, read_all, *server):
        self.base = read_base(base)
        self.disk = list(disk_of(self.base))
        index = range(PAGE, PAGE + 8 * len(self.disk), 8)
        self.used = {page_of(self.base[at : at + 8]) for at in index}
        self.device = pathlib.Path(device)
        self.copy = pathlib.Path(folder) / "disk"
        self.kmemblk, self.read_all, self.server = kmemblk, read_all, server
        self.case, self.wrong = "", 0

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

    def reads(self):
        """What can be read, each block compared with the base image's."""
        status, output = self.run(self.read_all, self.device, self.copy)
        if status == 1:
            return "nothing"
        lost = [int(line.split("block ")[1].split()[0]) for line in output]
        copy = self.copy.read_bytes()
        for block in range(len(copy) // PAGE):
            if block not in lost and copy[block * PAGE : (block + 1) * PAGE] != self.disk[block]:
                self.expect("contents", f"block {block} as it was", "something else")
        return "all" + "".join([" but"] * bool(lost) + [f" {block}" for block in lost])

    def without_free(self, image):
        """A server may give the storage of free pages back."""
        image = bytearray(image)
        for page in set(range(3, 699)) - self.used:
            image[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
        return image

    def expect_image(self, when, wanted, free=False):
        got = self.device.read_bytes()
        same = self.without_free(got) == self.without_free(wanted) if free else got == wanted
        self.expect(f"the device's bytes {when}", "as expected", "as expected" if same else "not")

    def try_case(self, case):
        self.case = case["case"]
        image = made(self.base, case["image"])
        self.device.write_bytes(image)
        self.expect("check", case["check"], self.checked())
        self.expect("reads", case["reads"], self.reads())
        self.expect_image("after check", image)
        if self.server:
            self.expect("open", case["open"], self.opened())
            self.expect_image("after an open", image, free=case["open"] == "ok")
            self.device.write_bytes(image)
        self.try_repair(case, image)

    def try_repair(self, case, image):
        becomes = case["becomes"]
        if becomes != "same":
            image = self.base if becomes == "base" else made(self.base, becomes)
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
