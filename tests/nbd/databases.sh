# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# The databases of test-databases.sh: made, loaded and checked in a folder.
#
# Each has one writer of transactions numbered 1, 2, 3...  Every transaction adds the row of its number, takes away the one
# that was added `window` transactions before, changes one of those between, and notes its number, and how many changes
# the rows that are there have had, in a table `last`.  When it is committed, the number goes to a file of acknowledgements,
# and the next one begins.  So the newest row tells which rows there must be, and a transaction that is missing, or there in
# part, shows; and the database does not grow, however long it is under load.  Beside the writer, pgbench changes
# PostgreSQL's own four tables, whose sums must be equal.
#
# With synchronous=FULL, SQLite does not sync the folder after it has removed a rollback journal, so that a
# transaction that was acknowledged may be rolled back after a power failure: EXTRA does.  A write-ahead log needs
# FULL only.

databases='sqlite-delete sqlite-wal postgresql'
window=5000
width=600

# PostgreSQL's server does not run as root.
as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups --)
# Nothing that the user has set for clients.
unset "${!PG@}"
sqlite=(sqlite3 -batch -bail -init /dev/null)
sockets=$tmp/sockets
client=(-h "$sockets" -U postgres)
# And the port, which is only a name here: the databases under load have 1, those on the clone 2.
sql=(psql -X -q -A -t -v ON_ERROR_STOP=1 "${client[@]}" -d postgres -p)

requires_databases() {
	local folder
	folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
	PATH=$folder:$PATH
	requires sqlite3 --version
	requires stdbuf --version
	requires "${as_user[@]}" initdb --version
	requires pg_amcheck --version
	requires pgbench --version
	chmod 755 "$tmp"
	install -d -m 700 -o nobody "$sockets"
}

# start_postgres FOLDER PORT LOG: sets $postgres, which cleanup ends.
start_postgres() {
	"${as_user[@]}" postgres -D "$1/postgresql" -p "$2" >> "$3" 2>&1 < /dev/null &
	postgres=$!
	cleanup_fn end_process "$postgres" INT
	awaited="PostgreSQL on $1"
	until pg_isready -q "${client[@]}" -p "$2"; do
		is_running $postgres || fail "PostgreSQL has ended: $(cat "$3")"
		sleep 0.05
	done
	awaited=
}

tables='create table kept (n integer primary key, bytes text, changes integer);
	create table last (n integer, changes integer); insert into last values (0, 0);'

# make_databases FOLDER LOG: and PostgreSQL's server runs afterwards, at port 1.
make_databases() {
	"${sqlite[@]}" "$1/sqlite-delete" "$tables"
	test "$("${sqlite[@]}" "$1/sqlite-wal" "pragma journal_mode = wal; $tables")" = wal

	install -d -m 700 -o nobody "$1/postgresql"
	"${as_user[@]}" initdb -D "$1/postgresql" -U postgres -A trust --data-checksums --wal-segsize=4 \
		--no-sync > "$2" 2>&1 || fail "initdb: $(cat "$2")"
	# Small, so that there are checkpoints; and nothing of it stays on /dev/shm.
	cat >> "$1/postgresql/postgresql.conf" << END
listen_addresses = ''
unix_socket_directories = '$sockets'
dynamic_shared_memory_type = mmap
fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = 8MB
min_wal_size = 16MB
max_wal_size = 32MB
log_checkpoints = on
END
	sync -f "$1"
	start_postgres "$1" 1 "$2"
	"${sql[@]}" 1 -c "$tables create extension amcheck;"
	pgbench -q -i "${client[@]}" -p 1 postgres > "$tmp/pgbench.log" 2>&1 ||
		fail "pgbench: $(cat "$tmp/pgbench.log")"
}

# transactions: without end, as SQL.
transactions() {
	local n
	for ((n = 1; ; n++)); do
		printf "begin; insert into kept values (%d, '%0${width}d', 0);
			update kept set changes = changes + 1 where n = %d;
			update last set n = %d, changes = changes + 1 -
				coalesce((select changes from kept where n = %d), 0);
			delete from kept where n = %d; commit; select %d;\n" \
			$n $n $((n - RANDOM % (n < window ? n : window))) $n $((n - window)) $((n - window)) $n
	done
}

# start_writers FOLDER NOTES: the acknowledgements go to NOTES/DATABASE.  Sets $writers; cleanup ends them.
start_writers() {
	local name
	writers=()
	stdbuf -oL "${sqlite[@]}" "$1/sqlite-delete" \
		< <(echo 'pragma synchronous = extra;' && transactions) > "$2/sqlite-delete" 2> "$2/sqlite-delete.log" &
	writers+=($!)
	stdbuf -oL "${sqlite[@]}" "$1/sqlite-wal" \
		< <(echo 'pragma synchronous = full;' && transactions) > "$2/sqlite-wal" 2> "$2/sqlite-wal.log" &
	writers+=($!)
	stdbuf -oL "${sql[@]}" 1 < <(transactions) > "$2/postgresql" 2> "$2/postgresql.log" &
	writers+=($!)
	pgbench -n -c 2 -T 1000000 "${client[@]}" -p 1 postgres > "$2/pgbench.log" 2>&1 &
	writers+=($!)
	for name in "${writers[@]}"; do
		cleanup_fn end_process "$name"
	done
}

stop_writers() {
	local i
	for ((i = ${#writers[@]} - 1; i >= 0; i--)); do
		end_process "${writers[i]}"
		cleanup_done
	done
}

# acknowledged FILE: the number of the last transaction in it.
acknowledged() {
	local n
	n=$(tail -n 1 "$1")
	echo "${n:-0}"
}

# sound_database NAME FOLDER LOG: all of it can be read, its indexes agree with its tables, and its transactions
# are those up to $newest.  This is the first one to open it after the snapshot was taken, so it recovers.
sound_database() {
	local answer rows is_text sums
	case $1 in
	sqlite-*)
		answer=$("${sqlite[@]}" "$2/$1" 'pragma integrity_check' 2>&1) || true
		test "$answer" = ok || fail "$1 of $2: $answer"
		is_text="bytes = printf('%0${width}d', n)"
		;;
	postgresql)
		# It names a process of this machine, the server of the database that this is a copy of.
		rm "$2/$1/postmaster.pid"
		start_postgres "$2" 2 "$3"
		grep -q 'automatic recovery in progress' "$3" || fail "$1 of $2 had nothing to recover: $(cat "$3")"
		pg_amcheck --heapallindexed "${client[@]}" -p 2 -d postgres > "$3.check" 2>&1 ||
			fail "$1 of $2: $(cat "$3.check")"
		sums="select count(*) from (select sum(abalance) from pgbench_accounts
			union select sum(bbalance) from pgbench_branches union select sum(tbalance) from pgbench_tellers
			union select coalesce(sum(delta), 0) from pgbench_history) as sums"
		test "$("${sql[@]}" 2 -c "$sums")" = 1 || fail "$1 of $2: a transaction of pgbench is not whole"
		is_text="bytes = lpad(n::text, $width, '0')"
		;;
	esac
	answer="select max(n), (select n from last), min(n), count(*), sum(case when $is_text then 1 else 0 end),
		sum(changes) - (select changes from last) from kept"
	case $1 in
	sqlite-*) answer=$("${sqlite[@]}" "$2/$1" "$answer" 2>&1) || fail "$1 of $2: $answer" ;;
	postgresql)
		answer=$("${sql[@]}" 2 -c "$answer" 2>&1) || fail "$1 of $2: $answer"
		end_process "$postgres" INT
		cleanup_done
		tail -n 1 "$3" | grep -q 'database system is shut down' || fail "$1 of $2: $(cat "$3")"
		;;
	esac
	newest=${answer%%|*}
	rows=$((newest < window ? newest : window))
	test "$answer" = "$newest|$newest|$((newest - rows + 1))|$rows|$rows|0" ||
		fail "$1 of $2: newest, last, oldest, rows, right ones, changes too many: $answer"
}
