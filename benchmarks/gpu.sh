#!/usr/bin/env bash
# gpu.sh OUTDIR: builds the library with its CUDA module, runs the GPU tests and all GPU benchmarks, and writes
# gpu.log and one CSV per benchmark to OUTDIR. Needs an NVIDIA GPU, nvcc and a Python that has torch, pybind11,
# scikit-build-core, pytest and hypothesis; no network. Builds and installs in a folder of its own, which is
# removed at the end: the Python it runs with (PYTHON, by default python3) stays as it is.
#
# A stage that fails or outruns its time is told and the next begins; the exit status is 1 if any did. The
# whole ends within 9 minutes; DIPTYCH_GPU_SECONDS sets an earlier end.
set -uo pipefail

if [[ $# -ne 1 || "$1" == -* ]]; then
  echo "usage: benchmarks/gpu.sh OUTDIR" >&2
  exit 2
fi
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1" || exit 2
out=$(cd "$1" && pwd)
cd "$repository" || exit 2
python=${PYTHON:-python3}
deadline=$((SECONDS + ${DIPTYCH_GPU_SECONDS:-525}))
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=()
: >"$out/gpu.log"

say() {
  echo "$*" | tee -a "$out/gpu.log"
}

# stage NAME LIMIT COMMAND...: runs the command for at most LIMIT seconds, or for what is left.
stage() {
  local name=$1 limit=$2 start=$SECONDS status=0 left=$((deadline - SECONDS))
  shift 2
  if ((left <= 0)); then
    say "=== $name: not run, the time is up"
    failed+=("$name")
    return 1
  fi
  timeout --kill-after=5 "$((limit < left ? limit : left))" "$@" >"$scratch/log" 2>&1 || status=$?
  cat "$scratch/log" >>"$out/gpu.log"
  if ((status == 0)); then
    say "=== $name: passed in $((SECONDS - start)) s"
    return 0
  fi
  tail -n 15 "$scratch/log"
  if ((status == 124 || status == 137)); then
    say "=== $name: stopped after $((SECONDS - start)) s, its time was up"
  else
    say "=== $name: failed with status $status after $((SECONDS - start)) s"
  fi
  failed+=("$name")
  return 1
}

finish() {
  if ((${#failed[@]})); then
    say "=== failed: ${failed[*]}"
    exit 1
  fi
  say "=== all stages passed in $SECONDS s"
  exit 0
}

# -P: the folder kernels/ beside this one must not be taken for a package.
run_pytest() {
  local name=$1 limit=$2
  shift 2
  stage "$name" "$limit" "$python" -P -m pytest -q -p no:cacheprovider "$@"
}

export PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export TRITON_CACHE_DIR="$scratch/triton" DIPTYCH_RESULTS="$out"
unset TRITON_INTERPRET

stage gpu 90 "$python" -c "
import sys, torch
if not torch.cuda.is_available():
    sys.exit('no NVIDIA GPU that torch can use: nothing to test or to measure')
print(torch.cuda.get_device_name(), 'torch', torch.__version__, 'CUDA', torch.version.cuda)" || finish

# The GPU's own architecture alone: a third of the compilation.
architecture=$("$python" -c "import torch; print('%d%d' % torch.cuda.get_device_capability())")
stage build 240 "$python" -P -m pip install --no-build-isolation --no-deps --target "$scratch/site" \
  -C build-dir="$scratch/build" -C cmake.define.DIPTYCH_CUDA=ON \
  -C "cmake.define.DIPTYCH_CUDA_ARCHITECTURES=$architecture" "$repository" || finish
export PYTHONPATH="$scratch/site${PYTHONPATH:+:$PYTHONPATH}"
stage info 60 "$python" -P -c "
import diptych
info = diptych.build_info()
print(diptych.__file__, info)
assert diptych.__file__.startswith('$scratch'), 'another installation of diptych comes first: uninstall it'
assert info['cuda_module'], 'the CUDA module is missing'" || finish

mapfile -t tests < <(grep -rlE 'mark\.gpu|device: torch\.device' tests --include='test_*.py' | sort)
run_pytest tests 180 -m gpu "${tests[@]}"
for bench in benchmarks/bench_gpu_*.py; do
  run_pytest "$(basename "$bench" .py)" 100 "$bench"
done
finish
