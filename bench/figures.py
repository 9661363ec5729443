#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
figures.py - what figures.c does, for scripts: figures.py BENCH CASE SUBJECT UNIT < values, one a line.
"""

import json
import sys

bench, case, subject, unit = sys.argv[1:]
print(json.dumps({"bench": bench, "case": case, "subject": subject, "unit": unit,
                  "values": [float(line) for line in sys.stdin]}))
