/* SPDX-License-Identifier: Apache-2.0 */
#include "vec/vindex.h"

#include "vec/flat.h"

/* Every kind there is; a new one is a new file and a row here. */
static const qn_vindex_kind *const kinds[] = {&qn_flat_kind};

qn_status qn_vindex_open(qn_alloc *a, const qn_blockfile *file, uint32_t field,
                         qn_vindex **out, qn_error *err)
{
    *out = NULL;
    qn_slice block;
    QN_TRY(qn_blockfile_block(file, QN_BLOCK_VINDEX, field, &block, err));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (block.n > 0 && (uint8_t)block.p[0] == kinds[i]->code)
            return kinds[i]->open(a, file, field, block, out, err);
    return qn_fail_file(err, QN_ECORRUPT, qn_blockfile_name(file), QN_AT_NONE,
                        "unknown kind of vector index of field %u", field);
}

void qn_vindex_close(qn_vindex *v)
{
    if (v != NULL) v->kind->close(v);
}

void qn_vindex_info_get(const qn_vindex *v, qn_vindex_info *out)
{
    v->kind->info(v, out);
}

bool qn_vindex_has(const qn_vindex *v, uint32_t doc)
{
    return v->kind->has(v, doc);
}

qn_status qn_vindex_search(const qn_vindex *v, const qn_vindex_query *q,
                           qn_vec_hit *hits, size_t *n, qn_error *err)
{
    return v->kind->search(v, q, hits, n, err);
}

qn_status qn_vindex_values(const qn_vindex *v, const qn_vindex_query *q,
                           const uint32_t *docs, size_t n, float *out, qn_error *err)
{
    return v->kind->values(v, q, docs, n, out, err);
}

bool qn_vindex_vector(const qn_vindex *v, uint32_t doc, float *out)
{
    return v->kind->vector(v, doc, out);
}
