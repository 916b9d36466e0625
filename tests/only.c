/*
 * only.c - in every test program: MW_ONLY='p12_*' runs only the tests of that name (with * and ?).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void run_only_what_is_wanted(void)
{
    const char *pattern = getenv("MW_ONLY");
    if (pattern != NULL && *pattern != '\0')
        cmocka_set_test_filter(pattern);
}
