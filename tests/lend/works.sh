# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2094,SC2154
#
# What programs.sh gives its programs to do.
#
# work_NAME does the work of one program, each time in the same empty folder, by "${run[@]}" -- PROGRAM, and
# prints what must be equal.  Programs that are started by a program do not borrow: where it is these that have
# the memory, they are what kmemblk run runs.

# ---- programs that end by themselves ----------------------------------------------------------

# tree FOLDER: what is in it.
tree() {
	(cd "$1" && find . -printf '%p %y %m %T@\n' | sort && find . -type f -size +0 -print0 | sort -z | xargs -0 sha256sum)
}

work_sqlite3() {
	"${run[@]}" -- sqlite3 :memory: << 'END'
PRAGMA cache_size = -400000;
CREATE TABLE t (id INTEGER PRIMARY KEY, k INT, name TEXT, data BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
	INSERT INTO t SELECT i, i * 7919 % 100003, printf('%08x', i * 2654435761 % 4294967296), zeroblob(i % 300) FROM n;
CREATE INDEX of_name ON t (name, k);
SELECT count(*), sum(k), sum(length(data)), min(name), max(name) FROM t;
SELECT k % 97 AS g, count(*), total(k), group_concat(substr(name, 1, 2), '') FROM t GROUP BY g ORDER BY g;
DELETE FROM t WHERE k % 3 = 0;
UPDATE t SET name = name || k WHERE k % 2 = 0;
VACUUM;
SELECT a.name, b.name FROM t a JOIN t b ON a.k = b.id ORDER BY a.name DESC, b.name LIMIT 20000;
PRAGMA integrity_check;
END
}

python_program() {
	cat > program.py << 'END'
import ctypes, faulthandler, hashlib, multiprocessing, os, random, sys, threading
from concurrent.futures import ThreadPoolExecutor

def work(seed):
    r = random.Random(seed)
    d = {}
    for i in range(60000):
        d[r.randrange(30000)] = bytes([r.randrange(256)]) * r.randrange(3000)
    h = hashlib.sha256()
    for k in sorted(d):
        h.update(d[k])
    return h.hexdigest()

def fault():
    if not os.fork():
        ctypes.string_at(8)
    return os.wait()[1]

if sys.argv[1] == "fork":
    with multiprocessing.get_context("fork").Pool(4, maxtasksperchild=2) as pool:
        print(pool.map(work, range(16), 1))
elif sys.argv[1] == "endless":
    kept = [bytes([i % 256]) * (i % 4000) for i in range(100000)]
    with ThreadPoolExecutor(4) as pool:
        first = list(pool.map(work, range(8)))
        while list(pool.map(work, range(8))) == first:
            assert all(b == bytes([i % 256]) * (i % 4000) for i, b in enumerate(kept))
    sys.exit("it computes something else")
else:
    with ThreadPoolExecutor(4) as pool:
        print(list(pool.map(work, range(8))))
if faulthandler.is_enabled():
    faulthandler.dump_traceback(sys.stdout, False)
    faulthandler.enable(sys.stdout)
    sys.stdout.flush()
    print(fault())
END
}

work_python() {
	python_program
	"${run[@]}" -- python3 program.py threads
}

work_python_fork() {
	python_program
	"${run[@]}" -- python3 program.py fork
}

work_python_faulthandler() {
	python_program
	"${run[@]}" -- python3 -X faulthandler program.py threads | sed 's/0x[0-9a-f]*/ADDRESS/'
}

work_node() {
	cat > program.js << 'END'
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const zlib = require("zlib"), crypto = require("crypto");
const work = (seed) => {
	const kept = [];
	for (let i = 0; i < 3000; i++)
		kept[(i * seed) % 500] = Buffer.alloc(1000 + (i * 7919) % 90000, String(i * seed));
	const sorted = kept.filter((b) => b).sort(Buffer.compare);
	return crypto.createHash("sha256").update(zlib.gzipSync(Buffer.concat(sorted))).digest("hex");
};
if (isMainThread)
	Promise.all([1, 2, 3, 4].map((n) => new Promise((resolve, reject) =>
		new Worker(__filename, { workerData: n }).on("message", resolve).on("error", reject))))
		.then((all) => console.log(all.join("\n"), work(5)));
else
	parentPort.postMessage(work(workerData));
END
	"${run[@]}" -- node program.js
}

work_java() {
	cat > Program.java << 'END'
import java.nio.ByteBuffer;
import java.util.*;
import java.util.stream.*;
import java.util.zip.*;

public class Program {
	static long work(int seed) {
		Random r = new Random(seed);
		ByteBuffer[] kept = new ByteBuffer[200];
		CRC32 crc = new CRC32();
		for (int i = 0; i < 2000; i++) {
			byte[] text = new byte[1000 + r.nextInt(50000)], packed = new byte[60000];
			Arrays.fill(text, (byte)r.nextInt());
			Deflater deflater = new Deflater();
			deflater.setInput(text);
			deflater.finish();
			crc.update(packed, 0, deflater.deflate(packed));
			deflater.end();
			ByteBuffer direct = ByteBuffer.allocateDirect(text.length);
			direct.put(text).flip();
			kept[r.nextInt(kept.length)] = direct;
		}
		for (ByteBuffer b : kept)
			if (b != null)
				crc.update(b);
		return crc.getValue();
	}
	public static void main(String[] args) {
		System.out.println(IntStream.range(0, 8).parallel().mapToObj(Program::work).collect(Collectors.toList()));
	}
}
END
	"${run[@]}" -- java -XX:MaxDirectMemorySize=1g Program.java
}

work_perl() {
	# shellcheck disable=SC2016  # perl's
	"${run[@]}" -- perl -MDigest::SHA=sha256_hex -e '
		my %h;
		for my $i (1 .. 400000) {
			push @{$h{sprintf "%05d", $i * 7919 % 50021}}, "x" x ($i % 200), $i;
			delete $h{sprintf "%05d", $i * 31 % 50021} if $i % 5 == 0;
		}
		print scalar(keys %h), "\n";
		print "$_ ", sha256_hex(join ",", @{$h{$_}}), "\n" for sort keys %h;'
}

# By -wrapper kmemblk run is put before what gcc starts.
work_gcc() {
	local wrapper
	printf -v wrapper '%s,' "${run[@]}"
	find "$abs_top_srcdir/lib" -name '*.c' -print0 | sort -z > files
	xargs -0 -P 2 -I FILE gcc -wrapper "$wrapper--" -O1 -c -I "$abs_top_builddir" -I "$abs_top_srcdir/include" \
		-I "$abs_top_srcdir/lib" FILE < files
	sha256sum ./*.o
}

# git repack starts git pack-objects, which has the packing to do.
work_git() {
	if test -e "$abs_top_srcdir/.git"; then
		git clone -q --bare --no-hardlinks "$abs_top_srcdir" copy
	else
		git init -q copy
		cp -r "$abs_top_srcdir/lib" copy
		git -C copy add .
		GIT_COMMITTER_DATE='@1 +0000' git -C copy -c user.name=x -c user.email=x commit -q --date='@1 +0000' -m x
	fi
	"${run[@]}" -- git -C copy -c pack.threads=1 repack -adfq
	git verify-pack -v "$(git -C copy rev-parse --absolute-git-dir)"/objects/pack/*.idx | sort
	"${run[@]}" -- git -C copy pack-objects --all --no-reuse-delta --threads=1 -q "$PWD/by-itself" < /dev/null
	git verify-pack -v by-itself-*.idx | sort
	"${run[@]}" -- git -C copy fsck --full --strict
}

work_rsync() {
	mkdir from
	cp -a "$abs_top_srcdir/lib" from
	seq 20000 | sed 's|^|from/a-name-that-makes-the-list-of-files-long-|' | xargs touch
	find from -exec touch -d @1000000000 {} +
	"${run[@]}" -- rsync -a --no-inc-recursive from/ to
	find to -name '*1*' -type f -delete
	"${run[@]}" -- rsync -a --no-inc-recursive --checksum --delete from/ to
	tree to
}

numbers() {
	awk -v n="$1" 'BEGIN { x = 1; for (i = 0; i < n; i++) { x = x * 48271 % 2147483647; print x, i } }'
}

work_sort() {
	numbers 1000000 > numbers
	"${run[@]}" -- sort -S 300M --parallel=2 numbers | sha256sum
	"${run[@]}" -- sort -S 20M --parallel=2 -k2,2nr -T . numbers | sha256sum
}

work_xz() {
	numbers 1000000 > numbers
	"${run[@]}" -- xz -T2 -3 --block-size=8MiB -k numbers
	sha256sum numbers.xz
	"${run[@]}" -- xz -T2 -dc numbers.xz | cmp - numbers
}

work_stress_ng() {
	local stressor ops
	while read -r stressor ops; do
		"${run[@]}" -- stress-ng "--$stressor" 2 "--$stressor-ops" "$ops" --verify --vm-bytes 64M \
			--malloc-bytes 256K --malloc-max 2000 >&2
		echo "$stressor: verified"
	done <<< $'vm 2000\nmalloc 300000\nfork 2000'
}

# ---- servers ----------------------------------------------------------------------------------

# end_daemon FILE: the process whose pid it has, which is no child of this shell.
end_daemon() {
	local pid
	read -r pid < "$1" || return 0
	! kill "$pid" || eventually test ! -e "/proc/$pid"
}

memcached_client() {
	cat > "$tmp/memcached.py" << 'END'
import hashlib, itertools, os, random, socket, sys
r = random.Random(1)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rb")
def set_all(n):
    for i in range(n):
        value = bytes([r.randrange(256)]) * r.randrange(60000)
        s.sendall(b"set key%d 0 0 %d\r\n%s\r\n" % (i, len(value), value))
        assert f.readline() == b"STORED\r\n"
        yield hashlib.sha256(value).hexdigest()
def get_all(n):
    for i in range(n):
        s.sendall(b"get key%d\r\n" % i)
        value = f.read(int(f.readline().split()[3]))
        assert f.read(7) == b"\r\nEND\r\n"
        yield hashlib.sha256(value).hexdigest()
n = 4000
for turn in itertools.count() if "endless" in sys.argv else range(3):
    written, found = list(set_all(n)), list(get_all(n))
    assert written == found, "turn %d" % turn
    if "endless" not in sys.argv:
        print("\n".join(found))
END
	python3 "$tmp/memcached.py" "$@"
}

work_memcached() {
	"${run[@]}" -- memcached -d -s "$PWD/socket" -P "$PWD/pid" -u "$(id -un)" -m 1024 -I 2m
	cleanup_fn end_daemon pid
	eventually test -S socket
	eventually test -s pid
	memcached_client socket
}

work_redis() {
	local dump
	rm -rf "$tmp/redis"
	start_redis
	cli debug populate 200000 key 1000
	cli debug digest
	load_redis 200000
	for dump in 1 2; do
		save_redis "dump$dump.rdb"
	done
	unload_redis
	cli flushall
	cli debug populate 100000 other 500
	cli debug digest
	end_process "$redis"
	for dump in 1 2; do
		check_dump "dump$dump.rdb" 200000
	done
}

# PostgreSQL refuses root.  Its programs are not in PATH.
postgres=$(find /usr/lib/postgresql/*/bin/postgres -maxdepth 0 2> /dev/null | sort -V | tail -n 1)
as=()
test "$(id -u)" -ne 0 || as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)

work_postgres() {
	local bin
	bin=$(dirname "$postgres")
	test ${#as[@]} -eq 0 || chown nobody .
	"${as[@]}" "$bin/initdb" -D data -A trust -U test --no-sync >&2
	# What pg_ctl starts is to borrow, not itself.
	printf '#!/bin/sh\nexec %s -- %s "$@"\n' "${run[*]@Q}" "$postgres" > postgres
	chmod +x postgres
	cleanup_fn "${as[@]}" "$bin/pg_ctl" -D data -m fast -t 3600 stop
	"${as[@]}" "$bin/pg_ctl" -D data -p "$PWD/postgres" -l "$PWD/data/log" -t 3600 \
		-o "-h '' -k $PWD -c shared_buffers=64MB -c work_mem=128MB -c maintenance_work_mem=128MB" start >&2 ||
		{ cat data/log >&2; exit 1; }
	export PGHOST=$PWD PGUSER=test PGDATABASE=postgres
	pgbench -i -q -s 5 >&2
	pgbench -t 500 --random-seed=1 >&2
	sums
	psql -Atc 'select md5(string_agg(a::text, $$,$$ order by abalance, aid desc)) from pgbench_accounts a'
	pg_dump --inserts -t 'pgbench_[bt]*' | grep -v restrict | sort
	pgbench -n -c 4 -j 2 -T 10 >&2
	test "$(sums | tr '|' '\n' | sort -u | wc -l)" -eq 1 || fail "the balances differ: $(sums)"
}

sums() {
	psql -Atc 'select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
		(select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history)'
}

work_nginx() {
	local port
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	mkdir html
	numbers 1500000 > html/file
	truncate -s 20M html/file
	cat > nginx.conf << END
worker_processes 2;
pid $PWD/pid;
error_log $PWD/error.log;
$(test "$(id -u)" -ne 0 || echo "user root;")
events { }
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
	server {
		listen 127.0.0.1:$port;
		root $PWD/html;
		sendfile off;
		output_buffers 4 4m;
		location /packed/ { alias $PWD/html/; gzip on; gzip_types *; gzip_buffers 64 64k; }
	}
}
END
	cleanup_fn end_daemon pid
	"${run[@]}" -- nginx -p "$PWD" -c nginx.conf
	eventually test -s pid
	python3 - "http://127.0.0.1:$port" << 'END'
import hashlib, sys, urllib.request
for path in ["/file", "/packed/file"] * 4:
    request = urllib.request.Request(sys.argv[1] + path, headers={"Accept-Encoding": "gzip"})
    content = urllib.request.urlopen(request).read()
    print(path, len(content), hashlib.sha256(content).hexdigest())
END
}
