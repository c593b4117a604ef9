#include <cstdlib>
#include <new>

#include "../core/nnls_lanes.hpp"
#include "../core/nnls_row.hpp"
#include "kernels.hpp"
#include "wide_products.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using namespace core::DIPTYCH_ISA;

constexpr int kRowsAtOnce = 256;  // enough that lanes running dry at the end of a piece cost little
constexpr int kGramRows = 16;
constexpr double kWorkForThreads = 1e5;  // multiplications that take as long as waking other threads

// One allocation before the parallel region: the unit atoms (k, columns), their Gram matrix, and each
// thread's products and problems.
class Workspace {
 public:
  Workspace(int k, std::int64_t d, int threads)
      : k_(k), stride_(padded(k)), columns_((d + kPadding - 1) / kPadding * kPadding) {
    const std::int64_t lanes = in_lanes() ? (lane_problem_numbers(k) + 7) / 8 * 8 : 0;
    each_ = row_problem_numbers(k) + lanes + static_cast<std::int64_t>(kRowsAtOnce) * stride_;
    const std::int64_t numbers = (2 * k_ + 1) * stride_ + k_ * columns_ + each_ * threads;
    memory_ = static_cast<double*>(std::aligned_alloc(64, sizeof(double) * numbers));
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { std::free(memory_); }

  bool in_lanes() const { return k_ <= kMostAtomsInLanes; }
  std::int64_t columns() const { return columns_; }
  double* inverse_norms() const { return memory_; }
  double* gram() const { return memory_ + stride_; }
  double* inverse() const { return gram() + static_cast<std::int64_t>(k_) * stride_; }
  double* unit_atoms() const { return inverse() + static_cast<std::int64_t>(k_) * stride_; }
  Atoms atoms() const { return {gram(), inverse(), inverse_norms(), k_, stride_}; }
  double* products(int thread) const { return unit_atoms() + k_ * columns_ + each_ * thread; }
  RowProblem row(int thread) const {
    return row_problem(products(thread) + static_cast<std::int64_t>(kRowsAtOnce) * stride_, k_);
  }
  LaneProblems lanes(int thread) const {
    return lane_problems(products(thread) + static_cast<std::int64_t>(kRowsAtOnce) * stride_ +
                             row_problem_numbers(k_),
                         k_);
  }

 private:
  int k_, stride_;
  std::int64_t columns_, each_;
  double* memory_;
};

// Fills the workspace's dictionary from w (k, d), by all threads of the parallel region that calls it.
template <class F>
void prepare_atoms(const Workspace& workspace, const F* w, int k, std::int64_t d) {
  const std::int64_t columns = workspace.columns();
#pragma omp for schedule(static)
  for (int j = 0; j < k; ++j) {
    double* unit = workspace.unit_atoms() + j * columns;
    workspace.inverse_norms()[j] = unit_atom(w + j * d, d, unit);
    for (std::int64_t i = d; i < columns; ++i) unit[i] = 0;
  }
#pragma omp for schedule(static)
  for (int first = 0; first < k; first += kGramRows) {
    const int rows = k - first < kGramRows ? k - first : kGramRows;
    double* products = workspace.products(thread_index());
    wide_products(workspace.unit_atoms() + first * columns, rows, workspace.unit_atoms(), k, columns, columns,
                  products);
    for (int i = 0; i < rows; ++i) {
      double* row = workspace.gram() + static_cast<std::int64_t>(first + i) * padded(k);
      for (int j = 0; j < padded(k); ++j) row[j] = j < k ? products[i * k + j] : 0;
    }
  }
#pragma omp single
  factorize_all(Solo{}, workspace.atoms(), workspace.row(0));
#pragma omp for schedule(static)
  for (int j = 0; j < k; ++j)
    inverse_column(workspace.row(0), j, k, workspace.inverse() + static_cast<std::int64_t>(j) * padded(k));
}

// Solves the rows of one piece: products (rows, k) -> out (rows, k).
template <class F>
void solve_piece(const Workspace& workspace, int thread, std::int64_t rows, const NnlsLimits& limits, F* out,
                 NnlsReport& report) {
  const Atoms atoms = workspace.atoms();
  const RowProblem problem = workspace.row(thread);
  const double* products = workspace.products(thread);
  const Solo solo;
  if (!workspace.in_lanes()) {
    for (std::int64_t row = 0; row < rows; ++row)
      solve_row(solo, atoms, products, row, limits, problem, out, report);
    return;
  }
  const LaneProblems lanes = workspace.lanes(thread);
  solve_rows_in_lanes(atoms, products, 0, rows, 1, limits.pivots, lanes, out, report,
                      [&](std::int64_t row, int lane, double size) {
                        for (int j = 0; j < atoms.k; ++j) {
                          problem.b[j] = lanes.b[j * kLanes + lane];
                          problem.x[j] = lanes.x[j * kLanes + lane];
                        }
                        const bool solved = rescue(solo, atoms, problem, limits);
                        finish_row(solo, atoms, problem, row, size, solved, out, report);
                      });
}

}  // namespace

template <class F>
void nnls(const F* a, const F* w, std::int64_t n, std::int64_t d, int k, const int* limits, F* out,
          std::int64_t* report, int threads) {
  const double each = double(k) * (d + double(k) * k);
  if (each * n < kWorkForThreads) threads = 1;
  const Workspace workspace(k, d, threads);
  const std::int64_t pieces = (n + kRowsAtOnce - 1) / kRowsAtOnce;
  std::int64_t nonfinite = n, unsolved = n;
#pragma omp parallel num_threads(each * k < kWorkForThreads ? 1 : threads)
  prepare_atoms(workspace, w, k, d);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) reduction(min : nonfinite, unsolved)
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    const std::int64_t first = piece * kRowsAtOnce;
    const std::int64_t rows = n - first < kRowsAtOnce ? n - first : kRowsAtOnce;
    const int thread = thread_index();
    wide_products(a + first * d, rows, workspace.unit_atoms(), k, d, workspace.columns(),
                  workspace.products(thread));
    NnlsReport found{n, n};
    solve_piece(workspace, thread, rows, NnlsLimits{limits[0], limits[1], limits[2]}, out + first * k, found);
    nonfinite = found.nonfinite + first < nonfinite ? found.nonfinite + first : nonfinite;
    unsolved = found.unsolved + first < unsolved ? found.unsolved + first : unsolved;
  }
  report[0] = nonfinite;
  report[1] = unsolved;
}

template void nnls(const float*, const float*, std::int64_t, std::int64_t, int, const int*, float*,
                   std::int64_t*, int);
template void nnls(const double*, const double*, std::int64_t, std::int64_t, int, const int*, double*,
                   std::int64_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
