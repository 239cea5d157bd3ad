#include <stddef.h>
#include <stdio.h>

#include "ticks.h"

int ticks_pointer_bits(void) { return (int)(8 * sizeof(void *)); }

const char *ticks_libc(void) {
#ifdef __GLIBC__
    return "glibc";
#else
    return "musl";
#endif
}

long ticks_sum(long last) {
    long sum = 0;
    for (long number = 1; number <= last; number++) {
        sum += number;
    }
    return sum;
}
