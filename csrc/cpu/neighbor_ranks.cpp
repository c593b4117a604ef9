#include <cstdlib>
#include <new>

#include "../core/distance.hpp"
#include "../core/rank_row.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using namespace core::DIPTYCH_ISA;

// Everything one thread needs to rank a row. Allocated once for all threads, before the parallel
// region, so that running out of memory is an exception and not a crash inside OpenMP.
template <class Key>
class Workspace {
 public:
  Workspace(std::int64_t n, int threads) : n_(n) {
    const std::size_t pairs = sizeof(Keyed<Key>) * static_cast<std::size_t>(n) * 2 * threads;
    const std::size_t counts = sizeof(std::uint32_t) * kDigits * digit_count<Key>() * threads;
    memory_ = static_cast<char*>(std::malloc(pairs + counts));
    if (memory_ == nullptr) throw std::bad_alloc();
    counts_ = reinterpret_cast<std::uint32_t*>(memory_ + pairs);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { std::free(memory_); }

  Keyed<Key>* items(int thread) { return reinterpret_cast<Keyed<Key>*>(memory_) + 2 * n_ * thread; }
  Keyed<Key>* scratch(int thread) { return items(thread) + n_; }
  std::uint32_t* counts(int thread) { return counts_ + kDigits * digit_count<Key>() * thread; }

 private:
  std::int64_t n_;
  char* memory_;
  std::uint32_t* counts_;
};

// Ranks `rows` rows whose distances `value(row, column)` gives.
template <class F, class Value>
void rank_rows(std::int64_t rows, std::int64_t n, std::int64_t first_row, std::int32_t* ranks, int threads,
               Value value) {
  using Key = typename KeyOf<F>::type;
  Workspace<Key> workspace(n, threads);
#pragma omp parallel num_threads(threads)
  {
    const int thread = thread_index();
    Keyed<Key>* items = workspace.items(thread);
#pragma omp for schedule(dynamic, 4)
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < n; ++j)
        items[j] = {order_key(value(i, j)), static_cast<std::uint32_t>(j)};
      items[first_row + i].key = 0;  // an item is its own nearest neighbor, whatever rounding says
      rank_items(items, workspace.scratch(thread), workspace.counts(thread), n, ranks + i * n);
    }
  }
}

}  // namespace

template <class F>
void ranks(const F* distances, std::int64_t rows, std::int64_t n, std::int64_t first_row,
           std::int32_t* ranks, int threads) {
  rank_rows<F>(rows, n, first_row, ranks, threads,
               [=](std::int64_t i, std::int64_t j) { return distances[i * n + j]; });
}

template <class F>
void ranks_from_products(const F* products, std::int64_t stride, const F* norms, std::int64_t rows,
                         std::int64_t n, std::int64_t first_row, std::int32_t* ranks, int threads) {
  rank_rows<F>(rows, n, first_row, ranks, threads, [=](std::int64_t i, std::int64_t j) {
    return squared_distance(norms[first_row + i], norms[j], products[i * stride + j]);
  });
}

template void ranks(const float*, std::int64_t, std::int64_t, std::int64_t, std::int32_t*, int);
template void ranks(const double*, std::int64_t, std::int64_t, std::int64_t, std::int32_t*, int);
template void ranks_from_products(const float*, std::int64_t, const float*, std::int64_t, std::int64_t,
                                  std::int64_t, std::int32_t*, int);
template void ranks_from_products(const double*, std::int64_t, const double*, std::int64_t, std::int64_t,
                                  std::int64_t, std::int32_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
