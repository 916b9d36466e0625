#include "builtin/check_internal.h"

#include "posix/heap.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MARK_PASSED "\xe2\x9c\x94 " /* heavy check mark */
#define MARK_FAILED "\xe2\x9c\x96 " /* heavy multiplication x */
#define MARK_INFO "\xe2\x84\xb9 "   /* information source */

static void take_tap(struct check_tests *tests, struct mw_str line, size_t indent);
static void take_spec(struct check_tests *tests, struct mw_str line);
static void take_summary(struct check_tests *tests, struct mw_str line);
static void keep_name(struct check_tests *tests, struct mw_str name);

void check_tests_line(struct check_tests *tests, struct mw_str form, struct mw_str line)
{
    size_t indent = 0;
    while (indent < line.len && line.ptr[indent] == ' ')
        indent++;
    struct mw_str text = mw_str_trim(line);
    bool tap = form.len == 0 || mw_str_is(form, "tap");
    bool spec = form.len == 0 || mw_str_is(form, "node-spec");
    if (tap && mw_str_starts(text, MW_STR("# ")))
        take_summary(tests, mw_str_sub(text, 2, text.len));
    else if (spec && mw_str_starts(text, MW_STR(MARK_INFO)))
        take_summary(tests, mw_str_sub(text, sizeof MARK_INFO - 1, text.len));
    else if (tap && (mw_str_starts(text, MW_STR("ok ")) || mw_str_starts(text, MW_STR("not ok "))))
        take_tap(tests, text, indent);
    else if (spec &&
             (mw_str_starts(text, MW_STR(MARK_FAILED)) || mw_str_starts(text, MW_STR(MARK_PASSED))))
        take_spec(tests, text);
}

/* "not ok 3 - name # time=…". An outer failed line follows its inner ones and says nothing new. */
static void take_tap(struct check_tests *tests, struct mw_str line, size_t indent)
{
    bool failed = mw_str_starts(line, MW_STR("not "));
    struct mw_str rest = mw_str_trim(mw_str_sub(line, failed ? 7 : 3, line.len));
    size_t digits = 0;
    while (digits < rest.len && isdigit((unsigned char)rest.ptr[digits]))
        digits++;
    struct mw_str name = mw_str_trim(mw_str_sub(rest, digits, rest.len));
    if (mw_str_starts(name, MW_STR("- ")))
        name = mw_str_sub(name, 2, name.len);
    const char *directive = name.len > 3 ? memmem(name.ptr, name.len, " # ", 3) : NULL;
    struct mw_str after = MW_STR_NONE;
    if (directive != NULL) {
        size_t at = (size_t)(directive - name.ptr);
        after = mw_str_sub(name, at + 3, name.len);
        name = mw_str_sub(name, 0, at);
    }
    bool excused = mw_str_starts(after, MW_STR("SKIP")) || mw_str_starts(after, MW_STR("TODO"));
    bool outer = tests->failed_indent > indent + 1;
    tests->tap_ok += !failed;
    if (failed && !excused && !outer) {
        tests->tap_not_ok++;
        keep_name(tests, name);
    }
    tests->failed_indent = failed                              ? (uint32_t)indent + 1
                           : tests->failed_indent > indent + 1 ? 0
                                                               : tests->failed_indent;
}

/* "✖ name (1.5ms)"; shown once in place and once more at the end. */
static void take_spec(struct check_tests *tests, struct mw_str line)
{
    bool failed = mw_str_starts(line, MW_STR(MARK_FAILED));
    struct mw_str name = mw_str_trim(mw_str_sub(line, sizeof MARK_FAILED - 1, line.len));
    tests->spec = true;
    if (!failed || mw_str_is(name, "failing tests:"))
        return;
    if (mw_str_ends(name, MW_STR("ms)"))) {
        for (size_t at = name.len; at > 0; at--)
            if (name.ptr[at - 1] == '(') {
                name = mw_str_trim(mw_str_sub(name, 0, at - 1));
                break;
            }
    }
    keep_name(tests, name);
}

static bool counted(struct mw_str line, const char *word, uint32_t *count)
{
    uint64_t value;
    struct mw_str name = mw_str_of(word);
    if (!mw_str_starts(line, name) || line.len <= name.len || line.ptr[name.len] != ' ' ||
        !mw_str_to_u64(mw_str_trim(mw_str_sub(line, name.len, line.len)), &value) ||
        value > UINT32_MAX)
        return false;
    *count = (uint32_t)value;
    return true;
}

/* "pass 12", "fail 0", "skipped 1", "all files | 92.31 | …". */
static void take_summary(struct check_tests *tests, struct mw_str line)
{
    line = mw_str_trim(line);
    if (mw_str_starts(line, MW_STR("all files"))) {
        size_t bar = mw_str_find(line, '|', 0);
        size_t end = bar == SIZE_MAX ? SIZE_MAX : mw_str_find(line, '|', bar + 1);
        if (end == SIZE_MAX)
            return;
        struct mw_str percent = mw_str_trim(mw_str_sub(line, bar + 1, end - bar - 1));
        size_t whole = mw_str_find(percent, '.', 0);
        if (whole != SIZE_MAX) /* never rounded up: 99.9% is not all of it */
            percent.len = whole;
        if (percent.len > 0 && percent.len <= 3)
            (void)snprintf(tests->coverage, sizeof tests->coverage, "%.*s%%", MW_STR_ARG(percent));
        return;
    }
    if (counted(line, "pass", &tests->passed) || counted(line, "fail", &tests->failed))
        tests->counted = true;
    (void)counted(line, "skipped", &tests->skipped); /* another line is no matter */
}

static void keep_name(struct check_tests *tests, struct mw_str name)
{
    for (uint32_t i = 0; i < tests->name_count; i++)
        if (mw_str_eq(tests->names[i], name))
            return;
    if (tests->name_count < CHECK_NAMES_MAX)
        tests->names[tests->name_count++] = (struct mw_str){mw_heap_copy(name), name.len};
}

void check_tests_end(struct check_tests *tests)
{
    if (tests->coverage[0] == '\0')
        (void)snprintf(tests->coverage, sizeof tests->coverage, "unknown");
    if (!tests->counted) {
        tests->passed = tests->tap_ok;
        tests->failed = tests->tap_not_ok;
    }
}

void check_tests_free(struct check_tests *tests)
{
    for (uint32_t i = 0; i < tests->name_count; i++)
        mw_heap_free((void *)(uintptr_t)tests->names[i].ptr);
    memset(tests, 0, sizeof *tests);
}
