// One build of every CPU operation per instruction set, and the choice among them at run time.
#pragma once

#include <cstdint>
#include <string>

#include "../core/difference.hpp"

namespace diptych::cpu {

using core::Difference;

// The most neighbors a row may ask for: their affinities live on the stack.
constexpr int kMaxNeighbors = 256;

// Columns of the thin matrices that block_product multiplies by.
constexpr int kBlockWidth = 16;

// The CPU operations. Matrices are dense and row-major; `threads` is the number of OpenMP threads.
// Each pointer is filled by table.cpp with the functions of one instruction set.
struct Operations {
  // products[r, j] = <x_(first+r), y_j>, (rows, stride) -> distances (rows, n); may work in place.
  template <class F>
  using Distances = void (*)(const F* products, std::int64_t stride, const F* norms_x, const F* norms_y,
                             std::int64_t rows, std::int64_t n, bool squared, F* out, int threads);
  Distances<float> distances_f32;
  Distances<double> distances_f64;

  // x (rows, d), y (n, d) -> distances (rows, n) from differences of coordinates, for a few short rows, where
  // a matrix product costs more than it saves.
  template <class F>
  using DirectDistances = void (*)(const F* x, const F* y, std::int64_t rows, std::int64_t n, std::int64_t d,
                                   bool squared, F* out);
  DirectDistances<float> direct_distances_f32;
  DirectDistances<double> direct_distances_f64;

  // distances (rows, n) of items first_row .. first_row+rows to all n -> ranks; float may work in place.
  template <class F>
  using Ranks = void (*)(const F* distances, std::int64_t rows, std::int64_t n, std::int64_t first_row,
                         std::int32_t* ranks, int threads);
  Ranks<float> ranks_f32;
  Ranks<double> ranks_f64;

  // The same straight from inner products, (rows, stride), and the squared norms of all n items.
  template <class F>
  using RanksFromProducts = void (*)(const F* products, std::int64_t stride, const F* norms,
                                     std::int64_t rows, std::int64_t n, std::int64_t first_row,
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

  // affinity (n, n), labels (n,) -> per item the sum and the indices of its k best neighbors, -1 padded.
  template <class F>
  using Knn = void (*)(const F* affinity, const std::int64_t* labels, std::int64_t n, int k, F* scores,
                       std::int64_t* neighbors, int threads);
  Knn<float> knn_f32;
  Knn<double> knn_f64;

  // matrix (rows, n), x (n, kBlockWidth) -> out (rows, kBlockWidth), their product. A GEMM this thin runs
  // far below the memory's speed in general libraries.
  template <class F>
  using BlockProduct = void (*)(const F* matrix, const F* x, std::int64_t rows, std::int64_t n, F* out,
                                int threads);
  BlockProduct<float> block_product_f32;
  BlockProduct<double> block_product_f64;

  // x (n, d) and the starting centers (restarts, k, d) -> centers, labels (restarts, n), inertia (restarts,).
  void (*kmeans)(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
                 double* centers, std::int64_t* labels, double* inertia, int threads);
};

// The operations of the best instruction set this machine has, or of the one DIPTYCH_SIMD names
// (portable, avx2, avx512). Throws std::runtime_error for a name that is unknown, was not built or
// that this machine cannot run.
const Operations& operations();
std::string simd_level();

// Threads to use when `requested` are asked for: one in a forked child, where OpenMP's pool is gone.
int usable_threads(int requested);

}  // namespace diptych::cpu
