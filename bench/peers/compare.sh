#!/usr/bin/env bash
# Compares the CPU that servers spend on one unit of work, interleaved over several rounds:
#
#   bench/peers/compare.sh hello  [rounds] [seconds]   an HTTP hello on 64 kept connections, by wrk
#   bench/peers/compare.sh echo   [rounds] [seconds]   a 64-byte frame echoed on 64 connections
#   bench/peers/compare.sh refuse [rounds]             50,000 connections from 200 sources, refused
#   bench/peers/compare.sh handshake [rounds] [seconds] [1.2|1.3]  a full TLS handshake
#   bench/peers/compare.sh tls-echo  [rounds] [seconds] a 64-byte frame echoed over TLS on 64 connections
#
# weir runs its bench profile, in which every check runs (for refuse: a limit of 1/s a source). The
# peers are a bare gnet.Run, nginx and haproxy, where installed, with the configurations beside this
# file; for TLS a crypto/tls server with a goroutine for each connection (gotls). CPU is read from /proc/PID/task/*/schedstat, so the client's cost does not count.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:-hello} rounds=${2:-5} seconds=${3:-4} version=${4:-1.3}
tmp=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$tmp"' EXIT
go build -o "$tmp/" ./cmd/server ./cmd/bench ./bench/peers/gnet ./bench/peers/gotls

declare -A pid port
order=()
start() { # name port command...
  local name=$1
  order+=("$name")
  port[$name]=$2
  shift 2
  "$@" >"$tmp/$name.log" 2>&1 &
  pid[$name]=$!
}
weir=("$tmp/server" -profile bench -admin off -log-level error)
case $what in
hello)
  start weir 18080 "${weir[@]}" -listen http://127.0.0.1:18080
  start gnet 18081 "$tmp/gnet" -http 127.0.0.1:18081
  if command -v nginx >/dev/null; then
    sed "s#TMP#$tmp#" bench/peers/nginx.conf >"$tmp/nginx.conf"
    start nginx 18082 nginx -c "$tmp/nginx.conf" -e "$tmp/nginx.err"
  fi
  if command -v haproxy >/dev/null; then start haproxy 18083 haproxy -db -f bench/peers/haproxy.cfg; fi
  ;;
echo)
  start weir 17000 "${weir[@]}" -listen frames://127.0.0.1:17000
  start gnet 17001 "$tmp/gnet" -http "" -frames 127.0.0.1:17001
  ;;
refuse)
  start weir 18080 "${weir[@]}" -listen http://127.0.0.1:18080 -source-conn-rate 1 -source-conn-burst 1 -first-frame-timeout 100ms
  if command -v haproxy >/dev/null; then start haproxy 18084 haproxy -db -f bench/peers/haproxy.cfg; fi
  ;;
handshake | tls-echo)
  start weir 17000 "${weir[@]}" -tls-self-signed -listen frames+tls://127.0.0.1:17000
  buffer=65536 # as weir's loops have; a connection that only shakes hands needs none
  if [ "$what" = handshake ]; then buffer=512; fi
  start gotls 17001 "$tmp/gotls" -frames 127.0.0.1:17001 -buffer $buffer
  ;;
*)
  sed -n '2,15s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac
sleep 1

cpu() { # nanoseconds of a process and its children
  local sum=0 p t
  for p in "$1" $(pgrep -P "$1" || true); do
    for t in /proc/"$p"/task/*/schedstat; do sum=$((sum + $(cut -d' ' -f1 "$t"))); done
  done
  echo $sum
}
once() { # port: prints "units rate"
  case $what in
  hello) wrk -t1 -c64 -d"${seconds}s" "http://127.0.0.1:$1/" | awk '/requests in/{n=$1} /Requests\/sec/{r=$2} END{print n, r}' ;;
  handshake)
    "$tmp/bench" attack tls-handshake -target "frames+tls://127.0.0.1:$1" -version "$version" -rate 1500 -conns 1000 -total 100000 -duration "${seconds}s" -nice 0 -json "$tmp/load.json" >/dev/null 2>&1
    sed -n 's/^ *"handshakes": \([0-9]*\),*$/\1/p' "$tmp/load.json" | head -1 | awk -v s="$seconds" '{print $1, $1/s}'
    ;;
  tls-echo)
    "$tmp/bench" load -target "frames+tls://127.0.0.1:$1" -rate 150000 -conns 64 -timeout 30s -duration "${seconds}s" -json "$tmp/load.json" >/dev/null 2>&1
    sed -n 's/^ *"ok": \([0-9]*\),*$/\1/p' "$tmp/load.json" | head -1 | awk -v s="$seconds" '{print $1, $1/s}'
    ;;
  echo) # far more than can be had: what comes back within the time and the backlog is the rate
    "$tmp/bench" load -target "frames://127.0.0.1:$1" -rate 150000 -conns 64 -timeout 30s -duration "${seconds}s" -json "$tmp/load.json" >/dev/null 2>&1
    sed -n 's/^ *"ok": \([0-9]*\),*$/\1/p' "$tmp/load.json" | head -1 | awk -v s="$seconds" '{print $1, $1/s}'
    ;;
  refuse)
    "$tmp/bench" attack connection-flood -target "http://127.0.0.1:$1" -sources 200 -conns 1000 -total 50000 -duration 60s >"$tmp/flood" 2>&1
    awk '/ended/{for(i=1;i<=NF;i++) if($i=="reset") n=$(i-1)} /connection-flood on/{t=$4; sub("s,","",t)} END{print n, n/t}' "$tmp/flood"
    ;;
  esac
}
for _ in $(seq "$rounds"); do
  for name in "${order[@]}"; do
    a=$(cpu "${pid[$name]}")
    read -r n rate < <(once "${port[$name]}")
    b=$(cpu "${pid[$name]}")
    awk -v name="$name" -v ns=$((b - a)) -v n="$n" -v r="$rate" 'BEGIN{printf "%s %.3f %.0f\n", name, ns/n/1000, r}'
  done
done | tee "$tmp/all" | sed 's/^/  /'
echo
awk '{c[$1]=c[$1]" "$2; r[$1]=r[$1]" "$3; if(!($1 in seen)){seen[$1]=1; order[++k]=$1}}
  function sorted(s,a,  n,i,j,t){n=split(s,a," ");for(i=1;i<=n;i++)for(j=i+1;j<=n;j++)if(a[j]+0<a[i]+0){t=a[i];a[i]=a[j];a[j]=t}return n}
  function med(s,  a,n){n=sorted(s,a);return a[int((n+1)/2)]}
  function spread(s,  a,n){n=sorted(s,a);return a[1]"-"a[n]}
  END{w=med(c["weir"]); printf "%-8s %12s %16s %12s %16s\n","server","us each","from-to","each second","weir to it, CPU"
      for(i=1;i<=k;i++){n=order[i]; printf "%-8s %12.2f %16s %12.0f %15.2fx\n",n,med(c[n]),spread(c[n]),med(r[n]),w/med(c[n])}}' "$tmp/all"
