#ifndef WORDS_H
#define WORDS_H

const char *byte_order(void);
const char *libc_name(void);

#endif
