#include <cstring>

#include "kernels.hpp"
#include "transpose.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using core::DIPTYCH_ISA::Affinities;

// 64 x 64: the four affinity tiles of a pair fit in the level-2 cache, and a row of one is four lines.
constexpr std::int64_t kTile = 64;
constexpr std::int64_t kLine = 64;  // bytes
constexpr std::int64_t kRun = 32;  // pairs of tiles that a thread takes at a time

// Tiles are worked on in whole blocks; the entries past the matrix's edge are never written out.
constexpr std::int64_t whole_blocks(std::int64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

struct Span {
  std::int64_t begin, size;
};

// What all tiles have in common. The outputs may be the inputs' memory under another type.
template <class T, class F>
struct Problem {
  const T *a, *b;
  std::int64_t n;
  F gamma, beta, offset;
  F *out_ab, *out_ba;

  std::int64_t tiles() const { return (n + kTile - 1) / kTile; }
  Span span(std::int64_t tile) const {
    const std::int64_t begin = tile * kTile;
    return {begin, n - begin < kTile ? n - begin : kTile};
  }
};

// exp(-beta G) of a tile and exp(+beta G), the other direction's affinity.
template <class F>
struct TileAffinity {
  F ab[kTile * kTile];
  F ba[kTile * kTile];
};

// Asks for a row in the level-2 cache: level 1 has no room for what is needed only a tile later, and asking it
// takes the slots that its own misses wait in. A fifth of the time hangs on that hint.
// Inlined by force, as is its caller: to GCC a function that only prefetches does nothing, and calls of it go.
template <class P>
[[gnu::always_inline]] inline void prefetch(const P* row, std::int64_t count) {
  constexpr int read = 0, into_level_2 = 2;
  for (std::int64_t c = 0; c < count; c += kLine / sizeof(P)) __builtin_prefetch(row + c, read, into_level_2);
  __builtin_prefetch(row + count - 1, read, into_level_2);
}

// Asks for row r of the tile that is worked on next and for the places this tile's results go to. A tile's
// rows are pages apart, out of the hardware prefetchers' reach; asked for all at once they would fill the
// queue of outstanding lines and hold the computation up.
template <class T, class F>
[[gnu::always_inline]] inline void prefetch_row(const Problem<T, F>& p, std::int64_t r, Span rows, Span columns, Span next_rows,
                  Span next_columns) {
  if (r < next_rows.size) {
    const std::int64_t next = (next_rows.begin + r) * p.n + next_columns.begin;
    prefetch(p.a + next, next_columns.size);
    prefetch(p.b + next, next_columns.size);
  }
  const std::int64_t here = (rows.begin + r) * p.n + columns.begin;
  prefetch(p.out_ab + here, columns.size);
  prefetch(p.out_ba + here, columns.size);
}

// Copies `count` <= kTile numbers; whole rows, by far the most, with a length the compiler knows.
template <class To, class From>
void copy_row(To* to, const From* from, std::int64_t count) {
  static_assert(sizeof(To) == sizeof(From), "one may overwrite the other");
  if (count == kTile)
    std::memcpy(to, from, sizeof(To) * kTile);
  else
    std::memcpy(to, from, sizeof(To) * count);
}

template <Difference kind, class T, class F>
void tile_affinity(const Problem<T, F>& p, Span rows, Span columns, Span next_rows, Span next_columns,
                   TileAffinity<F>& tile) {
  T row_a[kTile] = {}, row_b[kTile] = {};
  const F gamma = p.gamma, beta = p.beta, offset = p.offset;
  for (std::int64_t r = 0; r < whole_blocks(rows.size); ++r) {
    if (r < rows.size) {
      const std::int64_t start = (rows.begin + r) * p.n + columns.begin;
      copy_row(row_a, p.a + start, columns.size);
      copy_row(row_b, p.b + start, columns.size);
      prefetch_row(p, r, rows, columns, next_rows, next_columns);
    }
    F* ab = tile.ab + r * kTile;
    F* ba = tile.ba + r * kTile;
#pragma omp simd
    for (std::int64_t c = 0; c < whole_blocks(columns.size); ++c) {
      const Affinities<F> both = core::DIPTYCH_ISA::affinities<kind>(
          static_cast<F>(row_a[c]), static_cast<F>(row_b[c]), gamma, beta, offset);
      ab[c] = both.ab;
      ba[c] = both.ba;
    }
  }
}

template <class F>
void write_tile(const F* tile, std::int64_t n, Span rows, Span columns, F* out) {
  for (std::int64_t r = 0; r < rows.size; ++r)
    copy_row(out + (rows.begin + r) * n + columns.begin, tile + r * kTile, columns.size);
}

// Writes (upper + lower^T) / 2 to both places of the pair of tiles.
template <class F>
void write_symmetric(const F* upper, const F* lower, std::int64_t n, Span rows, Span columns, F* out) {
  F mean[kTile * kTile], mirror[kTile * kTile];
  for (std::int64_t r = 0; r < rows.size; r += kBlock)
    for (std::int64_t c = 0; c < columns.size; c += kBlock) {
      const Block<F> turned = transposed(load_block(lower + c * kTile + r, kTile));
      Block<F> block = load_block(upper + r * kTile + c, kTile);
      for (int k = 0; k < kBlock; ++k) block.rows[k] = F(0.5) * (block.rows[k] + turned.rows[k]);
      store_block(block, mean + r * kTile + c, kTile);
      store_block(transposed(block), mirror + c * kTile + r, kTile);
    }
  write_tile(mean, n, rows, columns, out);
  write_tile(mirror, n, columns, rows, out);
}

// Tiles (i, j) and (j, i), i <= j.
struct Pair {
  std::int64_t i, j;

  Pair next(std::int64_t tiles) const {
    if (j + 1 < tiles) return {i, j + 1};
    return i + 1 < tiles ? Pair{i + 1, i + 1} : *this;
  }
};

Pair pair_at(std::int64_t index, std::int64_t tiles) {
  std::int64_t i = 0;
  for (; index >= tiles - i; ++i) index -= tiles - i;
  return {i, i + index};
}

template <Difference kind, class T, class F>
void all_tiles(const Problem<T, F>& p, int threads) {
  const std::int64_t tiles = p.tiles(), pairs = tiles * (tiles + 1) / 2;
  // A thread that goes on with neighboring tiles has asked for their lines itself.
  const std::int64_t share = pairs / (8 * threads), run = share < 1 ? 1 : (share < kRun ? share : kRun);
#pragma omp parallel for num_threads(p.n * p.n < kWorthThreads ? 1 : threads) schedule(dynamic, run)
  for (std::int64_t index = 0; index < pairs; ++index) {
    const Pair pair = pair_at(index, tiles), next = pair.next(tiles);
    const Span rows = p.span(pair.i), columns = p.span(pair.j);
    const Span next_rows = p.span(next.i), next_columns = p.span(next.j);
    TileAffinity<F> upper, lower;
    tile_affinity<kind>(p, rows, columns, next_rows, next_columns, upper);
    tile_affinity<kind>(p, columns, rows, next_columns, next_rows, lower);
    write_symmetric(upper.ab, lower.ab, p.n, rows, columns, p.out_ab);
    write_symmetric(upper.ba, lower.ba, p.n, rows, columns, p.out_ba);
  }
}

}  // namespace

template <class T, class F>
void affinity(const T* a, const T* b, std::int64_t n, Difference kind, double gamma, double beta,
              double offset, F* out_ab, F* out_ba, int threads) {
  const F sensitivity = core::DIPTYCH_ISA::sensitivity<F>(gamma);
  const Problem<T, F> problem{a,      b,     n, sensitivity, static_cast<F>(beta), static_cast<F>(offset),
                              out_ab, out_ba};
  if (kind == Difference::locally_biased)
    all_tiles<Difference::locally_biased>(problem, threads);
  else
    all_tiles<Difference::subtraction>(problem, threads);
}

template void affinity(const std::int32_t*, const std::int32_t*, std::int64_t, Difference, double, double,
                       double, float*, float*, int);
template void affinity(const float*, const float*, std::int64_t, Difference, double, double, double, float*,
                       float*, int);
template void affinity(const double*, const double*, std::int64_t, Difference, double, double, double,
                       double*, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
