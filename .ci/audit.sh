#!/usr/bin/env bash
# What `make audit` does: are the modules those that go.sum records, which ones are there and under which licences, is a vulnerability
# known in what is called of them or of Go itself, and are there newer versions. Without the network it does what it can, says in one
# line each what it could not ask, and fails: an audit that was not made is none that was passed.
#
# VULNDB=URL is another database, file:///... for a copy on disk (https://go.dev/doc/security/vuln/database).
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
unasked=0
left() { echo "audit: $1"; unasked=1; }

echo "== modules"
"$go" mod verify

echo "== direct dependencies"
# A licence is recognised by a sentence that only it has; read the file where it matters.
licence() {
  local file
  for file in "$1"/LICEN[CS]E* "$1"/COPYING*; do
    [[ -f $file ]] || continue
    if grep -qi 'apache license' "$file"; then echo Apache-2.0
    elif grep -qi 'mozilla public license' "$file"; then echo MPL-2.0
    elif grep -qi 'gnu .*general public license' "$file"; then echo GPL
    elif grep -qi 'permission is hereby granted, free of charge' "$file"; then echo MIT
    elif grep -qi 'redistribution and use in source' "$file"; then
      if grep -qi 'neither the name' "$file"; then echo BSD-3-Clause; else echo BSD-2-Clause; fi
    else echo "see $(basename "$file")"
    fi
    return
  done
  echo unknown
}
served=$("$go" list -deps -f '{{with .Module}}{{.Path}}{{end}}' ./cmd/server | sort -u)
printf '%-44s %-10s %-14s %s\n' module version licence 'used by'
while read -r path version dir; do
  by='tests, bench'
  grep -qx "$path" <<<"$served" && by=server
  printf '%-44s %-10s %-14s %s\n' "$path" "$version" "$(licence "$dir")" "$by"
done < <("$go" list -m -f '{{if not (or .Main .Indirect)}}{{.Path}} {{.Version}} {{.Dir}}{{end}}' all)

echo "== known vulnerabilities"
db=${VULNDB:-https://vuln.go.dev}
code=0
said=$("$go" tool govulncheck -db "$db" ./... 2>&1) || code=$?
if ((code == 0 || code == 3)); then # 3: there are some
  echo "$said"
elif grep -Eq 'fetching vulnerabilities|unrecognized vulndb format' <<<"$said"; then # the second for others than the usual one
  left "the vulnerability database $db cannot be reached, so nothing is known of vulnerabilities; run it again with the network, or with VULNDB=file:///... and a copy"
  code=0
else
  echo "$said" >&2
fi

echo "== newer versions of direct dependencies"
proxy=$("$go" env GOPROXY)
mapfile -t direct < <("$go" list -m -f '{{if not (or .Main .Indirect)}}{{.Path}}{{end}}' all)
if [[ $proxy == off ]]; then # then go list says that there are none
  left "GOPROXY is off, so nothing is known of newer versions"
elif newer=$(timeout 120 "$go" list -m -u -f '{{with .Update}}{{$.Path}} {{$.Version}} -> {{.Version}}{{end}}' "${direct[@]}" 2>&1); then
  newer=$(grep . <<<"$newer" || true)
  echo "${newer:-none}"
else
  left "$proxy did not tell of newer versions: $(tail -n 1 <<<"$newer" | cut -c 1-200)"
fi
((code == 0)) || exit "$code"
exit "$unasked"
