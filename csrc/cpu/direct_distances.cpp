#include <cmath>

#include "../core/direct_distance.hpp"
#include "buffer.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using namespace core::DIPTYCH_ISA;

// Below so many coordinate differences a second thread costs more than it saves.
constexpr std::int64_t kAlone = 1 << 17;

}  // namespace

template <class F>
void direct_distances(const F* x, const F* y, std::int64_t n, std::int64_t m, std::int64_t d, bool root,
                      double factor, F* out, int threads) {
  if (n * m * d < kAlone) threads = 1;
  const std::int64_t tiles = (m + kRowLanes - 1) / kRowLanes;
  const Buffer<double> columns(static_cast<std::size_t>(threads) * d * kRowLanes);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const std::int64_t first = tile * kRowLanes, count = first + kRowLanes < m ? kRowLanes : m - first;
    double* lanes = columns.data() + thread_index() * d * kRowLanes;
    rows_to_lanes(y + first * d, count, d, lanes);
    for (std::int64_t i = 0; i < n; ++i) {
      double squares[kRowLanes];
      squared_distances_to_lanes(x + i * d, lanes, d, squares);
      F* row = out + i * m + first;
      if (root)
        for (std::int64_t j = 0; j < count; ++j) row[j] = static_cast<F>(std::sqrt(squares[j]));
      else
        for (std::int64_t j = 0; j < count; ++j) row[j] = static_cast<F>(factor * squares[j]);
    }
  }
}

template void direct_distances(const float*, const float*, std::int64_t, std::int64_t, std::int64_t, bool, double,
                               float*, int);
template void direct_distances(const double*, const double*, std::int64_t, std::int64_t, std::int64_t, bool,
                               double, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
