#include <algorithm>
#include <cstdlib>
#include <new>

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

// Ranks looked at before a branch asks whether any is small: few are.
constexpr std::int64_t kGroup = 64;

// Positions remembered before row b is looked at.
constexpr int kPositions = 256;

// Row a is read, row b only where a's rank is small: half the memory traffic of comparing both. Each of
// those places is fetched while the rest of row a is read.
std::int64_t common_in_row(const std::int32_t* a, const std::int32_t* b, std::int64_t n, std::int32_t k) {
  std::int64_t positions[kPositions], common = 0;
  int found = 0;
  const auto look = [&] {
    for (int i = 0; i < found; ++i) common += b[positions[i]] <= k;
    found = 0;
  };
  const auto visit = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t j = begin; j < end; ++j) {
      if (a[j] > k) continue;
      if (found == kPositions) look();
      positions[found++] = j;
      __builtin_prefetch(b + j);
    }
  };
  std::int64_t j = 0;
  for (; j + kGroup <= n; j += kGroup) {
    std::int32_t least = a[j];
    for (std::int64_t i = 1; i < kGroup; ++i) least = a[j + i] < least ? a[j + i] : least;
    if (least <= k) visit(j, j + kGroup);
  }
  visit(j, n);
  look();
  return common;
}

// A comparison of this file's own: the linker would otherwise keep one instruction set's std::sort for all.
struct Ascending {
  bool operator()(std::int64_t a, std::int64_t b) const { return a < b; }
};

}  // namespace

std::int64_t common_ranks(const std::int32_t* a, const std::int32_t* b, std::int64_t rows, std::int64_t n,
                          std::int32_t k, int threads) {
  std::int64_t common = 0;
#pragma omp parallel for num_threads(rows * n < kWorthThreads ? 1 : threads) schedule(static) \
    reduction(+ : common)
  for (std::int64_t i = 0; i < rows; ++i) common += common_in_row(a + i * n, b + i * n, n, k);
  return common;
}

std::int64_t common_indices(const std::int64_t* a, const std::int64_t* b, std::int64_t rows, std::int64_t k,
                            int threads) {
  if (rows * k < kWorthThreads / 8) threads = 1;
  auto* memory = static_cast<std::int64_t*>(std::malloc(sizeof(std::int64_t) * 2 * k * threads));
  if (memory == nullptr) throw std::bad_alloc();
  std::int64_t common = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : common)
  for (std::int64_t i = 0; i < rows; ++i) {
    std::int64_t *first = memory + 2 * k * thread_index(), *second = first + k;
    std::sort(first, std::copy(a + i * k, a + i * k + k, first), Ascending());
    std::sort(second, std::copy(b + i * k, b + i * k + k, second), Ascending());
    for (std::int64_t p = 0, q = 0; p < k && q < k;) {
      common += first[p] == second[q];
      const bool forward = first[p] <= second[q];
      q += second[q] <= first[p];
      p += forward;
    }
  }
  std::free(memory);
  return common;
}

}  // namespace diptych::cpu::DIPTYCH_ISA
