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

// c[j] = value - sum_(m < j) c[m] row[m], one step of a substitution.
DIPTYCH_HD inline Lanes eliminated(Lanes value, const double* c, const double* row, int j) {
  for (int m = 0; m < j; ++m) value -= load(c + m * kLanes) * load(row + m * kLanes);
  return value;
}

// x = the least-squares solution on each lane's passive set, zero elsewhere: G with the rows and columns of
// other atoms replaced by those of the identity, factorised as L D L^T; the target is one more row of it.
DIPTYCH_HD inline void solve_passive_sets(const Atoms& atoms, const LaneProblems& p) {
  const int k = atoms.k;
  double* row_of_factor = p.factor;
  for (int i = 0; i <= k; ++i) {
    const bool is_target = i == k;
    const LaneMask mine = is_target ? negation(LaneMask{}) : load_mask(p.passive + i * kLanes);
    const double* gram_row = atoms.gram + (is_target ? 0 : i * atoms.stride);
    const double* factor_row = p.factor;
    for (int j = 0; j < i; ++j) {
      const LaneMask both = mine & load_mask(p.passive + j * kLanes);
      const Lanes given = is_target ? load(p.b + j * kLanes) : all_lanes(gram_row[j]);
      store(p.row + j * kLanes, eliminated(select(both, given, Lanes{}), p.row, factor_row, j));
      factor_row += j * kLanes;
    }
    if (is_target) break;
    Lanes pivot = all_lanes(1);
    for (int j = 0; j < i; ++j) {
      const Lanes before = load(p.row + j * kLanes);
      const Lanes scaled = before * load(p.inverse_pivots + j * kLanes);
      pivot -= before * scaled;
      store(row_of_factor + j * kLanes, scaled);
    }
    const Lanes inverse = select(pivot > all_lanes(kLeastPivot), all_lanes(1) / pivot, Lanes{});
    store(p.inverse_pivots + i * kLanes, inverse);
    row_of_factor += i * kLanes;
  }
  for (int i = 0; i < k; ++i)
    store(p.x + i * kLanes, load(p.row + i * kLanes) * load(p.inverse_pivots + i * kLanes));
  for (int i = k - 1; i > 0; --i) {
    row_of_factor -= i * kLanes;
    const Lanes known = load(p.x + i * kLanes);
    for (int m = 0; m < i; ++m)
      store(p.x + m * kLanes, load(p.x + m * kLanes) - known * load(row_of_factor + m * kLanes));
  }
}

// Solves on the passive sets and moves atoms whose coefficient or gradient has the wrong sign to the other
// side: all of them, unless their number has not fallen for three exchanges, then only the last one, until
// it falls (Kim & Park 2011, algorithm 2; Judice & Pires 1994). Says which lanes had none.
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
    const LaneMask wrong = select(passive, load(p.x + j * kLanes), gradient) < limit;
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
  for (int j = 0; j < atoms.k; ++j)
    p.passive[j * kLanes + lane] = p.b[j * kLanes + lane] > 0 ? kTrue : 0;
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
