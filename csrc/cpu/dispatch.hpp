// One build of every CPU operation per instruction set, and the choice among them at run time.
#pragma once

#include <cstdint>
#include <string>

#include "../core/difference.hpp"
#include "../core/nearest.hpp"
#include "../core/scene.hpp"

namespace diptych::cpu {

using core::Difference;

// The most neighbors a row may ask for: their affinities live on the stack.
constexpr int kMaxNeighbors = 256;

// The most atoms of a dictionary for non-negative least squares.
constexpr int kMaxAtoms = 256;

// The most candidates for a centre of k-means.
constexpr int kMaxCandidates = 32;

// Columns of the thin matrices that block_product multiplies by.
constexpr int kBlockWidth = 16;

// Kept pairs of some rows (core/sampled.hpp): those of row i from place starts[i] of columns and values on;
// counts (rows, 2) of the sure ones and of all, scales (rows,).
struct SampledPairs {
  const std::int32_t* columns;
  const float* values;
  const std::int32_t* counts;
  const float* scales;
  const std::int64_t* starts;
  std::int64_t rows;
};

// What tells the affinities of the items first .. first + own.rows: the pairs their rows keep, and those of all
// rows' pairs whose columns are among them. `most` is the largest affinity there can be.
struct SampledShare {
  SampledPairs own, back;
  std::int64_t first;
  float most;
};

// The CPU operations. Matrices are dense and row-major; `threads` is the number of OpenMP threads.
// Each pointer is filled by table.cpp with the functions of one instruction set.
struct Operations {
  // x (n, d) -> out (n, d), every column less a point near its mean (core/center.hpp); may work in place.
  template <class F>
  using ShiftToCenter = void (*)(const F* x, std::int64_t n, std::int64_t d, F* out, int threads);
  ShiftToCenter<float> shift_to_center_f32;
  ShiftToCenter<double> shift_to_center_f64;

  // x (n, d) -> groups (n,): the first of the rows equal to each, -1 for one that has no equal. Whether any has.
  template <class F>
  using Duplicates = bool (*)(const F* x, std::int64_t n, std::int64_t d, std::int64_t* groups, int threads);
  Duplicates<float> duplicates_f32;
  Duplicates<double> duplicates_f64;

  // x (count,) -> the largest size of an entry, NaN where one is not finite.
  template <class F>
  using Peak = F (*)(const F* x, std::int64_t count, int threads);
  Peak<float> peak_f32;
  Peak<double> peak_f64;

  // x (n, d) -> its rows divided by their length (core/unit_row.hpp); may work in place. A zero row becomes NaN.
  template <class E, class F>
  using UnitRows = void (*)(const E* x, std::int64_t n, std::int64_t d, F* out, int threads);
  UnitRows<float, float> unit_rows_f32;
  UnitRows<float, double> unit_rows_f32_f64;
  UnitRows<double, double> unit_rows_f64;

  // x (n, d) -> the first row that is all zero, -1 where there is none.
  template <class F>
  using FirstZeroRow = std::int64_t (*)(const F* x, std::int64_t n, std::int64_t d);
  FirstZeroRow<float> first_zero_row_f32;
  FirstZeroRow<double> first_zero_row_f64;

  // x (n, d), y (m, d) -> distances (n, m) from differences of coordinates, summed in double: nothing cancels.
  // Roots of the squared distances if `root`, else squared distances times `factor`.
  template <class F>
  using DirectDistances = void (*)(const F* x, const F* y, std::int64_t n, std::int64_t m, std::int64_t d,
                                   bool root, double factor, F* out, int threads);
  DirectDistances<float> direct_distances_f32;
  DirectDistances<double> direct_distances_f64;

  // products[r, j] = <x_(first+r), y_j>, (rows, stride) -> distances (rows, n); may work in place.
  template <class F>
  using Distances = void (*)(const F* products, std::int64_t stride, const F* norms_x, const F* norms_y,
                             std::int64_t rows, std::int64_t n, bool squared, F* out, int threads);
  Distances<float> distances_f32;
  Distances<double> distances_f64;

  // distances (rows, n) to all n items -> ranks; float may work in place. The rows are those of `items`
  // (rows,), or of the first items where it is null.
  template <class F>
  using Ranks = void (*)(const F* distances, std::int64_t rows, std::int64_t n, const std::int64_t* items,
                         std::int32_t* ranks, int threads);
  Ranks<float> ranks_f32;
  Ranks<double> ranks_f64;

  // The same straight from inner products, (rows, stride), and the squared norms of all n items.
  template <class F>
  using RanksFromProducts = void (*)(const F* products, std::int64_t stride, const F* norms,
                                     std::int64_t rows, std::int64_t n, const std::int64_t* items,
                                     std::int32_t* ranks, int threads);
  RanksFromProducts<float> ranks_from_products_f32;
  RanksFromProducts<double> ranks_from_products_f64;

  // a, b (count,) -> G (count,).
  template <class T, class F>
  using Biased = void (*)(const T* a, const T* b, std::int64_t count, double gamma, double offset, F* out,
                          int threads);
  Biased<std::int32_t, float> biased_i32;
  Biased<float, float> biased_f32;
  Biased<double, double> biased_f64;

  // a, b (n, n) -> symmetric affinities of both directions; each output may overwrite its input.
  template <class T, class F>
  using Affinity = void (*)(const T* a, const T* b, std::int64_t n, Difference kind, double gamma,
                            double beta, double offset, F* out_ab, F* out_ba, int threads);
  Affinity<std::int32_t, float> affinity_i32;
  Affinity<float, float> affinity_f32;
  Affinity<double, double> affinity_f64;

  // Rows of a, b (rows, n) -> codes (rows, n) of G (core/packed.hpp), and the mean of |G| in each row (rows,).
  template <class T>
  using PackDifference = void (*)(const T* a, const T* b, std::int64_t rows, std::int64_t n, Difference kind,
                                  double gamma, double offset, std::int8_t* out, double* sizes, int threads);
  PackDifference<std::int32_t> pack_difference_i32;
  PackDifference<float> pack_difference_f32;

  // The codes (n, n) of G to those of log F / beta, in place: above the diagonal of the symmetric affinities
  // F = exp(-beta G) of one direction, below it of the other's.
  void (*fold_packed)(std::int8_t* codes, std::int64_t n, double beta, int threads);

  // Folded codes (n, n), x (n, kBlockWidth) -> F x of one direction; F_ii = 1.
  void (*packed_product)(const std::int8_t* codes, std::int64_t n, bool above, double beta, const float* x,
                         float* out, int threads);

  // Folded codes (n, n) -> the rows first .. first + rows of F of one direction, (rows, n).
  void (*packed_rows)(const std::int8_t* codes, std::int64_t n, bool above, double beta, std::int64_t first,
                      std::int64_t rows, float* out, int threads);

  // The same where a process has some rows only: the codes (rows, n) of G of the items first .. first + rows,
  // and those of its transpose, to the folded rows of one direction and of the other, in place.
  void (*fold_shard)(std::int8_t* codes, std::int8_t* mirrored, std::int64_t first, std::int64_t rows,
                     std::int64_t n, double beta, int threads);

  // Folded rows (rows, n) of one direction, x (n, kBlockWidth) -> F x (rows, kBlockWidth); to the last bit what
  // packed_product gives.
  void (*shard_product)(const std::int8_t* codes, std::int64_t rows, std::int64_t n, double beta,
                        const float* x, float* out, int threads);

  // Folded codes (count,) -> affinities (count,).
  void (*decode_shard)(const std::int8_t* codes, std::int64_t count, double beta, float* out, int threads);

  // Rows of a, b (rows, n) of the items first .. first + rows -> the pairs kept (core/sampled.hpp): columns and
  // values (rows, width), counts (rows, 2) of the sure ones and of all, scales (rows,); the mean of |log F| (rows,).
  template <class T>
  using SamplePairs = void (*)(const T* a, const T* b, std::int64_t rows, std::int64_t n, std::int64_t first,
                               Difference kind, double gamma, double beta, double offset,
                               std::int64_t neighbors, std::uint64_t seed, std::int64_t width,
                               std::int32_t* columns, float* values, std::int32_t* counts, float* scales,
                               double* sizes, int threads);
  SamplePairs<std::int32_t> sample_pairs_i32;
  SamplePairs<float> sample_pairs_f32;

  // x (n, kBlockWidth) -> the share's rows of the product with 1 + (W + W^T) / 2, W holding (F - 1) / probability
  // of the direction whose log F is `sign` times the values.
  void (*sampled_product)(const SampledShare& share, float sign, const float* x, float* out, int threads);

  // Items i of the share, j of all (count,) -> their symmetric affinities, as far as the kept pairs tell; 1 stands
  // in for the rest.
  void (*sampled_entries)(const SampledShare& share, float sign, const std::int64_t* i, const std::int64_t* j,
                          std::int64_t count, float* out, int threads);

  // As Knn of the share's rows, among the pairs that each of them holds.
  void (*sampled_knn)(const SampledShare& share, float sign, const std::int64_t* labels, int k, float* scores,
                      std::int64_t* neighbors, int threads);

  // affinity (rows, n) of the items first .. first + rows, labels (n,) -> per row the sum and the indices of
  // its k best neighbors, -1 padded.
  template <class F>
  using Knn = void (*)(const F* affinity, const std::int64_t* labels, std::int64_t n, std::int64_t first,
                       std::int64_t rows, int k, F* scores, std::int64_t* neighbors, int threads);
  Knn<float> knn_f32;
  Knn<double> knn_f64;

  // matrix (rows, n), x (n, kBlockWidth) -> out (rows, kBlockWidth), their product. A GEMM this thin runs
  // far below the memory's speed in general libraries.
  template <class F>
  using BlockProduct = void (*)(const F* matrix, const F* x, std::int64_t rows, std::int64_t n, F* out,
                                int threads);
  BlockProduct<float> block_product_f32;
  BlockProduct<double> block_product_f64;

  // matrix (n, n) -> its smallest entry, its largest (NaN if any is NaN or Inf) and the largest |a_ij - a_ji|.
  template <class F>
  using SymmetricRange = void (*)(const F* matrix, std::int64_t n, F* bounds, int threads);
  SymmetricRange<float> symmetric_range_f32;
  SymmetricRange<double> symmetric_range_f64;

  // x (n, d), the first centre's item (restarts,) and uniform draws (k - 1, restarts, candidates), of at most
  // kMaxCandidates -> centers (restarts, k, d) chosen by greedy k-means++ (core/kmeans_seeds.hpp).
  void (*kmeans_seeds)(const double* x, std::int64_t n, int d, int k, int restarts, const std::int64_t* firsts,
                       const double* draws, int candidates, double* centers, int threads);

  // x (n, d) and the starting centers (restarts, k, d) -> centers, labels (restarts, n), inertia (restarts,).
  void (*kmeans)(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
                 double* centers, std::int64_t* labels, double* inertia, int threads);

  // Shows the rows' items the columns' items of a tile of products, and where `both` (asked and searched
  // are then the same items, and the tile has none of them twice) the columns' items those of the rows.
  // Every item must be shown items in ascending order.
  template <class E>
  using NearestScan = void (*)(const core::NearestSearch<E>& search, const core::ProductTile& tile, bool both,
                               int threads);
  NearestScan<float> nearest_scan_f32;
  NearestScan<double> nearest_scan_f64;

  // Writes distances (count, k) and indices (count, k) of items first .. first + count: squared distances
  // times `factor`, or their roots.
  template <class E, class F>
  using NearestFinish = void (*)(const core::NearestSearch<E>& search, std::int64_t first,
                                 std::int64_t count, bool root, double factor, F* distances,
                                 std::int64_t* indices, int threads);
  NearestFinish<float, float> nearest_finish_f32;
  NearestFinish<double, float> nearest_finish_f64_f32;
  NearestFinish<double, double> nearest_finish_f64;

  // The same from all distances between x (n, d) and y (m, d), without products.
  template <class E, class F>
  using NearestDirect = void (*)(const E* x, const E* y, std::int64_t n, std::int64_t m, std::int64_t d,
                                 std::int64_t k, bool exclude_self, bool root, double factor, F* distances,
                                 std::int64_t* indices, int threads);
  NearestDirect<float, float> nearest_direct_f32;
  NearestDirect<double, float> nearest_direct_f64_f32;
  NearestDirect<double, double> nearest_direct_f64;

  // a, b (rows, n) ranks, each item's own 0 -> how many items have a rank of at most k in both.
  std::int64_t (*common_ranks)(const std::int32_t* a, const std::int32_t* b, std::int64_t rows,
                               std::int64_t n, std::int32_t k, int threads);

  // a, b (rows, k) distinct indices per row -> how many are in both rows, summed over rows.
  std::int64_t (*common_indices)(const std::int64_t* a, const std::int64_t* b, std::int64_t rows,
                                 std::int64_t k, int threads);

  // u (problems, n, k_u), v (problems, n, k_v) -> the correlations of their columns (problems, k_u, k_v), of
  // the columns' average ranks if `ranked`; `constant` where a column is. v may be u.
  template <class F>
  using Correlation = void (*)(const F* u, const F* v, std::int64_t problems, std::int64_t n,
                               std::int64_t k_u, std::int64_t k_v, bool ranked, double constant, F* out,
                               int threads);
  Correlation<float> correlation_f32;
  Correlation<double> correlation_f64;

  // x (problems, n, k) -> the ranks 1..n of each column's entries, equal ones sharing their mean; not in place.
  template <class F>
  using AverageRanks = void (*)(const F* x, std::int64_t problems, std::int64_t n, std::int64_t k, F* out,
                                int threads);
  AverageRanks<float> average_ranks_f32;
  AverageRanks<double> average_ranks_f64;

  // a (n, d) and a dictionary w (k, d) -> non-negative coefficients out (n, k). limits (3,): the exchanges of
  // block pivoting, the exchanges of active sets and the sweeps of coordinate descent that a row may take,
  // one method after the other. report (2,) gets the first row with NaN or Inf in its products or
  // coefficients, and the first that was not solved within the limits, n where there is none. Rows without
  // a solution become NaN.
  template <class F>
  using Nnls = void (*)(const F* a, const F* w, std::int64_t n, std::int64_t d, int k, const int* limits,
                        F* out, std::int64_t* report, int threads);
  Nnls<float> nnls_f32;
  Nnls<double> nnls_f64;

  // Sweeps of core/nonnegative_descent.hpp over h (problems, k, m), in place: gram (problems, k, k), p as h, k
  // of at most kMaxAtoms. A coordinate whose diagonal entry is 0 stays.
  template <class F>
  using NonnegativeDescent = void (*)(const F* gram, const F* p, std::int64_t problems, int k,
                                      std::int64_t m, int sweeps, F* h, int threads);
  NonnegativeDescent<float> nonnegative_descent_f32;
  NonnegativeDescent<double> nonnegative_descent_f64;

  // Problems side by side: number i has the features starts[i] .. starts[i+1] of gradient and coefficients
  // and the Gram matrix gram[i], which several may share (see core/lasso_problem.hpp).
  template <class F>
  using Lasso = void (*)(const F* const* gram, const std::int64_t* starts, std::int64_t problems,
                         const double* alpha, const double* tolerance, const double* residual, double* gradient, double* coefficients,
                         std::int32_t* passes, int max_passes, int threads);
  Lasso<float> lasso_f32;
  Lasso<double> lasso_f64;

  // x (n, p) -> out (n, count), out[i, j] = x[order[i], columns[j]]; without an order, of row i.
  template <class F>
  using GatherColumns = void (*)(const F* x, const std::int64_t* order, std::int64_t n, std::int64_t p,
                                 const std::int64_t* columns, std::int64_t count, F* out, int threads);
  GatherColumns<float> gather_columns_f32;
  GatherColumns<double> gather_columns_f64;

  // x (n, p), y (n, t) -> coefficients (models, p, t), gaps and passes (models, t); returns how many problems
  // miss tolerance * |y|^2/n. Model k leaves out the items order[starts[k]] .. order[starts[k + 1]]. Target j
  // has the penalty alpha[j * alpha_step]. With `check`, -1 and nothing done if x or y holds NaN or Inf.
  template <class F>
  using LassoSmall = std::int64_t (*)(const F* x, const double* y, const std::int64_t* order,
                                      const std::int64_t* starts, std::int64_t models, std::int64_t n,
                                      std::int64_t p, std::int64_t t, const double* alpha, int alpha_step,
                                      double tolerance, int max_passes, bool check, F* coefficients,
                                      double* gaps, std::int32_t* passes);
  LassoSmall<float> lasso_small_f32;
  LassoSmall<double> lasso_small_f64;

  // x (n, d) -> x less its columns' means, times the power of two that brings the widest column's range, which
  // is also returned (or each column's own, if `per_column`), to between a half and one; and the sums of the
  // results' squares (d,). Exactly zero in constant columns.
  template <class F>
  using Center = void (*)(const F* x, std::int64_t n, std::int64_t d, bool per_column, F* out, F* spread,
                          double* squares, int threads);
  Center<float> center_f32;
  Center<double> center_f64;

  // x (n, d_x), y (n, d_y), few items -> the five of core::linear_hsics, and CKA behind them.
  template <class F>
  using LinearHsics = void (*)(const F* x, std::int64_t d_x, const F* y, std::int64_t d_y, std::int64_t n,
                               bool debiased, double* hsics);
  LinearHsics<float> linear_hsics_f32;
  LinearHsics<double> linear_hsics_f64;

  // Scenes of counts (n,) squares, none beyond k, made for the numbers index (n,) (core/place_squares.hpp) ->
  // squares (n, k) and how many of each scene found a place (n,).
  void (*place_squares)(const std::int32_t* counts, const std::int64_t* index, std::int64_t n, std::int64_t k,
                        const core::SceneLaw& law, core::Square* squares, std::int32_t* placed, int threads);

  // squares (count,) -> the first that does not lie within a scene of size^2 pixels, -1 where all do.
  std::int64_t (*first_misplaced)(const core::Square* squares, std::int64_t count, std::int32_t size,
                                  int threads);

  // squares (n, k) -> images (n, size, size), 0 to 1 or 0 to 255: of two squares at a pixel it shows the later.
  template <class P>
  using DrawSquares = void (*)(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size,
                               P* images, int threads);
  DrawSquares<float> draw_squares_f32;
  DrawSquares<std::uint8_t> draw_squares_u8;

  // squares (n, k) -> the covariates (n, 3) of core/squares.hpp.
  void (*square_covariates)(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size,
                            double* out, int threads);
};

// The operations of the best instruction set this machine has, or of the one DIPTYCH_SIMD names
// (portable, avx2, avx512). Throws std::runtime_error for a name that is unknown, was not built or
// that this machine cannot run.
const Operations& operations();
std::string simd_level();

// Threads to use when `requested` are asked for: one in a forked child, where OpenMP's pool is gone.
int usable_threads(int requested);

}  // namespace diptych::cpu
