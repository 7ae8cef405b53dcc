/* SPDX-License-Identifier: Apache-2.0 */
/* nn/import/pickle.h -- what a pickle says, without doing it.
 *
 * Python's pickle is a program for a small stack machine that may call any function by
 * its name. This reader runs no program: it builds a tree of values, and knows by name
 * the few callables that files of PyTorch weights need, as data:
 *
 *     collections OrderedDict                 an empty dictionary
 *     torch <X>Storage                        the type of a storage
 *     torch._utils _rebuild_tensor_v2         a tensor over a storage
 *     torch._utils _rebuild_parameter         the tensor that it wraps
 *     torch.jit._pickle build_..., restore_type_tag    their first argument
 *     __torch__.*                             a TorchScript object: its attributes
 *
 * Every other name, and every other opcode, is refused by its name; nothing is imported
 * or called.
 *
 * Lifetime   the tree lives in the arena, its strings in the bytes.
 * Threads    plain functions.
 * Errors     QN_EUNSUPPORTED naming the callable or opcode that is not allowed;
 *            QN_EMODEL with the offset for anything malformed; QN_ELIMIT. */
#ifndef QN_NN_PICKLE_H
#define QN_NN_PICKLE_H

#include "base/arena.h"
#include "nn/import/weight.h"

enum {
    QN_PICKLE_BYTES_MAX = 16 * 1024 * 1024,
    QN_PICKLE_VALUES_MAX = 1024 * 1024,
};

typedef enum qn_pickle_kind {
    QN_PICKLE_NONE,
    QN_PICKLE_BOOL,
    QN_PICKLE_INT,
    QN_PICKLE_FLOAT,
    QN_PICKLE_STRING,
    QN_PICKLE_TUPLE,
    QN_PICKLE_LIST,
    QN_PICKLE_DICT,
    QN_PICKLE_NAME,    /* one of the callables above */
    QN_PICKLE_STORAGE, /* string: its key */
    QN_PICKLE_TENSOR,
    QN_PICKLE_OBJECT, /* string: its class; `state` */
} qn_pickle_kind;

typedef struct qn_pickle qn_pickle;

/* One item of a tuple or list, or one entry of a dictionary. */
typedef struct qn_pickle_item {
    const qn_pickle *key; /* of dictionaries */
    const qn_pickle *value;
    struct qn_pickle_item *next;
} qn_pickle_item;

typedef struct qn_pickle_storage {
    qn_slice key; /* where its bytes are: "data/<key>" */
    qn_weight_dtype dtype;
    unsigned item_size;
    uint64_t count;
} qn_pickle_storage;

typedef struct qn_pickle_tensor {
    const qn_pickle_storage *storage;
    uint64_t offset; /* in values */
    uint32_t rank;
    uint64_t shape[QN_WEIGHT_RANK_MAX], stride[QN_WEIGHT_RANK_MAX];
} qn_pickle_tensor;

struct qn_pickle {
    qn_pickle_kind kind;
    int callable; /* of names: private to pickle.c */
    size_t count; /* of tuples, lists, dictionaries */
    qn_pickle_item *first, *last;
    union {
        int64_t integer; /* of booleans too */
        double number;
        qn_slice string; /* of names and objects too: "module.name" */
        const qn_pickle *state;
        const qn_pickle_storage *storage;
        const qn_pickle_tensor *tensor;
    };
    qn_slice class_name; /* of objects */
};

/* `name` stands in messages. Containers may be shared and may even hold themselves:
 * who walks the tree must bound the walk. */
QN_MUST_CHECK qn_status qn_pickle_parse(qn_arena *arena, qn_slice bytes,
                                        const char *name, const qn_pickle **out,
                                        qn_error *err);
const char *qn_pickle_kind_name(qn_pickle_kind kind);

#endif
