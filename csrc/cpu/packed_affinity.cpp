#include "packed_tiles.hpp"
#include "transpose.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using core::DIPTYCH_ISA::PackedPair;

// The codes of one direction: the pair i < j stands above the diagonal for one, below it for the other.
struct Side {
  const std::int8_t* codes;
  std::int64_t n;
  bool above;

  // Whether the entries of rows in tile I and columns in tile J stand there, or at the mirrored place.
  bool direct(std::int64_t row_tile, std::int64_t column_tile) const { return (column_tile > row_tile) == above; }

  std::int8_t code(std::int64_t i, std::int64_t j) const {
    return (j > i) == above ? codes[i * n + j] : codes[j * n + i];
  }
};

// Decodes the tile of stored codes at (rows, columns), asking for the lines of `next` meanwhile: a tile's rows
// are pages apart, out of the hardware prefetchers' reach. Rows past the tile's are left as they are.
[[gnu::always_inline]] inline void decode_tile(const Side& side, Span rows, Span columns, const std::int8_t* next,
                                               const Table& table, float* tile) {
  for (std::int64_t r = 0; r < rows.size; ++r) {
    if (next != nullptr) {
      __builtin_prefetch(next + r * side.n);
      __builtin_prefetch(next + r * side.n + kTile - 1);
    }
    decode_row(side.codes + (rows.begin + r) * side.n + columns.begin, columns.size, table, tile + r * kTile);
  }
}

// The tile on the diagonal, both triangles from the one that is this direction's.
void decode_diagonal(const Side& side, Span rows, const Table& table, float* tile) {
  for (std::int64_t r = 0; r < rows.size; ++r)
    for (std::int64_t c = 0; c < rows.size; ++c)
      tile[r * kTile + c] = r == c ? 1.0f : table.of(side.code(rows.begin + r, rows.begin + c));
}

// Where the codes of the tile after column tile J begin, null past the last and where they do not fill a tile.
const std::int8_t* next_tile(const Side& side, std::int64_t row_tile, std::int64_t column_tile) {
  const std::int64_t next = column_tile + 1, whole = side.n / kTile;
  if (next >= whole || row_tile >= whole) return nullptr;
  return side.direct(row_tile, next) ? side.codes + row_tile * kTile * side.n + next * kTile
                                     : side.codes + next * kTile * side.n + row_tile * kTile;
}

// sums (kTile, kBlockWidth) += the affinities of tile (I, J) times x.
void multiply_tile(const Side& side, const Table& table, std::int64_t row_tile, std::int64_t column_tile,
                   const float* x, float* sums) {
  float tile[kTile * kTile];
  const Span rows = span_of(row_tile, side.n), columns = span_of(column_tile, side.n);
  const std::int8_t* next = next_tile(side, row_tile, column_tile);
  const float* part = x + columns.begin * kBlockWidth;
  if (row_tile != column_tile && !side.direct(row_tile, column_tile)) {
    decode_tile(side, columns, rows, next, table, tile);
    multiply_decoded<true>(tile, rows.size, columns.size, part, sums);
    return;
  }
  if (row_tile == column_tile)
    decode_diagonal(side, rows, table, tile);
  else
    decode_tile(side, rows, columns, next, table, tile);
  multiply_decoded<false>(tile, rows.size, columns.size, part, sums);
}

void turn_tile(const float* tile, Span rows, Span columns, std::int64_t n, float* out) {
  for (std::int64_t r = 0; r < rows.size; r += kBlock)
    for (std::int64_t c = 0; c < columns.size; c += kBlock) {
      if (r + kBlock <= rows.size && c + kBlock <= columns.size) {
        store_block(transposed(load_block(tile + c * kTile + r, kTile)), out + r * n + c, n);
        continue;
      }
      for (std::int64_t i = r; i < rows.size && i < r + kBlock; ++i)
        for (std::int64_t j = c; j < columns.size && j < c + kBlock; ++j) out[i * n + j] = tile[j * kTile + i];
    }
}

// Packs `count` <= kStretch entries; returns the sum of their sizes, in steps.
template <Difference kind, class T>
float pack_stretch(const T* a, const T* b, std::int64_t count, float gamma, float offset, std::int8_t* codes) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < count; ++j) {
    const float steps = core::DIPTYCH_ISA::difference_in_steps<kind>(static_cast<float>(a[j]),
                                                                     static_cast<float>(b[j]), gamma, offset);
    sum += std::fabs(steps);
    codes[j] = core::DIPTYCH_ISA::nearest_step(steps);
  }
  return sum;
}

// Sizes are summed in float over so many entries, in double over all.
constexpr std::int64_t kStretch = 1024;

}  // namespace

template <class T>
void pack_difference(const T* a, const T* b, std::int64_t rows, std::int64_t n, Difference kind, double gamma,
                     double offset, std::int8_t* out, double* sizes, int threads) {
  const float sensitivity = core::DIPTYCH_ISA::sensitivity<float>(gamma), shift = static_cast<float>(offset);
#pragma omp parallel for num_threads(rows * n < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t i = 0; i < rows; ++i) {
    double size = 0;
    for (std::int64_t begin = i * n; begin < (i + 1) * n; begin += kStretch) {
      const std::int64_t left = (i + 1) * n - begin, count = left < kStretch ? left : kStretch;
      size += kind == Difference::locally_biased
                  ? pack_stretch<Difference::locally_biased>(a + begin, b + begin, count, sensitivity, shift,
                                                             out + begin)
                  : pack_stretch<Difference::subtraction>(a + begin, b + begin, count, sensitivity, shift,
                                                          out + begin);
    }
    sizes[i] = size / (static_cast<double>(n) * kSteps);
  }
}

void fold_packed(std::int8_t* codes, std::int64_t n, double beta, int threads) {
  const Excess excess(beta);
  const std::int64_t tiles = tiles_of(n);
#pragma omp parallel for num_threads(n * n < kWorthThreads ? 1 : threads) schedule(dynamic, 1)
  for (std::int64_t row_tile = 0; row_tile < tiles; ++row_tile)
    for (std::int64_t column_tile = row_tile; column_tile < tiles; ++column_tile) {
      const Span rows = span_of(row_tile, n), columns = span_of(column_tile, n);
      std::int8_t mirrored[kTile * kTile];
      for (std::int64_t c = 0; c < columns.size; ++c)
        for (std::int64_t r = 0; r < rows.size; ++r)
          mirrored[r * kTile + c] = codes[(columns.begin + c) * n + rows.begin + r];
      for (std::int64_t r = 0; r < rows.size; ++r) {
        std::int8_t *upper = codes + (rows.begin + r) * n + columns.begin, *lower = mirrored + r * kTile;
        const std::int64_t first = row_tile == column_tile ? r + 1 : 0;
        for (std::int64_t c = first; c < columns.size; ++c) {
          const PackedPair pair =
              core::DIPTYCH_ISA::symmetric_pair(upper[c], lower[c], excess.of, dither_of(r, c));
          upper[c] = pair.ab;
          lower[c] = pair.ba;
        }
      }
      for (std::int64_t c = 0; c < columns.size; ++c) {
        const std::int64_t end = row_tile == column_tile ? c : rows.size;
        for (std::int64_t r = 0; r < end; ++r)
          codes[(columns.begin + c) * n + rows.begin + r] = mirrored[r * kTile + c];
      }
    }
}

void packed_product(const std::int8_t* codes, std::int64_t n, bool above, double beta, const float* x,
                    float* out, int threads) {
  const Side side{codes, n, above};
  const Table table(beta);
  const std::int64_t tiles = tiles_of(n);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (std::int64_t row_tile = 0; row_tile < tiles; ++row_tile) {
    float sums[kTile * kBlockWidth] = {};
    for (std::int64_t column_tile = 0; column_tile < tiles; ++column_tile)
      multiply_tile(side, table, row_tile, column_tile, x, sums);
    const Span rows = span_of(row_tile, n);
    __builtin_memcpy(out + rows.begin * kBlockWidth, sums, sizeof(float) * kBlockWidth * rows.size);
  }
}

void packed_rows(const std::int8_t* codes, std::int64_t n, bool above, double beta, std::int64_t first,
                 std::int64_t rows, float* out, int threads) {
  const Side side{codes, n, above};
  const Table table(beta);
  const std::int64_t begin = first / kTile, end = tiles_of(first + rows), tiles = tiles_of(n);
#pragma omp parallel for num_threads(threads) collapse(2) schedule(static)
  for (std::int64_t row_tile = begin; row_tile < end; ++row_tile)
    for (std::int64_t column_tile = 0; column_tile < tiles; ++column_tile) {
      float tile[kTile * kTile];
      const Span whole = span_of(row_tile, n), columns = span_of(column_tile, n);
      const std::int64_t low = whole.begin < first ? first : whole.begin, last = whole.begin + whole.size;
      const Span mine{low, (last < first + rows ? last : first + rows) - low};
      const std::int8_t* next = next_tile(side, row_tile, column_tile);
      float* to = out + (mine.begin - first) * n + columns.begin;
      if (row_tile != column_tile && !side.direct(row_tile, column_tile)) {
        decode_tile(side, columns, mine, next, table, tile);
        turn_tile(tile, mine, columns, n, to);
        continue;
      }
      if (row_tile == column_tile)
        decode_diagonal(side, whole, table, tile);
      else
        decode_tile(side, whole, columns, next, table, tile);
      for (std::int64_t r = 0; r < mine.size; ++r)
        __builtin_memcpy(to + r * n, tile + (mine.begin - whole.begin + r) * kTile, sizeof(float) * columns.size);
    }
}

template void pack_difference(const std::int32_t*, const std::int32_t*, std::int64_t, std::int64_t, Difference,
                              double, double, std::int8_t*, double*, int);
template void pack_difference(const float*, const float*, std::int64_t, std::int64_t, Difference, double, double,
                              std::int8_t*, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
