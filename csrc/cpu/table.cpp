#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

const Operations table = {
    distances<float>,          distances<double>,
    direct_distances<float>,   direct_distances<double>,
    ranks<float>,              ranks<double>,
    ranks_from_products<float>, ranks_from_products<double>,
    biased<std::int32_t, float>, biased<float, float>, biased<double, double>,
    affinity<std::int32_t, float>, affinity<float, float>, affinity<double, double>,
    knn<float>,                knn<double>,
    block_product<float>,      block_product<double>,
    kmeans,
};

}  // namespace diptych::cpu::DIPTYCH_ISA
