/* SPDX-License-Identifier: Apache-2.0 */
#include "test_engine.h"

#include "../qn_test.h"

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_dynamic_fields_last),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_flush_and_optimize),
        cmocka_unit_test(test_small_segments),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_torn_log),
        cmocka_unit_test(test_folder_is_locked),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_search_dialects),
        cmocka_unit_test(test_search_equal),
        cmocka_unit_test(test_search_refused),
        cmocka_unit_test(test_search_sources),
        cmocka_unit_test(test_search_explain),
        cmocka_unit_test(test_practice_songs),
        cmocka_unit_test(test_practice_titles),
        cmocka_unit_test(test_practice_values),
        cmocka_unit_test(test_rerank_size),
        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_search_totals),
        cmocka_unit_test(test_points_and_keys),
        cmocka_unit_test(test_locations),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_group_of_writers),
        cmocka_unit_test(test_sync_fails),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_graves),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_async),
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_damaged_segments),
        cmocka_unit_test(test_damage_found_by_search),
        cmocka_unit_test(test_damaged_log),
        cmocka_unit_test(test_attributes_in_place),
        cmocka_unit_test(test_attributes_seen),
        cmocka_unit_test(test_attributes_filters),
        cmocka_unit_test(test_attributes_kept),
        cmocka_unit_test(test_attributes_backup),
        cmocka_unit_test(test_backup),
        cmocka_unit_test(test_backup_while_writing),
        cmocka_unit_test(test_backup_damaged),
        cmocka_unit_test(test_backup_faults),
    };
    T_ROW("engine");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
