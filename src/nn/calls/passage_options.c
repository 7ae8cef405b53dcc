/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/calls/passage_options.h"

static const char *const join_names[] = {[QN_PASSAGE_BEST] = "max",
                                         [QN_PASSAGE_FIRST] = "first",
                                         [QN_PASSAGE_MEAN] = "mean",
                                         [QN_PASSAGE_SUM] = "sum"};

bool qn_passage_join_parse(qn_slice name, qn_passage_join *out)
{
    for (size_t i = 0; i < sizeof join_names / sizeof *join_names; i++) {
        if (!qn_slice_eq_str(name, join_names[i])) continue;
        *out = (qn_passage_join)i;
        return true;
    }
    return false;
}

const char *qn_passage_join_name(qn_passage_join join)
{
    return join_names[join];
}
