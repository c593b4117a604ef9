// Non-negative least squares of one row by a team: one thread on the host, a warp on the device.
#pragma once

#include "passive_set.hpp"

namespace diptych::core::DIPTYCH_ISA {

// x = solution, spread over the atoms, and its gradient G x - b. Returns 1 + sum |x|.
template <class Team>
DIPTYCH_HD inline double adopt_solution(const Team& team, const Atoms& atoms, const RowProblem& p,
                                        int count) {
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
