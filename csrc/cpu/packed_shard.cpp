#include "packed_tiles.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

void fold_shard(std::int8_t* codes, std::int8_t* mirrored, std::int64_t first, std::int64_t rows, std::int64_t n,
                double beta, int threads) {
  const Excess excess(beta);
#pragma omp parallel for num_threads(rows * n < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int8_t *ab = codes + r * n, *ba = mirrored + r * n;
    for (std::int64_t j = 0; j < n; ++j) {
      const core::DIPTYCH_ISA::PackedPair pair =
          core::DIPTYCH_ISA::symmetric_pair(ab[j], ba[j], excess.of, dither_of(first + r, j));
      ab[j] = pair.ab;
      ba[j] = pair.ba;
    }
    ab[first + r] = ba[first + r] = 0;
  }
}

void shard_product(const std::int8_t* codes, std::int64_t rows, std::int64_t n, double beta, const float* x,
                   float* out, int threads) {
  const Table table(beta);
  const std::int64_t row_tiles = tiles_of(rows), column_tiles = tiles_of(n);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (std::int64_t row_tile = 0; row_tile < row_tiles; ++row_tile) {
    float sums[kTile * kBlockWidth] = {}, tile[kTile * kTile];
    const Span mine = span_of(row_tile, rows);
    for (std::int64_t column_tile = 0; column_tile < column_tiles; ++column_tile) {
      const Span columns = span_of(column_tile, n);
      for (std::int64_t r = 0; r < mine.size; ++r)
        decode_row(codes + (mine.begin + r) * n + columns.begin, columns.size, table, tile + r * kTile);
      multiply_decoded<false>(tile, mine.size, columns.size, x + columns.begin * kBlockWidth, sums);
    }
    __builtin_memcpy(out + mine.begin * kBlockWidth, sums, sizeof(float) * kBlockWidth * mine.size);
  }
}

void decode_shard(const std::int8_t* codes, std::int64_t count, double beta, float* out, int threads) {
  const Table table(beta);
#pragma omp parallel for num_threads(count < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t i = 0; i < count; ++i) out[i] = table.of(codes[i]);
}

}  // namespace diptych::cpu::DIPTYCH_ISA
