#include <type_traits>

#include "../core/difference.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

constexpr int kTile = 32;
constexpr int kRows = 8;  // a block is 32 x 8 threads; each thread walks four rows of a tile
constexpr int kSteps = kTile / kRows;

// One block per pair of tiles (i, j), i <= j. The mirror tile's affinities go through shared memory so
// that every read and every write of global memory is a row of 32 neighbors. All of a thread's reads are
// under way before the first is waited for.
template <core::Difference kind, class T, class F>
__global__ void __launch_bounds__(kTile* kRows)
    affinity_kernel(const T* a, const T* b, std::int64_t n, F gamma, F beta, F offset, F* out_ab, F* out_ba) {
  const std::int64_t tile_i = blockIdx.y, tile_j = blockIdx.x;
  if (tile_j < tile_i) return;
  __shared__ F mirror_ab[kTile][kTile + 1], mirror_ba[kTile][kTile + 1];
  const int x = threadIdx.x, y = threadIdx.y;
  const std::int64_t row0 = tile_i * kTile, column0 = tile_j * kTile;
  const auto affinity_of = [&](T left, T right) {
    return core::DIPTYCH_ISA::affinities<kind, std::is_integral_v<T>>(static_cast<F>(left), static_cast<F>(right),
                                                                      gamma, beta, offset);
  };
  T upper_a[kSteps], upper_b[kSteps], lower_a[kSteps], lower_b[kSteps];
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    const int r = y + step * kRows;
    const std::int64_t upper = (row0 + r) * n + column0 + x, lower = (column0 + r) * n + row0 + x;
    const bool inside_upper = row0 + r < n && column0 + x < n, inside_lower = column0 + r < n && row0 + x < n;
    upper_a[step] = inside_upper ? a[upper] : T(0);
    upper_b[step] = inside_upper ? b[upper] : T(0);
    lower_a[step] = inside_lower ? a[lower] : T(0);
    lower_b[step] = inside_lower ? b[lower] : T(0);
  }
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    const auto both = affinity_of(lower_a[step], lower_b[step]);
    mirror_ab[y + step * kRows][x] = both.ab;
    mirror_ba[y + step * kRows][x] = both.ba;
  }
  __syncthreads();  // on the diagonal the two tiles are one: all reads come before the first write
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    const int r = y + step * kRows;
    const auto both = affinity_of(upper_a[step], upper_b[step]);
    const F mean_ab = F(0.5) * (both.ab + mirror_ab[x][r]);
    const F mean_ba = F(0.5) * (both.ba + mirror_ba[x][r]);
    if (row0 + r < n && column0 + x < n) {
      out_ab[(row0 + r) * n + column0 + x] = mean_ab;
      out_ba[(row0 + r) * n + column0 + x] = mean_ba;
    }
    mirror_ab[x][r] = mean_ab;  // read by this thread alone, just now
    mirror_ba[x][r] = mean_ba;
  }
  __syncthreads();
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    const int r = y + step * kRows;
    if (column0 + r < n && row0 + x < n) {
      out_ab[(column0 + r) * n + row0 + x] = mirror_ab[r][x];
      out_ba[(column0 + r) * n + row0 + x] = mirror_ba[r][x];
    }
  }
}

}  // namespace

template <class T, class F>
void affinity(const T* a, const T* b, std::int64_t n, bool subtraction, double gamma, double beta,
              double offset, F* out_ab, F* out_ba, cudaStream_t stream) {
  if (n == 0) return;
  const auto tiles = static_cast<unsigned>((n + kTile - 1) / kTile);
  const dim3 grid(tiles, tiles), block(kTile, kRows);
  const F g = core::DIPTYCH_ISA::sensitivity<F>(gamma), s = static_cast<F>(beta), o = static_cast<F>(offset);
  if (subtraction)
    affinity_kernel<core::Difference::subtraction><<<grid, block, 0, stream>>>(a, b, n, g, s, o, out_ab,
                                                                               out_ba);
  else
    affinity_kernel<core::Difference::locally_biased><<<grid, block, 0, stream>>>(a, b, n, g, s, o, out_ab,
                                                                                  out_ba);
  check(cudaGetLastError(), "difference_affinity");
}

template void affinity(const std::int32_t*, const std::int32_t*, std::int64_t, bool, double, double, double,
                       float*, float*, cudaStream_t);
template void affinity(const float*, const float*, std::int64_t, bool, double, double, double, float*,
                       float*, cudaStream_t);
template void affinity(const double*, const double*, std::int64_t, bool, double, double, double, double*,
                       double*, cudaStream_t);

}  // namespace diptych::cuda
