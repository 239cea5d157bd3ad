#ifndef TICKS_H
#define TICKS_H

int ticks_pointer_bits(void);
const char *ticks_libc(void);
long ticks_sum(long last);

#endif
