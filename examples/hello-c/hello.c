#include <stdio.h>
#include <sys/utsname.h>

#include "greeting.h"

int main(void) {
    struct utsname machine;
    if (uname(&machine) != 0) {
        perror("uname");
        return 1;
    }
    printf("%s from C on %s\n", greeting(), machine.machine);
    return 0;
}
