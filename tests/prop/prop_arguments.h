/* SPDX-License-Identifier: Apache-2.0 */
/* prop_arguments.h -- the arguments of a program here: [SEED [ROUNDS]]. */
#ifndef QN_PROP_ARGUMENTS_H
#define QN_PROP_ARGUMENTS_H

#include "base/log.h"

#include "../qn_test.h"

#include <stdlib.h>

/* Says which seed it is; only errors are logged from here on. */
static inline void prop_arguments(int argc, char **argv, uint64_t *seed, long *rounds)
{
    if (argc > 1) *seed = strtoull(argv[1], NULL, 10);
    if (argc > 2) *rounds = strtol(argv[2], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)*seed);
    qn_log_set_level(QN_LOG_ERROR);
}

#endif
