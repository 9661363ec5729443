# SPDX-License-Identifier: BSD-3-Clause
"""plot.py - the pictures of docs/performance.md, by matplotlib."""

import os

import matplotlib
from matplotlib import pyplot

import report

COLOURS = {"kmemblk": "#c0392b", "kmemblk-parallel": "#e6b0aa", "nbdkit-memory": "#7f8c8d", "nbdkit-memory-t1": "#bdc3c7", "nbdkit-file": "#2c3e50",
           "nbdkit-null": "#d5dbdb", "qemu-nbd": "#2980b9", "nbd-server": "#27ae60"}


def save(figure, folder, name):
    figure.tight_layout()
    # Neither date nor random names: the same figures give the same file.
    figure.savefig(os.path.join(folder, name), metadata={"Date": None})
    pyplot.close(figure)


def draw_nbd(results, folder):
    """Rates as times that of nbdkit's memory plugin."""
    loads = [case for case in report.nbd_loads(results) if "trim" not in case]
    servers = [name for name in report.nbd_servers(results) if name not in ("nbdkit-null", "kmemblk-parallel")]
    figure, axes = pyplot.subplots(figsize=(9, 0.62 * len(loads) + 1.2))
    height = 0.8 / len(servers)
    for i, server in enumerate(servers):
        ratios = [results.ratio("nbd", case, "requests/s", server, "nbdkit-memory") or 0 for case in loads]
        axes.barh([y + (i + 0.5) * height - 0.4 for y in range(len(loads))], ratios, height, label=server,
                  color=COLOURS[server])
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_yticks(range(len(loads)), loads)
    axes.invert_yaxis()
    axes.set_xlabel("requests a second, in times those of nbdkit's memory plugin: longer is better")
    axes.legend(loc="lower right", fontsize="small")
    save(figure, folder, "performance-nbd.svg")


def draw_store(results, folder):
    """Nanoseconds a block, beside the floors."""
    cases = results.names("case", bench="store")
    figure, panels = pyplot.subplots(1, len(cases), figsize=(4.6 * len(cases), 3.6), squeeze=False)
    for axes, case in zip(panels[0], cases):
        subjects = results.names("subject", bench="store", case=case)
        values = [results.median("store", case, "ns", subject) for subject in subjects]
        colours = ["#7f8c8d" if subject in ("copy + drain", "write floor", "memcpy", "read floor") else
                   "#2980b9" if "libpmemblk" in subject else "#c0392b" for subject in subjects]
        axes.barh(subjects, values, color=colours)
        axes.invert_yaxis()
        axes.set_title(case, fontsize="medium")
        axes.set_xlabel("ns a block: shorter is better")
    save(figure, folder, "performance-store.svg")


def draw_growth(results, folder):
    cases = results.names("case", bench="growth")
    sizes = [int(case.split()[0]) for case in cases]
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for subject in results.names("subject", bench="growth"):
        axes.plot(sizes, [results.median("growth", case, "ms", subject) for case in cases], marker="o", label=subject)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size} GiB" if size < 1024 else f"{size // 1024} TiB" for size in sizes])
    axes.set_ylabel("ms")
    axes.grid(which="major", linewidth=0.3)
    axes.legend(fontsize="small")
    save(figure, folder, "performance-growth.svg")


def draw(results, folder):
    matplotlib.rcParams["svg.hashsalt"] = "kmemblk"
    matplotlib.rcParams["svg.fonttype"] = "none"
    for bench, picture in (("nbd", draw_nbd), ("store", draw_store), ("growth", draw_growth)):
        if results.names("case", bench=bench):
            picture(results, folder)
