/* SPDX-License-Identifier: Apache-2.0 */
/* num/matmul.h -- the small products of attention, cut into the tiles of a kernel set.
 * Private to num/: callers go through qn_kernels.matmul_nt and .matmul_nn. */
#ifndef QN_NUM_MATMUL_H
#define QN_NUM_MATMUL_H

#include "num/tiles.h"

void qn_num__matmul_nt(const qn_tiles *tiles, size_t M, size_t N, size_t K, float alpha,
                       const float *A, size_t lda, const float *B, size_t ldb, float *C,
                       size_t ldc);
void qn_num__matmul_nn(const qn_tiles *tiles, size_t M, size_t N, size_t K,
                       const float *A, size_t lda, const float *B, size_t ldb, float *C,
                       size_t ldc);

#endif
