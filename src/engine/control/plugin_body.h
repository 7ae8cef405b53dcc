/* SPDX-License-Identifier: Apache-2.0 */
/* engine/control/plugin_body.h -- what people upload as a plug-in: a source, or JSON with files.
 *
 * Lifetime   slices in the arena, or of the text.
 * Errors     QN_EINVAL and QN_EJSON with the place; QN_ELIMIT. */
#ifndef QN_ENGINE_PLUGIN_BODY_H
#define QN_ENGINE_PLUGIN_BODY_H

#include "base/arena.h"
#include "expr/cava/cava.h"

typedef struct qn_plugin_body {
    qn_cava_file files[QN_CAVA_FILES_MAX];
    size_t file_count;
    qn_slice description;
} qn_plugin_body;

/* `name` names the file of a body that is a source. */
QN_MUST_CHECK qn_status qn_plugin_body_read(qn_slice text, qn_slice name,
                                            qn_arena *arena, qn_plugin_body *out,
                                            qn_error *err);

#endif
