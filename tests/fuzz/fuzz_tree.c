/* A manifest: there is one spelling, so a text that is read is written again as the same bytes, and its digest is that text's. */
#include "fuzz.h"
#include "stage/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_tree tree;
    struct mw_err err = {.rc = MW_OK};
    char *memory;
    struct mw_str text = fuzz_rest(data, size, &memory);
    if (mw_tree_parse(text, &tree, &err) == MW_OK) {
        struct mw_buf buf = mw_heap_buf();
        mw_tree_text(&tree, &buf);
        MW_ASSERT(mw_str_eq(text, mw_buf_str(&buf)));
        for (uint32_t i = 0; i < tree.count; i++) {
            struct mw_str path = tree.files[i].path;
            MW_ASSERT(mw_tree_find(&tree, path) == &tree.files[i]);
            MW_ASSERT(path.ptr[0] != '/' && strcmp(path.ptr, "..") != 0);
            MW_ASSERT(strncmp(path.ptr, "../", 3) != 0 && strstr(path.ptr, "/../") == NULL);
            (void)mw_glob_match(path, tree.files[0].path);
        }
        mw_heap_buf_free(&buf);
        mw_tree_free(&tree);
    } else {
        MW_ASSERT(err.rc == MW_E_INPUT || err.rc == MW_E_DENIED || err.rc == MW_E_LIMIT);
    }
    mw_heap_free(memory);
    return 0;
}
