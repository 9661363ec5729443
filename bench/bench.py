#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
bench.py - run the benches, and write what they measured to one file of JSON.

usage: bench.py [--quick] [--output=FILE] [--memory=FOLDER] [GROUP...]

Without GROUP, all of them; README.md in this folder says what each measures.  The file has the machine, the date, the
commit, and for each figure its value in every round; report.py makes tables and pictures of it.
"""

import argparse
import datetime
import json
import os
import platform
import signal
import subprocess
import sys

import nbd
import report

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("abs_top_builddir", os.path.dirname(HERE))

# Of each group: programs with their arguments, quick and whole.  {memory} is the folder of the devices.
PROGRAMS = {
    "store": ([["store", "256", "5", "{memory}"]],
              [["store", "1024", "11", "{memory}"], ["store", "4096", "11", "{memory}"]]),
    "stream": ([["stream", "64", "9", "{memory}"]], [["stream", "1024", "25", "{memory}"]]),
    "snapshots": ([["snapshots", "256", "3", "{memory}"]], [["snapshots", "1024", "15", "{memory}"]]),
    "gate": ([["gate", "100", "{memory}"]], [["gate", "1000", "{memory}"]]),
    "growth": ([["growth", "64", "2", "{memory}"]], [["growth", "1024", "7", "{memory}"]]),
    "open": ([], [["open", "64", "511", "{memory}"], ["open", "1024", "511", "{memory}"]]),
    "punch": ([["punch", "128", "3", "100000", "{memory}"]],
              [["punch", "512", "15", "200000", "{memory}"]]),
    "memory": ([], [["memory.sh"]]),
    "run": ([["run.sh", "40", "1"]], [["run.sh"]]),
    "lend": ([], [["lend.sh"]]),
}


def first_line(command):
    """What a command says first, or None if it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return None


def field(path, name):
    """The value of the first line of a file that begins with a name."""
    with open(path) as file:
        for line in file:
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
    return None


def describe_machine():
    """What a reader must know to compare the figures with his own."""
    return {
        "processor": field("/proc/cpuinfo", "model name"),
        "processors": os.cpu_count(),
        "memory": field("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME"),
        "nbdkit": first_line(["nbdkit", "--version"]),
        "qemu-nbd": first_line(["qemu-nbd", "--version"]),
        "nbd-server": first_line(["dpkg-query", "-W", "-f", "nbd-server ${Version}", "nbd-server"]),
    }


def run_program(arguments, memory, add):
    """One program, each line of which is a record."""
    name, *rest = [argument.format(memory=memory) for argument in arguments]
    folder = HERE if name.endswith(".sh") else os.path.join(BUILD, "bench")
    environment = dict(os.environ, abs_top_builddir=BUILD, PMEM_IS_PMEM_FORCE="1")
    process = subprocess.Popen([os.path.join(folder, name), *rest], stdout=subprocess.PIPE,
                               text=True, env=environment)
    for line in process.stdout:
        add(line)
    if process.wait() != 0:
        sys.exit(f"bench.py: {name} failed")


def main():
    # So that servers and devices do not outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description="Run the benches, and write one file of JSON.",
                                     epilog="GROUP: nbd, " + ", ".join(PROGRAMS))
    parser.add_argument("--quick", action="store_true", help="a few minutes, fewer rounds, rough figures")
    parser.add_argument("--output", default="bench.json", metavar="FILE")
    parser.add_argument("--memory", default="/dev/shm", metavar="FOLDER", help="where devices are made")
    parser.add_argument("groups", nargs="*", metavar="GROUP")
    options = parser.parse_args()
    groups = options.groups or ["nbd", *PROGRAMS]
    unknown = [group for group in groups if group != "nbd" and group not in PROGRAMS]
    if unknown:
        parser.error(f"no such group: {', '.join(unknown)}")

    result = {
        "date": datetime.date.today().isoformat(),
        "commit": first_line(["git", "-C", HERE, "describe", "--always", "--dirty"]),
        "quick": options.quick,
        "machine": describe_machine(),
        "left out": [],
        "figures": [],
    }

    def add(record):
        result["figures"].append(json.loads(record) if isinstance(record, str) else record)

    for group in groups:
        print(f"{group} ...", file=sys.stderr, flush=True)
        if group == "nbd":
            result["left out"] += nbd.measure(BUILD, options.memory, options.quick, add)
        for arguments in PROGRAMS.get(group, ([], []))[0 if options.quick else 1]:
            run_program(arguments, options.memory, add)
    with open(options.output, "w") as file:
        report.write_json(result, file)
    report.print_tables(report.Results(result), sys.stdout)


main()
