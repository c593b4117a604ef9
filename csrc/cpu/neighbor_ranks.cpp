#include <cstdlib>
#include <new>

#include "../core/distance.hpp"
#include "../core/rank_row.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using namespace core::DIPTYCH_ISA;

// What each thread needs to rank a row. Allocated once for all threads, before the parallel region, so
// that running out of memory is an exception and not a crash inside OpenMP.
template <class Key>
class Workspace {
 public:
  Workspace(std::int64_t n, int threads) : n_(n), bytes_((sizeof(Key) + 8) * n + 8 * kDigits) {
    bytes_ = (bytes_ + 63) / 64 * 64;
    memory_ = static_cast<char*>(std::malloc(bytes_ * threads));
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { std::free(memory_); }

  RankScratch<Key> of(int thread) const {
    char* keys = memory_ + bytes_ * thread;
    auto* items = reinterpret_cast<std::uint32_t*>(keys + sizeof(Key) * n_);
    return {reinterpret_cast<Key*>(keys), items, items + n_, items + 2 * n_};
  }

 private:
  std::int64_t n_;
  std::size_t bytes_;
  char* memory_;
};

// Ranks `rows` rows, of the items `items` or of the first ones, whose distances `value(row, item, column)` gives.
template <class F, class Value>
void rank_rows(std::int64_t rows, std::int64_t n, const std::int64_t* items, std::int32_t* ranks, int threads,
               Value value) {
  using Key = typename KeyOf<F>::type;
  const Workspace<Key> workspace(n, threads);
#pragma omp parallel num_threads(threads)
  {
    const RankScratch<Key> scratch = workspace.of(thread_index());
#pragma omp for schedule(dynamic, 4)
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t item = items == nullptr ? i : items[i];
      for (std::int64_t j = 0; j < n; ++j) scratch.keys[j] = order_key(value(i, item, j));
      rank_row(scratch, n, item, ranks + i * n);
    }
  }
}

}  // namespace

template <class F>
void ranks(const F* distances, std::int64_t rows, std::int64_t n, const std::int64_t* items, std::int32_t* ranks,
           int threads) {
  rank_rows<F>(rows, n, items, ranks, threads,
               [=](std::int64_t i, std::int64_t, std::int64_t j) { return distances[i * n + j]; });
}

template <class F>
void ranks_from_products(const F* products, std::int64_t stride, const F* norms, std::int64_t rows,
                         std::int64_t n, const std::int64_t* items, std::int32_t* ranks, int threads) {
  rank_rows<F>(rows, n, items, ranks, threads, [=](std::int64_t i, std::int64_t item, std::int64_t j) {
    return squared_distance(norms[item], norms[j], products[i * stride + j]);
  });
}

template void ranks(const float*, std::int64_t, std::int64_t, const std::int64_t*, std::int32_t*, int);
template void ranks(const double*, std::int64_t, std::int64_t, const std::int64_t*, std::int32_t*, int);
template void ranks_from_products(const float*, std::int64_t, const float*, std::int64_t, std::int64_t,
                                  const std::int64_t*, std::int32_t*, int);
template void ranks_from_products(const double*, std::int64_t, const double*, std::int64_t, std::int64_t,
                                  const std::int64_t*, std::int32_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
