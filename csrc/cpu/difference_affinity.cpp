#include <cstring>

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

// 64 x 64: the four affinity tiles of a pair fit in the level-2 cache, and a row of one is four lines.
constexpr std::int64_t kTile = 64;
constexpr std::int64_t kBlock = 8;

// Tiles are worked on in whole blocks; the entries past the matrix's edge are never written out.
constexpr std::int64_t whole_blocks(std::int64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

// exp(-beta G) of a tile and its reciprocal exp(+beta G), which is the other direction's affinity.
template <class F>
struct TileAffinity {
  F ab[kTile * kTile];
  F ba[kTile * kTile];
};

struct Span {
  std::int64_t begin, size;
};

template <Difference kind, class T, class F>
void tile_affinity(const T* a, const T* b, std::int64_t n, Span rows, Span columns, F gamma, F beta, F offset,
                   TileAffinity<F>& tile) {
  T row_a[kTile] = {}, row_b[kTile] = {};
  for (std::int64_t r = 0; r < whole_blocks(rows.size); ++r) {
    // The outputs may be the inputs' memory under another type: memcpy is the read that allows it.
    if (r < rows.size) {
      const std::int64_t start = (rows.begin + r) * n + columns.begin;
      std::memcpy(row_a, a + start, sizeof(T) * columns.size);
      std::memcpy(row_b, b + start, sizeof(T) * columns.size);
    }
    F* ab = tile.ab + r * kTile;
    F* ba = tile.ba + r * kTile;
#pragma omp simd
    for (std::int64_t c = 0; c < whole_blocks(columns.size); ++c) {
      const F g = core::DIPTYCH_ISA::difference<kind>(static_cast<F>(row_a[c]), static_cast<F>(row_b[c]),
                                                      gamma, offset);
      const F e = core::DIPTYCH_ISA::exponential(-beta * g);
      ab[c] = e;
      ba[c] = F(1) / e;
    }
  }
}

// Makes the mean (upper + lower^T) / 2 of one block of the tiles and its mirror image. The sizes are known to
// the compiler, which unrolls both loops: that is what makes a transposition fast.
template <class F>
void mean_of_block(const F* upper, const F* lower, F* mean, F* mirror) {
  for (int r = 0; r < kBlock; ++r)
    for (int c = 0; c < kBlock; ++c)
      mean[r * kTile + c] = F(0.5) * (upper[r * kTile + c] + lower[c * kTile + r]);
  for (int c = 0; c < kBlock; ++c)
    for (int r = 0; r < kBlock; ++r) mirror[c * kTile + r] = mean[r * kTile + c];
}

template <class F>
void write_tile(const F* tile, std::int64_t n, Span rows, Span columns, F* out) {
  for (std::int64_t r = 0; r < rows.size; ++r)
    std::memcpy(out + (rows.begin + r) * n + columns.begin, tile + r * kTile, sizeof(F) * columns.size);
}

// Writes (upper + lower^T) / 2 to both places of the pair of tiles.
template <class F>
void write_symmetric(const F* upper, const F* lower, std::int64_t n, Span rows, Span columns, F* out) {
  F mean[kTile * kTile], mirror[kTile * kTile];
  for (std::int64_t r = 0; r < rows.size; r += kBlock)
    for (std::int64_t c = 0; c < columns.size; c += kBlock)
      mean_of_block(upper + r * kTile + c, lower + c * kTile + r, mean + r * kTile + c,
                    mirror + c * kTile + r);
  write_tile(mean, n, rows, columns, out);
  write_tile(mirror, n, columns, rows, out);
}

template <Difference kind, class T, class F>
void all_tiles(const T* a, const T* b, std::int64_t n, F gamma, F beta, F offset, F* out_ab, F* out_ba,
               int threads) {
  const std::int64_t tiles = (n + kTile - 1) / kTile;
  const std::int64_t pairs = tiles * (tiles + 1) / 2;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 8)
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    std::int64_t i = 0, left = pair;
    for (; left >= tiles - i; ++i) left -= tiles - i;
    const std::int64_t j = i + left;
    const Span rows{i * kTile, i == tiles - 1 ? n - i * kTile : kTile};
    const Span columns{j * kTile, j == tiles - 1 ? n - j * kTile : kTile};
    TileAffinity<F> upper, lower;
    tile_affinity<kind>(a, b, n, rows, columns, gamma, beta, offset, upper);
    tile_affinity<kind>(a, b, n, columns, rows, gamma, beta, offset, lower);
    write_symmetric(upper.ab, lower.ab, n, rows, columns, out_ab);
    write_symmetric(upper.ba, lower.ba, n, rows, columns, out_ba);
  }
}

}  // namespace

template <class T, class F>
void affinity(const T* a, const T* b, std::int64_t n, Difference kind, double gamma, double beta,
              double offset, F* out_ab, F* out_ba, int threads) {
  const F g = static_cast<F>(gamma), s = static_cast<F>(beta), o = static_cast<F>(offset);
  if (kind == Difference::locally_biased)
    all_tiles<Difference::locally_biased>(a, b, n, g, s, o, out_ab, out_ba, threads);
  else
    all_tiles<Difference::subtraction>(a, b, n, g, s, o, out_ab, out_ba, threads);
}

template void affinity(const std::int32_t*, const std::int32_t*, std::int64_t, Difference, double, double,
                       double, float*, float*, int);
template void affinity(const float*, const float*, std::int64_t, Difference, double, double, double, float*,
                       float*, int);
template void affinity(const double*, const double*, std::int64_t, Difference, double, double, double,
                       double*, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
