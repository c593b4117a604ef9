#include <cstdlib>
#include <new>

#include "../core/nnls_lanes.hpp"
#include "../core/nnls_row.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using namespace core::DIPTYCH_ISA;

constexpr int kRowsAtOnce = 256;  // enough that lanes running dry at the end of a piece cost little

// One allocation before the parallel region: the scaled dictionary, and each thread's problems.
class Workspace {
 public:
  Workspace(int k, int threads)
      : k_(k), stride_(padded(k)), each_(row_problem_numbers(k) + lane_problem_numbers(in_lanes(k) ? k : 1)) {
    each_ = (each_ + 7) / 8 * 8;
    const std::size_t numbers = static_cast<std::size_t>(k_ + 1) * stride_ + each_ * threads;
    memory_ = static_cast<double*>(std::aligned_alloc(64, sizeof(double) * numbers));
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { std::free(memory_); }

  static bool in_lanes(int k) { return k <= kMostAtomsInLanes; }
  double* inverse_norms() const { return memory_; }
  double* gram() const { return memory_ + stride_; }
  Atoms atoms() const { return {gram(), inverse_norms(), k_, stride_}; }
  RowProblem row(int thread) const { return row_problem(of(thread), k_); }
  LaneProblems lanes(int thread) const { return lane_problems(of(thread) + row_problem_numbers(k_), k_); }

 private:
  double* of(int thread) const { return memory_ + static_cast<std::size_t>(k_ + 1) * stride_ + each_ * thread; }

  int k_, stride_;
  std::size_t each_;
  double* memory_;
};

template <class In, class Out>
void solve_piece(const Workspace& workspace, int thread, const In* products, std::int64_t first,
                 std::int64_t last, const NnlsLimits& limits, Out* out, NnlsReport& report) {
  const Atoms atoms = workspace.atoms();
  const RowProblem problem = workspace.row(thread);
  const Solo solo;
  if (!Workspace::in_lanes(atoms.k)) {
    for (std::int64_t row = first; row < last; ++row)
      solve_row(solo, atoms, products, row, limits, problem, out, report);
    return;
  }
  const LaneProblems lanes = workspace.lanes(thread);
  solve_rows_in_lanes(atoms, products, first, last, 1, limits.pivots, lanes, out, report,
                      [&](std::int64_t row, int lane, double size) {
                        for (int j = 0; j < atoms.k; ++j) {
                          problem.b[j] = lanes.b[j * kLanes + lane];
                          problem.x[j] = lanes.x[j * kLanes + lane];
                        }
                        const bool solved = exchange_one_by_one(solo, atoms, problem, limits.exchanges);
                        finish_row(solo, atoms, problem, row, size, solved, out, report);
                      });
}

// trace(G^-1) of the scaled Gram matrix, by its factor's inverse; infinite if it is singular.
double inverse_trace(const Atoms& atoms, const RowProblem& p) {
  const int k = atoms.k;
  for (int j = 0; j < k; ++j) {
    p.members[j] = j;
    p.b[j] = 0;
  }
  solve_passive_set(Solo{}, atoms, p, k);
  double trace = 0;
  for (int j = 0; j < k; ++j) {
    for (int i = 0; i < padded(k); ++i) p.x[i] = i == j ? 1 : 0;
    for (int m = j; m < k; ++m) {
      if (!(p.pivots[m] > kLeastPivot)) return INFINITY;
      const double* column = p.factor + m * p.column;
      const double known = p.x[m];
      trace += known * known * p.inverse_pivots[m];
      for (int i = m + 1; i < k; i += kLanes) store(p.x + i, load(p.x + i) - load(column + i) * known);
    }
  }
  return trace;
}

}  // namespace

void gram_condition(const double* gram, int k, double* condition, double* smallest, double* largest) {
  const Workspace workspace(k, 1);
  scale_gram(gram, k, workspace.gram(), workspace.inverse_norms());
  const Atoms atoms = workspace.atoms();
  double widest = 0;
  *smallest = INFINITY;
  *largest = 0;
  for (int i = 0; i < k; ++i) {
    double sum = 0;
    for (int j = 0; j < k; ++j) sum += std::fabs(atoms.gram[i * atoms.stride + j]);
    widest = sum > widest ? sum : widest;
    const double norm = std::sqrt(gram[i * k + i]);
    *smallest = norm >= *smallest ? *smallest : norm;  // NaN stays
    *largest = norm <= *largest ? *largest : norm;
  }
  *condition = widest * inverse_trace(atoms, workspace.row(0));
}

template <class In, class Out>
void nnls(const double* gram, int k, const In* products, std::int64_t n, int max_pivots, int max_exchanges,
          Out* out, std::int64_t* report, int threads) {
  const Workspace workspace(k, threads);
  scale_gram(gram, k, workspace.gram(), workspace.inverse_norms());
  const std::int64_t pieces = (n + kRowsAtOnce - 1) / kRowsAtOnce;
  std::int64_t nonfinite = n, unsolved = n;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) reduction(min : nonfinite, unsolved)
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    const std::int64_t first = piece * kRowsAtOnce, end = first + kRowsAtOnce;
    NnlsReport found{n, n};
    solve_piece(workspace, thread_index(), products, first, end < n ? end : n,
                NnlsLimits{max_pivots, max_exchanges}, out, found);
    nonfinite = found.nonfinite < nonfinite ? found.nonfinite : nonfinite;
    unsolved = found.unsolved < unsolved ? found.unsolved : unsolved;
  }
  report[0] = nonfinite;
  report[1] = unsolved;
}

template void nnls(const double*, int, const float*, std::int64_t, int, int, float*, std::int64_t*, int);
template void nnls(const double*, int, const double*, std::int64_t, int, int, float*, std::int64_t*, int);
template void nnls(const double*, int, const double*, std::int64_t, int, int, double*, std::int64_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
