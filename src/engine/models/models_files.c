/* SPDX-License-Identifier: Apache-2.0 */
/* models_files.c -- names, files and folders of models. */
#include "engine/models/models_internal.h"

#include "io/file.h"

/* Also keeps names from leaving their folder. */
static qn_status check_name(const char *name, qn_error *err)
{
    qn_slice s = qn_slice_of(name);
    bool bad = s.n == 0 || s.n > 128 || s.p[0] == '-';
    for (size_t i = 0; i < s.n; i++)
        bad = bad || (unsigned char)s.p[i] <= ' ' || s.p[i] == '/' || s.p[i] == '\\' ||
              s.p[i] == 0x7F;
    if (!bad && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) return QN_OK;
    return qn_fail(err, QN_EBADNAME,
                   "a model's name has 1 to 128 bytes, no blanks and no slashes");
}

qn_status qn_models_new_path(qn_models *m, const char *name, qn_buf *path,
                             qn_error *err)
{
    qn_buf_reset(path);
    QN_TRY(check_name(name, err));
    QN_TRY(qn_dir_create(m->dirs[0], err));
    qn_buf_printf(path, "%s/%s.qnm", m->dirs[0], name);
    return path->failed ? qn_fail(err, QN_ENOMEM, "model") : QN_OK;
}

qn_status qn_models_path(qn_models *m, const char *name, qn_buf *path, qn_error *err)
{
    for (size_t i = 0; i < 2; i++) {
        qn_buf_reset(path);
        if (m->dirs[i] == NULL || check_name(name, NULL) != QN_OK) continue;
        qn_buf_printf(path, "%s/%s.qnm", m->dirs[i], name);
        if (path->failed) return qn_fail(err, QN_ENOMEM, "model");
        if (qn_file_exists(path->p)) return QN_OK;
    }
    qn_buf_reset(path);
    return QN_OK;
}

typedef struct names {
    qn_alloc *alloc;
    QN_VEC(char *) list;
    const char *dir;
    bool failed;
} names;

static bool see_file(void *ctx, const char *name, bool is_dir)
{
    names *n = ctx;
    qn_slice s = qn_slice_of(name);
    if (is_dir || s.n <= 4 || !qn_slice_ends_with(s, ".qnm")) return true;
    for (size_t i = 0; i < n->list.n; i++)
        if (strlen(n->list.p[i]) == s.n - 4 && memcmp(n->list.p[i], s.p, s.n - 4) == 0)
            return true;
    char *copy = qn_strndup(n->alloc, s.p, s.n - 4);
    if (copy == NULL || !qn_vec_push(n->alloc, &n->list, copy)) {
        qn_delete(n->alloc, copy);
        n->failed = true;
    }
    return !n->failed;
}

static void sort_names(names *n)
{
    for (size_t i = 1; i < n->list.n; i++) {
        char *one = n->list.p[i];
        size_t k = i;
        for (; k > 0 && strcmp(n->list.p[k - 1], one) > 0; k--)
            n->list.p[k] = n->list.p[k - 1];
        n->list.p[k] = one;
    }
}

qn_status qn_models_list(qn_models *m,
                         bool (*each)(void *ctx, const char *name, const char *path),
                         void *ctx, qn_error *err)
{
    names n = {.alloc = m->alloc};
    qn_status st = QN_OK;
    qn_buf path;
    qn_buf_init(&path, m->alloc);
    for (size_t i = 0; i < 2 && st == QN_OK; i++) {
        qn_error ignored;
        if (m->dirs[i] == NULL) continue;
        st = qn_dir_list(m->dirs[i], see_file, &n, &ignored);
        if (st == QN_ENOTFOUND) st = QN_OK;
        if (st != QN_OK && err != NULL) *err = ignored;
    }
    if (n.failed) st = qn_fail(err, QN_ENOMEM, "models");
    sort_names(&n);
    for (size_t i = 0; i < n.list.n && st == QN_OK; i++) {
        st = qn_models_path(m, n.list.p[i], &path, err);
        if (st != QN_OK || path.n == 0) continue;
        if (!each(ctx, n.list.p[i], path.p)) break;
    }
    for (size_t i = 0; i < n.list.n; i++) qn_delete(m->alloc, n.list.p[i]);
    qn_vec_deinit(m->alloc, &n.list);
    qn_buf_deinit(&path);
    return st;
}

static bool add_known(void *ctx, const char *name, const char *path)
{
    qn_buf *known = ctx;
    (void)path;
    qn_buf_printf(known, "%s%s", known->n == 0 ? "" : ", ", name);
    return known->n < 256;
}

qn_status qn_models__unknown(qn_models *m, const char *name, qn_error *err)
{
    qn_buf known;
    qn_buf_init(&known, m->alloc);
    if (qn_models_list(m, add_known, &known, NULL) != QN_OK) qn_buf_reset(&known);
    qn_status st = qn_fail(err, QN_ENOMODEL, "there is no model [%.128s]; %s%s", name,
                           known.n == 0 ? "no models are installed" : "there are: ",
                           known.n == 0 ? "" : known.p);
    qn_buf_deinit(&known);
    return st;
}
