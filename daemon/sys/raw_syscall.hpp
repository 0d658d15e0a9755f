#pragma once

#include <cstddef>
#include <sys/syscall.h>

// System calls without libc: no errno, no cancellation point, no interceptor. For the code between clone3 and
// execve, which shares its memory with a sleeping thread of procd's.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PROCD_NO_SANITIZE __attribute__((no_sanitize("address", "undefined", "thread")))
#else
#define PROCD_NO_SANITIZE
#endif

struct clone_args;

namespace procd::sys {

// The kernel's answer as it is: a value, or -errno.
PROCD_NO_SANITIZE inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0,
                                          long e = 0, long f = 0) {
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#error "procd's system calls are written for x86_64 and aarch64"
#endif
}

inline long as_argument(const void* pointer) {
    return reinterpret_cast<long>(pointer);
}

}  // namespace procd::sys
