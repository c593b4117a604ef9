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
void distances(const F* products, std::int64_t stride, const F* norms_x, const F* norms_y,
               std::int64_t rows, std::int64_t n, bool squared, F* out, int threads);

template <class F>
void direct_distances(const F* x, const F* y, std::int64_t rows, std::int64_t n, std::int64_t d, bool squared,
                      F* out);

template <class F>
void ranks(const F* distances, std::int64_t rows, std::int64_t n, std::int64_t first_row,
           std::int32_t* ranks, int threads);

template <class F>
void ranks_from_products(const F* products, std::int64_t stride, const F* norms, std::int64_t rows,
                         std::int64_t n, std::int64_t first_row, std::int32_t* ranks, int threads);

template <class T, class F>
void biased(const T* a, const T* b, std::int64_t count, double gamma, double offset, F* out, int threads);

template <class T, class F>
void affinity(const T* a, const T* b, std::int64_t n, Difference kind, double gamma, double beta,
              double offset, F* out_ab, F* out_ba, int threads);

template <class F>
void knn(const F* affinity, const std::int64_t* labels, std::int64_t n, int k, F* scores,
         std::int64_t* neighbors, int threads);

template <class F>
void block_product(const F* matrix, const F* x, std::int64_t rows, std::int64_t n, F* out, int threads);

void kmeans(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
            double* centers, std::int64_t* labels, double* inertia, int threads);

extern const Operations table;

}  // namespace diptych::cpu::DIPTYCH_ISA
