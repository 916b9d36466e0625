#include "api/http_library.h"

#include <dlfcn.h>
#include <stddef.h>

struct mw_http_library mhd;

bool mw_http_library_load(void)
{
    static void *library;
    bool whole = true;
    if (library == NULL)
        library = dlopen(MW_HTTP_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return false;
#define MW_HTTP_LOAD(name)                                                                         \
    *(void **)&mhd.name = dlsym(library, "MHD_" #name);                                            \
    whole = whole && mhd.name != NULL;
    MW_HTTP_FUNCTIONS(MW_HTTP_LOAD)
#undef MW_HTTP_LOAD
    return whole;
}
