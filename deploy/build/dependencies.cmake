# Finds the libraries and makes one imported target for each: mllpgw::mbedtls, mllpgw::mbedcrypto, PkgConfig::…
set(MLLPGW_MBEDTLS_PREFIX "${CMAKE_SOURCE_DIR}/build/deps/mbedtls" CACHE PATH
    "Where deploy/install-dependencies put mbedTLS")

find_package(Threads REQUIRED)
find_program(PKG_CONFIG_EXECUTABLE NAMES pkg-config pkgconf)
if(NOT PKG_CONFIG_EXECUTABLE)
    message(FATAL_ERROR "pkg-config is missing: run `deploy/install-dependencies`")
endif()
find_package(PkgConfig REQUIRED)

# mllpgw_package(TARGET SPEC): pkg-config's SPEC ("libuv", "libcurl>=8.14") as PkgConfig::TARGET.
macro(mllpgw_package target spec)
    pkg_check_modules(${target} QUIET IMPORTED_TARGET GLOBAL "${spec}")
    if(NOT ${target}_FOUND)
        message(FATAL_ERROR "${spec} is missing: run `deploy/install-dependencies` (as root)")
    endif()
endmacro()
mllpgw_package(UV "libuv")
mllpgw_package(JANSSON "jansson")
mllpgw_package(LIBCONFIG "libconfig")
mllpgw_package(SQLITE "sqlite3")
mllpgw_package(MICROHTTPD "libmicrohttpd")
mllpgw_package(CURL "libcurl>=8.14")

# mbedTLS: static, and compiled against with the configuration it was built with.
set(mbedtls_include ${MLLPGW_MBEDTLS_PREFIX}/include)
foreach(part mbedtls mbedx509 mbedcrypto everest p256m)
    if(NOT EXISTS ${MLLPGW_MBEDTLS_PREFIX}/lib/lib${part}.a)
        message(FATAL_ERROR "mbedTLS is not in ${MLLPGW_MBEDTLS_PREFIX} (no lib${part}.a): "
            "run `deploy/install-dependencies`")
    endif()
    add_library(mllpgw_dep_${part} STATIC IMPORTED GLOBAL)
    set_target_properties(mllpgw_dep_${part} PROPERTIES
        IMPORTED_LOCATION ${MLLPGW_MBEDTLS_PREFIX}/lib/lib${part}.a
        INTERFACE_INCLUDE_DIRECTORIES ${mbedtls_include}
        INTERFACE_COMPILE_DEFINITIONS "MBEDTLS_USER_CONFIG_FILE=\"mbedtls_user_config.h\"")
endforeach()
target_link_libraries(mllpgw_dep_mbedcrypto INTERFACE mllpgw_dep_everest mllpgw_dep_p256m Threads::Threads)
target_link_libraries(mllpgw_dep_mbedx509 INTERFACE mllpgw_dep_mbedcrypto)
target_link_libraries(mllpgw_dep_mbedtls INTERFACE mllpgw_dep_mbedx509)
add_library(mllpgw::mbedcrypto ALIAS mllpgw_dep_mbedcrypto)
add_library(mllpgw::mbedx509 ALIAS mllpgw_dep_mbedx509)
add_library(mllpgw::mbedtls ALIAS mllpgw_dep_mbedtls)

file(STRINGS ${mbedtls_include}/mbedtls/build_info.h version_line REGEX "MBEDTLS_VERSION_STRING ")
string(REGEX REPLACE ".*\"([0-9.]+)\".*" "\\1" MLLPGW_MBEDTLS_VERSION "${version_line}")
if(MLLPGW_MBEDTLS_VERSION VERSION_LESS 3.6.6 OR MLLPGW_MBEDTLS_VERSION VERSION_GREATER_EQUAL 3.7)
    message(FATAL_ERROR "mbedTLS ${MLLPGW_MBEDTLS_VERSION}: 3.6.6 or a newer 3.6 is needed")
elseif(MLLPGW_MBEDTLS_VERSION VERSION_LESS 3.6.7)
    message(WARNING "mbedTLS ${MLLPGW_MBEDTLS_VERSION} has known vulnerabilities that 3.6.7 fixes: "
        "remove build/deps and run `deploy/install-dependencies` again")
endif()
# The clone's own prefix goes stale when the configuration is edited; the script knows, CMake only compares.
if(MLLPGW_MBEDTLS_PREFIX STREQUAL "${CMAKE_SOURCE_DIR}/build/deps/mbedtls")
    file(SHA256 ${CMAKE_SOURCE_DIR}/deploy/build/mbedtls_user_config.h wanted)
    file(SHA256 ${mbedtls_include}/mbedtls_user_config.h built)
    if(NOT wanted STREQUAL built)
        message(FATAL_ERROR "deploy/build/mbedtls_user_config.h has changed since mbedTLS was built: "
            "run `deploy/install-dependencies`")
    endif()
endif()

# A plain build must not need the tests' packages: deploy/quickstart installs only what the daemon wants.
if(MLLPGW_TESTS AND NOT MLLPGW_FUZZ)
    pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET GLOBAL "cmocka")
    if(NOT CMOCKA_FOUND AND MLLPGW_SANITIZE)
        message(FATAL_ERROR "cmocka is missing: run `deploy/install-dependencies --for test` (as root)")
    elseif(NOT CMOCKA_FOUND)
        message(STATUS "cmocka is missing (deploy/install-dependencies --for test): tests are left out")
        set(MLLPGW_TESTS OFF)
    endif()
endif()
