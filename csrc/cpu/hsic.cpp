#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "../core/hsic.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

// Rows whose column statistics are kept apart, so that they do not depend on the number of threads.
constexpr std::int64_t kChunk = 256;

// One call's scratch memory. Not std::vector: its code would be shared among instruction sets.
class Memory {
 public:
  explicit Memory(std::int64_t bytes) : start_(std::malloc(bytes)) {
    if (start_ == nullptr) throw std::bad_alloc();
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(start_); }

  template <class T>
  T* as() const {
    return static_cast<T*>(start_);
  }

 private:
  void* start_;
};

// Asks for large pages for memory that is about to be written for the first time: a fault per 4 KiB costs
// more than the writing.
void prefer_large_pages([[maybe_unused]] void* start, [[maybe_unused]] std::size_t bytes) {
#ifdef __linux__
  constexpr std::uintptr_t page = 1 << 21;
  const auto first = (reinterpret_cast<std::uintptr_t>(start) + page - 1) / page * page;
  const auto last = (reinterpret_cast<std::uintptr_t>(start) + bytes) / page * page;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace

template <class F>
void center(const F* x, std::int64_t n, std::int64_t d, F* out, F* spread, int threads) {
  const std::int64_t chunks = (n + kChunk - 1) / kChunk;
  const Memory memory(chunks * d * (sizeof(double) + 2 * sizeof(F)) + d * sizeof(F));
  auto* sums = memory.as<double>();
  F *lows = reinterpret_cast<F*>(sums + chunks * d), *highs = lows + chunks * d, *mean = highs + chunks * d;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    double* sum = sums + chunk * d;
    F *low = lows + chunk * d, *high = highs + chunk * d;
    const std::int64_t start = chunk * kChunk, stop = start + kChunk < n ? start + kChunk : n;
    for (std::int64_t j = 0; j < d; ++j) {
      sum[j] = 0;
      low[j] = high[j] = x[start * d + j];
    }
    for (std::int64_t i = start; i < stop; ++i) {
      const F* row = x + i * d;
      for (std::int64_t j = 0; j < d; ++j) {
        sum[j] += row[j];
        low[j] = row[j] < low[j] ? row[j] : low[j];
        high[j] = row[j] > high[j] ? row[j] : high[j];
      }
    }
  }
  F widest = 0;
  for (std::int64_t j = 0; j < d; ++j) {
    double sum = sums[j];
    F low = lows[j], high = highs[j];
    for (std::int64_t at = j + d; at < chunks * d; at += d) {
      sum += sums[at];
      low = lows[at] < low ? lows[at] : low;
      high = highs[at] > high ? highs[at] : high;
    }
    mean[j] = high > low ? static_cast<F>(sum / n) : (std::isfinite(sum) ? low : static_cast<F>(sum));
    widest = high - low > widest ? high - low : widest;
  }
  // Two factors: the inverse of the smallest numbers is beyond the largest. Both are powers of two, exact.
  const int exponent = core::DIPTYCH_ISA::range_exponent(widest);
  const F half = std::ldexp(F(1), exponent / 2), rest = std::ldexp(F(1), exponent - exponent / 2);
  *spread = widest;
  prefer_large_pages(out, sizeof(F) * n * d);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < d; ++j) out[i * d + j] = (x[i * d + j] - mean[j]) * half * rest;
}

template <class F>
void linear_hsics(const F* x, std::int64_t d_x, const F* y, std::int64_t d_y, std::int64_t n, bool debiased,
                  double* hsics) {
  const Memory memory(sizeof(double) * n * (d_x + d_y));
  double *standard_x = memory.as<double>(), *standard_y = standard_x + n * d_x;
  core::DIPTYCH_ISA::standardize(x, n, d_x, standard_x);
  core::DIPTYCH_ISA::standardize(y, n, d_y, standard_y);
  core::DIPTYCH_ISA::linear_hsics(standard_x, d_x, standard_y, d_y, n, debiased, hsics);
}

template void center(const float*, std::int64_t, std::int64_t, float*, float*, int);
template void center(const double*, std::int64_t, std::int64_t, double*, double*, int);
template void linear_hsics(const float*, std::int64_t, const float*, std::int64_t, std::int64_t, bool,
                           double*);
template void linear_hsics(const double*, std::int64_t, const double*, std::int64_t, std::int64_t, bool,
                           double*);

}  // namespace diptych::cpu::DIPTYCH_ISA
