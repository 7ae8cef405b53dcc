/* SPDX-License-Identifier: Apache-2.0 */
/* engine/control/rank_policies.h -- named rank policies of tables, as searches use them.
 *
 *     formula written in the request  >  policy that it names  >  policy "default", when the
 *     table has one  >  the built-in rough sort static_bm25()*10, and no fine sort
 *
 * The name "default" asks for the last two: it is known without being stored.
 *
 * Lifetime   texts live in the arena given.
 * Errors     QN_ENOTFOUND for a name that is not there; QN_EINVAL for a name beside a
 *            formula; those of engine/control/control.h. */
#ifndef QN_ENGINE_RANK_POLICIES_H
#define QN_ENGINE_RANK_POLICIES_H

#include "engine/control/control.h"
#include "quern/quern.h"
#include "rank/pipeline.h"

/* The active version of a policy, its formula; *version is it, 0 for a "default" that is not
 * stored, whose formula is "". */
QN_MUST_CHECK qn_status qn_rank_policies_formula(qn_control *c, const char *table,
                                                 qn_stage_kind stage, qn_slice name,
                                                 qn_arena *arena, qn_slice *formula,
                                                 uint32_t *version, qn_error *err);
/* The formula of the policy that is to be tested. */
QN_MUST_CHECK qn_status qn_rank_policies_read(qn_control *c, const char *table,
                                              const quern_policy_test_options *options,
                                              qn_arena *arena, qn_slice *formula,
                                              qn_error *err);
/* Puts formulas in the place of the names that an HA3 request gives, and of those that it
 * does not give. What is wrong with a default that nobody named is a warning. */
QN_MUST_CHECK qn_status qn_rank_policies_resolve(qn_control *c, const char *table,
                                                 qn_arena *arena, qn_request *request,
                                                 QN_NULLABLE qn_error *warning,
                                                 qn_error *err);
/* Formulas in the place of the policies that a pipeline's stages name. */
QN_MUST_CHECK qn_status qn_rank_policies_stages(qn_control *c, const char *table,
                                                qn_arena *arena, qn_stage *stages,
                                                size_t n, qn_error *err);

#endif
