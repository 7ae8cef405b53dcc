# What is shipped: libquern (static and shared) and the program.
get_property(modules GLOBAL PROPERTY QUERN_MODULES)
get_property(libs GLOBAL PROPERTY QUERN_LIBS)
list(REMOVE_DUPLICATES libs)
set(objects "")
foreach(module ${modules})
  if(NOT module STREQUAL "cli")
    list(APPEND objects $<TARGET_OBJECTS:quern_${module}>)
  endif()
endforeach()

add_library(quern_static STATIC ${objects})
set_target_properties(quern_static PROPERTIES OUTPUT_NAME quern ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
target_link_libraries(quern_static PUBLIC quern_flags ${libs} Threads::Threads m)

add_library(quern_shared SHARED ${objects})
set_target_properties(quern_shared PROPERTIES OUTPUT_NAME quern LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
  VERSION ${PROJECT_VERSION} SOVERSION 0)
target_link_libraries(quern_shared PRIVATE quern_flags ${libs} Threads::Threads m)

if(TARGET quern_cli AND TARGET quern_engine AND TARGET quern_server AND EXISTS ${CMAKE_SOURCE_DIR}/src/query/exec.c)
  add_executable(quern $<TARGET_OBJECTS:quern_cli>)
  set_target_properties(quern PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  target_link_libraries(quern PRIVATE quern_static)
endif()
