#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

const Operations table = {
    shift_to_center<float>,    shift_to_center<double>,
    duplicates<float>,         duplicates<double>,
    peak<float>,               peak<double>,
    unit_rows<float, float>,   unit_rows<float, double>, unit_rows<double, double>,
    first_zero_row<float>,     first_zero_row<double>,
    direct_distances<float>,   direct_distances<double>,
    distances<float>,          distances<double>,
    ranks<float>,              ranks<double>,
    ranks_from_products<float>, ranks_from_products<double>,
    biased<std::int32_t, float>, biased<float, float>, biased<double, double>,
    affinity<std::int32_t, float>, affinity<float, float>, affinity<double, double>,
    pack_difference<std::int32_t>, pack_difference<float>,
    fold_packed,               packed_product,            packed_rows,
    fold_shard,                shard_product,             decode_shard,
    sample_pairs<std::int32_t>, sample_pairs<float>,
    sampled_product,           sampled_entries,           sampled_knn,
    knn<float>,                knn<double>,
    block_product<float>,      block_product<double>,
    symmetric_range<float>,    symmetric_range<double>,
    kmeans_seeds,
    kmeans,
    nearest_scan<float>,       nearest_scan<double>,
    nearest_finish<float, float>, nearest_finish<double, float>, nearest_finish<double, double>,
    nearest_direct<float, float>, nearest_direct<double, float>, nearest_direct<double, double>,
    common_ranks,              common_indices,
    correlation<float>,        correlation<double>,
    average_ranks<float>,      average_ranks<double>,
    nnls<float>,               nnls<double>,
    nonnegative_descent<float>, nonnegative_descent<double>,
    lasso<float>,              lasso<double>,
    gather_columns<float>,     gather_columns<double>,
    lasso_small<float>,        lasso_small<double>,
    center<float>,             center<double>,
    linear_hsics<float>,       linear_hsics<double>,
};

}  // namespace diptych::cpu::DIPTYCH_ISA
