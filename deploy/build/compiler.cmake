# How every file of the project is compiled: C11 with GNU extensions, strict warnings, hardening or sanitizers.
include(CheckCCompilerFlag)
include(CheckPIESupported)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
check_pie_supported(LANGUAGES C)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
# assert() stays in release builds: it guards against our own bugs only.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

# mllpgw_flags(FLAG...): adds each flag that the compiler knows.
function(mllpgw_flags)
    foreach(flag IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "MLLPGW_HAVE${flag}" known)
        check_c_compiler_flag("-Werror ${flag}" ${known})
        if(${known})
            add_compile_options(${flag})
        endif()
    endforeach()
endfunction()

add_compile_definitions(_GNU_SOURCE MLLPGW_VERSION="${PROJECT_VERSION}")
add_compile_options(
    -Wall -Wextra -Wconversion -Wshadow -Werror
    -Wdouble-promotion -Wformat=2 -Wmissing-prototypes -Wnested-externs -Wold-style-definition
    -Wpointer-arith -Wstrict-prototypes -Wundef -Wvla -Wwrite-strings
    -ffunction-sections -fdata-sections -fno-common)
mllpgw_flags(-Wduplicated-cond -Wlogical-op -Wjump-misses-init)
add_link_options(-Wl,--gc-sections -Wl,--as-needed)

if(MLLPGW_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "MLLPGW_FUZZ needs clang: use `cmake --preset fuzz`")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(MLLPGW_SANITIZE)
    add_compile_options(-fsanitize=${MLLPGW_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${MLLPGW_SANITIZE})
    if(MLLPGW_SANITIZE STREQUAL "thread")
        # atomic_thread_fence is not modelled by TSan; gcc says so for every use in a header.
        mllpgw_flags(-Wno-tsan)
    endif()
else()
    if(CMAKE_C_COMPILER_ID MATCHES Clang AND CMAKE_C_COMPILER_VERSION VERSION_LESS 15)
        set(fortify 2)
    else()
        set(fortify 3)
    endif()
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${fortify} -fstack-protector-strong)
    mllpgw_flags(-fstack-clash-protection -fcf-protection -ftrivial-auto-var-init=zero)
    add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
