#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "words.h"

int main(int count, char **words) {
    double number = count > 1 ? strtod(words[1], NULL) : 2.0;
    printf("machine: C with %s, %d bit, %s, square root of %g is %.6f\n", libc_name(), (int)(8 * sizeof(void *)),
           byte_order(), number, sqrt(number));
    return 0;
}
