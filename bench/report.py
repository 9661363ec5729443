#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
report.py - tables and pictures of what bench.py measured.

usage: report.py FILE              print the tables
       report.py --update FILE     put them into README.md and docs/performance.md, and FILE and the pictures into docs/
       report.py --check           do the tables there say what docs/performance.json says?

A figure is the median of its rounds; a ratio is the median of the ratios of each round, for a round's turns are close in time.
"""

import argparse
import json
import os
import statistics
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JSON = os.path.join(SOURCE, "docs", "performance.json")

SERVERS = ["kmemblk", "kmemblk-parallel", "nbdkit-memory", "nbdkit-memory-t1", "nbdkit-file", "nbdkit-null", "qemu-nbd", "nbd-server"]

# What is compared with what, of each bench but nbd.
AGAINST = {
    "store": {"write": "write floor", "checked write": "write floor", "libpmemblk write": "write floor",
              "read": "read floor", "checked read": "read floor", "libpmemblk read": "read floor"},
    "stream": {"read": "plain copy", "checked read": "plain copy", "write": "streaming copy",
               "checked write": "streaming copy"},
    "snapshots": {"overwrite, 10 snapshots": "overwrite", "first write to 2 MiB": "another write to 2 MiB"},
    "punch": {"punch=true": "punch=false"},
    "memory": {"lent": "ordinary"},
    "run": {"kmemblk run": "env"},
    "lend": {"1 TiB": "16 GiB", "beside borrowers": "alone"},
}


class Results:
    """The figures of one run."""

    def __init__(self, result):
        self.result = result
        self.values = {}
        for figure in result["figures"]:
            key = (figure["bench"], figure["case"], figure["unit"], figure["subject"])
            self.values[key] = figure["values"]

    def names(self, position, **where):
        """What stands at a position of the keys, in their order, where others are as given."""
        order = ("bench", "case", "unit", "subject")
        found = []
        for key in self.values:
            if all(key[order.index(name)] == value for name, value in where.items()):
                name = key[order.index(position)]
                if name not in found:
                    found.append(name)
        return found

    def median(self, bench, case, unit, subject):
        values = self.values.get((bench, case, unit, subject))
        return None if values is None else statistics.median(values)

    def ratio(self, bench, case, unit, subject, base):
        a = self.values.get((bench, case, unit, subject))
        b = self.values.get((bench, case, unit, base))
        if a is None or b is None:
            return None
        if len(a) != len(b):
            return statistics.median(a) / statistics.median(b)
        return statistics.median(x / y for x, y in zip(a, b))


def number(value):
    """Three digits that count, and no more."""
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def table(head, rows):
    """Markdown that is also legible as it stands."""
    rows = [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in rows]
    width = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells):
        return "| " + " | ".join(cell.ljust(width[i]) if i == 0 else cell.rjust(width[i])
                                 for i, cell in enumerate(cells)) + " |"

    rule = "|" + "|".join("-" * (n + 2) if i == 0 else "-" * (n + 1) + ":" for i, n in enumerate(width)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def nbd_servers(results):
    return [name for name in SERVERS if name in results.names("subject", bench="nbd")]


def nbd_loads(results):
    return results.names("case", bench="nbd", unit="requests/s")


def nbd_rates(results):
    """Requests a second, or MiB a second of copies."""
    servers = nbd_servers(results)
    rows = [[case, *(results.median("nbd", case, "requests/s", server) for server in servers)]
            for case in nbd_loads(results)]
    rows += [[f"{case}, MiB/s", *(results.median("nbd", case, "MiB/s", server) for server in servers)]
             for case in results.names("case", bench="nbd", unit="MiB/s")]
    return table(["requests a second", *servers], rows)


def nbd_ratios(results):
    """Of kmemblk's rate to each."""
    servers = nbd_servers(results)[1:]
    rows = []
    for unit in ("requests/s", "MiB/s"):
        rows += [[case, *(results.ratio("nbd", case, unit, "kmemblk", server) for server in servers)]
                 for case in results.names("case", bench="nbd", unit=unit)]
    return table(["kmemblk's rate, in times that of", *servers], rows)


def nbd_unit(results, unit, head):
    servers = nbd_servers(results)
    return table([head, *servers],
                 [[case, *(results.median("nbd", case, unit, server) for server in servers)]
                  for case in nbd_loads(results)])


def nbd_tables(results):
    return [nbd_rates(results), nbd_ratios(results),
            nbd_unit(results, "CPU us", "server's processor, us a request"),
            nbd_unit(results, "p99 us", "99 of 100 answered within us"),
            nbd_unit(results, "p99.9 us", "999 of 1000 answered within us")]


def growth_table(results):
    cases = results.names("case", bench="growth")
    return table(["ms", *cases],
                 [[subject, *(results.median("growth", case, "ms", subject) for case in cases)]
                  for subject in results.names("subject", bench="growth")])


def bench_table(results, bench):
    """A row for each figure, with what it is compared with."""
    rows = []
    for case in results.names("case", bench=bench):
        for unit in results.names("unit", bench=bench, case=case):
            for subject in results.names("subject", bench=bench, case=case, unit=unit):
                base = AGAINST.get(bench, {}).get(subject)
                ratio = results.ratio(bench, case, unit, subject, base) if base else None
                rows.append([case, subject, results.median(bench, case, unit, subject), unit,
                             number(ratio) if ratio is not None else "",
                             base if ratio is not None else ""])
    return table(["case", "figure", "median", "unit", "ratio", "to"], rows)


def machine(results):
    m = results.result["machine"]
    return (f"{results.result['date']}, commit {results.result['commit']}: {m['processor']}, {m['processors']} processors, "
            f"{m['memory']}, Linux {m['kernel']}, {m['system']}; "
            + ", ".join(m[name] for name in ("nbdkit", "qemu-nbd", "nbd-server") if m[name]) + ".")


def summary(results):
    """The one table of the README: rates against the servers that people would take otherwise."""
    loads = ["4 KiB read, depth 1", "4 KiB write, depth 1", "4 KiB read, depth 32", "4 KiB write, depth 32",
             "4 KiB read, 2 connections, depth 16", "256 KiB read, depth 4", "256 KiB write, depth 4"]
    servers = ["nbdkit-memory", "nbdkit-file", "qemu-nbd", "nbd-server"]
    rows = [[case, results.median("nbd", case, "requests/s", "kmemblk"),
             *(results.ratio("nbd", case, "requests/s", "kmemblk", server) for server in servers)]
            for case in loads]
    return table(["over NBD", "requests/s", *(f"x {server}" for server in servers)], rows)


def sections(results):
    """What stands between the marks of each name in the documents."""
    parts = {"machine": machine(results)}
    if results.names("case", bench="nbd"):
        parts["summary"] = summary(results)
        parts["nbd"] = "\n\n".join(nbd_tables(results))
    if results.names("case", bench="growth"):
        parts["growth"] = growth_table(results)
    for bench in results.names("bench"):
        if bench not in ("nbd", "growth"):
            parts[bench] = bench_table(results, bench)
    return parts


def print_tables(results, out):
    for name, text in sections(results).items():
        if name != "summary":
            print(f"{name}\n\n{text}\n" if name != "machine" else f"{text}\n", file=out)
    for what in results.result["left out"]:
        print(f"left out, since it is not installed: {what}", file=out)


def write_json(result, file):
    """A figure a line, with digits that count."""
    result = dict(result)
    figures = result.pop("figures")
    for figure in figures:
        figure["values"] = [float(f"{value:.4g}") for value in figure["values"]]
    head = json.dumps(result, indent=1)
    file.write(head[:-2] + ',\n "figures": [\n')
    file.write(",\n".join("  " + json.dumps(figure, separators=(",", ":")) for figure in figures))
    file.write("\n ]\n}\n")


# ---- the documents ------------------------------------------------------------------------------

def fill_in(text, parts):
    """Put each part between its marks."""
    for name, part in parts.items():
        begin, end = f"<!-- bench {name} -->\n", "<!-- end of bench -->"
        if begin in text:
            before, rest = text.split(begin, 1)
            text = before + begin + part + "\n" + end + rest.split(end, 1)[1]
    return text


def documents():
    return [os.path.join(SOURCE, name) for name in ("README.md", os.path.join("docs", "performance.md"))]


def load(path):
    with open(path) as file:
        return Results(json.load(file))


def update(path):
    if os.path.abspath(path) != JSON:
        result = load(path).result
        with open(JSON, "w") as file:
            write_json(result, file)
    # What is in it has fewer digits.
    results = load(JSON)
    for document in documents():
        with open(document) as file:
            text = file.read()
        with open(document, "w") as file:
            file.write(fill_in(text, sections(results)))
    # Only here: tables need no library.
    import plot
    plot.draw(results, os.path.join(SOURCE, "docs"))


def check():
    stale = []
    for document in documents():
        with open(document) as file:
            text = file.read()
        if fill_in(text, sections(load(JSON))) != text:
            stale.append(document)
    for document in stale:
        print(f"{document}: its figures are not those of {JSON}: run bench/report.py --update {JSON}")
    return 1 if stale else 0


def main():
    parser = argparse.ArgumentParser(description="Tables and pictures of what bench.py measured.")
    parser.add_argument("--update", action="store_true", help="put them into the documents")
    parser.add_argument("--check", action="store_true", help="do the documents say what the file says?")
    parser.add_argument("file", nargs="?", default=JSON, metavar="FILE")
    options = parser.parse_args()
    if options.check:
        return check()
    if options.update:
        update(options.file)
    else:
        print_tables(load(options.file), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
