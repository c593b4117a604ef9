// Declarations of the operations as they stand in each instruction set's namespace.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include "dispatch.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

inline int thread_index() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

// A parallel region costs more than it saves on fewer entries than this.
constexpr std::int64_t kWorthThreads = 1 << 13;

template <class F>
void shift_to_center(const F* x, std::int64_t n, std::int64_t d, F* out, int threads);

template <class F>
bool duplicates(const F* x, std::int64_t n, std::int64_t d, std::int64_t* groups, int threads);

template <class F>
void direct_distances(const F* x, const F* y, std::int64_t n, std::int64_t m, std::int64_t d, bool root,
                      double factor, F* out, int threads);

template <class F>
F peak(const F* x, std::int64_t count, int threads);

template <class E, class F>
void unit_rows(const E* x, std::int64_t n, std::int64_t d, F* out, int threads);

template <class F>
std::int64_t first_zero_row(const F* x, std::int64_t n, std::int64_t d);

template <class F>
void distances(const F* products, std::int64_t stride, const F* norms_x, const F* norms_y,
               std::int64_t rows, std::int64_t n, bool squared, F* out, int threads);

template <class F>
void ranks(const F* distances, std::int64_t rows, std::int64_t n, const std::int64_t* items,
           std::int32_t* ranks, int threads);

template <class F>
void ranks_from_products(const F* products, std::int64_t stride, const F* norms, std::int64_t rows,
                         std::int64_t n, const std::int64_t* items, std::int32_t* ranks, int threads);

template <class T, class F>
void biased(const T* a, const T* b, std::int64_t count, double gamma, double offset, F* out, int threads);

template <class T, class F>
void affinity(const T* a, const T* b, std::int64_t n, Difference kind, double gamma, double beta,
              double offset, F* out_ab, F* out_ba, int threads);

template <class T>
void pack_difference(const T* a, const T* b, std::int64_t rows, std::int64_t n, Difference kind, double gamma,
                     double offset, std::int8_t* out, double* sizes, int threads);

template <class T>
void sample_pairs(const T* a, const T* b, std::int64_t rows, std::int64_t n, std::int64_t first, Difference kind,
                  double gamma, double beta, double offset, std::int64_t neighbors, std::uint64_t seed,
                  std::int64_t width, std::int32_t* columns, float* values, std::int32_t* counts, float* scales,
                  double* sizes, int threads);

void sampled_product(const SampledShare& share, float sign, const float* x, float* out, int threads);

void sampled_entries(const SampledShare& share, float sign, const std::int64_t* i, const std::int64_t* j,
                     std::int64_t count, float* out, int threads);

void sampled_knn(const SampledShare& share, float sign, const std::int64_t* labels, int k, float* scores,
                 std::int64_t* neighbors, int threads);

void fold_packed(std::int8_t* codes, std::int64_t n, double beta, int threads);

void packed_product(const std::int8_t* codes, std::int64_t n, bool above, double beta, const float* x,
                    float* out, int threads);

void packed_rows(const std::int8_t* codes, std::int64_t n, bool above, double beta, std::int64_t first,
                 std::int64_t rows, float* out, int threads);

void fold_shard(std::int8_t* codes, std::int8_t* mirrored, std::int64_t first, std::int64_t rows, std::int64_t n,
                double beta, int threads);

void shard_product(const std::int8_t* codes, std::int64_t rows, std::int64_t n, double beta, const float* x,
                   float* out, int threads);

void decode_shard(const std::int8_t* codes, std::int64_t count, double beta, float* out, int threads);

template <class F>
void knn(const F* affinity, const std::int64_t* labels, std::int64_t n, std::int64_t first, std::int64_t rows,
         int k, F* scores, std::int64_t* neighbors, int threads);

template <class F>
void block_product(const F* matrix, const F* x, std::int64_t rows, std::int64_t n, F* out, int threads);

template <class F>
void symmetric_range(const F* matrix, std::int64_t n, F* bounds, int threads);

void kmeans_seeds(const double* x, std::int64_t n, int d, int k, int restarts, const std::int64_t* firsts,
                  const double* draws, int candidates, double* centers, int threads);

void kmeans(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
            double* centers, std::int64_t* labels, double* inertia, int threads);

template <class E>
void nearest_scan(const core::NearestSearch<E>& search, const core::ProductTile& tile, bool both, int threads);

template <class E, class F>
void nearest_finish(const core::NearestSearch<E>& search, std::int64_t first, std::int64_t count, bool root,
                    double factor, F* distances, std::int64_t* indices, int threads);

template <class E, class F>
void nearest_direct(const E* x, const E* y, std::int64_t n, std::int64_t m, std::int64_t d, std::int64_t k,
                    bool exclude_self, bool root, double factor, F* distances, std::int64_t* indices,
                    int threads);

std::int64_t common_ranks(const std::int32_t* a, const std::int32_t* b, std::int64_t rows, std::int64_t n,
                          std::int32_t k, int threads);

std::int64_t common_indices(const std::int64_t* a, const std::int64_t* b, std::int64_t rows, std::int64_t k,
                            int threads);

template <class F>
void correlation(const F* u, const F* v, std::int64_t problems, std::int64_t n, std::int64_t k_u,
                 std::int64_t k_v, bool ranked, double constant, F* out, int threads);

template <class F>
void average_ranks(const F* x, std::int64_t problems, std::int64_t n, std::int64_t k, F* out, int threads);

template <class F>
void nnls(const F* a, const F* w, std::int64_t n, std::int64_t d, int k, const int* limits, F* out,
          std::int64_t* report, int threads);

template <class F>
void nonnegative_descent(const F* gram, const F* p, std::int64_t problems, int k, std::int64_t m, int sweeps,
                         F* h, int threads);

template <class F>
void lasso(const F* const* gram, const std::int64_t* starts, std::int64_t problems, const double* alpha,
           const double* tolerance, const double* residual, double* gradient, double* coefficients,
           std::int32_t* passes, int max_passes, int threads);

template <class F>
void gather_columns(const F* x, const std::int64_t* order, std::int64_t n, std::int64_t p,
                    const std::int64_t* columns, std::int64_t count, F* out, int threads);

template <class F>
std::int64_t lasso_small(const F* x, const double* y, const std::int64_t* order, const std::int64_t* starts,
                         std::int64_t models, std::int64_t n, std::int64_t p, std::int64_t t,
                         const double* alpha, int alpha_step, double tolerance, int max_passes, bool check,
                         F* coefficients, double* gaps, std::int32_t* passes);

template <class F>
void center(const F* x, std::int64_t n, std::int64_t d, bool per_column, F* out, F* spread, double* squares,
            int threads);

template <class F>
void linear_hsics(const F* x, std::int64_t d_x, const F* y, std::int64_t d_y, std::int64_t n, bool debiased,
                  double* hsics);

void place_squares(const std::int32_t* counts, const std::int64_t* index, std::int64_t n, std::int64_t k,
                   const core::SceneLaw& law, core::Square* squares, std::int32_t* placed, int threads);

std::int64_t first_misplaced(const core::Square* squares, std::int64_t count, std::int32_t size, int threads);

template <class P>
void draw_squares(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size, P* images,
                  int threads);

void square_covariates(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size,
                       double* out, int threads);

extern const Operations table;

}  // namespace diptych::cpu::DIPTYCH_ISA
