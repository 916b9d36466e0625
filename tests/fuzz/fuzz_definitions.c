/*
 * A definition file beside sound ones: JSON when it begins so, else YAML or the text of rules. It loads, or the first
 * mistake is named with its file.
 */
#include "author/author.h"
#include "defs/catalogue.h"
#include "defs/rules.h"
#include "fuzz.h"
#include "posix/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define FILES_MAX 64

static struct mw_definition_file files[FILES_MAX];
static size_t base_count;

static void load_base(void)
{
    static struct mw_arena arena;
    char path[4096];
    struct mw_err err;
    DIR *dir = opendir(MW_SOURCE_DIR "/tests/unit/definitions/base");
    MW_ASSERT(dir != NULL);
    mw_heap_arena(&arena, (size_t)16 << 20);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct mw_str name = mw_arena_copy(&arena, mw_str_of(entry->d_name));
        struct mw_buf buf = mw_heap_buf();
        if (name.ptr[0] == '.' || !mw_author_knows(name))
            continue;
        (void)snprintf(path, sizeof path, MW_SOURCE_DIR "/tests/unit/definitions/base/%s",
                       entry->d_name);
        MW_ASSERT(mw_file_read(AT_FDCWD, path, 1 << 20, &buf, &err) == MW_OK);
        struct mw_definition_file *file = &files[base_count++];
        MW_ASSERT(base_count < FILES_MAX);
        *file = (struct mw_definition_file){.path = name};
        struct mw_str text = mw_arena_copy(&arena, mw_buf_str(&buf));
        if (mw_rules_is_text(text))
            file->text = text;
        else
            MW_ASSERT(mw_author_read(&arena, name, text, &file->tape, &err) == MW_OK);
        mw_heap_buf_free(&buf);
    }
    closedir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mw_arena arena, loaded;
    const struct mw_catalogue *catalogue;
    struct mw_err err = {.rc = MW_OK};
    char *memory;
    if (base_count == 0)
        load_base();
    fuzz_arena(&arena, (size_t)64 << 20);
    fuzz_arena(&loaded, (size_t)64 << 20);
    struct mw_str text = fuzz_rest(data, size < 65536 ? size : 65536, &memory);
    struct mw_definition_file *file = &files[base_count];
    *file = (struct mw_definition_file){.path = size > 0 && data[0] == '{' ? MW_STR("fuzz.json")
                                                                           : MW_STR("fuzz.yaml")};
    enum mw_rc rc = MW_OK;
    if (mw_rules_is_text(text))
        file->text = text;
    else
        rc = mw_author_read(&arena, file->path, text, &file->tape, &err);
    if (rc == MW_OK)
        rc = mw_catalogue_load(&loaded, files, base_count + 1, MW_STR("0"), &catalogue, &err);
    if (rc != MW_OK)
        MW_ASSERT(rc == MW_E_INPUT || rc == MW_E_CONFIG || rc == MW_E_LIMIT);
    if (rc == MW_E_CONFIG)
        MW_ASSERT(strstr(err.text, ".yaml") != NULL || strstr(err.text, ".json") != NULL);
    mw_heap_free(memory);
    return 0;
}
