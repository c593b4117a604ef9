// The CUDA operations. All pointers are device memory, all work goes to the given stream, and nothing
// waits for it. Errors of a launch come back as std::runtime_error.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "../core/scene.hpp"

namespace diptych::cuda {

void check(cudaError_t status, const char* what);

// Bytes of workspace that `ranks` needs for a block of `rows` rows of n values.
template <class F>
std::size_t ranks_workspace(std::int64_t rows, std::int64_t n);

// values (rows, n) of items first_row .. first_row+rows to all n -> ranks (rows, n). The values are
// distances, which stay as they are; or, where norms (n,) are given, inner products, which may be overwritten.
template <class F>
void ranks(F* values, const F* norms, std::int64_t rows, std::int64_t n, std::int64_t first_row,
           std::int32_t* ranks, void* workspace, std::size_t workspace_bytes, cudaStream_t stream);

// affinity (n, n), labels (n,) -> scores (n,), neighbors (n, k); as core/knn_row.hpp defines them.
template <class F>
void knn(const F* affinity, const std::int64_t* labels, std::int64_t n, int k, F* scores,
         std::int64_t* neighbors, cudaStream_t stream);

// Bytes of workspace that `kmeans` needs.
std::size_t kmeans_workspace(int d, int k, int restarts);

// x (n, d), starting centers (restarts, k, d) -> final centers, labels (restarts, n), inertia (restarts,).
void kmeans(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
            double* centers, std::int64_t* labels, double* inertia, void* workspace,
            std::size_t workspace_bytes, cudaStream_t stream);

// a, b (count,) -> G (count,).
template <class T, class F>
void biased(const T* a, const T* b, std::int64_t count, double gamma, double offset, F* out,
            cudaStream_t stream);

// a, b (n, n) -> symmetric affinities of both directions; each output may overwrite its input.
template <class T, class F>
void affinity(const T* a, const T* b, std::int64_t n, bool subtraction, double gamma, double beta,
              double offset, F* out_ab, F* out_ba, cudaStream_t stream);

// Bytes of workspace for lasso problems that have `features` features together and at most `largest` each.
std::int64_t lasso_workspace(std::int64_t features, std::int64_t problems, std::int64_t largest);

// Problems side by side: number i has the features starts[i] .. starts[i + 1] of gradient and coefficients and
// the Gram matrix at the device address gram[i] (see core/lasso_problem.hpp).
template <class F>
void lasso(const std::int64_t* gram, const std::int64_t* starts, std::int64_t problems, std::int64_t features,
           std::int64_t largest, const double* alpha, const double* tolerance, const double* residual,
           double* gradient, double* coefficients, std::int32_t* passes, int max_passes, void* workspace,
           cudaStream_t stream);

// Scenes of counts (n,) squares, none beyond k, made for the numbers index (n,) (core/place_squares.hpp) ->
// squares (n, k) and how many of each scene found a place (n,).
void place_squares(const std::int32_t* counts, const std::int64_t* index, std::int64_t n, std::int64_t k,
                   const core::SceneLaw& law, core::Square* squares, std::int32_t* placed,
                   cudaStream_t stream);

// squares (n, k), k up to core::kMaxSquares -> images (n, size, size), 0 to 1 or 0 to 255.
template <class P>
void draw_squares(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size, P* images,
                  cudaStream_t stream);

// squares (n, k) -> the covariates (n, 3) of core/squares.hpp.
void square_covariates(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size,
                       double* out, cudaStream_t stream);

}  // namespace diptych::cuda
