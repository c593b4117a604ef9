#include "../core/nonnegative_descent.hpp"

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

// Four registers of the widest instruction set: enough chains to hide the latency of their additions.
template <class F>
constexpr int kLanesAtOnce = 256 / sizeof(F);

// The columns first .. first + count of h and p (k, m), in scratch: their rows may lie a power of two apart,
// which the first cache holds few of.
template <class F>
void descend_columns(const F* gram, const F* inverse, const F* p, int k, std::int64_t m, std::int64_t first,
                     int count, int sweeps, F* h) {
  constexpr int lanes = kLanesAtOnce<F>;
  alignas(64) F near_p[kMaxAtoms * lanes], near_h[kMaxAtoms * lanes];
  for (int j = 0; j < k; ++j) {
    for (int lane = 0; lane < lanes; ++lane) {
      const bool real = lane < count;
      near_p[j * lanes + lane] = real ? p[j * m + first + lane] : F(0);
      near_h[j * lanes + lane] = real ? h[j * m + first + lane] : F(0);
    }
  }
  core::DIPTYCH_ISA::nonnegative_descent<lanes>(gram, inverse, near_p, k, sweeps, near_h);
  for (int j = 0; j < k; ++j)
    for (int lane = 0; lane < count; ++lane) h[j * m + first + lane] = near_h[j * lanes + lane];
}

}  // namespace

template <class F>
void nonnegative_descent(const F* gram, const F* p, std::int64_t problems, int k, std::int64_t m, int sweeps,
                         F* h, int threads) {
  constexpr int lanes = kLanesAtOnce<F>;
  const std::int64_t pieces = (m + lanes - 1) / lanes;
  const std::int64_t work = problems * m * k * k * sweeps;
#pragma omp parallel for num_threads(work < 8 * kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t piece = 0; piece < problems * pieces; ++piece) {
    const std::int64_t problem = piece / pieces, first = piece % pieces * lanes;
    const F* g = gram + problem * k * k;
    F inverse[kMaxAtoms];
    for (int j = 0; j < k; ++j) inverse[j] = g[j * k + j] > F(0) ? F(1) / g[j * k + j] : F(0);
    const int count = static_cast<int>(m - first < lanes ? m - first : lanes);
    descend_columns(g, inverse, p + problem * k * m, k, m, first, count, sweeps, h + problem * k * m);
  }
}

template void nonnegative_descent(const float*, const float*, std::int64_t, int, std::int64_t, int, float*,
                                  int);
template void nonnegative_descent(const double*, const double*, std::int64_t, int, std::int64_t, int, double*,
                                  int);

}  // namespace diptych::cpu::DIPTYCH_ISA
