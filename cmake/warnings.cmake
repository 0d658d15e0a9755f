# procd_flags: what every target of ours is compiled with. Warnings are errors.
add_library(procd_flags INTERFACE)
target_include_directories(procd_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(procd_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wswitch -Wnon-virtual-dtor -Werror)
target_compile_definitions(procd_flags INTERFACE
    _GLIBCXX_ASSERTIONS PROCD_VERSION="${PROJECT_VERSION}")
if(PROCD_SANITIZE)
    target_compile_options(procd_flags INTERFACE
        -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(procd_flags INTERFACE -fsanitize=address,undefined)
endif()
