/* SPDX-License-Identifier: Apache-2.0 */
#include "test_index.h"

void test_schema_lookup(void **state)
{
    (void)state;
    const qn_field fields[] = {
        {.id = 0, .name = QN_SLICE_LIT("title"), .type = QN_FIELD_TEXT},
        {.id = 5, .name = QN_SLICE_LIT("year"), .type = QN_FIELD_INT32},
    };
    const qn_index_def indexes[] = {{.name = QN_SLICE_LIT("default")}};
    const qn_schema s = {
        .fields = fields, .field_count = 2, .indexes = indexes, .index_count = 1};
    T_OK(qn_schema_field(&s, QN_SLICE_LIT("year")) == &fields[1]);
    T_OK(qn_schema_field(&s, QN_SLICE_LIT("yea")) == NULL);
    T_OK(qn_schema_field_by_id(&s, 0) == &fields[0]);
    T_OK(qn_schema_field_by_id(&s, 5) == &fields[1]);
    T_OK(qn_schema_field_by_id(&s, 1) == NULL);
    T_OK(qn_schema_index(&s, QN_SLICE_LIT("default")) == &indexes[0]);
    T_OK(qn_schema_index(&s, QN_SLICE_LIT("title")) == NULL);
    T_EQ_S(qn_schema_nearest(&s, QN_SLICE_LIT("titel")), "title");
    T_EQ_S(qn_schema_nearest(&s, QN_SLICE_LIT("defualt")), "default");
    T_OK(qn_schema_nearest(&s, QN_SLICE_LIT("overview")) == NULL);
    T_EQ_S(qn_field_type_name(QN_FIELD_DATE), "date");
    T_EQ_S(qn_field_type_name(QN_FIELD_VECTOR), "dense_vector");
}
