// Transposing an 8 x 8 block in registers. Compilers do not find these shuffles in plain loops.
#pragma once

#include <cstdint>
#include <cstring>

namespace diptych::cpu::DIPTYCH_ISA {

constexpr int kBlock = 8;

// Eight numbers in as many registers as the instruction set needs for them.
template <class F>
struct Eight;
template <>
struct Eight<float> {
  typedef float Vector __attribute__((vector_size(32)));
  typedef std::int32_t Index __attribute__((vector_size(32)));
};
template <>
struct Eight<double> {
  typedef double Vector __attribute__((vector_size(64)));
  typedef std::int64_t Index __attribute__((vector_size(64)));
};

template <class F>
struct Block {
  typename Eight<F>::Vector rows[kBlock];
};

template <class F>
inline Block<F> load_block(const F* from, std::int64_t stride) {
  Block<F> block;
  for (int r = 0; r < kBlock; ++r) std::memcpy(&block.rows[r], from + r * stride, sizeof block.rows[r]);
  return block;
}

template <class F>
inline void store_block(const Block<F>& block, F* to, std::int64_t stride) {
  for (int r = 0; r < kBlock; ++r) std::memcpy(to + r * stride, &block.rows[r], sizeof block.rows[r]);
}

// Elements of x (0 to 7) and y (8 to 15) in the order listed. By reference: vectors as arguments would
// depend on the instruction set in their calling convention.
#if defined(__clang__)
#define DIPTYCH_SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define DIPTYCH_SHUFFLE(x, y, ...) __builtin_shuffle(x, y, typename Eight<F>::Index{__VA_ARGS__})
#endif

// Three rounds exchange neighbors, pairs and fours; the shuffles are those that stay within 16 bytes as
// long as they can, which are the cheap ones.
template <class F>
inline Block<F> transposed(const Block<F>& x) {
  Block<F> ones, twos, fours;
  for (int r = 0; r < kBlock; r += 2) {
    const auto &a = x.rows[r], &b = x.rows[r + 1];
    ones.rows[r] = DIPTYCH_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
    ones.rows[r + 1] = DIPTYCH_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int half = 0; half < kBlock; half += 4)
    for (int r = 0; r < 2; ++r) {
      const auto &a = ones.rows[half + r], &b = ones.rows[half + r + 2];
      twos.rows[half + 2 * r] = DIPTYCH_SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
      twos.rows[half + 2 * r + 1] = DIPTYCH_SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int r = 0; r < kBlock / 2; ++r) {
    const auto &a = twos.rows[r], &b = twos.rows[r + 4];
    fours.rows[r] = DIPTYCH_SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    fours.rows[r + 4] = DIPTYCH_SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
  return fours;
}

#undef DIPTYCH_SHUFFLE

}  // namespace diptych::cpu::DIPTYCH_ISA
