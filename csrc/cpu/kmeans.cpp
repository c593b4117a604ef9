#include "../core/kmeans_seeds.hpp"
#include "../core/lloyd.hpp"
#include "buffer.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using namespace core::DIPTYCH_ISA;

// The items by rows, as given, and by padded columns.
class BothWays {
 public:
  BothWays(const double* x, std::int64_t n, int d)
      : stride_((n + kItemLanes - 1) / kItemLanes * kItemLanes),
        columns_(static_cast<std::size_t>(stride_) * d),
        items{x, columns_.data(), n, stride_, d} {
    for (int i = 0; i < d; ++i)
      for (std::int64_t item = 0; item < stride_; ++item)
        columns_[i * stride_ + item] = item < n ? x[item * d + i] : 0;
  }

 private:
  std::int64_t stride_;
  Buffer<double> columns_;

 public:
  const Items items;
};

// A restart costs less than waking a thread while the items' distances to the centres are fewer than this.
constexpr std::int64_t kAlone = 1 << 9;

int threads_for(std::int64_t n, int k, int restarts, int threads) {
  return n * k * restarts < kAlone ? 1 : threads;
}

}  // namespace

void kmeans_seeds(const double* x, std::int64_t n, int d, int k, int restarts, const std::int64_t* firsts,
                  const double* draws, int candidates, double* centers, int threads) {
  threads = threads_for(n, k, restarts, threads);
  const BothWays both(x, n, d);
  const std::int64_t stride = both.items.stride;
  const Buffer<double> scratch(static_cast<std::size_t>(3) * stride * threads);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int r = 0; r < restarts; ++r) {
    double* own = scratch.data() + 3 * stride * thread_index();
    seed_centers<kMaxCandidates>(both.items, k, firsts[r], draws + static_cast<std::int64_t>(r) * candidates,
                                 static_cast<std::int64_t>(restarts) * candidates, candidates,
                                 {own, own + stride, own + 2 * stride},
                                 centers + static_cast<std::size_t>(k) * d * r);
  }
}

void kmeans(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
            double* centers, std::int64_t* labels, double* inertia, int threads) {
  const BothWays both(x, n, d);
  const std::size_t each = static_cast<std::size_t>(k) * d;
  const Buffer<double> sums(each * restarts);
  const Buffer<std::int64_t> counts(static_cast<std::size_t>(k) * restarts);
#pragma omp parallel for num_threads(threads_for(n, k, restarts, threads)) schedule(dynamic, 1)
  for (int r = 0; r < restarts; ++r)
    inertia[r] = lloyd(both.items, k, max_iter, threshold, centers + each * r, labels + r * n,
                       sums.data() + each * r, counts.data() + static_cast<std::size_t>(k) * r);
}

}  // namespace diptych::cpu::DIPTYCH_ISA
