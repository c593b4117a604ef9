#include <algorithm>

#include "../core/lasso_descent.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

using namespace core::DIPTYCH_ISA;

constexpr int kThreads = 128;

// Nonzero coefficients up to which Newton steps are made, 1 MiB for each block; and doubles for all blocks.
constexpr std::int64_t kMostUsed = 256, kSupportNumbers = std::int64_t{1} << 25;

// The pieces of the workspace, in doubles, and the blocks it serves.
struct Layout {
  std::int64_t each, blocks, support, candidates, total;
  int most;

  Layout(std::int64_t features, std::int64_t problems, std::int64_t largest) {
    most = static_cast<int>(std::min(largest, kMostUsed));
    each = lasso_support_numbers(most);
    blocks = std::min(problems, kSupportNumbers / each);
    support = kLassoScratch * features;
    candidates = support + blocks * each;
    total = candidates + (features + 1) / 2;
  }
};

// The threads of a block share the vectors of one problem. Every sum is taken in one fixed order.
struct BlockWorker {
  double* shared;  // kThreads numbers

  __device__ static int rank() { return static_cast<int>(threadIdx.x); }
  __device__ static constexpr int size() { return kThreads; }
  __device__ static void wait() { __syncthreads(); }

  template <class Combine>
  __device__ double reduce(double value, const Combine& combine) const {
    __syncthreads();
    shared[threadIdx.x] = value;
    for (int half = kThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (static_cast<int>(threadIdx.x) < half)
        shared[threadIdx.x] = combine(shared[threadIdx.x], shared[threadIdx.x + half]);
    }
    __syncthreads();
    return shared[0];
  }

  __device__ double sum(double value) const {
    return reduce(value, [](double a, double b) { return a + b; });
  }
  __device__ double largest(double value) const {
    return reduce(value, [](double a, double b) { return a > b ? a : b; });
  }
  // What the first thread finds, told to all.
  template <class Task>
  __device__ int of_first(const Task& task) const {
    __syncthreads();
    if (threadIdx.x == 0) shared[0] = task();
    __syncthreads();
    return static_cast<int>(shared[0]);
  }
};

template <class F>
__global__ void __launch_bounds__(kThreads)
    solve_problems(const std::int64_t* gram, const std::int64_t* starts, std::int64_t problems,
                   const double* alpha, const double* tolerance, const double* residual, double* gradient,
                   double* coefficients, std::int32_t* passes, int max_passes, Layout layout, double* workspace) {
  __shared__ double shared[kThreads];
  const BlockWorker worker{shared};
  auto* candidates = reinterpret_cast<std::int32_t*>(workspace + layout.candidates);
  for (std::int64_t i = blockIdx.x; i < problems; i += gridDim.x) {
    const std::int64_t start = starts[i];
    LassoProblem<F> problem = {reinterpret_cast<const F*>(gram[i]),
                               starts[i + 1] - start,
                               alpha[i],
                               tolerance[i],
                               residual[i],
                               gradient + start,
                               coefficients + start,
                               workspace + kLassoScratch * start,
                               candidates + start,
                               workspace + layout.support + blockIdx.x * layout.each,
                               layout.most};
    const int done = solve_lasso(problem, passes[i], max_passes, worker);
    __syncthreads();
    if (threadIdx.x == 0) passes[i] = done;
  }
}

}  // namespace

std::int64_t lasso_workspace(std::int64_t features, std::int64_t problems, std::int64_t largest) {
  return static_cast<std::int64_t>(sizeof(double)) * Layout(features, problems, largest).total;
}

template <class F>
void lasso(const std::int64_t* gram, const std::int64_t* starts, std::int64_t problems, std::int64_t features,
           std::int64_t largest, const double* alpha, const double* tolerance, const double* residual,
           double* gradient, double* coefficients, std::int32_t* passes, int max_passes, void* workspace,
           cudaStream_t stream) {
  if (problems == 0) return;
  const Layout layout(features, problems, largest);
  solve_problems<F><<<static_cast<unsigned>(layout.blocks), kThreads, 0, stream>>>(
      gram, starts, problems, alpha, tolerance, residual, gradient, coefficients, passes, max_passes, layout,
      static_cast<double*>(workspace));
  check(cudaGetLastError(), "lasso");
}

template void lasso<float>(const std::int64_t*, const std::int64_t*, std::int64_t, std::int64_t, std::int64_t,
                           const double*, const double*, const double*, double*, double*, std::int32_t*, int,
                           void*, cudaStream_t);
template void lasso<double>(const std::int64_t*, const std::int64_t*, std::int64_t, std::int64_t, std::int64_t,
                            const double*, const double*, const double*, double*, double*, std::int32_t*, int,
                            void*, cudaStream_t);

}  // namespace diptych::cuda
