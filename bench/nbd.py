# SPDX-License-Identifier: BSD-3-Clause
"""
nbd.py - the server's cost over NBD, beside other servers of memory and of files on tmpfs.

All servers run at once, each with 1 GiB written before, idle but for the one that is measured.  What each load is stands in
LOADS; nbdload.c says how it is measured.  nbdcopy copies the whole disk in and out, each server in turn.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time

RANGE = 1 << 30

# name, arguments of nbdload, requests a turn
LOADS = [
    ("4 KiB read, depth 1", ["--depth=1"], 1600),
    ("4 KiB write, depth 1", ["--depth=1", "--reads=0"], 1600),
    ("4 KiB read, depth 32", ["--depth=32"], 8000),
    ("4 KiB write, depth 32", ["--depth=32", "--reads=0"], 8000),
    ("4 KiB 70/30, depth 32", ["--depth=32", "--reads=70"], 8000),
    ("4 KiB read, 2 connections, depth 16", ["--depth=16", "--connections=2"], 8000),
    ("4 KiB write, 2 connections, depth 16", ["--depth=16", "--connections=2", "--reads=0"], 8000),
    ("4 KiB read, 4 connections, depth 8", ["--depth=8", "--connections=4"], 8000),
    ("4 KiB write, 4 connections, depth 8", ["--depth=8", "--connections=4", "--reads=0"], 8000),
    ("256 KiB read, depth 4", ["--depth=4", "--bytes=262144"], 600),
    ("256 KiB write, depth 4", ["--depth=4", "--bytes=262144", "--reads=0"], 600),
    ("4 KiB trim and write, depth 32", ["--depth=32", "--reads=0", "--trims=50"], 8000),
]


def find(*commands):
    """The path of the first of these commands that is there."""
    for command in commands:
        path = shutil.which(command, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if path:
            return path
    return None


class Server:
    """A server that runs until it is stopped; with `daemon`, in the background, and its number is in that file."""

    def __init__(self, name, folder, command, uri, ready, daemon=None):
        self.name = name
        self.uri = uri
        with open(os.path.join(folder, name + ".log"), "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        if daemon and self.process.wait() != 0:
            raise RuntimeError(f"{name} does not start: see {log.name}")
        self.await_file(daemon or ready, log.name)
        self.number = int(open(daemon).read()) if daemon else self.process.pid

    def await_file(self, path, log):
        for _ in range(100):
            if os.path.exists(path):
                return
            if self.process.poll():
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not start: see {log}")

    def stop(self):
        os.kill(self.number, signal.SIGTERM)
        self.process.wait()

    def argument(self):
        return f"{self.name}={self.number}={self.uri}"


class Servers:
    """All that are installed, each with a disk of RANGE bytes."""

    def __init__(self, build, memory):
        self.folder = tempfile.mkdtemp()
        self.memory = tempfile.mkdtemp(prefix="kmemblk-bench.", dir=memory)
        self.all = []
        self.left_out = []
        try:
            self.start(build)
        except BaseException:
            self.stop()
            raise

    def nbdkit(self, name, *arguments, threads=()):
        socket = os.path.join(self.folder, name)
        ready = socket + ".pid"
        command = ["nbdkit", "-f", "-U", socket, "-P", ready, *threads, *arguments]
        self.all.append(Server(name, self.folder, command, f"nbd+unix:///?socket={socket}", ready))

    def file(self, name):
        path = os.path.join(self.memory, name)
        with open(path, "w") as file:
            file.truncate(RANGE)
        return path

    def start(self, build):
        for name, parameters in (("kmemblk", ()), ("kmemblk-parallel", ("thread-model=parallel",))):
            self.nbdkit(name, os.path.join(build, "kmemblk.so"), os.path.join(self.memory, name),
                        "create=1100M", "control=none", *parameters)
        self.nbdkit("nbdkit-memory", "memory", str(RANGE))
        self.nbdkit("nbdkit-memory-t1", "memory", str(RANGE), threads=("-t", "1"))
        self.nbdkit("nbdkit-file", "file", self.file("file"))
        self.nbdkit("nbdkit-null", "null", str(RANGE))
        qemu = find("qemu-nbd")
        if qemu:
            socket = os.path.join(self.folder, "qemu")
            self.all.append(Server("qemu-nbd", self.folder,
                                   [qemu, "-k", socket, "-t", "-e", "8", "-f", "raw",
                                    "--discard=unmap", self.file("qemu")],
                                   f"nbd+unix:///?socket={socket}", socket))
        else:
            self.left_out.append("qemu-nbd (qemu-utils)")
        nbd = find("nbd-server")
        if nbd:
            socket = os.path.join(self.folder, "nbd")
            config = os.path.join(self.folder, "nbd.conf")
            with open(config, "w") as file:
                file.write(f"[generic]\nunixsock = {socket}\nlistenaddr = 127.0.0.1\n[disk]\n"
                           f"exportname = {self.file('nbd')}\ntrim = true\n")
            self.all.append(Server("nbd-server", self.folder, [nbd, "-C", config, "-p", config + ".pid"],
                                   f"nbd+unix:///disk?socket={socket}", socket, config + ".pid"))
        else:
            self.left_out.append("nbd-server (nbd-server)")

    def stop(self):
        while self.all:
            self.all.pop().stop()
        shutil.rmtree(self.memory)
        shutil.rmtree(self.folder)


def load(build, what, arguments, rounds, requests, servers):
    """One load, and the lines that nbdload prints."""
    command = [os.path.join(build, "bench", "nbdload"), f"--what={what}", f"--range={RANGE}",
               f"--rounds={rounds}", f"--requests={requests}", *arguments]
    command += [server.argument() for server in servers]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def copy(servers, rounds, folder):
    """The whole disk in and out, in MiB a second."""
    rates = {}
    path = os.path.join(folder, "copy")
    for turn in range(rounds):
        for i in range(len(servers)):
            server = servers[(turn + i) % len(servers)]
            for what, pair in (("copy out", (server.uri, path)), ("copy in", (path, server.uri))):
                start = time.monotonic()
                subprocess.run(["nbdcopy", "--allocated", *pair], check=True)
                seconds = time.monotonic() - start
                rates.setdefault((what, server.name), []).append(RANGE / (1 << 20) / seconds)
    os.unlink(path)
    return [{"bench": "nbd", "case": what, "subject": name, "unit": "MiB/s", "values": values}
            for (what, name), values in rates.items()]


def measure(build, memory, quick, add):
    """All loads; `add` takes each record, or a line of JSON."""
    servers = Servers(build, memory)
    try:
        # All of it, then at random once over, so that blocks lie scattered where they can.
        for what, arguments, requests in (
                ("fill", ["--depth=8", f"--bytes={1 << 20}", "--reads=0", "--sequential"], RANGE >> 20),
                ("shuffle", ["--depth=32", "--reads=0"], RANGE >> 12)):
            load(build, what, arguments, 1, requests, servers.all)
        for what, arguments, requests in LOADS:
            # 126 rounds of 8,000 are a million requests.
            rounds = 15 if quick else 126
            for line in load(build, what, arguments, rounds, requests, servers.all):
                add(line)
        # What the null plugin writes is lost, and what it reads are holes.
        for record in copy([s for s in servers.all if s.name != "nbdkit-null"], 1 if quick else 7,
                           servers.memory):
            add(record)
    finally:
        servers.stop()
    return servers.left_out
