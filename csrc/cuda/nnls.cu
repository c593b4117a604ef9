#include "../core/nnls_lanes.hpp"
#include "../core/nnls_row.hpp"
#include "nnls.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

using namespace core::DIPTYCH_ISA;

constexpr int kWarp = 32;
constexpr int kThreads = 128;
constexpr int kTileRows = 4;   // rows a warp multiplies at once
constexpr int kTileAtoms = 5;  // with as many atoms: 20 sums a thread
constexpr int kMostAtomsInThreads = 16;  // up to here a thread solves a row in its own local memory
constexpr unsigned kEveryLane = 0xffffffffu;

// A warp that works on one problem.
struct Warp {
  __device__ int first() const { return threadIdx.x % kWarp; }
  __device__ int step() const { return kWarp; }
  __device__ bool leads() const { return threadIdx.x % kWarp == 0; }
  __device__ void wait() const { __syncwarp(); }
  __device__ double total(double sum) const {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(kEveryLane, sum, offset);
    return sum;
  }
};

template <class F>
__global__ void unit_atoms_kernel(const F* w, std::int64_t d, int k, double* units, double* inverse_norms) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (j < k) inverse_norms[j] = unit_atom(w + j * d, d, units + j * d);
}

// out[r, c] = <a_r, w_c> in float64, `stride` between the rows of out. A warp takes kTileRows rows and reads
// each once from memory: all atoms pass by before it goes on.
template <class F>
__global__ void products_kernel(const F* a, std::int64_t n, std::int64_t d, const double* units, int k,
                                std::int64_t stride, double* out) {
  const Warp warp;
  const std::int64_t mine = std::int64_t(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp;
  const std::int64_t first = mine * kTileRows;
  if (first >= n) return;
  const int rows = n - first < kTileRows ? static_cast<int>(n - first) : kTileRows;
  for (int atom = 0; atom < k; atom += kTileAtoms) {
    const int atoms = k - atom < kTileAtoms ? k - atom : kTileAtoms;
    double sums[kTileRows][kTileAtoms] = {};
    for (std::int64_t i = warp.first(); i < d; i += kWarp) {
      double values[kTileRows];
#pragma unroll
      for (int r = 0; r < kTileRows; ++r)
        values[r] = static_cast<double>(a[(first + (r < rows ? r : 0)) * d + i]);
#pragma unroll
      for (int c = 0; c < kTileAtoms; ++c) {
        const double unit = c < atoms ? units[(atom + c) * d + i] : 0;
#pragma unroll
        for (int r = 0; r < kTileRows; ++r) sums[r][c] += values[r] * unit;
      }
    }
#pragma unroll
    for (int r = 0; r < kTileRows; ++r)
#pragma unroll
      for (int c = 0; c < kTileAtoms; ++c) {
        const double sum = warp.total(sums[r][c]);
        if (warp.leads() && r < rows && c < atoms) out[(first + r) * stride + atom + c] = sum;
      }
  }
}

// Zeroes the padding of the Gram matrix and inverts it, one warp for the factor and a thread per column.
__global__ void invert_kernel(Atoms atoms, double* gram, double* inverse, double* memory) {
  const int k = atoms.k;
  for (int i = threadIdx.x; i < k; i += blockDim.x)
    for (int j = k; j < atoms.stride; ++j) gram[i * atoms.stride + j] = 0;
  __syncthreads();
  const RowProblem problem = row_problem(memory, k);
  if (threadIdx.x < kWarp) factorize_all(Warp{}, atoms, problem);
  __syncthreads();
  for (int j = threadIdx.x; j < k; j += blockDim.x) inverse_column(problem, j, k, inverse + j * atoms.stride);
}

__device__ void tell(const NnlsReport& found, std::int64_t* report) {
  atomicMin(reinterpret_cast<long long*>(report), static_cast<long long>(found.nonfinite));
  atomicMin(reinterpret_cast<long long*>(report + 1), static_cast<long long>(found.unsolved));
}

template <int most, class F>
__global__ void solve_in_threads(Atoms atoms, const double* products, std::int64_t n, NnlsLimits limits,
                                 F* out, std::int64_t* report) {
  double lane_memory[lane_problem_numbers(most)], row_memory[row_problem_numbers(most)];
  const LaneProblems lanes = lane_problems(lane_memory, atoms.k);
  const RowProblem problem = row_problem(row_memory, atoms.k);
  NnlsReport found{n, n};
  solve_rows_in_lanes(atoms, products, std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x, n,
                      std::int64_t(gridDim.x) * blockDim.x, limits.pivots, lanes, out, found,
                      [&](std::int64_t row, int, double size) {
                        for (int j = 0; j < atoms.k; ++j) {
                          problem.b[j] = lanes.b[j];
                          problem.x[j] = lanes.x[j];
                        }
                        const bool solved = rescue(Solo{}, atoms, problem, limits);
                        finish_row(Solo{}, atoms, problem, row, size, solved, out, found);
                      });
  if (found.nonfinite < n || found.unsolved < n) tell(found, report);
}

template <class F>
__global__ void solve_in_warps(Atoms atoms, const double* products, std::int64_t n, NnlsLimits limits, F* out,
                               std::int64_t* report, double* memory) {
  const std::int64_t warps = std::int64_t(gridDim.x) * (blockDim.x / kWarp);
  const std::int64_t mine = std::int64_t(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp;
  const RowProblem problem = row_problem(memory + mine * row_problem_numbers(atoms.k), atoms.k);
  NnlsReport found{n, n};
  for (std::int64_t row = mine; row < n; row += warps)
    solve_row(Warp{}, atoms, products, row, limits, problem, out, found);
  if (found.nonfinite < n || found.unsolved < n) tell(found, report);
}

__global__ void clear_report(std::int64_t n, std::int64_t* report) { report[threadIdx.x] = n; }

// The pieces of the workspace, in float64 numbers.
struct Layout {
  std::int64_t units, gram, inverse, inverse_norms, factor, products, problems, total;
  unsigned warps;

  Layout(std::int64_t n, std::int64_t d, int k) {
    const std::int64_t matrix = std::int64_t(k) * padded(k), each = row_problem_numbers(k);
    // A warp for each row, as far as 256 MiB of problems go.
    const std::int64_t most = (std::int64_t(1) << 25) / each;
    warps = k <= kMostAtomsInThreads ? 0 : static_cast<unsigned>(n < most ? n : most);
    units = 0;
    gram = units + k * d;
    inverse = gram + matrix;
    inverse_norms = inverse + matrix;
    factor = inverse_norms + k;
    products = factor + each;
    problems = products + n * k;
    total = problems + (warps + kThreads / kWarp) * each;
  }
};

unsigned blocks_for(std::int64_t count, std::int64_t each) {
  return static_cast<unsigned>((count + each - 1) / each);
}

}  // namespace

std::size_t nnls_workspace(std::int64_t n, std::int64_t d, int k) {
  return sizeof(double) * static_cast<std::size_t>(Layout(n, d, k).total);
}

template <class F>
void nnls(const F* a, const F* w, std::int64_t n, std::int64_t d, int k, const int* limits, F* out,
          std::int64_t* report, void* workspace, cudaStream_t stream) {
  const Layout layout(n, d, k);
  double* memory = static_cast<double*>(workspace);
  double *units = memory + layout.units, *gram = memory + layout.gram, *inverse = memory + layout.inverse;
  double *products = memory + layout.products, *norms = memory + layout.inverse_norms;
  const Atoms atoms{gram, inverse, norms, k, padded(k)};
  const NnlsLimits allowed{limits[0], limits[1], limits[2]};
  const std::int64_t rows_per_block = kThreads / kWarp * kTileRows;
  clear_report<<<1, 2, 0, stream>>>(n, report);
  unit_atoms_kernel<<<blocks_for(k, kWarp), kWarp, 0, stream>>>(w, d, k, units, norms);
  products_kernel<<<blocks_for(k, rows_per_block), kThreads, 0, stream>>>(units, k, d, units, k, padded(k),
                                                                          gram);
  invert_kernel<<<1, kThreads, 0, stream>>>(atoms, gram, inverse, memory + layout.factor);
  products_kernel<<<blocks_for(n, rows_per_block), kThreads, 0, stream>>>(a, n, d, units, k, k, products);
  check(cudaGetLastError(), "nnls: products");
  if (k <= kMostAtomsInThreads)
    solve_in_threads<kMostAtomsInThreads><<<blocks_for(n, kThreads), kThreads, 0, stream>>>(
        atoms, products, n, allowed, out, report);
  else
    solve_in_warps<<<blocks_for(layout.warps, kThreads / kWarp), kThreads, 0, stream>>>(
        atoms, products, n, allowed, out, report, memory + layout.problems);
  check(cudaGetLastError(), "nnls: solve");
}

template void nnls(const float*, const float*, std::int64_t, std::int64_t, int, const int*, float*,
                   std::int64_t*, void*, cudaStream_t);
template void nnls(const double*, const double*, std::int64_t, std::int64_t, int, const int*, double*,
                   std::int64_t*, void*, cudaStream_t);

}  // namespace diptych::cuda
