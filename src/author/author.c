#include "author/author.h"

#include "author/yaml.h"

#include <stdio.h>
#include <string.h>

bool mw_author_knows(struct mw_str path)
{
    return mw_str_ends(path, MW_STR(".json")) || mw_str_ends(path, MW_STR(".yaml")) ||
           mw_str_ends(path, MW_STR(".yml"));
}

enum mw_rc mw_author_read(struct mw_arena *arena, struct mw_str path, struct mw_str text,
                          struct mw_tape *ret_tape, struct mw_err *err)
{
    struct mw_err inner = {.rc = MW_OK};
    unsigned line = 0;
    unsigned column = 0;
    int length = 0;
    if (!mw_author_knows(path))
        return MW_FAIL(err, MW_E_USAGE, "%.*s: expected a file that ends in .json, .yaml or .yml",
                       MW_STR_ARG(path));
    enum mw_rc rc = mw_str_ends(path, MW_STR(".json"))
                        ? mw_json_parse(arena, text, ret_tape, &inner)
                        : mw_yaml_parse(arena, text, ret_tape, &inner);
    if (rc == MW_OK)
        return MW_OK;
    /* Both readers promise this beginning; a failure without a place (memory) keeps its words. */
    if (sscanf(inner.text, "line %u, column %u: %n", &line, &column, &length) == 2 && length > 0)
        return MW_FAIL(err, rc, "%.*s:%u:%u: %s", MW_STR_ARG(path), line, column,
                       inner.text + length);
    return MW_FAIL(err, rc, "%.*s: %s", MW_STR_ARG(path), inner.text);
}
