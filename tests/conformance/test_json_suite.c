/*
 * The public JSON parsing suite: every y_ is accepted but for the ones named here, every n_ refused, and what happens to each i_ is what
 * docs/json.md says (a table row "| file | accepted |" or "| file | refused |" for each).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* RFC 8259 allows these; a journal and a contract may not have them (json.h). */
static const char *const stricter[] = {
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
    "y_object_escaped_null_in_key.json",
    "y_string_null_escape.json",
};

static char memory[1 << 24] __attribute__((aligned(16)));
static char suite[4096];

static char *read_whole(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    rewind(file);
    /* Exactly as long as the text, so a sanitizer sees every byte read too far. */
    char *text = malloc(size > 0 ? (size_t)size : 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    (void)fclose(file);
    *ret_len = (size_t)size;
    return text;
}

static bool accepts(const char *name, struct mw_err *err)
{
    char path[8192];
    size_t len = 0;
    struct mw_arena arena;
    struct mw_tape tape;
    (void)snprintf(path, sizeof path, "%s/%s", suite, name);
    char *text = read_whole(path, &len);
    mw_arena_init(&arena, memory, sizeof memory);
    enum mw_rc rc = mw_json_parse(&arena, (struct mw_str){text, len}, &tape, err);
    assert_true(rc == MW_OK || rc == MW_E_INPUT || rc == MW_E_LIMIT);
    if (rc != MW_OK)
        assert_int_equal(strncmp(err->text, "line ", 5), 0);
    free(text);
    return rc == MW_OK;
}

static bool is_stricter(const char *name)
{
    for (size_t i = 0; i < MW_COUNT(stricter); i++)
        if (strcmp(stricter[i], name) == 0)
            return true;
    return false;
}

/* Calls check for every file of the suite that begins with prefix; gives their number. */
static unsigned each(char prefix, void (*check)(const char *name))
{
    unsigned count = 0;
    DIR *dir = opendir(suite);
    if (dir == NULL) {
        print_message("skipped: not present\n");
        skip();
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != prefix || strstr(entry->d_name, ".json") == NULL)
            continue;
        count++;
        check(entry->d_name);
    }
    (void)closedir(dir);
    return count;
}

static void check_yes(const char *name)
{
    struct mw_err err = {.rc = MW_OK};
    bool accepted = accepts(name, &err);
    if (accepted == is_stricter(name))
        fail_msg("%s: %s", name, accepted ? "accepted, but listed as refused" : err.text);
}

static void check_no(const char *name)
{
    struct mw_err err = {.rc = MW_OK};
    if (accepts(name, &err))
        fail_msg("%s: accepted", name);
}

static char *documentation;

static void check_documented(const char *name)
{
    char row[512];
    struct mw_err err = {.rc = MW_OK};
    (void)snprintf(row, sizeof row, "| `%s` | %s |", name,
                   accepts(name, &err) ? "accepted" : "refused");
    if (strstr(documentation, row) == NULL)
        fail_msg("docs/json.md lacks the row %s", row);
}

static void every_text_that_must_be_accepted_is(void **state)
{
    (void)state;
    assert_true(each('y', check_yes) > 90);
}

static void every_text_that_must_be_refused_is(void **state)
{
    (void)state;
    assert_true(each('n', check_no) > 180);
}

static void what_may_go_either_way_goes_the_documented_way(void **state)
{
    size_t len = 0;
    (void)state;
    char *text = read_whole(MW_SOURCE_DIR "/docs/json.md", &len);
    documentation = strndup(text, len);
    free(text);
    assert_true(each('i', check_documented) > 30);
    free(documentation);
}

int main(void)
{
    const char *shared = getenv("MILLWRIGHT_SHARED");
    (void)snprintf(suite, sizeof suite, "%s/conformance/json/test_parsing",
                   shared != NULL ? shared : MW_SOURCE_DIR "/../shared");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_that_must_be_accepted_is),
        cmocka_unit_test(every_text_that_must_be_refused_is),
        cmocka_unit_test(what_may_go_either_way_goes_the_documented_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
