#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "../core/average_ranks.hpp"
#include "column_moments.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using namespace core::DIPTYCH_ISA;

// Memory of one thread, cut from one allocation for all threads before the parallel region.
template <class F>
class Workspace {
 public:
  using Key = typename KeyOf<F>::type;

  Workspace(std::int64_t n, std::int64_t k_u, std::int64_t k_v, bool ranked, int threads)
      : n_(n), stride_u_(padded(k_u, kLanes<F>)), stride_v_(padded(k_v, kLanes<F>)) {
    const std::int64_t both = stride_u_ + stride_v_;
    columns_ = both * column_bytes();
    products_ = sizeof(double) * stride_u_ * k_v;
    copies_ = sizeof(F) * n * both;
    const std::int64_t widest = k_u > k_v ? k_u : k_v;
    const std::int64_t ranking = ranked ? (sizeof(Key) + 8 + sizeof(F) * (1 + widest)) * n + 8 * kDigits : 0;
    bytes_ = padded(columns_ + products_ + copies_ + ranking, 64);
    memory_ = static_cast<char*>(std::aligned_alloc(64, bytes_ * threads));
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { std::free(memory_); }

  Moments<F> u(int thread) const { return moments(memory_ + bytes_ * thread, stride_u_); }
  Moments<F> v(int thread) const {
    return moments(memory_ + bytes_ * thread + column_bytes() * stride_u_, stride_v_);
  }
  double* products(int thread) const {
    return reinterpret_cast<double*>(memory_ + bytes_ * thread + columns_);
  }
  F* copy_u(int thread) const {
    return reinterpret_cast<F*>(memory_ + bytes_ * thread + columns_ + products_);
  }
  F* copy_v(int thread) const { return copy_u(thread) + n_ * stride_u_; }
  RankScratch<Key> ranking(int thread) const {
    auto* keys = reinterpret_cast<Key*>(memory_ + bytes_ * thread + columns_ + products_ + copies_);
    auto* items = reinterpret_cast<std::uint32_t*>(keys + n_);
    return {keys, items, items + n_, items + 2 * n_};
  }
  F* spare(int thread) const { return reinterpret_cast<F*>(ranking(thread).counts + 2 * kDigits); }
  F* ranks(int thread) const { return spare(thread) + n_; }

 private:
  static constexpr std::int64_t column_bytes() { return (2 + kRun) * sizeof(F) + 2 * sizeof(double); }

  static Moments<F> moments(char* start, std::int64_t stride) {
    auto* shift = reinterpret_cast<F*>(start);
    auto* sums = reinterpret_cast<double*>(shift + 2 * stride);
    return {reinterpret_cast<Register<F>*>(shift),
            reinterpret_cast<typename RegisterOf<F>::Bits*>(shift + stride),
            sums,
            sums + stride,
            reinterpret_cast<F*>(sums + 2 * stride),
            stride};
  }

  std::int64_t n_, stride_u_, stride_v_, columns_, products_, copies_, bytes_;
  char* memory_;
};

// out (k_u, k_v) from the moments, `constant` where a column is.
template <class F>
void finish(const Moments<F>& u, const Moments<F>& v, const double* products, std::int64_t n, std::int64_t k_u,
            std::int64_t k_v, double constant, F* out) {
  const bool same = u.sums == v.sums, still_u = invert_norms(u, n, k_u);
  const bool still = same ? still_u : invert_norms(v, n, k_v) | still_u;
  const double *means = v.sums, *inverses = v.squares;
  for (std::int64_t i = 0; i < k_u; ++i) {
    const double sum = u.sums[i] * n, inverse = u.squares[i];
    for (std::int64_t j = 0; j < k_v; ++j) {
      double r = (products[j * u.stride + i] - sum * means[j]) * (inverse * inverses[j]);
      r = r > 1 ? 1 : r;
      r = r < -1 ? -1 : r;
      out[i * k_v + j] = static_cast<F>(r);
    }
    // Two sums of squares taken in different orders are not quite the same.
    if (same && out[i * k_v + i] > 0) out[i * k_v + i] = 1;
  }
  if (!still) return;
  for (std::int64_t i = 0; i < k_u; ++i)
    for (std::int64_t j = 0; j < k_v; ++j)
      if (is_constant(u, i) || is_constant(v, j)) out[i * k_v + j] = static_cast<F>(constant);
}

// copy (n, stride) = x less its first row, over about its largest size: numbers whose squares are safe.
template <class F>
Columns<F> rescaled(const Columns<F>& x, std::int64_t n, F* copy, std::int64_t stride) {
  for (std::int64_t j = 0; j < x.k; ++j) {
    F peak = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const F value = x.values[i * x.stride + j] - x.values[j], size = value < 0 ? -value : value;
      peak = size > peak ? size : peak;
    }
    const F inverse = 1 / peak, most = std::numeric_limits<F>::max(), scale = inverse < most ? inverse : most;
    for (std::int64_t i = 0; i < n; ++i)
      copy[i * stride + j] = (x.values[i * x.stride + j] - x.values[j]) * scale;
  }
  return {copy, x.k, stride, n, copy};
}

// Ranks the columns of x: twice the average ranks less n + 1, integers of mean zero, into the n numbers at
// `to + j * n` for column j. NaN where the column holds NaN or Inf. `spare` has room for n numbers.
template <class F>
void rank_columns(const Columns<F>& x, std::int64_t n, const RankScratch<typename KeyOf<F>::type>& scratch,
                  F* spare, F* to) {
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < x.k; ++j) to[j * n + i] = x.values[i * x.stride + j];
  for (std::int64_t j = 0; j < x.k; ++j) {
    F* column = to + j * n;
    int bad = 0;
    for (std::int64_t i = 0; i < n; ++i) bad |= !(column[i] * 0 == 0);
    const F poison = bad ? std::numeric_limits<F>::quiet_NaN() : F(0);
    average_ranks(column, scratch, n, [&](std::uint32_t item, std::int64_t twice_rank) {
      spare[item] = static_cast<F>(twice_rank - n - 1) + poison;
    });
    std::memcpy(column, spare, sizeof(F) * n);
  }
}

// to (n, stride) = the transpose of from (k, n).
template <class F>
Columns<F> transposed(const F* from, std::int64_t k, std::int64_t n, F* to, std::int64_t stride) {
  constexpr std::int64_t rows = 16;  // whose lines stay in the first-level cache
  for (std::int64_t start = 0; start < n; start += rows)
    for (std::int64_t j = 0; j < k; ++j)
      for (std::int64_t i = start; i < n && i < start + rows; ++i) to[i * stride + j] = from[j * n + i];
  return {to, k, stride, n, to};
}

}  // namespace

template <class F>
void correlation(const F* u, const F* v, std::int64_t problems, std::int64_t n, std::int64_t k_u,
                 std::int64_t k_v, bool by_rank, double constant, F* out, int threads) {
  if (threads > problems) threads = static_cast<int>(problems);
  const Workspace<F> workspace(n, k_u, k_v, by_rank, threads);
  const auto columns = [&](const F* x, std::int64_t k, std::int64_t problem, std::int64_t next) {
    const std::int64_t past = padded(k, kLanes<F>) - k;  // numbers read beyond a row's end
    const std::int64_t safe = n - (problem + 1 < problems && n * k >= past ? 0 : (past + k - 1) / k);
    return Columns<F>{x + problem * n * k, k, k, safe > 0 ? safe : 0,
                      x + (next < problems ? next : problem) * n * k};
  };
  std::int64_t unclaimed = 0;
#pragma omp parallel num_threads(threads)
  {
    const int thread = thread_index();
    const Moments<F> of_u = workspace.u(thread), of_v = workspace.v(thread);
    double* products = workspace.products(thread);
    // Each thread claims the problem it will take next, so as to fetch it while it computes.
    const auto claim = [&unclaimed] {
      std::int64_t claimed;
#pragma omp atomic capture
      claimed = unclaimed++;
      return claimed;
    };
    std::int64_t problem = claim(), next = claim();
    for (; problem < problems; problem = next, next = claim()) {
      Columns<F> x = columns(u, k_u, problem, next), y = columns(v, k_v, problem, next);
      const bool same = u == v;
      if (by_rank) {
        const auto rank = [&](const Columns<F>& columns, F* copy, std::int64_t stride) {
          rank_columns(columns, n, workspace.ranking(thread), workspace.spare(thread), workspace.ranks(thread));
          return transposed(workspace.ranks(thread), columns.k, n, copy, stride);
        };
        x = rank(x, workspace.copy_u(thread), of_u.stride);
        y = same ? x : rank(y, workspace.copy_v(thread), of_v.stride);
      }
      const auto run = [&] {
        choose_shifts(x, n, of_u);
        if (!same) choose_shifts(y, n, of_v);
        accumulate_products(x, y, n, of_u, of_v, products);
      };
      run();
      if (out_of_range(of_u, k_u) || (!same && out_of_range(of_v, k_v))) {
        x = rescaled(x, n, workspace.copy_u(thread), of_u.stride);
        y = same ? x : rescaled(y, n, workspace.copy_v(thread), of_v.stride);
        run();
      }
      finish(of_u, same ? of_u : of_v, products, n, k_u, k_v, constant, out + problem * k_u * k_v);
    }
  }
}

template <class F>
void average_ranks(const F* x, std::int64_t problems, std::int64_t n, std::int64_t k, F* out, int threads) {
  const std::int64_t columns = problems * k;
  if (threads > columns) threads = static_cast<int>(columns);
  const Workspace<F> workspace(n, 0, 0, true, threads);
#pragma omp parallel num_threads(threads)
  {
    const int thread = thread_index();
#pragma omp for schedule(static)
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t at = column / k * n * k + column % k;
      F* values = workspace.spare(thread);
      for (std::int64_t i = 0; i < n; ++i) values[i] = x[at + i * k];
      core::DIPTYCH_ISA::average_ranks(values, workspace.ranking(thread), n,
                                       [&](std::uint32_t item, std::int64_t twice_rank) {
                                         out[at + item * k] = static_cast<F>(twice_rank) / 2;
                                       });
    }
  }
}

template void correlation(const float*, const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                          bool, double, float*, int);
template void correlation(const double*, const double*, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                          bool, double, double*, int);
template void average_ranks(const float*, std::int64_t, std::int64_t, std::int64_t, float*, int);
template void average_ranks(const double*, std::int64_t, std::int64_t, std::int64_t, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
