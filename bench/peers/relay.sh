#!/usr/bin/env bash
# Compares relays of bytes, interleaved over several rounds:
#
#   bench/peers/relay.sh pingpong [rounds] [seconds] [conns]  a 64-byte frame to an echo behind and back, one under way on each of 50 connections
#   bench/peers/relay.sh bulk     [rounds]                    1 GiB from a server behind to one client, hash compared
#   bench/peers/relay.sh redis    [rounds] [conns]            redis-benchmark, GET, 100,000 requests
#   bench/peers/relay.sh http     [rounds] [seconds] [conns] [size] GET of 1,024 bytes (size) from nginx behind, wrk on 50 connections; beside nginx and haproxy in http mode
#   bench/peers/relay.sh stalled                              4 readers that stall for 3 s in the middle of 100 MB each: memory
#
# weir runs its bench profile, in which every check runs, with one loop, and haproxy its tcp mode with
# one thread. CPU is read from /proc/PID/task/*/schedstat, so that of clients and servers does not count.
# It needs haproxy and python3; redis-server and redis-benchmark for redis; nginx and wrk for http, in which
# all three parse, check and write heads anew, and keep connections to the server behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:-pingpong} rounds=${2:-5} seconds=${3:-4} conns=${4:-50}
tmp=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$tmp"' EXIT
go build -o "$tmp/" ./cmd/server ./cmd/bench
behind=17100
declare -A pid port=([weir]=17101 [haproxy]=17102 [haproxy-splice]=17103)

nginx_conf() { # port, the server's block
  printf 'daemon off; master_process off; pid %s/nginx-%s.pid; error_log stderr crit;\nevents { worker_connections 4096; }\n' "$tmp" "$1"
  printf 'http {\n  access_log off; keepalive_requests 100000000; client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;\n' "$tmp" "$tmp" "$tmp" "$tmp" "$tmp"
  printf '  upstream behind { server 127.0.0.1:%s; keepalive 200; keepalive_requests 100000000; }\n' "$behind"
  printf '  server { listen 127.0.0.1:%s backlog=4096; %s }\n}\n' "$1" "$2"
}
haproxy_cfg() { # port options...
  local at=$1
  shift
  printf 'global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 3s\n  timeout client 75s\n  timeout server 75s\n'
  printf '  %s\n' "$@"
  printf 'listen relay\n  bind 127.0.0.1:%s\n  server s 127.0.0.1:%s\n' "$at" "$behind"
}
start() { # name command...
  local name=$1
  shift
  "$@" >"$tmp/$name.log" 2>&1 &
  pid[$name]=$!
}
haproxy_cfg "${port[haproxy]}" >"$tmp/haproxy.cfg"
haproxy_cfg "${port[haproxy-splice]}" 'option splice-auto' >"$tmp/haproxy-splice.cfg"
scheme=tcp
if [ "$what" = http ]; then
  scheme=http
  port[nginx]=17104
  sed -i 's/mode tcp/mode http\n  option forwardfor\n  http-reuse safe/' "$tmp/haproxy.cfg"
fi
start weir "$tmp/server" -profile bench -loops 1 -admin off -log-level error -listen "$scheme://127.0.0.1:${port[weir]}?to=127.0.0.1:$behind"
start haproxy haproxy -db -f "$tmp/haproxy.cfg"
order=(weir haproxy)

cat >"$tmp/bulk.py" <<'PY'
# server PORT BYTES: sends a pattern to whoever connects. client PORT BYTES STALL: reads it, and checks it.
import hashlib, socket, sys, threading, time
what, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
block = bytes(i * 7 % 251 for i in range(1 << 20))
def blocks():
    left = size
    while left > 0:
        yield block[:min(left, len(block))]
        left -= len(block)
if what == "server":
    ln = socket.create_server(("127.0.0.1", port), backlog=128)
    def serve(c):
        try:
            for b in blocks():
                c.sendall(b)
            c.shutdown(socket.SHUT_WR)
            c.recv(1)
        except OSError:
            pass
        c.close()
    while True:
        threading.Thread(target=serve, args=(ln.accept()[0],), daemon=True).start()
stall = float(sys.argv[4])
c, buf, n, begun = socket.create_connection(("127.0.0.1", port)), bytearray(1 << 20), 0, time.time()
c.send(b"x")
while True:
    k = c.recv_into(buf)
    if k == 0:
        break
    at = n % len(block)
    first = min(k, len(block) - at)
    if buf[:first] != block[at:at + first] or buf[first:k] != block[:k - first]:
        sys.exit("corrupt after %d bytes" % n)
    n += k
    if stall and n > size // 4:
        time.sleep(stall)
        stall = 0
if n != size:
    sys.exit("%d of %d bytes came" % (n, size))
print(n / (1 << 20), n / (1 << 20) / (time.time() - begun))
PY
case $what in
pingpong)
  start behind "$tmp/server" -profile bench -loops 1 -admin off -log-level error -listen "frames://127.0.0.1:$behind"
  ;;
bulk)
  start behind python3 "$tmp/bulk.py" server $behind $((1 << 30))
  start haproxy-splice haproxy -db -f "$tmp/haproxy-splice.cfg"
  order+=(haproxy-splice)
  ;;
redis)
  conns=${3:-50}
  start behind redis-server --port $behind --save '' --appendonly no
  ;;
http)
  size=${5:-1024}
  mkdir "$tmp/www"
  head -c "$size" /dev/zero | tr '\0' x >"$tmp/www/f"
  nginx_conf $behind "root $tmp/www; open_file_cache max=10;" >"$tmp/behind.conf"
  nginx_conf "${port[nginx]}" 'location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }' >"$tmp/nginx.conf"
  chmod 755 "$tmp"
  start behind nginx -c "$tmp/behind.conf" -e stderr
  start nginx nginx -c "$tmp/nginx.conf" -e stderr
  order+=(nginx)
  ;;
stalled)
  rounds=1
  start behind python3 "$tmp/bulk.py" server $behind 104857600
  ;;
*)
  sed -n '2,14s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac
sleep 1

cpu() { # nanoseconds of a process
  local sum=0 t
  for t in /proc/"$1"/task/*/schedstat; do sum=$((sum + $(cut -d' ' -f1 "$t"))); done
  echo $sum
}
memory() { awk '/^RssAnon/{print $2}' /proc/"$1"/status; } # KiB that are the process's own
once() { # port: prints "units rate"
  case $what in
  pingpong)
    "$tmp/bench" load -target "frames://127.0.0.1:$1" -closed -conns "$conns" -timeout 10s -duration "${seconds}s" -json "$tmp/load.json" >/dev/null 2>&1
    sed -n 's/^ *"ok": \([0-9]*\),*$/\1/p' "$tmp/load.json" | head -1 | awk -v s="$seconds" '{print $1, $1/s}'
    ;;
  bulk) python3 "$tmp/bulk.py" client "$1" $((1 << 30)) 0 ;;
  http) wrk -t1 -c"$conns" -d"${seconds}s" "http://127.0.0.1:$1/f" >"$tmp/wrk" && ! grep -q -e Non-2xx -e 'Socket errors' "$tmp/wrk" && awk -v s="$seconds" '/requests in/{print $1, $1/s}' "$tmp/wrk" ;;
  redis) redis-benchmark -p "$1" -c "$conns" -n 100000 -t get --csv 2>/dev/null | tail -1 | tr -d '"' | awk -F, '{print 100000, $2}' ;;
  esac
}
if [ "$what" = stalled ]; then
  for name in "${order[@]}"; do
    before=$(memory "${pid[$name]}") most=0 clients=()
    for _ in 1 2 3 4; do
      python3 "$tmp/bulk.py" client "${port[$name]}" 104857600 3 >/dev/null &
      clients+=($!)
    done
    for _ in $(seq 40); do
      sleep 0.1
      now=$(memory "${pid[$name]}")
      if ((now > most)); then most=$now; fi
    done
    corrupt=0
    for p in "${clients[@]}"; do wait "$p" || corrupt=$((corrupt + 1)); done
    echo "$name: $before KiB before, $most KiB at most, $corrupt of 4 streams wrong"
  done
  exit
fi
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
  END{w=med(c["weir"]); v=med(r["weir"]); printf "%-16s %12s %16s %12s %16s %10s\n","relay","us each","from-to","each second","weir to it, CPU","rate"
      for(i=1;i<=k;i++){n=order[i]; printf "%-16s %12.2f %16s %12.0f %15.2fx %9.2fx\n",n,med(c[n]),spread(c[n]),med(r[n]),w/med(c[n]),v/med(r[n])}}' "$tmp/all"
