/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer_json.h -- what the two readers of tokenizer.json share. */
#ifndef QN_TEXT_TOKENIZER_JSON_H
#define QN_TEXT_TOKENIZER_JSON_H

#include "io/json.h"
#include "text/subword.h"

/* QN_EMODEL naming part, key and value. */
qn_status qn_tokenizer__unsupported(const char *part, const char *key,
                                    QN_NULLABLE const qn_json *v, qn_error *err);
/* {NULL, 0} when it is no string. */
qn_slice qn_tokenizer__string(QN_NULLABLE const qn_json *object, const char *key);
bool qn_tokenizer__flag(QN_NULLABLE const qn_json *object, const char *key,
                        bool absent);
/* A copy that lives as long as the tokenizer. */
qn_slice qn_tokenizer__keep(qn_tokenizer *t, qn_slice s);
/* tokenizer_steps.c: "normalizer" and "pre_tokenizer". */
qn_status qn_tokenizer__read_steps(qn_tokenizer *t, const qn_json *file, qn_error *err);

/* detokenize.c: "decoder". One that is not built is no failure: it is told when asked for. */
qn_status qn_tokenizer__read_decoder(qn_tokenizer *t, QN_NULLABLE const qn_json *v,
                                     qn_error *err);

#endif
