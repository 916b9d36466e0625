#include "api/http_library.h"

#include "base/base.h"
#include "posix/library.h"

struct mw_http_library mhd;

bool mw_http_library_load(void)
{
#define MW_HTTP_ROW(name) {"MHD_" #name, &mhd.name},
    static const struct mw_library_function functions[] = {MW_HTTP_FUNCTIONS(MW_HTTP_ROW)};
#undef MW_HTTP_ROW
    static bool loaded;
    loaded = loaded || mw_library_load(MW_HTTP_LIBRARY, functions, MW_COUNT(functions));
    return loaded;
}
