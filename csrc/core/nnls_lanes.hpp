// Non-negative least squares of several rows at once, for dictionaries of few atoms: block principal
// pivoting whose passive sets are masks, so that all lanes do the same arithmetic.
#pragma once

#include "nnls.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Memory of kLanes problems; of element e of a lane's array, lane l is at e * kLanes + l.
struct LaneProblems {
  double *b, *x, *row, *inverse_pivots;  // k each
  double* factor;                        // k (k - 1) / 2: the unit lower triangle by rows
  std::int64_t* passive;                 // k masks
  double *fewest, *credit;               // 1 each: the safeguard of the block exchanges
};

DIPTYCH_HD constexpr int lane_problem_numbers(int k) { return (k * (k - 1) / 2 + 5 * k + 2) * kLanes; }

DIPTYCH_HD inline LaneProblems lane_problems(double* memory, int k) {
  const auto take = [&](int count) {
    double* here = memory;
    memory += count * kLanes;
    return here;
  };
  LaneProblems p;
  p.b = take(k);
  p.x = take(k);
  p.row = take(k);
  p.inverse_pivots = take(k);
  p.factor = take(k * (k - 1) / 2);
  p.passive = reinterpret_cast<std::int64_t*>(take(k));
  p.fewest = take(1);
  p.credit = take(1);
  return p;
}

// The elimination of one row, c[j] -= sum_(m < j) c[m] row_j[m] for j < count, where row_j is the j-th row of
// the factor. Four sums at a time: they share what they read, and none waits for another.
DIPTYCH_HD inline void eliminate(double* c, const double* factor, int count) {
  int j = 0;
  for (; j + 4 <= count; j += 4) {
    const double* row0 = factor + j * (j - 1) / 2 * kLanes;
    const double *row1 = row0 + j * kLanes, *row2 = row1 + (j + 1) * kLanes, *row3 = row2 + (j + 2) * kLanes;
    Lanes c0 = load(c + j * kLanes), c1 = load(c + (j + 1) * kLanes), c2 = load(c + (j + 2) * kLanes),
          c3 = load(c + (j + 3) * kLanes);
    for (int m = 0; m < j * kLanes; m += kLanes) {
      const Lanes known = load(c + m);
      c0 -= known * load(row0 + m);
      c1 -= known * load(row1 + m);
      c2 -= known * load(row2 + m);
      c3 -= known * load(row3 + m);
    }
    const int m = j * kLanes;
    c1 -= c0 * load(row1 + m);
    c2 -= c0 * load(row2 + m) + c1 * load(row2 + m + kLanes);
    c3 -= c0 * load(row3 + m) + c1 * load(row3 + m + kLanes) + c2 * load(row3 + m + 2 * kLanes);
    store(c + m, c0);
    store(c + m + kLanes, c1);
    store(c + m + 2 * kLanes, c2);
    store(c + m + 3 * kLanes, c3);
  }
  for (; j < count; ++j) {
    const double* row = factor + j * (j - 1) / 2 * kLanes;
    Lanes sum = load(c + j * kLanes);
    for (int m = 0; m < j * kLanes; m += kLanes) sum -= load(c + m) * load(row + m);
    store(c + j * kLanes, sum);
  }
}

// x = the least-squares solution on each lane's passive set, zero elsewhere: G with the rows and columns of
// other atoms replaced by those of the identity, factorised as L D L^T; the target is one more row of it.
DIPTYCH_HD inline void solve_passive_sets(const Atoms& atoms, const LaneProblems& p) {
  const int k = atoms.k;
  double* factor_row = p.factor;
  for (int i = 0; i < k; ++i) {
    const double* gram_row = atoms.gram + i * atoms.stride;
    const LaneMask mine = load_mask(p.passive + i * kLanes);
    for (int j = 0; j < i; ++j)
      store(p.row + j * kLanes,
            select(mine & load_mask(p.passive + j * kLanes), all_lanes(gram_row[j]), Lanes{}));
    eliminate(p.row, p.factor, i);
    Lanes pivot = all_lanes(1);
    for (int j = 0; j < i; ++j) {
      const Lanes before = load(p.row + j * kLanes);
      const Lanes scaled = before * load(p.inverse_pivots + j * kLanes);
      pivot -= before * scaled;
      store(factor_row + j * kLanes, scaled);
    }
    const Lanes inverse = select(pivot > all_lanes(kLeastPivot), all_lanes(1) / pivot, Lanes{});
    store(p.inverse_pivots + i * kLanes, inverse);
    factor_row += i * kLanes;
  }
  for (int j = 0; j < k; ++j)
    store(p.x + j * kLanes, select(load_mask(p.passive + j * kLanes), load(p.b + j * kLanes), Lanes{}));
  eliminate(p.x, p.factor, k);
  for (int i = 0; i < k; ++i)
    store(p.x + i * kLanes, load(p.x + i * kLanes) * load(p.inverse_pivots + i * kLanes));
  for (int i = k - 1; i > 0; --i) {
    factor_row -= i * kLanes;
    const Lanes known = load(p.x + i * kLanes);
    for (int m = 0; m < i; ++m)
      store(p.x + m * kLanes, load(p.x + m * kLanes) - known * load(factor_row + m * kLanes));
  }
}

// Solves on the passive sets and moves atoms whose coefficient or gradient has the wrong sign (or, of passive
// ones that depend on others, whose gradient is not zero) to the other side: all of them, unless their
// number has not fallen for three exchanges, then only the last one, until it falls (Kim & Park 2011,
// algorithm 2; Judice & Pires 1994). Says which lanes had none.
DIPTYCH_HD inline LaneMask exchange(const Atoms& atoms, const LaneProblems& p) {
  const int k = atoms.k;
  solve_passive_sets(atoms, p);
  Lanes size = all_lanes(1);
  for (int j = 0; j < k; ++j) {
    const Lanes x = load(p.x + j * kLanes);
    size += select(x < Lanes{}, -x, x);
  }
  const Lanes limit = -kTolerance * size;
  Lanes count{}, last = all_lanes(-1);
  for (int j = 0; j < k; ++j) {
    Lanes gradient = -load(p.b + j * kLanes);
    const double* gram_row = atoms.gram + j * atoms.stride;
    for (int i = 0; i < k; ++i) gradient += load(p.x + i * kLanes) * gram_row[i];
    const LaneMask passive = load_mask(p.passive + j * kLanes);
    const LaneMask wrong =
        (gradient < limit) | (passive & ((load(p.x + j * kLanes) < limit) | (-gradient < limit)));
    store(p.row + j * kLanes, select(wrong, all_lanes(1), Lanes{}));
    count += select(wrong, all_lanes(1), Lanes{});
    last = select(wrong, all_lanes(j), last);
  }
  const Lanes fewest = load(p.fewest), credit = load(p.credit);
  const LaneMask fewer = count < fewest;
  const LaneMask exchange_all = fewer | (credit > Lanes{});
  store(p.fewest, select(fewer, count, fewest));
  store(p.credit, select(fewer, all_lanes(3), credit - 1));
  for (int j = 0; j < k; ++j) {
    const LaneMask wrong = load(p.row + j * kLanes) > Lanes{};
    const LaneMask moves = wrong & (exchange_all | (last == all_lanes(j)));
    store_mask(p.passive + j * kLanes, load_mask(p.passive + j * kLanes) ^ moves);
  }
  return count == Lanes{};
}

// Puts a row into a lane; returns its scale as scaled_targets does.
DIPTYCH_HD inline double enter(const Atoms& atoms, const LaneProblems& p, int lane, const double* products) {
  const double size = scaled_targets(products, atoms.k, p.b + lane, kLanes);
  // The first passive set: the atoms that the solution without constraints, G^-1 b, wants.
  for (int j = 0; j < atoms.k; j += kLanes) {
    Lanes wanted{};
    for (int i = 0; i < atoms.k; ++i) wanted += load(atoms.inverse + i * atoms.stride + j) * products[i];
    double values[kLanes];
    store(values, wanted);
    for (int i = 0; i < kLanes && j + i < atoms.k; ++i)
      p.passive[(j + i) * kLanes + lane] = values[i] > 0 ? kTrue : 0;
  }
  p.fewest[lane] = atoms.k + 1;
  p.credit[lane] = 0;
  return size;
}

// A lane without a row: zeros, on which it rests.
DIPTYCH_HD inline void vacate(const Atoms& atoms, const LaneProblems& p, int lane) {
  for (int j = 0; j < atoms.k; ++j) {
    p.b[j * kLanes + lane] = 0;
    p.passive[j * kLanes + lane] = 0;
  }
  p.fewest[lane] = p.credit[lane] = 0;
}

// Solves the rows first, first + step, ... below `last` of products (rows, k) into out (rows, k). A lane
// takes up the next row when it is done with one: no row's result depends on its neighbors.
// `rescue(row, lane, size)` solves the row of a lane that has come to the limit of exchanges.
template <class Out, class Rescue>
DIPTYCH_HD inline void solve_rows_in_lanes(const Atoms& atoms, const double* products, std::int64_t first,
                                           std::int64_t last, std::int64_t step, int max_pivots,
                                           const LaneProblems& p, Out* out, NnlsReport& report,
                                           Rescue rescue) {
  const int k = atoms.k;
  std::int64_t rows[kLanes];
  double sizes[kLanes];
  int pivots[kLanes];
  std::int64_t next = first;
  int busy = 0;
  const auto advance = [&](int lane) {
    for (; next < last; next += step) {
      const double size = enter(atoms, p, lane, products + next * k);
      if (size > 0) {
        rows[lane] = next;
        sizes[lane] = size;
        pivots[lane] = 0;
        next += step;
        return;
      }
      if (!(size == 0)) report.add_nonfinite(next);
      fill(out + next * k, k, size);
    }
    vacate(atoms, p, lane);
    rows[lane] = -1;
    --busy;
  };
  busy = kLanes;
  for (int lane = 0; lane < kLanes; ++lane) advance(lane);
  while (busy > 0) {
    std::int64_t done[kLanes];
    store_mask(done, exchange(atoms, p));
    for (int lane = 0; lane < kLanes; ++lane) {
      if (rows[lane] < 0) continue;
      if (done[lane]) {
        if (!write_coefficients(atoms, p.x + lane, kLanes, sizes[lane], out + rows[lane] * k))
          report.add_nonfinite(rows[lane]);
      } else if (++pivots[lane] >= max_pivots) {
        rescue(rows[lane], lane, sizes[lane]);
      } else {
        continue;
      }
      advance(lane);
    }
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
