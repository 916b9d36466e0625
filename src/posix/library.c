#include "posix/library.h"

#include <dlfcn.h>
#include <string.h>

bool mw_library_load(const char *file, const struct mw_library_function *functions, size_t count)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(library, functions[i].name);
        if (address == NULL)
            return false;
        memcpy(functions[i].at, &address, sizeof(address));
    }
    return true;
}
