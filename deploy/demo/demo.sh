#!/usr/bin/env bash
# `make demo`: one worker with everything inside, an export of phone numbers from
# all over the world, and the answers in results.csv. It uses free ports and a
# temporary directory, and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/../.."

input=deploy/demo/crm-export.csv
out=results.csv
data=$(mktemp -d "${TMPDIR:-/tmp}/lookupq-demo.XXXXXX")
worker=

# stop ends the worker the clean way and passes its exit code on.
stop() {
  local pid=$worker code=0
  [ -n "$pid" ] || return 0
  worker=
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid" || code=$?
  return "$code"
}

cleanup() {
  stop || true
  rm -rf "$data"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# free_port prints a port of loopback where nothing answers.
free_port() {
  local port
  while :; do
    port=$((RANDOM % 30000 + 20000))
    if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

# ready asks the worker's /readyz, with nothing but bash.
ready() {
  local status=
  { exec 3<>"/dev/tcp/127.0.0.1/$http"; } 2>/dev/null || return 1
  printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
  read -r -t 5 status <&3 || true
  exec 3>&-
  [[ $status == *" 200 "* ]]
}

gave_up() {
  echo "demo: $1; the worker's last words:" >&2
  tail -n 20 "$data/worker.log" >&2
  exit 1
}

nats=$(free_port)
http=$(free_port)

# Settings of the shell that starts the demo are for other workers.
while read -r name; do unset "$name"; done < <(compgen -e | grep '^LOOKUPQ_' || true)
export LOOKUPQ_NATS_URL="nats://127.0.0.1:$nats" LOOKUPQ_HTTP_LISTEN="127.0.0.1:$http"

echo "Starting a worker with NATS and Redis inside (status page: http://127.0.0.1:$http/)"
bin/worker run --embedded --data-dir "$data/data" 2>"$data/worker.log" &
worker=$!
for ((i = 0; i < 150; i++)); do
  ready && break
  kill -0 "$worker" 2>/dev/null || gave_up "the worker did not start"
  sleep 0.2
done
ready || gave_up "the worker is not ready after 30 s"

echo "Looking up $input"
rm -f "$out" rejects.csv
bin/enqueue send --nats "$LOOKUPQ_NATS_URL" --route offline --wait --out "$out" --rejects rejects.csv "$input" ||
  gave_up "enqueue failed"

echo
echo "The first lines of $out:"
head -n 6 "$out" | cut -c 1-150
stop || gave_up "the worker did not stop cleanly"
echo "The worker has stopped; nothing is left running."
