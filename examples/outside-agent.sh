#!/bin/bash
# An agent that Swarm does not start: it claims tickets, has a program of yours do each one, and reports what came of
# it. Needs curl (7.82 or newer), jq, and setsid of util-linux.
#
#   SWARM_URL=http://127.0.0.1:7377 SWARM_TOKEN=swm_… outside-agent.sh builder-7 ./do-ticket --fast
#
# The program reads the ticket as JSON from its standard input. Exit code 0: done, and the JSON object that it printed
# is the outputs. Any other: failed. SIGTERM to the agent gives the ticket back.
set -u
[ $# -ge 2 ] || { echo 'usage: outside-agent.sh <holder> <program> [<argument> …]' >&2; exit 64; }
url=${SWARM_URL:-http://127.0.0.1:7377} ttl=${LEASE_TTL_MS:-60000} holder=$1 stopping='' worker=''
shift
dir=$(mktemp -d) || exit
trap 'rm -rf "$dir"' EXIT
trap 'stopping=yes; end_work' TERM INT
# In a file: what stands in the arguments of a program is seen by everyone on the machine.
(umask 077 && echo "Authorization: Bearer ${SWARM_TOKEN:-}" > "$dir/token")
unset SWARM_TOKEN # the program need not have it

# post <path> <answer file> [<curl option> …]: sends standard input once and prints the status, 000 without an answer.
post() {
  local path=$1 answer=$2 code
  shift 2
  # What was cut off on the way is no answer, nor is a page of something in between.
  code=$(jq --arg holder "$holder" '. + {$holder}' |
    curl --silent --max-time 30 --header "@$dir/token" "$@" --json @- --output "$answer" \
      --dump-header "$answer.headers" --write-out '%{http_code}' "$url/v1/$path") || code=000
  [ "$code" != 200 ] || jq empty "$answer" 2> /dev/null || code=000
  printf '%s' "$code"
}

# send <path> <body> <key>: sends until somebody answers, waiting longer each time. The key makes it count once.
send() {
  local wait=1 tries=0 asked
  while :; do
    status=$(post "$1" "$dir/answer" --header "Idempotency-Key: $3" <<< "$2")
    case $status in 000* | 429* | 5*) ;; *) return ;; esac
    tries=$((tries + 1))
    if [ "$stopping" ] && [ $tries -gt 3 ]; then echo "nobody answers at $url" >&2 && exit 1; fi
    asked=$(sed -n 's/^retry-after: *\([1-9][0-9]*\)[^0-9]*$/\1/Ip' "$dir/answer.headers" 2> /dev/null)
    [ ${#asked} -le 2 ] || asked=60 # something in between may ask for a day
    sleep "$((${asked:-0} > wait ? asked : wait))"
    wait=$((wait < 15 ? wait * 2 : 15))
  done
}

# Ends the program and what it started: politely, then not.
end_work() {
  [ "$worker" ] || return 0
  # Its group is there a moment after it.
  until kill -TERM -- "-$worker" 2> /dev/null || ! kill -0 "$worker" 2> /dev/null; do sleep 0.05; done
  (sleep 5; kill -KILL -- "-$worker") > /dev/null 2>&1 &
}

# Until 409: the lease has passed on or the ticket was canceled. What we do from there on would change nothing.
keep_lease() {
  while sleep "$((ttl / 3000))"; do
    status=$(post "runs/$run/heartbeat" "$dir/beat" <<< "{\"epoch\": $epoch, \"leaseTtlMs\": $ttl}")
    # $$ is the agent: when it was killed, nobody is left to report, so nobody may keep the ticket.
    kill -0 $$ 2> /dev/null || { end_work && return; }
    [ "$status" = 409 ] || { [ "$status" = 200 ] && jq -e .isCancelRequested "$dir/beat" > /dev/null; } || continue
    touch "$dir/lost"
    end_work
    return
  done
}

work_on() {
  local code keeper verb body
  # One substitution in a line: bash 5.2 loses a signal that comes during the first of several.
  run=$(jq -r .run.id "$dir/answer")
  epoch=$(jq .lease.epoch "$dir/answer")
  key=$(jq -r .ticket.key "$dir/answer")
  jq .ticket "$dir/answer" > "$dir/ticket" || exit
  rm -f "$dir/lost"
  # In a process group of its own, so that it can be ended with all that it starts.
  setsid "$@" < "$dir/ticket" > "$dir/out" 2> "$dir/err" &
  worker=$!
  keep_lease > /dev/null 2>&1 &
  keeper=$!
  disown "$keeper"
  [ ! "$stopping" ] || end_work # told to stop before there was anything to end
  # In short sleeps: a signal that comes just before `wait` would be seen after it only.
  while kill -0 "$worker" 2> /dev/null; do sleep 0.2; done
  wait "$worker" 2> /dev/null
  code=$? worker=''
  if [ $code = 0 ]; then
    verb=complete body=$(jq -cs 'select(length == 1) | {outputs: .[0]}' "$dir/out" 2> /dev/null)
    [ "$body" ] || verb=''
  elif [ "$stopping" ] || [ -e "$dir/lost" ]; then verb=release body='{}'
  else verb=fail body=$(tail -c 2000 "$dir/err" | jq -Rsc --arg code $code '{detail: "exit code \($code): \(.)"}'); fi
  [ "$verb" ] || { verb=fail body='{"reason": "result_invalid", "detail": "the program printed no JSON, or more than one value"}'; }
  send "runs/$run/$verb" "$(jq -c ". + {epoch: $epoch}" <<< "$body")" "$run-$verb"
  echo "$key: $status $verb"
  # The outputs were refused, too large perhaps: say so, or the ticket stays held until the lease ends.
  if [ "$status" = 422 ] || [ "$status" = 413 ]; then
    body=$(jq -c "{reason: \"result_invalid\", detail: .detail, epoch: $epoch}" "$dir/answer")
    send "runs/$run/fail" "$body" "$run-fail"
  fi
  kill "$keeper" 2> /dev/null
}

until [ "$stopping" ]; do
  send tickets/claim "{\"leaseTtlMs\": $ttl}" "$(cat /proc/sys/kernel/random/uuid)"
  case $status in
    200) work_on "$@" ;;
    204) for _ in {1..10}; do [ "$stopping" ] || sleep 1; done ;;
    *) echo "the claim was refused: $(cat "$dir/answer")" >&2 && exit 1 ;;
  esac
done
exit 0
