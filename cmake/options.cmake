# Every switch of the build, and the flags that all of our code is compiled with.
set(QUERN_SANITIZE "" CACHE STRING "empty, 'address' (with undefined) or 'thread'")
option(QUERN_WERROR "warnings of compilers that we know are errors" OFF)
option(QUERN_TESTS "build the tests" ON)
option(QUERN_COVERAGE "instrument for coverage" OFF)
option(QUERN_FUZZ "libFuzzer targets (clang only)" OFF)
option(QUERN_LLVM "build the module that compiles formulas, when LLVM is installed" ON)
option(QUERN_ONEDNN "check and measure our matrix products against oneDNN when it is installed" ON)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)

find_program(CCACHE ccache)
if(CCACHE)
  # Paths relative to the source, so that two checkouts of it share what is compiled.
  set(launcher env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

add_library(quern_flags INTERFACE)
target_include_directories(quern_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(quern_flags INTERFACE _POSIX_C_SOURCE=200809L)
# -ffp-contract=off: the scalar reference must mean one thing; FMA is used where a
# kernel writes it.
target_compile_options(quern_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wundef
  -Wimplicit-fallthrough -Wdouble-promotion -Wformat=2 -Wwrite-strings
  -ffp-contract=off -fno-strict-aliasing -fno-omit-frame-pointer
  $<$<COMPILE_LANGUAGE:C>:-Wpedantic> $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wvla>)
# Only where the warnings are known: gcc 12 and clang 14, what CI has. Elsewhere they are
# shown.
set(known_gcc "^12\\.")
set(known_clang "^14\\.")
if(QUERN_WERROR AND ((CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION MATCHES "${known_gcc}")
    OR (CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION MATCHES "${known_clang}")))
  target_compile_options(quern_flags INTERFACE -Werror)
endif()
if(QUERN_SANITIZE STREQUAL "address")
  target_compile_options(quern_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all)
  target_link_options(quern_flags INTERFACE -fsanitize=address,undefined)
elseif(QUERN_SANITIZE STREQUAL "thread")
  target_compile_options(quern_flags INTERFACE -fsanitize=thread)
  target_link_options(quern_flags INTERFACE -fsanitize=thread)
  # oneDNN's own threads and JIT code are not instrumented: TSan would see races that
  # are none.
  set(QUERN_ONEDNN OFF)
  set(QUERN_LLVM OFF)
endif()
if(QUERN_COVERAGE)
  target_compile_options(quern_flags INTERFACE --coverage)
  target_link_options(quern_flags INTERFACE --coverage)
endif()
if(QUERN_FUZZ)
  target_compile_options(quern_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
