#include <stdint.h>
#include <stdio.h>

#include "words.h"

const char *byte_order(void) {
    const uint16_t one = 1;
    return *(const uint8_t *)&one == 1 ? "little endian" : "big endian";
}

const char *libc_name(void) {
#ifdef __GLIBC__
    return "glibc";
#else
    return "musl";
#endif
}
