/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

#include "base/bits.h"

#include <string.h>

bool qn_vec__grow(qn_alloc *a, void **p, size_t n, size_t *capacity, size_t item)
{
    if (n < *capacity) return true;
    size_t wanted = *capacity < 8 ? 8 : *capacity * 2, bytes = 0;
    if (wanted < *capacity || !qn_mul_size(wanted, item, &bytes)) return false;
    void *old = NULL;
    memcpy(&old, p, sizeof old); /* *p is some other pointer type: no aliasing */
    void *grown = qn_resize(a, old, bytes);
    if (grown == NULL) return false;
    memcpy(p, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}
