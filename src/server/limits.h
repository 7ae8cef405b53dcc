/* SPDX-License-Identifier: Apache-2.0 */
/* server/limits.h -- limits.def as constants. */
#ifndef QN_SERVER_LIMITS_H
#define QN_SERVER_LIMITS_H

enum {
#define ROW(name, value, unit, meaning) QN_LIMIT_##name = value,
#include "server/limits.def"
#undef ROW
};

#endif
