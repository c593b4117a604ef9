#!/usr/bin/env bash
# isolation.sh BUILD/csrc: refuses weak symbols that the builds of two instruction sets share. The linker
# keeps one copy of such a function (an inline one, a template), perhaps the AVX-512 one, and the portable
# build would then call it on a machine that has none. Names that carry their instruction set are safe.
set -euo pipefail

# DW.ref.* is data: the address of the exception handler, the same in every build.
weak_symbols() {
  find "$1/CMakeFiles/diptych_cpu_$2.dir" -name '*.o' -exec nm --demangle --defined-only {} + |
    awk '$2 ~ /^[WVu]$/ && $3 !~ /^DW\.ref\./ { $1 = $2 = ""; print }' | sort -u
}

status=0
for level in avx2 avx512; do
  [[ -d "$1/CMakeFiles/diptych_cpu_$level.dir" ]] || continue
  weak=$(weak_symbols "$1" "$level")
  if [[ -z "$weak" ]]; then
    echo "$level: no weak symbols found in its objects, not even its own templates: is this the build?"
    exit 1
  fi
  if leaked=$(grep -v "::$level::" <<<"$weak"); then
    echo "$level defines weak symbols outside its namespace:"
    echo "$leaked"
    status=1
  fi
done
exit $status
