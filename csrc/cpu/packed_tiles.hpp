// Tiles of packed affinities: decoded to floats, and multiplied by thin matrices.
#pragma once

#include <cmath>

#include "../core/packed.hpp"
#include "thin_rows.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

using core::kGaps;
using core::kSteps;

// 64 x 64: a row of a tile of codes is one or two lines, a tile of affinities 16 KiB.
constexpr std::int64_t kTile = 64;
constexpr std::int64_t kLine = 64;  // bytes

struct Span {
  std::int64_t begin, size;
};

inline Span span_of(std::int64_t tile, std::int64_t n) {
  const std::int64_t begin = tile * kTile;
  return {begin, n - begin < kTile ? n - begin : kTile};
}

inline std::int64_t tiles_of(std::int64_t n) { return (n + kTile - 1) / kTile; }

// exp(beta code / 127) as a product of two: of the code's high four bits and its low four.
struct Table {
  float high[16], low[16];

  explicit Table(double beta) {
    for (int k = 0; k < 16; ++k) {
      high[k] = static_cast<float>(std::exp(beta * (16 * k - 128) / kSteps));
      low[k] = static_cast<float>(std::exp(beta * k / kSteps));
    }
  }
  float of(std::int8_t code) const {
    const unsigned place = static_cast<unsigned>(code + 128);
    return high[place >> 4] * low[place & 15];
  }
};

// Sixteen codes to affinities.
#if defined(__AVX512F__)
inline void decode16(const std::int8_t* codes, const Table& table, float* out) {
  typedef std::uint8_t Bytes __attribute__((vector_size(16)));
  typedef std::int32_t Places __attribute__((vector_size(64)));
  Bytes bytes;
  Register<float> high, low;
  __builtin_memcpy(&bytes, codes, sizeof bytes);
  __builtin_memcpy(&high, table.high, sizeof high);
  __builtin_memcpy(&low, table.low, sizeof low);
  const Places places = __builtin_convertvector(bytes ^ std::uint8_t(128), Places);
  const Register<float> value = __builtin_shuffle(high, places >> 4) * __builtin_shuffle(low, places & 15);
  __builtin_memcpy(out, &value, sizeof value);
}
#else
inline void decode16(const std::int8_t* codes, const Table& table, float* out) {
  for (int k = 0; k < 16; ++k) out[k] = table.of(codes[k]);
}
#endif

// A row of up to kTile codes to affinities; the rest of its last sixteen gets affinities of 1.
inline void decode_row(const std::int8_t* codes, std::int64_t count, const Table& table, float* out) {
  std::int64_t c = 0;
  for (; c + 16 <= count; c += 16) decode16(codes + c, table, out + c);
  if (c < count) {
    std::int8_t last[16] = {};
    __builtin_memcpy(last, codes + c, count - c);
    decode16(last, table, out + c);
  }
}

// symmetric_excess of all gaps.
struct Excess {
  float of[kGaps];

  explicit Excess(double beta) {
    for (int gap = 0; gap < kGaps; ++gap) of[gap] = core::DIPTYCH_ISA::symmetric_excess(gap, beta);
  }
};

// In turns over the matrix, like the squares of a chessboard.
inline float dither_of(std::int64_t i, std::int64_t j) { return (i ^ j) & 1 ? 0.25f : -0.25f; }

// sums (rows, kBlockWidth) += a tile, or where `turned` its transpose, times x (columns, kBlockWidth).
template <bool turned>
void multiply_decoded(const float* tile, std::int64_t rows, std::int64_t columns, const float* x, float* sums) {
  constexpr std::int64_t stride = turned ? 1 : kTile, step = turned ? kTile : 1;
  constexpr int group = kRows<float>;
  std::int64_t r = 0;
  for (; r + group <= rows; r += group)
    multiply_rows<group, true>(tile + r * stride, stride, step, x, columns, sums + r * kBlockWidth);
  for (; r < rows; ++r)
    multiply_rows<1, true>(tile + r * stride, stride, step, x, columns, sums + r * kBlockWidth);
}

}  // namespace diptych::cpu::DIPTYCH_ISA
