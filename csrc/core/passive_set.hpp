// The least-squares solution on a set of atoms, by a team: one thread on the host, a warp on the device.
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

}  // namespace diptych::core::DIPTYCH_ISA
