#include "sweep.h"
#include <stdio.h>
int sweep_disk(const char *base)
{
    (void)base;
    return 0;
}
