// Non-negative least squares of one row by a team: one thread on the host, a warp on the device.
#pragma once

#include "nnls.hpp"

namespace diptych::core::DIPTYCH_ISA {

// A team of one. A team tells which of the numbers 0, 1, ... are a member's own (first, step), makes
// its members wait for each other, adds up their sums, and has one leader to write what all would write.
struct Solo {
  DIPTYCH_HD int first() const { return 0; }
  DIPTYCH_HD int step() const { return 1; }
  DIPTYCH_HD bool leads() const { return true; }
  DIPTYCH_HD void wait() const {}
  DIPTYCH_HD double total(double sum) const { return sum; }
};

// Memory of one problem of k unknowns.
struct RowProblem {
  double *b, *x, *gradient;                    // by atom
  double *solution, *pivots, *inverse_pivots;  // by place in the passive set
  double* multipliers;                         // kPanel by place
  double* factor;  // columns of the unit lower triangle, `column` apart
  int* members;    // the passive set
  int* states;     // by atom
  int column;
};

// Columns factorised at once: each column before them is then read once for all.
constexpr int kPanel = 4;

enum State : int { kActive = 0, kPassive = 1, kBlocked = 2 };

DIPTYCH_HD constexpr std::int64_t row_problem_numbers(int k) {
  return std::int64_t(padded(k) + kPadding) * (padded(k) + 7 + kPanel);
}

DIPTYCH_HD inline RowProblem row_problem(double* memory, int k) {
  RowProblem p;
  p.column = padded(k) + kPadding;  // registers may reach past the last place
  const auto take = [&](int columns = 1) {
    double* here = memory;
    memory += columns * p.column;
    return here;
  };
  p.b = take();
  p.x = take();
  p.gradient = take();
  p.solution = take();
  p.pivots = take();
  p.inverse_pivots = take();
  p.multipliers = take(kPanel);
  p.members = reinterpret_cast<int*>(take());
  p.states = p.members + p.column;
  p.factor = take(padded(k));
  return p;
}

// to[i] += sum_m weights[m] column(m)[i], 0 <= i < end, for the registers i that are the team member's own.
template <class Team, class Column>
DIPTYCH_HD inline void add_columns(const Team& team, double* to, int end, const double* weights, int count,
                                   Column column) {
  const int step = team.step() * kLanes;
  int i = team.first() * kLanes;
  for (; i + 3 * step < end; i += 4 * step) {
    Lanes s0 = load(to + i), s1 = load(to + i + step), s2 = load(to + i + 2 * step),
          s3 = load(to + i + 3 * step);
    for (int m = 0; m < count; ++m) {
      const double* values = column(m) + i;
      const double weight = weights[m];
      s0 += load(values) * weight;
      s1 += load(values + step) * weight;
      s2 += load(values + 2 * step) * weight;
      s3 += load(values + 3 * step) * weight;
    }
    store(to + i, s0);
    store(to + i + step, s1);
    store(to + i + 2 * step, s2);
    store(to + i + 3 * step, s3);
  }
  for (; i < end; i += step) {
    Lanes sum = load(to + i);
    for (int m = 0; m < count; ++m) sum += load(column(m) + i) * weights[m];
    store(to + i, sum);
  }
}

// panel[c][i + r step] -= sum over the columns m < before of their entry there times that in row c, scaled,
// for r < registers.
template <int registers>
DIPTYCH_HD inline void update_panel(double* panel, const double* factor, int column, int before,
                                    const double* multipliers, int i, int step) {
  Lanes sums[kPanel][registers];
  for (int c = 0; c < kPanel; ++c)
    for (int r = 0; r < registers; ++r) sums[c][r] = load(panel + c * column + i + r * step);
  for (int m = 0; m < before; ++m)
    for (int r = 0; r < registers; ++r) {
      const Lanes values = load(factor + m * column + i + r * step);
      for (int c = 0; c < kPanel; ++c) sums[c][r] -= values * multipliers[m * kPanel + c];
    }
  for (int c = 0; c < kPanel; ++c)
    for (int r = 0; r < registers; ++r) store(panel + c * column + i + r * step, sums[c][r]);
}

// Fills the factor's columns first..first + kPanel with those of the passive atoms' Gram matrix and takes
// off what the columns before account for. Places past the last hold zeros.
template <class Team>
DIPTYCH_HD inline void load_panel(const Team& team, const Atoms& atoms, const RowProblem& p, int first,
                                  int count) {
  double* panel = p.factor + first * p.column;
  const double* gram_rows[kPanel];
  for (int c = 0; c < kPanel; ++c)
    gram_rows[c] = atoms.gram + p.members[first + c < count ? first + c : first] * atoms.stride;
  for (int i = first + team.first(); i < count + kPadding; i += team.step()) {
    const int member = p.members[i < count ? i : first];
    for (int c = 0; c < kPanel; ++c)
      panel[c * p.column + i] = i < count && first + c < count ? gram_rows[c][member] : 0;
  }
  for (int m = team.first(); m < first; m += team.step())
    for (int c = 0; c < kPanel; ++c)
      p.multipliers[m * kPanel + c] = p.factor[m * p.column + first + c] * p.pivots[m];
  team.wait();
  const int step = team.step() * kLanes;
  int i = first + team.first() * kLanes;
  for (; i + 3 * step < count; i += 4 * step)
    update_panel<4>(panel, p.factor, p.column, first, p.multipliers, i, step);
  for (; i < count; i += step) update_panel<1>(panel, p.factor, p.column, first, p.multipliers, i, step);
  team.wait();
}

// solution = the least-squares solution on the passive set, members[0..count): L D L^T by columns, the
// target eliminated along with them, then substitution backwards. An atom that depends on those before it
// gets 0 or, if `floored`, what its gradient asks for as if kLeastPivot of it were left.
template <class Team>
DIPTYCH_HD inline void solve_passive_set(const Team& team, const Atoms& atoms, const RowProblem& p, int count,
                                         bool floored) {
  for (int i = team.first(); i < count + kPadding; i += team.step())
    p.solution[i] = i < count ? p.b[p.members[i]] : 0;
  for (int j = 0; j < count; ++j) {
    const int place = j % kPanel;
    if (place == 0) load_panel(team, atoms, p, j, count);
    double* column = p.factor + j * p.column;
    const double given = column[j], target = p.solution[j];
    const double pivot = given > kLeastPivot || !floored ? given : kLeastPivot;
    const double inverse = pivot >= kLeastPivot ? 1 / pivot : 0;
    double later[kPanel];
    for (int c = 1; c < kPanel - place; ++c) later[c] = column[j + c];
    team.wait();
    if (team.leads()) {
      p.pivots[j] = pivot;
      p.inverse_pivots[j] = inverse;
    }
    for (int i = j + 1 + team.first() * kLanes; i < count; i += team.step() * kLanes) {
      const Lanes scaled = load(column + i) * inverse;
      store(column + i, scaled);
      store(p.solution + i, load(p.solution + i) - scaled * target);
      for (int c = 1; c < kPanel - place; ++c)
        store(column + c * p.column + i, load(column + c * p.column + i) - scaled * later[c]);
    }
    team.wait();
  }
  for (int i = count - 1; i >= 0; --i) {
    const double* column = p.factor + i * p.column;
    Lanes sum{};
    for (int m = i + 1 + team.first() * kLanes; m < count; m += team.step() * kLanes)
      sum += load(column + m) * load(p.solution + m);
    const double known = team.total(sum_of(sum));
    if (team.leads()) p.solution[i] = p.solution[i] * p.inverse_pivots[i] - known;
    team.wait();
  }
}

// The factor of the whole Gram matrix, for inverse_column.
template <class Team>
DIPTYCH_HD inline void factorize_all(const Team& team, const Atoms& atoms, const RowProblem& p) {
  for (int j = team.first(); j < atoms.k; j += team.step()) {
    p.members[j] = j;
    p.b[j] = 0;
  }
  team.wait();
  solve_passive_set(team, atoms, p, atoms.k, false);
}

// Column j of the inverse of the matrix that factorize_all has seen, (padded(k),).
DIPTYCH_HD inline void inverse_column(const RowProblem& p, int j, int k, double* x) {
  for (int i = 0; i < padded(k); ++i) x[i] = i == j ? 1 : 0;
  for (int m = j; m < k; ++m) {
    const double* column = p.factor + m * p.column;
    const double known = x[m];
    int i = m + 1;
    for (; i + kLanes <= k; i += kLanes) store(x + i, load(x + i) - load(column + i) * known);
    for (; i < k; ++i) x[i] -= column[i] * known;
    x[m] *= p.inverse_pivots[m];
  }
  for (int m = k - 1; m >= 0; --m) {
    const double* column = p.factor + m * p.column;
    Lanes sum{};
    int i = m + 1;
    for (; i + kLanes <= k; i += kLanes) sum += load(column + i) * load(x + i);
    for (; i < k; ++i) x[m] -= column[i] * x[i];
    x[m] -= sum_of(sum);
  }
}

// Lists the passive atoms; returns how many there are.
template <class Team>
DIPTYCH_HD inline int collect_members(const Team& team, const RowProblem& p, int k) {
  int count = 0;
  for (int j = 0; j < k; ++j)
    if (p.states[j] == kPassive) {
      if (team.leads()) p.members[count] = j;
      ++count;
    }
  team.wait();
  return count;
}

// x = solution, spread over the atoms, and its gradient G x - b. Returns 1 + sum |x|.
template <class Team>
DIPTYCH_HD inline double adopt_solution(const Team& team, const Atoms& atoms, const RowProblem& p, int count) {
  const int k = atoms.k;
  for (int j = team.first(); j < k; j += team.step()) p.x[j] = 0;
  for (int j = team.first(); j < padded(k); j += team.step()) p.gradient[j] = j < k ? -p.b[j] : 0;
  team.wait();
  for (int i = team.first(); i < count; i += team.step()) p.x[p.members[i]] = p.solution[i];
  add_columns(team, p.gradient, k, p.solution, count,
              [&](int i) { return atoms.gram + p.members[i] * atoms.stride; });
  team.wait();
  double size = 1;
  for (int i = 0; i < count; ++i) size += std::fabs(p.solution[i]);
  return size;
}

// A first passive set: the atoms that the solution without constraints, G^-1 b, wants.
template <class Team>
DIPTYCH_HD inline void begin(const Team& team, const Atoms& atoms, const RowProblem& p) {
  const int k = atoms.k;
  for (int j = team.first(); j < padded(k); j += team.step()) p.gradient[j] = 0;
  team.wait();
  add_columns(team, p.gradient, k, p.b, k, [&](int j) { return atoms.inverse + j * atoms.stride; });
  team.wait();
  for (int j = team.first(); j < k; j += team.step()) p.states[j] = p.gradient[j] > 0 ? kPassive : kActive;
  team.wait();
}

// Whether an atom is on the wrong side: its gradient is negative or, of a passive one, its coefficient is or
// its gradient is not zero (which happens to atoms that depend on others). `limit` is just below zero.
DIPTYCH_HD inline bool is_wrong(const RowProblem& p, int j, double limit) {
  if (p.gradient[j] < limit) return true;
  return p.states[j] == kPassive && (p.x[j] < limit || -p.gradient[j] < limit);
}

// Block principal pivoting from the passive set in `states`, with the safeguard of core/nnls_lanes.hpp.
// False if atoms of the wrong sign are left after max_pivots exchanges.
template <class Team>
DIPTYCH_HD inline bool pivot_blocks(const Team& team, const Atoms& atoms, const RowProblem& p,
                                    int max_pivots) {
  const int k = atoms.k;
  int fewest = k + 1, credit = 0;
  for (int pivot = 0; pivot < max_pivots; ++pivot) {
    const int members = collect_members(team, p, k);
    solve_passive_set(team, atoms, p, members, false);
    const double limit = -kTolerance * adopt_solution(team, atoms, p, members);
    int count = 0, last = -1;
    for (int j = 0; j < k; ++j)
      if (is_wrong(p, j, limit)) {
        ++count;
        last = j;
      }
    if (count == 0) return true;
    const bool fewer = count < fewest, all = fewer || credit > 0;
    fewest = fewer ? count : fewest;
    credit = fewer ? 3 : credit - 1;
    team.wait();
    for (int j = team.first(); j < k; j += team.step())
      if (is_wrong(p, j, limit) && (all || j == last))
        p.states[j] = p.states[j] == kPassive ? kActive : kPassive;
    team.wait();
  }
  return false;
}

// Moves x towards the solution on its passive set as far as it stays non-negative, drops the atoms that
// have come to zero, and again, until it is there (Lawson & Hanson 1974, ch. 23, steps 6 to 11). Returns
// 1 + sum |x|, or 0 when `exchanges` is used up. `entered` is the atom that came in last, or -1; where the
// solution does not want it (rounding has made up its gradient) it goes out again, blocked.
template <class Team>
DIPTYCH_HD inline double walk_to_solution(const Team& team, const Atoms& atoms, const RowProblem& p,
                                          int entered, int& exchanges) {
  const int k = atoms.k;
  for (; exchanges > 0; --exchanges) {
    const int count = collect_members(team, p, k);
    solve_passive_set(team, atoms, p, count, true);
    double share = 1;
    bool refused = false, inside = true;
    for (int i = 0; i < count; ++i) {
      if (p.solution[i] > 0) continue;
      const int j = p.members[i];
      const double x = p.x[j];
      inside = false;
      refused = refused || (j == entered && x == 0);
      const double reach = x > 0 ? x / (x - p.solution[i]) : 0;
      share = reach < share ? reach : share;
    }
    if (inside) return adopt_solution(team, atoms, p, count);
    team.wait();
    if (refused) {
      if (team.leads()) p.states[entered] = kBlocked;
    } else {
      for (int i = team.first(); i < count; i += team.step()) {
        const int j = p.members[i];
        const double x = p.x[j], to = p.solution[i];
        const bool leaves = !(to > 0) && (x > 0 ? x / (x - to) : 0) <= share;
        p.x[j] = leaves ? 0 : x + share * (to - x);
        if (leaves) p.states[j] = kActive;
      }
      entered = -1;
    }
    team.wait();
  }
  return 0;
}

// Lawson and Hanson's active sets from the x at hand, its negative entries taken as zero: one atom comes in
// at a time, the objective falls with each, so that no set comes back. False when `exchanges` did not do or
// no atom that is left wants in after all.
template <class Team>
DIPTYCH_HD inline bool exchange_one_by_one(const Team& team, const Atoms& atoms, const RowProblem& p,
                                           int exchanges) {
  const int k = atoms.k;
  for (int j = team.first(); j < k; j += team.step()) {
    p.states[j] = p.x[j] > 0 ? kPassive : kActive;
    p.x[j] = p.x[j] > 0 ? p.x[j] : 0;
  }
  team.wait();
  int entered = -1;
  for (;;) {
    const double size = walk_to_solution(team, atoms, p, entered, exchanges);
    if (size == 0) return false;
    const bool progress = entered < 0 || p.states[entered] != kBlocked;
    const double limit = -kTolerance * size;
    int worst = -1;
    double least = limit;
    bool optimal = true;
    for (int j = 0; j < k; ++j) {
      optimal = optimal && !is_wrong(p, j, limit);
      if (p.states[j] == kActive && p.gradient[j] < least) {
        least = p.gradient[j];
        worst = j;
      }
    }
    team.wait();
    if (worst < 0) return optimal;
    if (progress)
      for (int j = team.first(); j < k; j += team.step())
        if (p.states[j] == kBlocked) p.states[j] = kActive;
    team.wait();
    if (team.leads()) p.states[worst] = kPassive;
    entered = worst;
    team.wait();
  }
}

// Cyclic coordinate descent from the x at hand: slow, but it needs no independence and every step lowers the
// objective. False if the optimality conditions do not hold to kLooseTolerance after `sweeps`.
template <class Team>
DIPTYCH_HD inline bool descend(const Team& team, const Atoms& atoms, const RowProblem& p, int sweeps) {
  const int k = atoms.k;
  for (int j = team.first(); j < padded(k); j += team.step()) {
    if (j < k) p.x[j] = p.x[j] > 0 ? p.x[j] : 0;
    p.gradient[j] = j < k ? -p.b[j] : 0;
  }
  team.wait();
  add_columns(team, p.gradient, k, p.x, k, [&](int j) { return atoms.gram + j * atoms.stride; });
  team.wait();
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    double size = 1, worst = 0;
    for (int j = 0; j < k; ++j) {
      const double x = p.x[j], wrong = x > 0 ? std::fabs(p.gradient[j]) : -p.gradient[j];
      size += x;
      worst = wrong > worst ? wrong : worst;
    }
    if (worst <= kLooseTolerance * size) return true;
    for (int j = 0; j < k; ++j) {
      const double before = p.x[j], wanted = before - p.gradient[j];
      const double step = (wanted > 0 ? wanted : 0) - before;
      team.wait();
      if (step == 0) continue;
      if (team.leads()) p.x[j] = before + step;
      add_columns(team, p.gradient, k, &step, 1, [&](int) { return atoms.gram + j * atoms.stride; });
      team.wait();
    }
  }
  return false;
}

// Goes on from where block pivoting gave up; false if nothing helps.
template <class Team>
DIPTYCH_HD inline bool rescue(const Team& team, const Atoms& atoms, const RowProblem& p,
                              const NnlsLimits& limits) {
  return exchange_one_by_one(team, atoms, p, limits.exchanges) || descend(team, atoms, p, limits.sweeps);
}

// Writes a row's coefficients, or NaN where no method solved it.
template <class Team, class Out>
DIPTYCH_HD inline void finish_row(const Team& team, const Atoms& atoms, const RowProblem& p, std::int64_t row,
                                  double size, bool solved, Out* out, NnlsReport& report) {
  if (!team.leads()) return;
  if (!solved) {
    report.add_unsolved(row);
    fill(out + row * atoms.k, atoms.k, std::nan(""));
  } else if (!write_coefficients(atoms, p.x, 1, size, out + row * atoms.k)) {
    report.add_nonfinite(row);
  }
}

// Solves one row of products (rows, k) into out (rows, k).
template <class Team, class Out>
DIPTYCH_HD inline void solve_row(const Team& team, const Atoms& atoms, const double* products,
                                 std::int64_t row, const NnlsLimits& limits, const RowProblem& p, Out* out,
                                 NnlsReport& report) {
  const int k = atoms.k;
  double size = 0;
  if (team.leads()) {
    size = scaled_targets(products + row * k, k, p.b, 1);
    p.multipliers[0] = size;
  }
  team.wait();
  size = p.multipliers[0];
  team.wait();
  if (!(size > 0)) {
    if (!team.leads()) return;
    if (!(size == 0)) report.add_nonfinite(row);
    fill(out + row * k, k, size);
    return;
  }
  begin(team, atoms, p);
  const bool solved = pivot_blocks(team, atoms, p, limits.pivots) ||
                      rescue(team, atoms, p, limits);
  finish_row(team, atoms, p, row, size, solved, out, report);
}

}  // namespace diptych::core::DIPTYCH_ISA
