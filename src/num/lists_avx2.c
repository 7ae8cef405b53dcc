/* SPDX-License-Identifier: Apache-2.0 */
/* lists_avx2.c -- compiled with -mavx2 -mfma; reached only through kernels.c. */
#include "num/lists_plain.h"

const qn_lists qn_num__lists_avx2 = {unpack,  set_bits,   elias_fano,
                                     add_one, pick_bytes, bm25,
                                     meet,    take_above, take_positive};
