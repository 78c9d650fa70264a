# Language level, warnings and hardening, in one place for every target of ours.
# Generated protobuf code is compiled with the same flags less the warnings it cannot pass.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
# Every object of ours goes into a program, none into a shared library: PIE, whose calls and variables need no
# detour by the tables that PIC has for symbols that somebody else might bring.
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
add_compile_options(-fPIE)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Same bytes from any build directory: paths in debug info and __FILE__ are relative to the source.
add_compile_options("-ffile-prefix-map=${CMAKE_SOURCE_DIR}=." "-ffile-prefix-map=${CMAKE_BINARY_DIR}=build")

set(REAPER_WARNINGS
	-Wall -Wextra -Wconversion -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes
	-Wmissing-prototypes -Wswitch-enum -Wundef -Wpointer-arith -Wwrite-strings
	-Wimplicit-fallthrough -Wno-missing-field-initializers)
if(REAPER_WERROR)
	list(APPEND REAPER_WARNINGS -Werror)
endif()

add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64 REAPER_VERSION="${PROJECT_VERSION}")

set(REAPER_HARDENING -fstack-protector-strong -fstack-clash-protection -fno-strict-overflow)
if(NOT REAPER_STATIC)
	list(APPEND REAPER_HARDENING -fno-plt) # a static program has no table of late bound functions
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
	list(APPEND REAPER_HARDENING -fcf-protection)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
	list(APPEND REAPER_HARDENING -mbranch-protection=standard)
endif()
# _FORTIFY_SOURCE needs the optimiser, and the sanitizers want the plain functions.
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT REAPER_SANITIZE)
	list(APPEND REAPER_HARDENING -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
add_compile_options(${REAPER_HARDENING} -ffunction-sections -fdata-sections)
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--gc-sections)

# Nobody unwinds C at run time: gdb takes .debug_frame of the debug symbols. 40 kB of a program.
if(NOT REAPER_SANITIZE AND NOT REAPER_COVERAGE)
	add_compile_options(-fno-asynchronous-unwind-tables)
endif()

# The table of pointers that a static-pie relocates by itself at its start, packed: 60 kB of a program.
# glibc's start-up code reads it from 2.36 on; an older one would not relocate them, and nothing would tell.
# Nor is it there for every architecture: the linker of 2023 says so in a warning, for arm64.
include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_LINK_OPTIONS -Wl,-z,pack-relative-relocs)
check_c_source_compiles("
#include <features.h>
#if !__GLIBC_PREREQ(2, 36)
#error too old
#endif
int main(void) { return 0; }" REAPER_PACKS_RELOCATIONS FAIL_REGEX "pack-relative-relocs ignored")
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(REAPER_STATIC AND REAPER_PACKS_RELOCATIONS)
	add_link_options(-Wl,-z,pack-relative-relocs)
endif()

# A release is what the packages' builds are: theirs of Debian and Fedora say -O2. CMake's -O3 adds 16 kB to each program.
string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")

# assert() guards our own mistakes and stays on in every build.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
	string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()

if(REAPER_FUZZ)
	set(REAPER_SANITIZE ON)
	add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(REAPER_SANITIZE)
	set(REAPER_STATIC OFF)
	add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
		-fno-omit-frame-pointer)
	add_link_options(-fsanitize=address,undefined)
endif()
if(REAPER_COVERAGE)
	set(REAPER_STATIC OFF)
	add_compile_options(--coverage)
	add_link_options(--coverage)
endif()
