#include "../core/lasso_problem.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

using namespace core::DIPTYCH_ISA;

constexpr int kThreads = 128;

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
    solve_problems(const std::int64_t* gram, const std::int64_t* starts, const double* alpha,
                   const double* tolerance, const double* residual, double* gradient, double* coefficients,
                   std::int32_t* passes, int max_passes, double* scratch, std::int32_t* candidates) {
  __shared__ double shared[kThreads];
  const BlockWorker worker{shared};
  const unsigned i = blockIdx.x;
  const std::int64_t start = starts[i];
  LassoProblem<F> problem = {reinterpret_cast<const F*>(gram[i]),
                             starts[i + 1] - start,
                             alpha[i],
                             tolerance[i],
                             residual[i],
                             gradient + start,
                             coefficients + start,
                             scratch + kLassoScratch * start,
                             candidates + start};
  const int done = solve_lasso(problem, passes[i], max_passes, worker);
  __syncthreads();
  if (threadIdx.x == 0) passes[i] = done;
}

}  // namespace

std::int64_t lasso_workspace(std::int64_t features) {
  return features * static_cast<std::int64_t>(kLassoScratch * sizeof(double) + sizeof(std::int32_t));
}

template <class F>
void lasso(const std::int64_t* gram, const std::int64_t* starts, std::int64_t problems, std::int64_t features,
           const double* alpha, const double* tolerance, const double* residual, double* gradient,
           double* coefficients, std::int32_t* passes, int max_passes, void* workspace, cudaStream_t stream) {
  if (problems == 0) return;
  auto* scratch = static_cast<double*>(workspace);
  auto* candidates = reinterpret_cast<std::int32_t*>(scratch + kLassoScratch * features);
  solve_problems<F><<<static_cast<unsigned>(problems), kThreads, 0, stream>>>(
      gram, starts, alpha, tolerance, residual, gradient, coefficients, passes, max_passes, scratch, candidates);
  check(cudaGetLastError(), "lasso");
}

template void lasso<float>(const std::int64_t*, const std::int64_t*, std::int64_t, std::int64_t, const double*,
                           const double*, const double*, double*, double*, std::int32_t*, int, void*,
                           cudaStream_t);
template void lasso<double>(const std::int64_t*, const std::int64_t*, std::int64_t, std::int64_t, const double*,
                            const double*, const double*, double*, double*, std::int32_t*, int, void*,
                            cudaStream_t);

}  // namespace diptych::cuda
