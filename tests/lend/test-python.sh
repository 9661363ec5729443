#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# python3, with threads, forks and subprocesses, works on borrowed memory and computes what it
# computes without.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 512M
cat > "$tmp/program.py" << 'END'
import hashlib, multiprocessing, os, random, subprocess, sys, threading

def work(seed):
    r = random.Random(seed)
    d = {}
    for i in range(30000):
        d[r.randrange(20000)] = bytes([r.randrange(256)]) * r.randrange(2000)
    h = hashlib.sha256()
    for k in sorted(d):
        h.update(d[k])
    return h.hexdigest()

results = {}
def thread(seed):
    results[seed] = work(seed)

threads = [threading.Thread(target=thread, args=(s,)) for s in range(4)]
for t in threads:
    t.start()
pids = []
for i in range(4):
    pid = os.fork()
    if not pid:
        os._exit(0 if len(work(100 + i)) == 64 else 1)
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
for t in threads:
    t.join()
with multiprocessing.get_context("fork").Pool(2) as pool:
    for s, digest in zip(range(4, 8), pool.map(work, range(4, 8))):
        results[s] = digest
for i in range(5):
    assert subprocess.run(["echo", str(i)], capture_output=True).stdout == b"%d\n" % i
for s in sorted(results):
    print(s, results[s])
zones = open("/proc/self/maps").read().count(sys.argv[1])
print("zones:", zones, file=sys.stderr)
END
export PYTHONMALLOC=malloc PYTHONHASHSEED=1
python3 "$tmp/program.py" "$device" > "$tmp/ordinary"
"${run[@]}" --strict -- python3 "$tmp/program.py" "$device" > "$tmp/borrowed" 2> "$tmp/err" ||
	fail "$(cat "$tmp/err")"
cat "$tmp/err" >&2
grep -qE '^zones: ([5-9]|[1-9][0-9])' "$tmp/err" || fail "its heap is not on zones"
diff "$tmp/ordinary" "$tmp/borrowed" >&2 || fail "it computes something else"
eventually none_lent
