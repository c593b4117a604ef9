#include "../core/difference.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

constexpr int kTile = 32;
constexpr int kRows = 8;  // a block is 32 x 8 threads; each thread walks four rows of the tile

// One block per pair of tiles (i, j), i <= j. The mirror tile's affinities go through shared memory so
// that every read and every write of global memory is a row of 32 neighbors.
template <core::Difference kind, class T, class F>
__global__ void affinity_kernel(const T* a, const T* b, std::int64_t n, F gamma, F beta, F offset,
                                F* out_ab, F* out_ba) {
  const std::int64_t tile_i = blockIdx.y, tile_j = blockIdx.x;
  if (tile_j < tile_i) return;
  __shared__ F mirror_ab[kTile][kTile + 1], mirror_ba[kTile][kTile + 1];
  const std::int64_t row0 = tile_i * kTile, column0 = tile_j * kTile;
  for (int r = threadIdx.y; r < kTile; r += kRows) {
    const std::int64_t row = column0 + r, column = row0 + threadIdx.x;
    if (row < n && column < n) {
      const F g = core::DIPTYCH_ISA::difference<kind>(static_cast<F>(a[row * n + column]),
                                                      static_cast<F>(b[row * n + column]), gamma, offset);
      const F e = core::DIPTYCH_ISA::exponential(-beta * g);
      mirror_ab[r][threadIdx.x] = e;
      mirror_ba[r][threadIdx.x] = F(1) / e;
    }
  }
  __syncthreads();
  F mean_ab[kTile / kRows], mean_ba[kTile / kRows];
  for (int r = threadIdx.y, step = 0; r < kTile; r += kRows, ++step) {
    const std::int64_t row = row0 + r, column = column0 + threadIdx.x;
    if (row < n && column < n) {
      const F g = core::DIPTYCH_ISA::difference<kind>(static_cast<F>(a[row * n + column]),
                                                      static_cast<F>(b[row * n + column]), gamma, offset);
      const F e = core::DIPTYCH_ISA::exponential(-beta * g);
      mean_ab[step] = F(0.5) * (e + mirror_ab[threadIdx.x][r]);
      mean_ba[step] = F(0.5) * (F(1) / e + mirror_ba[threadIdx.x][r]);
    }
  }
  __syncthreads();  // on the diagonal the two tiles are one: all reads come before the first write
  for (int r = threadIdx.y, step = 0; r < kTile; r += kRows, ++step) {
    const std::int64_t row = row0 + r, column = column0 + threadIdx.x;
    if (row < n && column < n) {
      out_ab[row * n + column] = mean_ab[step];
      out_ba[row * n + column] = mean_ba[step];
      mirror_ab[threadIdx.x][r] = mean_ab[step];
      mirror_ba[threadIdx.x][r] = mean_ba[step];
    }
  }
  __syncthreads();
  for (int r = threadIdx.y; r < kTile; r += kRows) {
    const std::int64_t row = column0 + r, column = row0 + threadIdx.x;
    if (row < n && column < n) {
      out_ab[row * n + column] = mirror_ab[r][threadIdx.x];
      out_ba[row * n + column] = mirror_ba[r][threadIdx.x];
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
  const F g = static_cast<F>(gamma), s = static_cast<F>(beta), o = static_cast<F>(offset);
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
