#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# kmemblk top shows a screen on a plain terminal, goes on when the server goes away, quits on q and
# leaves the terminal as it was; without a terminal it says what to use instead.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 256M
expect_error 8 "needs a terminal; for one look: kmemblk stat" "$kmemblk" top "$lend" < /dev/null
ln -s "$lend" "$tmp/my socket"
expect_error 8 "for one look: kmemblk stat '$tmp/my socket'\$" "$kmemblk" top "$tmp/my socket" < /dev/null
expect_error 16 'write seconds, from 0.1' "$kmemblk" top --interval=0 "$lend"
cat > "$tmp/terminal.py" << 'END'
import os, pty, signal, sys, time
pid, fd = pty.fork()
if not pid:
    os.environ["TERM"] = sys.argv[1]
    os.environ["LINES"], os.environ["COLUMNS"] = "24", "80"
    os.execv(sys.argv[2], [sys.argv[2], "top", "--interval=0.2", sys.argv[3]])
shown = b""
def until(text):
    global shown
    while text not in shown:
        shown += os.read(fd, 4096)
    shown = b""
until(b"quarantined")
os.kill(int(sys.argv[4]), signal.SIGTERM)
until(b"waiting for the server")
os.write(fd, b"q")
try:
    while os.read(fd, 4096):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
python3 "$tmp/terminal.py" vt100 "$kmemblk" "$lend" "$server" || fail "kmemblk top"
