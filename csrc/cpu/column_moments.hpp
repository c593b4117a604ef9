// Moments and products of the columns of two tall matrices, in one pass over both.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels.hpp"
#include "registers.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

// Columns of v that are summed at once: as many as there are registers for, beside half a dozen others.
constexpr int kMaxColumns = kVectorBytes == 64 ? 16 : 6;

template <class F>
constexpr int kLanes = kVectorBytes / sizeof(F);

// Rows summed in the data's own type before the sum moves into double: short enough that float32 keeps six
// digits, long enough that the conversion costs nothing.
constexpr std::int64_t kRun = 64;

constexpr std::int64_t padded(std::int64_t count, std::int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// One problem's (n, k) numbers, rows `stride` apart. A register loaded near a row's end reaches into the next
// row; its lanes past column k hold numbers of no use. From row `safe` on it would reach past the data. The
// numbers at `ahead` are those needed next: they are fetched into the cache meanwhile, row by row.
template <class F>
struct Columns {
  const F* values;
  std::int64_t k, stride, safe;
  const F* ahead;
};

// What is kept of a matrix's columns, all (stride,) long: the shift that was taken off, and of the shifted
// numbers the sums, the sums of squares and the union of their bits, zero in a constant column alone.
template <class F>
struct Moments {
  Register<F>* shift;
  typename RegisterOf<F>::Bits* bits;
  double *sums, *squares;
  F* rows;  // (kRun, stride) shifted numbers
  std::int64_t stride;
};

template <class F>
inline Register<F> load(const F* from) {
  Register<F> result;
  std::memcpy(&result, from, sizeof result);
  return result;
}

template <class F>
inline void store(Register<F> value, F* to) {
  std::memcpy(to, &value, sizeof value);
}

// Asks for the line of a number that is needed before long, into the second-level cache.
template <class F>
inline void fetch(const F* from) {
  __builtin_prefetch(from, 0, 2);
}

// Row i of the columns from j on.
template <class F>
inline Register<F> load_row(const Columns<F>& x, std::int64_t i, std::int64_t j) {
  const F* from = x.values + i * x.stride + j;
  if (i < x.safe) return load(from);
  F last[kLanes<F>] = {};
  const std::int64_t width = x.k - j < kLanes<F> ? x.k - j : kLanes<F>;
  for (std::int64_t lane = 0; lane < width; ++lane) last[lane] = from[lane];
  return load(last);
}

// Chooses a point near the columns' means: the mean of every eighth row, or of all if they are few. It lies
// within sqrt(n/m) standard deviations of the mean when m of n rows are taken, so that what the sums of
// shifted numbers lose to cancellation is below n/m = 8 roundings. Exact where a column is constant.
template <class F>
void choose_shifts(const Columns<F>& x, std::int64_t n, const Moments<F>& out) {
  constexpr int chains = 4;  // of additions that need not wait for each other
  const std::int64_t step = n < 128 ? 1 : 8, count = (n + step - 1) / step;
  for (std::int64_t j = 0; j < x.k; j += kLanes<F>) {
    const Register<F> first = load_row(x, 0, j);
    double sums[kLanes<F>] = {};
    for (std::int64_t start = 0; start < n; start += step * kRun) {
      const std::int64_t stop = start + step * kRun < n ? start + step * kRun : n;
      Register<F> run[chains];
      for (int c = 0; c < chains; ++c) run[c] = Register<F>{};
      std::int64_t i = start;
      for (; i + (chains - 1) * step < stop; i += chains * step)
        for (int c = 0; c < chains; ++c) run[c] += load_row(x, i + c * step, j) - first;
      for (; i < stop; i += step) run[0] += load_row(x, i, j) - first;
      const Register<F> sum = (run[0] + run[1]) + (run[2] + run[3]);
      for (int lane = 0; lane < kLanes<F>; ++lane) sums[lane] += sum[lane];
    }
    Register<F> shift = first;
    for (int lane = 0; lane < kLanes<F>; ++lane) shift[lane] += static_cast<F>(sums[lane] / count);
    out.shift[j / kLanes<F>] = shift;
  }
}

template <class F>
void clear(const Moments<F>& out) {
  std::memset(out.bits, 0, sizeof(F) * out.stride);
  std::memset(out.sums, 0, 2 * sizeof(double) * out.stride);
}

// Shifts rows start..stop, at most kRun, into out.rows and adds to the columns' moments.
template <class F>
void shift_rows(const Columns<F>& x, std::int64_t start, std::int64_t stop, const Moments<F>& out) {
  constexpr int chains = 4;  // of additions that need not wait for each other
  const std::int64_t stride = x.stride, stride_out = out.stride;
  for (std::int64_t j = 0; j < x.k; j += kLanes<F>) {
    const Register<F> shift = out.shift[j / kLanes<F>];
    typename RegisterOf<F>::Bits bits = out.bits[j / kLanes<F>];
    Register<F> sums[chains], squares[chains];
    for (int c = 0; c < chains; ++c) sums[c] = squares[c] = Register<F>{};
    F* row = out.rows + j;
    const auto take = [&](int c, Register<F> value) {
      value -= shift;
      bits |= (typename RegisterOf<F>::Bits)value;
      sums[c] += value;
      squares[c] += value * value;
      store(value, row);
      row += stride_out;
    };
    std::int64_t i = start;
    const std::int64_t whole = stop < x.safe ? stop : x.safe;
    const F *from = x.values + i * stride + j, *ahead = x.ahead + i * stride + j;
    for (; i + chains <= whole; i += chains)
      for (int c = 0; c < chains; ++c, from += stride, ahead += stride) {
        fetch(ahead);
        take(c, load(from));
      }
    for (; i < stop; ++i) take(0, load_row(x, i, j));
    out.bits[j / kLanes<F>] = bits;
    const Register<F> sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    const Register<F> square = (squares[0] + squares[1]) + (squares[2] + squares[3]);
    for (int lane = 0; lane < kLanes<F>; ++lane) {
      out.sums[j + lane] += sum[lane];
      out.squares[j + lane] += square[lane];
    }
  }
}

// products[c][lane] += sum_i x[i, at + lane] rows[i, c] over rows start..stop of x, shifted on the way, and
// `columns` columns of `rows`. Adds to the moments of x's columns if asked to. The numbers of `rows` come from
// memory, as operands that are broadcast at no cost: shifted in this very loop, they would be shuffled in
// registers, which costs as much as the products.
template <int columns, bool moments, class F>
void shift_and_multiply(const Columns<F>& x, std::int64_t at, std::int64_t start, std::int64_t stop,
                        const Moments<F>& of_x, const F* row, std::int64_t stride_row, double* products) {
  const Register<F> shift = of_x.shift[at / kLanes<F>];
  typename RegisterOf<F>::Bits bits = of_x.bits[at / kLanes<F>];
  Register<F> sum = {}, square = {}, run[columns];
  for (int c = 0; c < columns; ++c) run[c] = Register<F>{};
  const auto take = [&](Register<F> value) {
    value -= shift;
    if constexpr (moments) {
      bits |= (typename RegisterOf<F>::Bits)value;
      sum += value;
      square += value * value;
    }
    for (int c = 0; c < columns; ++c) run[c] += value * row[c];
    row += stride_row;
  };
  std::int64_t i = start;
  const std::int64_t stride = x.stride, whole = stop < x.safe ? stop : x.safe;
  const F *from = x.values + i * stride + at, *ahead = x.ahead + i * stride + at;
  for (; i < whole; ++i, from += stride, ahead += stride) {
    if constexpr (moments) fetch(ahead);
    take(load(from));
  }
  for (; i < stop; ++i) take(load_row(x, i, at));
  if constexpr (moments) {
    of_x.bits[at / kLanes<F>] = bits;
    for (int lane = 0; lane < kLanes<F>; ++lane) {
      of_x.sums[at + lane] += sum[lane];
      of_x.squares[at + lane] += square[lane];
    }
  }
  for (int c = 0; c < columns; ++c)
    for (int lane = 0; lane < kLanes<F>; ++lane) products[c * of_x.stride + lane] += run[c][lane];
}

template <int columns, bool moments, class F>
void shift_and_multiply_some(int wanted, const Columns<F>& x, std::int64_t at, std::int64_t start,
                             std::int64_t stop, const Moments<F>& of_x, const F* row, std::int64_t stride_row,
                             double* products) {
  if constexpr (columns > 1)
    if (wanted < columns)
      return shift_and_multiply_some<columns - 1, moments>(wanted, x, at, start, stop, of_x, row, stride_row,
                                                           products);
  shift_and_multiply<columns, moments>(x, at, start, stop, of_x, row, stride_row, products);
}

template <class F>
inline bool is_constant(const Moments<F>& x, std::int64_t j) {
  return x.bits[j / kLanes<F>][j % kLanes<F>] == 0;
}

// Whether some column that is not constant has squares that overflow, or vanish beside the smallest numbers.
template <class F>
bool out_of_range(const Moments<F>& x, std::int64_t k) {
  constexpr double low = std::numeric_limits<F>::min() / std::numeric_limits<F>::epsilon();
  for (std::int64_t j = 0; j < k; ++j)
    if (!is_constant(x, j) && !(x.squares[j] >= low && x.squares[j] <= std::numeric_limits<F>::max())) return true;
  return false;
}

// One pass over both matrices, kRun rows at a time: v shifted into the first-level cache, and multiplied there.
// Sums are kept in the data's own type over one run of rows and in double from run to run.
template <class F>
void accumulate_products(const Columns<F>& u, const Columns<F>& v, std::int64_t n, const Moments<F>& of_u,
                         const Moments<F>& of_v, double* products) {
  const bool same = u.values == v.values;
  std::memset(products, 0, sizeof(double) * of_u.stride * v.k);
  clear(of_u);
  if (!same) clear(of_v);
  const Moments<F>& shifted = same ? of_u : of_v;
  for (std::int64_t start = 0; start < n; start += kRun) {
    const std::int64_t stop = start + kRun < n ? start + kRun : n;
    shift_rows(v, start, stop, shifted);
    for (std::int64_t i = 0; i < u.k; i += kLanes<F>)
      for (std::int64_t j = 0; j < v.k; j += kMaxColumns) {
        const int columns = static_cast<int>(v.k - j < kMaxColumns ? v.k - j : kMaxColumns);
        const auto multiply = same || j > 0 ? shift_and_multiply_some<kMaxColumns, false, F>
                                            : shift_and_multiply_some<kMaxColumns, true, F>;
        multiply(columns, u, i, start, stop, of_u, shifted.rows + j, shifted.stride,
                 products + j * of_u.stride + i);
      }
  }
}

// Turns the columns' sums of squares into the inverses of their norms about the mean, zero for constant
// columns, and the sums into means. Returns whether there are constant ones.
template <class F>
bool invert_norms(const Moments<F>& x, std::int64_t n, std::int64_t k) {
  bool found = false;
  for (std::int64_t j = 0; j < k; ++j) {
    const double mean = x.sums[j] / n;
    const bool still = is_constant(x, j);
    x.squares[j] = still ? 0 : 1 / std::sqrt(x.squares[j] - x.sums[j] * mean);
    x.sums[j] = mean;
    found |= still;
  }
  return found;
}

}  // namespace diptych::cpu::DIPTYCH_ISA
