#!/usr/bin/env bash
# Compares what it costs weir and nginx to send files, interleaved over several rounds:
#
#   bench/peers/files.sh large [rounds] [MiB]      a large file, again and again, to 1 and to 8 readers
#   bench/peers/files.sh small [rounds] [seconds]  a file of 1 KiB and one of 16 KiB on 64 kept connections, by wrk
#   bench/peers/files.sh tls   [rounds] [MiB]      large, over TLS 1.3 with AES-128-GCM, by openssl s_client
#
# Both servers have two loops or workers, sendfile, and the file in the page cache. nginx has tcp_nopush
# and open_file_cache. CPU is read from /proc/PID/task/*/schedstat, so the client's does not count. The
# readers of large files throw bytes away inside the kernel (MSG_TRUNC): a client that copies them costs
# more than either server, and then it is the client that is measured. Needs nginx, python3, wrk, openssl.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:-large} rounds=${2:-5}
tmp=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$tmp"' EXIT
go build -o "$tmp/server" ./cmd/server
mkdir "$tmp/www"
chmod 755 "$tmp" "$tmp/www"
head -c 1024 /dev/urandom >"$tmp/www/1k.bin"
head -c 16384 /dev/urandom >"$tmp/www/16k.bin"
head -c 256M /dev/urandom >"$tmp/www/big.bin"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null
cat >"$tmp/nginx.conf" <<EOF
daemon off; worker_processes 2; pid $tmp/nginx.pid; error_log $tmp/nginx.err;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; etag on;
  open_file_cache max=1000 inactive=60s; open_file_cache_valid 1s;
  client_body_temp_path $tmp/b; proxy_temp_path $tmp/p; fastcgi_temp_path $tmp/f; uwsgi_temp_path $tmp/u; scgi_temp_path $tmp/s;
  server { listen 127.0.0.1:18182 reuseport; listen 127.0.0.1:18183 ssl reuseport; root $tmp/www;
    ssl_certificate $tmp/cert.pem; ssl_certificate_key $tmp/key.pem; ssl_protocols TLSv1.2 TLSv1.3; }
}
EOF
declare -A pid port tlsport
"$tmp/server" -profile bench -admin off -log-level error -loops 2 -cert "$tmp/cert.pem" -key "$tmp/key.pem" \
  -listen "http://127.0.0.1:18180?files=$tmp/www" -listen "https://127.0.0.1:18181?files=$tmp/www" >"$tmp/weir.log" 2>&1 &
pid[weir]=$! port[weir]=18180 tlsport[weir]=18181
nginx -c "$tmp/nginx.conf" -e "$tmp/nginx.err" >/dev/null 2>&1 &
pid[nginx]=$! port[nginx]=18182 tlsport[nginx]=18183
sleep 1

cpu() { # nanoseconds of a process and its children
  local sum=0 p t
  for p in "$1" $(pgrep -P "$1" || true); do
    for t in /proc/"$p"/task/*/schedstat; do sum=$((sum + $(cut -d' ' -f1 "$t"))); done
  done
  echo $sum
}
cat >"$tmp/readers.py" <<'EOF'
import selectors, socket, sys, time
port, readers, mib = map(int, sys.argv[1:])
total, got, begin = mib << 20, 0, time.monotonic()
ask = b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"
buf = bytearray(4 << 20)
sel = selectors.DefaultSelector()
for _ in range(readers):
    s = socket.create_connection(("127.0.0.1", port))
    s.setblocking(False)
    s.send(ask)
    sel.register(s, selectors.EVENT_READ, [0])
while got < total:
    for key, _ in sel.select(5):
        n = key.fileobj.recv_into(buf, len(buf), socket.MSG_TRUNC)
        if n == 0:
            sys.exit("the server has closed")
        got += n
        key.data[0] += n
        while key.data[0] >= 256 << 20:  # and a head, which is of no account
            key.data[0] -= 256 << 20
            key.fileobj.send(ask)
print(got, time.monotonic() - begin)
EOF
units() { # server: prints "units seconds"
  case $kind in
  r*) python3 "$tmp/readers.py" "${port[$1]}" "${kind#r}" "$amount" ;;
  *k) wrk -t1 -c64 -d"${amount}s" "http://127.0.0.1:${port[$1]}/$kind.bin" | awk -v s="$amount" '/requests in/{print $1, s}' ;;
  tls)
    local begin end
    begin=$(date +%s.%N)
    for ((n = 0; n < amount; n += 256)); do
      printf 'GET /big.bin HTTP/1.0\r\nHost: localhost\r\n\r\n' |
        openssl s_client -quiet -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 -connect "127.0.0.1:${tlsport[$1]}" 2>/dev/null | cat >/dev/null
    done
    end=$(date +%s.%N)
    awk -v n="$amount" -v b="$begin" -v e="$end" 'BEGIN{print n * 1048576, e - b}'
    ;;
  esac
}
compare() { # kind amount unit divisor
  kind=$1 amount=$2
  for s in weir nginx; do : >"$tmp/$s.$kind"; done
  for ((i = 0; i <= rounds; i++)); do # the first round warms up
    for s in $( ((i % 2)) && echo weir nginx || echo nginx weir); do
      local before after
      before=$(cpu "${pid[$s]}")
      read -r n secs < <(units "$s")
      after=$(cpu "${pid[$s]}")
      if ((i > 0)); then awk -v n="$n" -v s="$secs" -v c=$((after - before)) -v d="$4" 'BEGIN{print n/d/s, c/1000/(n/d)}' >>"$tmp/$s.$kind"; fi
    done
  done
  for s in weir nginx; do
    for f in 1 2; do cut -d' ' -f$f "$tmp/$s.$kind" | sort -g | awk '{a[NR]=$1} END{printf "%.6g %.6g %.6g ", a[int((NR+1)/2)], a[1], a[NR]}'; done
    echo
  done | paste -sd' ' | awk -v k="$kind" -v u="$3" '{
    printf "%-4s weir  %9.1f %s/s (%.1f to %.1f)  %8.2f us CPU each (%.2f to %.2f)\n", k, $1, u, $2, $3, $4, $5, $6
    printf "%-4s nginx %9.1f %s/s (%.1f to %.1f)  %8.2f us CPU each (%.2f to %.2f)\n", k, $7, u, $8, $9, $10, $11, $12
    printf "%-4s weir/nginx: rate %.2f, CPU %.2f\n", k, $1/$7, $4/$10 }'
}
case $what in
large)
  compare r1 "${3:-8192}" MiB 1048576
  compare r8 "${3:-8192}" MiB 1048576
  ;;
small)
  compare 1k "${3:-4}" file 1
  compare 16k "${3:-4}" file 1
  ;;
tls) compare tls "${3:-1024}" MiB 1048576 ;;
*)
  sed -n '2,13s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac
