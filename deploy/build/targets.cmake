# How the project's targets are made. Folders are globbed: adding a source or a test edits no CMake file.

# mllpgw_library(NAME [LINKS layer...] [EXTERNAL target...])
#   The current folder's *.c (in gateway/: those of gateway/NAME) as the static library mllpgw_NAME. LINKS names layers without their prefix, and only
#   such as exist already: an upward link is an error. A folder without *.c becomes an interface library.
#   tests/check/layers reads these calls too: a folder may include only itself and what its LINKS names.
function(mllpgw_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINKS;EXTERNAL")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "mllpgw_library(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    set(folder ${CMAKE_CURRENT_SOURCE_DIR})
    set(includes ${CMAKE_SOURCE_DIR})
    if(folder STREQUAL ${CMAKE_SOURCE_DIR}/gateway)
        set(folder ${folder}/${name})
        list(APPEND includes ${CMAKE_SOURCE_DIR}/gateway)
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c)
    # A program's main() is not part of its folder's library.
    list(FILTER sources EXCLUDE REGEX "/main\\.c$|/[^/]*_main\\.c$")

    set(target mllpgw_${name})
    if(sources)
        add_library(${target} STATIC ${sources})
        set(scope PUBLIC)
    else()
        add_library(${target} INTERFACE)
        set(scope INTERFACE)
    endif()
    # "config/config.h" and "certs/verify.h" from the root; "base/list.h" from gateway/, and only inside gateway/.
    target_include_directories(${target} ${scope} ${includes})
    foreach(layer IN LISTS arg_LINKS)
        if(NOT TARGET mllpgw_${layer})
            message(FATAL_ERROR "${name} links ${layer}, which is not a layer below it")
        endif()
        target_link_libraries(${target} ${scope} mllpgw_${layer})
    endforeach()
    target_link_libraries(${target} ${scope} ${arg_EXTERNAL})
endfunction()

# mllpgw_program(NAME MAIN DESTINATION SOURCES file... LINKS layer...): an executable, once its MAIN exists.
function(mllpgw_program name main destination)
    cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "SOURCES;LINKS")
    if(NOT EXISTS ${main} OR MLLPGW_FUZZ)
        return()
    endif()
    add_executable(${name} ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    foreach(layer IN LISTS arg_LINKS)
        target_link_libraries(${name} PRIVATE mllpgw_${layer})
    endforeach()
    install(TARGETS ${name} RUNTIME DESTINATION ${destination})
endfunction()

# mllpgw_source_words(SOURCE WORD ret_words): the words after "WORD:" in a comment of SOURCE, as in
# "/* links: hl7 base */". CMake runs again when SOURCE changes.
function(mllpgw_source_words source word ret_words)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    file(STRINGS ${source} lines REGEX "^(/\\*| \\*|//) *${word}:")
    set(words "")
    foreach(line IN LISTS lines)
        string(REGEX REPLACE "^[^:]*:" "" line "${line}")
        string(REPLACE "*/" "" line "${line}")
        string(REGEX MATCHALL "[A-Za-z0-9_]+" found "${line}")
        list(APPEND words ${found})
    endforeach()
    set(${ret_words} "${words}" PARENT_SCOPE)
endfunction()

# mllpgw_link_as_said(TARGET SCOPE SOURCE): links what the "links:" comment of SOURCE names, and wraps the
# functions of its "wrap:" comment (-Wl,--wrap: the test defines __wrap_NAME, the original is __real_NAME).
function(mllpgw_link_as_said target scope source)
    mllpgw_source_words(${source} links layers)
    foreach(layer IN LISTS layers)
        if(NOT TARGET mllpgw_${layer})
            message(FATAL_ERROR "${source}: \"links: ${layer}\": there is no such folder")
        endif()
        target_link_libraries(${target} ${scope} mllpgw_${layer})
    endforeach()
    mllpgw_source_words(${source} wrap functions)
    foreach(function IN LISTS functions)
        target_link_options(${target} ${scope} -Wl,--wrap=${function})
    endforeach()
endfunction()

# mllpgw_test_program(KIND SOURCE): an executable tests/KIND/NAME with what the tests share, linked as it says.
function(mllpgw_test_program kind source ret_target)
    get_filename_component(name ${source} NAME_WE)
    set(target ${kind}_${name})
    add_executable(${target} ${source})
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/${kind})
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/gateway ${CMAKE_SOURCE_DIR}/tests)
    target_compile_definitions(${target} PRIVATE MLLPGW_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
    mllpgw_link_as_said(${target} PRIVATE ${source})
    set(${ret_target} ${target} PARENT_SCOPE)
endfunction()

# mllpgw_unit_test(KIND SOURCE): a cmocka program, in ctest as KIND/NAME (test_list.c: unit/list).
function(mllpgw_unit_test kind source)
    mllpgw_test_program(${kind} ${source} target)
    target_link_libraries(${target} PRIVATE mllpgw_test_support PkgConfig::CMOCKA)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" name ${name})
    add_test(NAME ${kind}/${name} COMMAND ${target})
    set_tests_properties(${kind}/${name} PROPERTIES LABELS ${kind} TIMEOUT 120
        WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()

# mllpgw_fuzz_target(SOURCE): fuzz_NAME.c, a libFuzzer program in the fuzz preset, elsewhere a program that runs
# all files of tests/fuzz/corpus/NAME, in ctest as fuzz/NAME.
function(mllpgw_fuzz_target source)
    mllpgw_test_program(fuzz ${source} target)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" name ${name})
    if(MLLPGW_FUZZ)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/support/fuzz_main.c)
    endif()
    add_test(NAME fuzz/${name} COMMAND ${target} ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()
