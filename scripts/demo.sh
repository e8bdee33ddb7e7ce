#!/usr/bin/env bash
# Backs up a live PostgreSQL from two real volumes and proves the backup: data on
# btrfs, WAL on ext4 in an image on XFS, pgbench and a ledger of acknowledged
# commits running all the while.
set -euo pipefail

umbra=$(realpath "${1:?usage: demo.sh PATH-OF-UMBRA}")
[ "$(id -u)" -eq 0 ] || { echo "the demo mounts and freezes file systems: run it as root" >&2; exit 1; }

bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
work=$(mktemp -d /var/tmp/umbra-XXXX)   # short, for the tables
chmod 755 "$work"
export PAGER=cat PSQL_PAGER=cat   # on a terminal psql would wait in a pager
export UMBRA_ROOT=$work/umbra; mkdir "$UMBRA_ROOT"
port=54329
running=()   # data directories of servers to stop
mounts=()    # mounts to undo, last first
declare -A loop_of

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
as_postgres() { runuser -u postgres -- "$@"; }
sql() { as_postgres "$bin/psql" -XAtq -h "$work" -p "$1" -d "$2" -c "$3"; }

clean_up() {
    set +e
    trap '' INT TERM HUP   # a second Ctrl-C must not stop this halfway
    for pid in ${ledger_pid:-} ${bench_pid:-}; do kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
    for data in "${running[@]}"; do as_postgres "$bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1; done
    for mount in "${mounts[@]}"; do fsfreeze -u "$mount" 2>/dev/null; done
    for mount in "${mounts[@]}"; do
        umount "$mount" || umount -l "$mount"
        losetup -d "${loop_of[$mount]}"
    done
    rm -rf --one-file-system "$work"
    kill "${watchdog:-}" 2>/dev/null
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# Umbra never leaves anything frozen; the demo does not take its word for it.
( trap '' INT; sleep 300 & trap 'kill $!; exit' TERM; wait; for mount in "$work"/{xfs,data,wal}; do fsfreeze -u "$mount"; done ) >/dev/null 2>&1 &
watchdog=$!

volume() { # volume NAME MKFS IMAGE SIZE: makes a file system in an image and mounts it
    truncate -s "$4" "$3"
    $2 "$3" >/dev/null
    local loop; loop=$(losetup -f --show "$3")
    mkdir "$work/$1"; mount "$loop" "$work/$1"
    mounts=("$work/$1" "${mounts[@]}"); loop_of[$work/$1]=$loop
}

step "Two volumes: btrfs for the data, ext4 in an image on XFS for the WAL"
volume xfs "mkfs.xfs -q" "$work/xfs.img" 3G
volume data "mkfs.btrfs -q" "$work/data.img" 3G
volume wal "mkfs.ext4 -q" "$work/xfs/wal.img" 1G
chown postgres: "$work/data" "$work/wal"
"$umbra" volumes | sed -nE "1p;\\#^$work/(data|wal) .*/dev/#p"

step "PostgreSQL, its data on one and its WAL on the other, under pgbench"
as_postgres "$bin/initdb" -D "$work/data/pg" --waldir="$work/wal/pg_wal" -A trust >"$work/initdb.log"
start() { # start DATA PORT: starts a server
    as_postgres "$bin/pg_ctl" -D "$1" -w -l "$work/server-$2.log" -o "-p $2 -k $work -c listen_addresses=''" start >/dev/null
    running+=("$1")
}
chown postgres: "$work"
start "$work/data/pg" $port
sql $port postgres "create table ledger (number bigint primary key, written timestamptz default now())"
as_postgres "$bin/pgbench" -h "$work" -p $port -i -s 10 -q postgres >/dev/null 2>&1
as_postgres "$bin/pgbench" -h "$work" -p $port -c 4 -T 3600 -P 1 postgres >"$work/pgbench.log" 2>&1 &
bench_pid=$!

# Writes 1, 2, 3, … and notes each number with the time once its commit is acknowledged.
ledger() {
    for ((n = 1; ; n++)); do
        printf 'insert into ledger (number) values (%d);\n\\echo %d `date +%%s%%N`\n' $n $n
    done | as_postgres stdbuf -oL "$bin/psql" -XAtq -h "$work" -p $port -d postgres >"$work/acknowledged"
}
ledger 2>/dev/null &
ledger_pid=$!
sleep 5
sql $port postgres "select 'commits so far: ' || xact_commit from pg_stat_database where datname = 'postgres'"

step "umbra exec over both volumes, with tar"
cat >"$work/backup.sh" <<EOF
#!/bin/sh
set -e
"$umbra" show "\$UMBRA_SET_ID" --json > "$work/set.json"
tar -C / -cf "$work/backup.tar" "${work#/}/data" "${work#/}/wal"
EOF
chmod +x "$work/backup.sh"
"$umbra" exec --volume "$work/data" --volume "$work/wal" --live "$work/umbra" -- "$work/backup.sh"
before_end=$(wc -l <"$work/acknowledged")
kill $bench_pid $ledger_pid; wait $bench_pid $ledger_pid 2>/dev/null || true
echo "pgbench, second by second while the backup ran:"
tail -n 4 "$work/pgbench.log" | cut -d, -f1-3
echo "backed up $(du -h "$work/backup.tar" | cut -f1); $before_end ledger commits were acknowledged by the end of it"

step "Restore the tar beside it, and start PostgreSQL on it"
mkdir "$work/restored"
tar -C "$work/restored" -xf "$work/backup.tar"
restored=$work/restored/${work#/}
ln -sfn "$restored/wal/pg_wal" "$restored/data/pg/pg_wal"
rm -f "$restored/data/pg/postmaster.pid"
chown postgres: "$work/restored" "$restored"
start "$restored/data/pg" $((port + 1))
grep -E 'redo (starts|done)|ready to accept|was interrupted' "$work/server-$((port + 1)).log" | sed 's/^[^]]*\] //'

step "Proof"
as_postgres "$bin/pg_amcheck" -h "$work" -p $((port + 1)) --install-missing --heapallindexed --parent-check postgres
echo "pg_amcheck: every table and index is sound"
instant=$(sed -n 's/^ *"created": "\(.*\)",$/\1/p' "$work/set.json" | head -n 1)
instant=$(date -d "$instant" +%s%N)
promised=$(awk -v instant="$instant" '$2 < instant {n = $1} END {print n + 0}' "$work/acknowledged")
found=$(sql $((port + 1)) postgres "select coalesce(max(number), 0) from ledger")
count=$(sql $((port + 1)) postgres "select count(*) from ledger")
echo "ledger: $promised commits were acknowledged before the instant of the copy; the restored database has 1 to $found, $count rows"
[ "$promised" -gt 0 ] || { echo "FAILED: the ledger had not begun" >&2; exit 1; }
[ "$count" -eq "$found" ] || { echo "FAILED: the ledger has gaps" >&2; exit 1; }
[ "$found" -ge "$promised" ] || { echo "FAILED: acknowledged commits are missing" >&2; exit 1; }
balances=$(sql $((port + 1)) postgres "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)")
[ "$balances" = t ] || { echo "FAILED: pgbench's balances do not add up" >&2; exit 1; }
echo "pgbench: account balances equal the history of transactions"
printf '\n\033[1mThe backup is consistent: nothing committed before the freeze is missing.\033[0m\n'
