/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_dictionary.c -- dictionaries from their texts, and changes to them. */
#include "query/analysis/analysis_internal.h"
#include "query/analysis/analysis_json.h"

/* Words as they are compared: one entry a word. */
typedef struct entries {
    qn_map places; /* word -> index + 1; 0: deleted */
    qn_qa_entry *p;
    size_t n, capacity;
} entries;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "dictionary");
}

static qn_status read_step(qn_qa_reader *r, const qn_json *root, qn_slice type,
                           qn_qa_step *step)
{
    for (int i = 0; i < QN_QA_STEP_COUNT; i++) {
        if (!qn_slice_eq_str(type, qn_qa_steps[i].type)) continue;
        *step = (qn_qa_step)i;
        return QN_OK;
    }
    static const char *const others[] = {
        "suggest", "suggest_allowlist", "suggest_denylist", "hot",
        "hint",    "segmentation"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (qn_slice_eq_str(type, others[i]))
            return qn_qa__wrong(r, QN_EUNSUPPORTED, root,
                                "dictionaries of type [%s] are not supported",
                                others[i]);
    return qn_qa__wrong(
        r, QN_EINVAL, root,
        "\"type\" is correction, stopword, ner, term_weighting, synonym "
        "or category_prediction, not [%.*s]",
        type.n > 60 ? 60 : (int)type.n, type.p);
}

/* ---- what entries of each type hold ---------------------------------------------------- */

/* [{"token":"x","weight":7}] or [{"tag":"brand","token":"x","order":1}] */
static qn_status read_tokens(qn_qa_reader *r, const qn_json *v, bool weights,
                             qn_qa_entry *e)
{
    if (v->kind != QN_JSON_ARRAY || v->count == 0 || v->count > QN_QA_ITEMS_MAX)
        return qn_qa__wrong(r, QN_EJSON, v, "\"tokens\" takes 1 to %d objects",
                            QN_QA_ITEMS_MAX);
    qn_qa_item *items = qn_arena_array(r->arena, v->count, sizeof *items);
    if (items == NULL) return no_memory(r->err);
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        qn_qa_item *item = &items[e->item_count++];
        const qn_json *weight = NULL;
        *item = (qn_qa_item){.key = QN_SLICE_LIT(""), .tag = QN_SLICE_LIT("")};
        const qn_qa_member known[] = {{"token", QN_QA_TEXT, &item->key, 0, 0},
                                      {"weight", QN_QA_NODE, &weight, 0, 0},
                                      {"tag", QN_QA_TEXT, &item->tag, 0, 0},
                                      {"order", QN_QA_ANY, NULL, 0, 0},
                                      {NULL, QN_QA_ANY, NULL, 0, 0}};
        QN_TRY(qn_qa__members(r, it, known));
        int64_t value = 0;
        if (weight != NULL && weight->kind == QN_JSON_INT) value = weight->integer;
        if (weight != NULL && weight->kind == QN_JSON_STRING)
            (void)qn_slice_to_i64(weight->string, &value);
        item->value = (int32_t)(value < 0 || value > 100 ? 0 : value);
        if (item->key.n == 0)
            return qn_qa__wrong(r, QN_EINVAL, it, "a token without text");
        if (weights && value != 7 && value != 4 && value != 1)
            return qn_qa__wrong(r, QN_EINVAL, it, "\"weight\" is 7, 4 or 1");
        if (!weights && item->tag.n == 0)
            return qn_qa__wrong(r, QN_EINVAL, it, "a token of ner has a \"tag\"");
    }
    e->items = items;
    return QN_OK;
}

/* {"2001":"2","2002":1} */
static qn_status read_relevance(qn_qa_reader *r, const qn_json *v, qn_qa_entry *e)
{
    if (v->kind != QN_JSON_OBJECT || v->count > QN_QA_ITEMS_MAX)
        return qn_qa__wrong(r, QN_EJSON, v,
                            "\"relevance\" takes an object of at most %d categories",
                            QN_QA_ITEMS_MAX);
    qn_qa_item *items = qn_arena_array(r->arena, v->count + 1, sizeof *items);
    if (items == NULL) return no_memory(r->err);
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        int64_t value = -1;
        if (it->kind == QN_JSON_INT) value = it->integer;
        if (it->kind == QN_JSON_STRING) (void)qn_slice_to_i64(it->string, &value);
        if (value < 0 || value > 2)
            return qn_qa__wrong(r, QN_EINVAL, it,
                                "the relevance of a category is 0, 1 "
                                "or 2");
        items[e->item_count++] = (qn_qa_item){it->key, {0}, (int32_t)value};
    }
    e->items = items;
    return QN_OK;
}

static qn_status lacks(qn_qa_reader *r, const qn_json *v, const char *key)
{
    return qn_qa__wrong(r, QN_EINVAL, v, "an entry without \"%s\"", key);
}

typedef struct entry_nodes {
    const qn_json *alias, *not_alias, *relevance, *tokens, *match;
} entry_nodes;

static qn_status finish_entry(qn_qa_reader *r, const qn_json *v, qn_qa_step step,
                              const entry_nodes *nodes, qn_qa_entry *e)
{
    int64_t match = 0;
    switch (step) {
    case QN_QA_SPELL:
        return e->correction.n == 0 && e->on ? lacks(r, v, "correction") : QN_OK;
    case QN_QA_STOP:
        return QN_OK;
    case QN_QA_NER:
        if (nodes->match != NULL && nodes->match->kind == QN_JSON_INT)
            match = nodes->match->integer;
        if (match != 0 && match != 1)
            return qn_qa__wrong(r, QN_EINVAL, v,
                                "\"matchType\" is 0 (whole) or 1 "
                                "(partial)");
        e->partial = match == 1;
        if (nodes->tokens == NULL) return lacks(r, v, "tokens");
        return read_tokens(r, nodes->tokens, false, e);
    case QN_QA_WEIGHT:
        if (nodes->tokens == NULL) return lacks(r, v, "tokens");
        return read_tokens(r, nodes->tokens, true, e);
    case QN_QA_SYNONYM:
        QN_TRY(qn_qa__strings(r, nodes->alias, QN_QA_ITEMS_MAX, &e->aliases,
                              &e->alias_count));
        QN_TRY(qn_qa__strings(r, nodes->not_alias, QN_QA_ITEMS_MAX, &e->not_aliases,
                              &e->not_alias_count));
        return e->alias_count + e->not_alias_count == 0 ? lacks(r, v, "alias") : QN_OK;
    case QN_QA_CATEGORY:
        if (nodes->relevance == NULL) return lacks(r, v, "relevance");
        return read_relevance(r, nodes->relevance, e);
    case QN_QA_STEP_COUNT:
        break;
    }
    return qn_fail(r->err, QN_EINTERNAL, "dictionary of no type");
}

static qn_status read_entry(qn_qa_reader *r, const qn_json *v, qn_qa_step step,
                            qn_qa_entry *e, bool *is_delete)
{
    qn_slice cmd = QN_SLICE_LIT("add"), status = QN_SLICE_LIT("ACTIVE");
    entry_nodes n = {0};
    *e = (qn_qa_entry){.on = true, .raw = v->raw, .correction = QN_SLICE_LIT("")};
    const qn_qa_member known[] = {
        {"cmd", QN_QA_TEXT, &cmd, 0, 0},
        {"word", QN_QA_TEXT, &e->word, 0, 0},
        {"status", QN_QA_TEXT, &status, 0, 0},
        {"stopword", QN_QA_FLAG, &e->on, 0, 0},
        {"alias", QN_QA_NODE, &n.alias, 0, 0},
        {"antiAlias", QN_QA_NODE, &n.not_alias, 0, 0},
        {"correction", QN_QA_TEXT, &e->correction, 0, 0},
        {"enabled", QN_QA_FLAG, &e->on, 0, 0},
        {"relevance", QN_QA_NODE, &n.relevance, 0, 0},
        {"tokens", QN_QA_NODE, &n.tokens, 0, 0},
        {"matchType", QN_QA_NODE, &n.match, 0, 0},
        {"created", QN_QA_ANY, NULL, 0, 0},
        {"updated", QN_QA_ANY, NULL, 0, 0},
        {NULL, QN_QA_ANY, NULL, 0, 0},
    };
    QN_TRY(qn_qa__members(r, v, known));
    *is_delete = qn_slice_eq_nocase(cmd, "delete");
    e->active = qn_slice_eq_nocase(status, "ACTIVE");
    e->word = qn_slice_trim(e->word);
    if (!*is_delete && !qn_slice_eq_nocase(cmd, "add"))
        return qn_qa__wrong(r, QN_EINVAL, v, "\"cmd\" is add or delete, not [%.*s]",
                            cmd.n > 40 ? 40 : (int)cmd.n, cmd.p);
    if (e->word.n == 0) return lacks(r, v, "word");
    if (e->word.n > QN_QA_WORD_BYTES_MAX)
        return qn_qa__wrong(r, QN_ELIMIT, v, "a word of %zu bytes, at most %d",
                            e->word.n, QN_QA_WORD_BYTES_MAX);
    return *is_delete ? QN_OK : finish_entry(r, v, step, &n, e);
}

static qn_status read_entries(qn_qa_reader *r, const qn_json *list, qn_qa_step step,
                              entries *all)
{
    if (list == NULL) return QN_OK;
    if (list->kind != QN_JSON_ARRAY)
        return qn_qa__wrong(r, QN_EJSON, list, "entries are a list of objects");
    if (all->n + list->count > all->capacity) {
        size_t capacity = all->n + list->count;
        qn_qa_entry *p = qn_arena_array(r->arena, capacity, sizeof *p);
        if (p == NULL) return no_memory(r->err);
        if (all->n > 0) memcpy(p, all->p, all->n * sizeof *p);
        all->p = p;
        all->capacity = capacity;
    }
    for (const qn_json *it = list->first; it != NULL; it = it->next) {
        bool is_delete;
        qn_qa_entry e;
        uint64_t place = 0;
        QN_TRY(read_entry(r, it, step, &e, &is_delete));
        (void)qn_map_get(&all->places, e.word, &place);
        if (is_delete) {
            if (place == 0) continue;
            all->p[place - 1].raw = (qn_slice){0}; /* taken out below */
            (void)qn_map_remove(&all->places, e.word);
        } else if (place != 0) {
            all->p[place - 1] = e;
        } else {
            if (all->n == QN_QA_ENTRIES_MAX)
                return qn_qa__wrong(r, QN_ELIMIT, it, "over %d entries",
                                    QN_QA_ENTRIES_MAX);
            all->p[all->n++] = e;
            if (!qn_map_put(&all->places, e.word, all->n)) return no_memory(r->err);
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (all->p[i].raw.p == NULL) continue;
        all->p[kept++] = all->p[i];
        if (!qn_map_put(&all->places, all->p[kept - 1].word, kept))
            return no_memory(r->err);
    }
    all->n = kept;
    return QN_OK;
}

/* ---- the whole ------------------------------------------------------------------------- */

static qn_status read_head(qn_qa_reader *r, const qn_json *root, qn_qa_dictionary *d,
                           const qn_json **list)
{
    qn_slice type = {0}, format = QN_SLICE_LIT("solr");
    bool expand = true;
    d->text = QN_SLICE_LIT("");
    *list = NULL;
    const qn_qa_member known[] = {
        {"name", QN_QA_ANY, NULL, 0, 0},
        {"type", QN_QA_TEXT, &type, 0, 0},
        {"entries", QN_QA_NODE, list, 0, 0},
        {"format", QN_QA_TEXT, &format, 0, 0},
        {"text", QN_QA_TEXT, &d->text, 0, 0},
        {"expand", QN_QA_FLAG, &expand, 0, 0},
        {"lenient", QN_QA_FLAG, &d->format.lenient, 0, 0},
        {"created", QN_QA_ANY, NULL, 0, 0},
        {"updated", QN_QA_ANY, NULL, 0, 0},
        {NULL, QN_QA_ANY, NULL, 0, 0},
    };
    QN_TRY(qn_qa__members(r, root, known));
    QN_TRY(read_step(r, root, type, &d->step));
    d->format.first_only = !expand;
    if (d->text.n > 0 && d->step != QN_QA_SYNONYM && d->step != QN_QA_SPELL)
        return qn_qa__wrong(r, QN_EINVAL, root,
                            "\"text\" is for dictionaries of type synonym (rules) and "
                            "correction (lines `word count`)");
    if (qn_slice_eq_str(format, "wordnet")) {
        d->format.format = QN_SYNONYMS_WORDNET;
    } else if (!qn_slice_eq_str(format, "solr")) {
        return qn_qa__wrong(r, QN_EINVAL, root,
                            "\"format\" is solr or wordnet, not [%.*s]",
                            format.n > 40 ? 40 : (int)format.n, format.p);
    }
    return QN_OK;
}

static qn_status read_all(qn_arena *arena, qn_slice text, qn_slice changes,
                          qn_qa_dictionary *d, const qn_json **root, qn_error *err)
{
    const qn_json *list = NULL, *more = NULL;
    QN_TRY(qn_json_parse(arena, text, root, err));
    qn_qa_reader r = {arena, text, "dictionary", err};
    QN_TRY(read_head(&r, *root, d, &list));
    entries all = {0};
    qn_map_init(&all.places, arena->alloc);
    qn_status st = read_entries(&r, list, d->step, &all);
    if (st == QN_OK && changes.n > 0) {
        r.text = changes;
        st = qn_json_parse(arena, changes, &more, err);
        if (st == QN_OK) st = read_entries(&r, more, d->step, &all);
    }
    qn_map_deinit(&all.places);
    d->entries = all.p;
    d->entry_count = all.n;
    return st;
}

qn_status qn_qa_dictionary_parse(qn_arena *arena, qn_slice text,
                                 const qn_qa_dictionary **out, qn_error *err)
{
    const qn_json *root = NULL;
    *out = NULL;
    text = qn_arena_slice(arena, text);
    qn_qa_dictionary *d = qn_arena_new(arena, sizeof *d);
    if (d == NULL || text.p == NULL) return no_memory(err);
    QN_TRY(read_all(arena, text, (qn_slice){0}, d, &root, err));
    *out = d;
    return QN_OK;
}

qn_status qn_qa_dictionary_change(qn_arena *arena, qn_slice text, qn_slice changes,
                                  qn_buf *out, qn_error *err)
{
    const qn_json *root = NULL;
    qn_qa_dictionary d = {0};
    QN_TRY(read_all(arena, text, changes, &d, &root, err));
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    for (const qn_json *it = root->first; it != NULL; it = it->next) {
        if (qn_slice_eq_str(it->key, "entries")) continue;
        qn_json_key_slice(&w, it->key);
        qn_json_raw(&w, it->raw);
    }
    qn_json_key(&w, "entries");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < d.entry_count; i++) qn_json_raw(&w, d.entries[i].raw);
    qn_json_end_array(&w);
    qn_json_end_object(&w);
    return out->failed ? no_memory(err) : QN_OK;
}
