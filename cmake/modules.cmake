# qn_module(name SOURCES a.c b.c DEPENDS base io LIBS PkgConfig::X)
#   one folder of src/ as an object library named quern_<name>
# qn_test(name SOURCES test_x.c [LABELS quick] [ARGS ...] [DEPENDS module...])
#   one test program, linked against the whole static library and cmocka
set_property(GLOBAL PROPERTY QUERN_MODULES "")

function(qn_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPENDS;LIBS" ${ARGN})
  add_library(quern_${name} OBJECT ${M_SOURCES})
  target_link_libraries(quern_${name} PUBLIC quern_flags ${M_LIBS})
  set_property(GLOBAL APPEND PROPERTY QUERN_MODULES ${name})
  set_property(GLOBAL APPEND PROPERTY QUERN_LIBS ${M_LIBS})
endfunction()

function(qn_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LABELS;ARGS;LIBS" ${ARGN})
  if(NOT T_LABELS)
    set(T_LABELS quick)
  endif()
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE quern_static PkgConfig::CMOCKA ${T_LIBS})
  target_compile_definitions(${name} PRIVATE
    QN_SOURCE_DIR="${CMAKE_SOURCE_DIR}" QN_BUILD_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name} ${T_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS "${T_LABELS}" SKIP_RETURN_CODE 77 TIMEOUT 300)
endfunction()
