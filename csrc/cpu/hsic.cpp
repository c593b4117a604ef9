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

// What is taken off a column, in two parts so that the mean of numbers far from zero keeps its digits, and two
// factors, of which one alone may be beyond the largest number. The factors are powers of two, exact.
template <class F>
struct Transform {
  F *mean, *rest, *factor, *second;
};

// Statistics of rows start..stop: sums, least and largest numbers of the columns.
template <class F>
void survey(const F* x, std::int64_t start, std::int64_t stop, std::int64_t d, double* __restrict sum,
            F* __restrict low, F* __restrict high) {
  for (std::int64_t j = 0; j < d; ++j) {
    sum[j] = 0;
    low[j] = high[j] = x[start * d + j];
  }
  for (std::int64_t i = start; i < stop; ++i)
    for (std::int64_t j = 0; j < d; ++j) {
      const F value = x[i * d + j];
      sum[j] += value;
      low[j] = value < low[j] ? value : low[j];
      high[j] = value > high[j] ? value : high[j];
    }
}

// Fills `to` from all chunks' statistics and returns the widest column's range. NaN and Inf reach their
// column's mean.
template <class F>
F settle(const double* sums, const F* lows, const F* highs, std::int64_t n, std::int64_t d, std::int64_t chunks,
         bool per_column, const Transform<F>& to) {
  F widest = 0;
  for (std::int64_t j = 0; j < d; ++j) {
    double sum = sums[j];
    F low = lows[j], high = highs[j];
    for (std::int64_t at = j + d; at < chunks * d; at += d) {
      sum += sums[at];
      low = lows[at] < low ? lows[at] : low;
      high = highs[at] > high ? highs[at] : high;
    }
    const double mean = high > low ? sum / n : (std::isfinite(sum) ? static_cast<double>(low) : sum);
    to.mean[j] = static_cast<F>(mean);
    to.rest[j] = static_cast<F>(mean - to.mean[j]);
    to.factor[j] = high - low;
    widest = high - low > widest ? high - low : widest;
  }
  for (std::int64_t j = 0; j < d; ++j) {
    const int exponent = core::DIPTYCH_ISA::range_exponent(per_column ? to.factor[j] : widest);
    to.factor[j] = std::ldexp(F(1), exponent / 2);
    to.second[j] = std::ldexp(F(1), exponent - exponent / 2);
  }
  return widest;
}

// Writes rows start..stop less their means, scaled, and adds up their squares.
template <class F>
void apply(const F* x, std::int64_t start, std::int64_t stop, std::int64_t d, const Transform<F>& by,
           F* __restrict out, double* __restrict squares) {
  const F *mean = by.mean, *rest = by.rest, *factor = by.factor, *second = by.second;
  for (std::int64_t j = 0; j < d; ++j) squares[j] = 0;
  for (std::int64_t i = start; i < stop; ++i)
    for (std::int64_t j = 0; j < d; ++j) {
      const F value = ((x[i * d + j] - mean[j]) - rest[j]) * factor[j] * second[j];
      out[i * d + j] = value;
      squares[j] += static_cast<double>(value) * value;
    }
}

}  // namespace

template <class F>
void center(const F* x, std::int64_t n, std::int64_t d, bool per_column, F* out, F* spread, double* squares,
            int threads) {
  const std::int64_t chunks = (n + kChunk - 1) / kChunk;
  const Memory memory(chunks * d * (sizeof(double) + 2 * sizeof(F)) + 4 * d * sizeof(F));
  auto* sums = memory.as<double>();
  F *lows = reinterpret_cast<F*>(sums + chunks * d), *highs = lows + chunks * d, *last = highs + chunks * d;
  const Transform<F> transform = {last, last + d, last + 2 * d, last + 3 * d};
  const auto stop = [=](std::int64_t chunk) { return (chunk + 1) * kChunk < n ? (chunk + 1) * kChunk : n; };
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
    survey(x, chunk * kChunk, stop(chunk), d, sums + chunk * d, lows + chunk * d, highs + chunk * d);
  *spread = settle(sums, lows, highs, n, d, chunks, per_column, transform);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
    apply(x, chunk * kChunk, stop(chunk), d, transform, out, sums + chunk * d);
  for (std::int64_t j = 0; j < d; ++j) {
    squares[j] = 0;
    for (std::int64_t at = j; at < chunks * d; at += d) squares[j] += sums[at];
  }
}

template <class F>
void linear_hsics(const F* x, std::int64_t d_x, const F* y, std::int64_t d_y, std::int64_t n, bool debiased,
                  double* hsics) {
  const Memory memory(sizeof(double) * n * (d_x + d_y));
  double *standard_x = memory.as<double>(), *standard_y = standard_x + n * d_x;
  core::DIPTYCH_ISA::standardize(x, n, d_x, standard_x);
  core::DIPTYCH_ISA::standardize(y, n, d_y, standard_y);
  core::DIPTYCH_ISA::linear_hsics(standard_x, d_x, standard_y, d_y, n, debiased, hsics);
  hsics[5] = hsics[0] / (std::sqrt(hsics[1]) * std::sqrt(hsics[2]));
}

template void center(const float*, std::int64_t, std::int64_t, bool, float*, float*, double*, int);
template void center(const double*, std::int64_t, std::int64_t, bool, double*, double*, double*, int);
template void linear_hsics(const float*, std::int64_t, const float*, std::int64_t, std::int64_t, bool,
                           double*);
template void linear_hsics(const double*, std::int64_t, const double*, std::int64_t, std::int64_t, bool,
                           double*);

}  // namespace diptych::cpu::DIPTYCH_ISA
