/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a safetensors file: an error that names something, or tensors that fill
 * the data without hole or overlap and can be read. */
#include "nn/import/safetensors.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Values of every float tensor are finite, or one is refused. */
static void read_values(const qn_weight *t)
{
    enum { VALUES_MAX = 65536 };
    static float values[VALUES_MAX];
    if (t->count > VALUES_MAX) return;
    qn_error err = {0};
    qn_status st = qn_weight_to_f32(t, "fuzz", values, &err);
    qn_assert(st == QN_OK || st == QN_EMODEL);
    for (size_t i = 0; st == QN_OK && i < t->count; i++) qn_assert(isfinite(values[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    qn_safetensors *s = NULL;
    qn_error err = {0};
    qn_slice file = {(const char *)bytes, n};
    qn_status st = qn_safetensors_open_memory(qn_alloc_heap(), file, "fuzz", &s, &err);
    if (st != QN_OK) {
        qn_assert(st == QN_EMODEL || st == QN_ENOMEM);
        qn_assert(err.text[0] != '\0');
        return 0;
    }
    size_t total = 0;
    for (size_t i = 0; i < qn_safetensors_count(s); i++) {
        const qn_weight *t = qn_safetensors_at(s, i);
        qn_assert(t->data >= bytes + 8 && t->data + t->size <= bytes + n);
        total += t->size;
        read_values(t);
    }
    qn_assert(total <= n);
    qn_safetensors_close(s);
    return 0;
}
