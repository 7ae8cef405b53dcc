/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine.h -- the tests of the engine, one program. */
#ifndef QN_TEST_ENGINE_H
#define QN_TEST_ENGINE_H

void test_write_and_read(void **state);
void test_operations(void **state);
void test_ids(void **state);
void test_dynamic_fields_last(void **state);
void test_recovery(void **state);
void test_flush_and_optimize(void **state);
void test_small_segments(void **state);
void test_damage(void **state);
void test_torn_log(void **state);
void test_folder_is_locked(void **state);
void test_drop(void **state);
void test_search_dialects(void **state);
void test_search_equal(void **state);
void test_search_refused(void **state);
void test_search_sources(void **state);
void test_search_explain(void **state);
void test_practice_songs(void **state);
void test_practice_titles(void **state);
void test_practice_values(void **state);
void test_rerank_size(void **state);
void test_eval(void **state);
void test_search_totals(void **state);
void test_points_and_keys(void **state);
void test_locations(void **state);
void test_threads(void **state);
void test_group_of_writers(void **state);
void test_sync_fails(void **state);
void test_outcomes(void **state);
void test_graves(void **state);
void test_policies(void **state);
void test_async(void **state);
void test_admission(void **state);
void test_full_disk(void **state);
void test_damaged_segments(void **state);
void test_damage_found_by_search(void **state);
void test_damaged_log(void **state);
void test_attributes_in_place(void **state);
void test_attributes_seen(void **state);
void test_attributes_kept(void **state);
void test_attributes_filters(void **state);
void test_attributes_backup(void **state);
void test_backup(void **state);
void test_backup_while_writing(void **state);
void test_backup_damaged(void **state);
void test_backup_faults(void **state);

#endif
