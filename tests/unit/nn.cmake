qn_test(test_scheduler SOURCES test_scheduler.c)
qn_test(test_nn_speed SOURCES test_nn_speed.c)
qn_test(test_nn SOURCES test_nn.c test_nn_safetensors.c test_nn_torch.c test_nn_tails.c test_nn_import.c test_nn_encoder.c
  test_nn_tasks.c test_nn_families.c test_nn_packed.c)
qn_test(test_token_cache SOURCES test_token_cache.c)
qn_test(test_nn_eval SOURCES test_nn_eval.c LABELS eval)
qn_test(test_nn_shipped SOURCES test_nn_shipped.c)
add_executable(nn_dump ../oracle/nn_dump.c)
target_link_libraries(nn_dump PRIVATE quern_static)
