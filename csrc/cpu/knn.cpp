#include <algorithm>
#include <cstdlib>
#include <new>

#include "../core/nearest.hpp"
#include "below.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using core::NearestSearch;
using core::ProductTile;
using namespace core::DIPTYCH_ISA;

// Rows, or columns, of a tile that one thread takes at a time. A stripe of columns keeps its thresholds in
// the level-1 cache and its buffers in the level-2 cache.
constexpr std::int64_t kRowsOfTask = 32, kColumnsOfTask = 128;

// Neighbors for each thread, allocated once before the parallel region.
class Workspace {
 public:
  Workspace(std::int64_t each, int threads) : each_(each) {
    memory_ = static_cast<Neighbor*>(std::malloc(sizeof(Neighbor) * each * threads));
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { std::free(memory_); }
  Neighbor* of(int thread) const { return memory_ + each_ * thread; }

 private:
  std::int64_t each_;
  Neighbor* memory_;
};

template <class E>
Candidates candidates(const NearestSearch<E>& s, std::int64_t item) {
  const std::int64_t at = item - s.first;
  return {s.values + at * s.capacity, s.items + at * s.capacity, s.counts[at], s.thresholds[at]};
}

template <class E>
void store(const NearestSearch<E>& s, std::int64_t item, const Candidates& c) {
  s.counts[item - s.first] = c.count;
  s.thresholds[item - s.first] = c.threshold;
}

template <class E>
inline void push(const NearestSearch<E>& s, std::int64_t item, Candidates& c, float value,
                 std::int64_t other, Neighbor* scratch) {
  if (c.count == s.capacity) {
    make_room(s, item, c, scratch);
    if (!(value < c.threshold)) return;
  }
  c.values[c.count] = value;
  c.items[c.count++] = static_cast<std::int32_t>(other);
}

// Shows item `row` the items first .. first + count, by its row of the tile.
template <class E>
void scan_row(const NearestSearch<E>& s, std::int64_t row, const float* products, std::int64_t first,
              std::int64_t count, Neighbor* scratch) {
  Candidates c = candidates(s, row);
  const float* low = s.searched.low + first;
  const std::int64_t skipped = s.exclude_self ? row - first : -1;
  const auto show = [&](std::int64_t j) {
    const float value = low[j] - 2.0f * products[j];
    if (value < c.threshold && j != skipped) push(s, row, c, value, first + j, scratch);
  };
  std::int64_t j = 0;
  for (; j + kBelowWidth <= count; j += kBelowWidth)
    for (auto mask = below(load(low + j), products + j, load(c.threshold)); mask != 0; mask &= mask - 1)
      show(j + __builtin_ctz(mask));
  for (; j < count; ++j) show(j);
  store(s, row, c);
}

// Shows the items of columns begin .. end of a tile the items of its rows, in ascending order.
template <class E>
void scan_columns(const NearestSearch<E>& s, const ProductTile& t, std::int64_t begin, std::int64_t end,
                  Neighbor* scratch) {
  const float* thresholds = s.thresholds + (t.first_column - s.first);
  for (std::int64_t r = 0; r < t.rows; ++r) {
    const float* products = t.products + r * t.columns;
    const float low = s.searched.low[t.first_row + r];
    const auto show = [&](std::int64_t j) {
      const float value = low - 2.0f * products[j];
      if (!(value < thresholds[j])) return;
      const std::int64_t item = t.first_column + j;
      std::int32_t& count = s.counts[item - s.first];
      if (count == s.capacity) {
        Candidates c = candidates(s, item);
        make_room(s, item, c, scratch);
        store(s, item, c);
        if (!(value < thresholds[j])) return;
      }
      const std::int64_t at = (item - s.first) * s.capacity + count++;
      s.values[at] = value;
      s.items[at] = static_cast<std::int32_t>(t.first_row + r);
    };
    std::int64_t j = begin;
    for (; j + kBelowWidth <= end; j += kBelowWidth)
      for (auto mask = below(load(low), products + j, load(thresholds + j)); mask != 0; mask &= mask - 1)
        show(j + __builtin_ctz(mask));
    for (; j < end; ++j) show(j);
  }
}

}  // namespace

template <class E>
void nearest_scan(const NearestSearch<E>& s, const ProductTile& t, bool both, int threads) {
  const Workspace workspace(2 * s.capacity, threads);
  const std::int64_t row_tasks = (t.rows + kRowsOfTask - 1) / kRowsOfTask;
  const std::int64_t column_tasks = both ? (t.columns + kColumnsOfTask - 1) / kColumnsOfTask : 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (std::int64_t task = 0; task < row_tasks + column_tasks; ++task) {
    Neighbor* scratch = workspace.of(thread_index());
    if (task < row_tasks) {
      const std::int64_t begin = task * kRowsOfTask, end = std::min(begin + kRowsOfTask, t.rows);
      for (std::int64_t r = begin; r < end; ++r)
        scan_row(s, t.first_row + r, t.products + r * t.columns, t.first_column, t.columns, scratch);
    } else {
      const std::int64_t begin = (task - row_tasks) * kColumnsOfTask;
      scan_columns(s, t, begin, std::min(begin + kColumnsOfTask, t.columns), scratch);
    }
  }
}

template <class E, class F>
void nearest_finish(const NearestSearch<E>& s, std::int64_t first, std::int64_t count, bool root,
                    double factor, F* distances, std::int64_t* indices, int threads) {
  const Workspace workspace(s.capacity, threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
  for (std::int64_t i = 0; i < count; ++i) {
    Neighbor* exact = workspace.of(thread_index());
    Candidates c = candidates(s, first + i);
    tighten(c, s.k, s.searched.slack, s.asked.slack[first + i]);
    measure(s, first + i, c, exact);
    write_nearest(exact, c.count, s.k, root, factor, distances + i * s.k, indices + i * s.k);
  }
}

template <class E, class F>
void nearest_direct(const E* x, const E* y, std::int64_t n, std::int64_t m, std::int64_t d, std::int64_t k,
                    bool exclude_self, bool root, double factor, F* distances, std::int64_t* indices,
                    int threads) {
  const Workspace workspace(m, threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
  for (std::int64_t i = 0; i < n; ++i) {
    Neighbor* exact = workspace.of(thread_index());
    std::int64_t count = 0;
    for (std::int64_t j = 0; j < m; ++j)
      if (!exclude_self || i != j) exact[count++] = {squared_distance_of_rows(x + i * d, y + j * d, d), j};
    write_nearest(exact, count, k, root, factor, distances + i * k, indices + i * k);
  }
}

template void nearest_scan(const NearestSearch<float>&, const ProductTile&, bool, int);
template void nearest_scan(const NearestSearch<double>&, const ProductTile&, bool, int);
template void nearest_finish(const NearestSearch<float>&, std::int64_t, std::int64_t, bool, double, float*,
                             std::int64_t*, int);
template void nearest_finish(const NearestSearch<double>&, std::int64_t, std::int64_t, bool, double, float*,
                             std::int64_t*, int);
template void nearest_finish(const NearestSearch<double>&, std::int64_t, std::int64_t, bool, double, double*,
                             std::int64_t*, int);
template void nearest_direct(const float*, const float*, std::int64_t, std::int64_t, std::int64_t,
                             std::int64_t, bool, bool, double, float*, std::int64_t*, int);
template void nearest_direct(const double*, const double*, std::int64_t, std::int64_t, std::int64_t,
                             std::int64_t, bool, bool, double, float*, std::int64_t*, int);
template void nearest_direct(const double*, const double*, std::int64_t, std::int64_t, std::int64_t,
                             std::int64_t, bool, bool, double, double*, std::int64_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
