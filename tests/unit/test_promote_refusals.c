/*
 * test_promote_refusals.c - what a promotion is asked for and does not do: ids, targets, sources, notes and manifests that are not what they
 * should be, each with its word (P12, P17, P23); and where a tree stands that a restored backup has given another inode.
 */
#include "own_folder.h"
#include "stage/promote.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static char outside[64];
static int ws_fd;
static char v1[MW_SHA256_HEX], v2[MW_SHA256_HEX];

static int realpath_errno; /* 0: the real answer */

char *__real_realpath(const char *path, char *ret_path);
char *__wrap_realpath(const char *path, char *ret_path);
char *__wrap_realpath(const char *path, char *ret_path)
{
    errno = realpath_errno;
    return realpath_errno != 0 ? NULL : __real_realpath(path, ret_path);
}

static void digest_of(const char *folder, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_err err;
    struct mw_tree tree;
    struct mw_tree_scan observe = {.observe = true};
    if (mw_tree_scan(AT_FDCWD, folder, &observe, &tree, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_tree_digest(&tree, ret_sha256);
    mw_tree_free(&tree);
}

static int setup(void **state)
{
    (void)strcpy(outside, "/tmp/mw-promote-to-XXXXXX");
    assert_non_null(mkdtemp(outside));
    (void)enter_own_folder(state);
    assert_int_equal(mkdir(".millwright", 0755), 0);
    ws_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put("v1/app.json", "1\n");
    put("v1/src/a.js", "a1\n");
    put("v1/gone", "1\n");
    put("v2/app.json", "2\n");
    put("v2/src/a.js", "a1\n");
    put("v2/gone", "1\n");
    digest_of("v1", v1);
    digest_of("v2", v2);
    return 0;
}

static int teardown(void **state)
{
    struct mw_err err;
    (void)close(ws_fd);
    return mw_remove_tree(AT_FDCWD, outside, &err) != MW_OK || leave_own_folder(state) != 0;
}

static enum mw_rc promote(const char *id, const char *source, const char *sha256,
                          const char *expected, enum mw_promote_edits_mode edits,
                          struct mw_promoted *ret, struct mw_err *err)
{
    struct mw_promote promote = {.workspace_fd = ws_fd,
                                 .id = id,
                                 .source = source,
                                 .source_sha256 = sha256,
                                 .target = "app",
                                 .expected = &expected,
                                 .expected_count = expected != NULL,
                                 .edits = edits};
    return mw_promote_run(&promote, ret, err);
}

static void promoted(const char *id, const char *source, const char *sha256, const char *expected,
                     enum mw_promote_edits_mode edits)
{
    struct mw_err err = {0};
    struct mw_promoted ret;
    if (promote(id, source, sha256, expected, edits, &ret, &err) != MW_OK)
        fail_msg("%s: %s", id, err.text);
}

/* The whole workspace, as one number. */
static void everything(char ret_sha256[MW_SHA256_HEX])
{
    digest_of(".", ret_sha256);
}

static void p17_ids_that_are_not_one_plain_name_are_refused(void **state)
{
    (void)state;
    static const char hundred[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    char longer[102];
    (void)snprintf(longer, sizeof longer, "%sa", hundred);
    const char *const ids[] = {"",     ".",    "..",   "a/b",  "/a",  "a/",
                               "../p", "a\nb", "a\\b", "\xff", longer};
    for (size_t i = 0; i < MW_COUNT(ids); i++) {
        struct mw_promoted ret;
        struct mw_err err = {0};
        enum mw_promote_outcome outcome;
        assert_int_equal(promote(ids[i], "v1", v1, NULL, MW_EDITS_REFUSE, &ret, &err), MW_E_INPUT);
        assert_non_null(strstr(err.text, "not a plain id"));
        assert_int_equal(mw_promote_recover(ws_fd, ids[i], "app", &outcome, &ret, &err),
                         MW_E_INPUT);
        assert_int_equal(access("app", F_OK), -1);
    }
    promoted(hundred, "v1", v1, NULL, MW_EDITS_REFUSE);
    assert_int_equal(access("app/app.json", F_OK), 0);
}

static enum mw_rc look_at(int fd, const char *target, struct mw_err *err)
{
    struct mw_promote look = {.workspace_fd = fd, .target = target};
    struct mw_promote_edits edits;
    enum mw_rc rc = mw_promote_look(&look, &edits, err);
    if (rc == MW_OK)
        mw_promote_edits_free(&edits);
    return rc;
}

static void p23_every_target_has_its_answer(void **state)
{
    (void)state;
    char before[MW_SHA256_HEX], after[MW_SHA256_HEX];
    mw_autofree char *own_app = mw_heap_format("%s/app", own_folder);
    mw_autofree char *own_app_slash = mw_heap_format("%s/app///", own_folder);
    mw_autofree char *own_apple = mw_heap_format("%s/apple", own_folder);
    mw_autofree char *live = mw_heap_format("%s/live", outside);
    mw_autofree char *live_slash = mw_heap_format("%s/live//", outside);
    mw_autofree char *beside = mw_heap_format("%s-beside", own_folder);
    mw_autofree char *nowhere = mw_heap_format("%s/absent/live", outside);
    mw_autofree char *in_file = mw_heap_format("%s/file/live", outside);
    mw_autofree char *upwards = mw_heap_format("%s/..", outside);
    mw_autofree char *control = mw_heap_format("%s/a\tb", outside);
    char long_name[400], deep[6000];
    (void)snprintf(long_name, sizeof long_name, "%s/", outside);
    memset(long_name + strlen(outside) + 1, 'n', 256);
    long_name[strlen(outside) + 257] = '\0';
    for (size_t i = 0; i + 2 < sizeof deep; i += 2)
        memcpy(deep + i, "/d", 3);
    mw_autofree char *in_long = mw_heap_format("%s/live", long_name);
    mw_autofree char *file = mw_heap_format("%s/file", outside);
    mw_autofree char *in_loop = mw_heap_format("%s/loop/live", outside);
    mw_autofree char *loop = mw_heap_format("%s/loop", outside);
    put(file, "1\n");
    assert_int_equal(symlink(loop, loop), 0);
    const struct {
        const char *target;
        enum mw_rc rc;
    } targets[] = {
        {"app", MW_OK},           {own_app, MW_OK},
        {own_app_slash, MW_OK},   {live, MW_OK},
        {live_slash, MW_OK},      {beside, MW_OK},
        {own_apple, MW_E_DENIED}, {own_folder, MW_E_DENIED},
        {"/tmp", MW_E_DENIED},    {"/tmp/", MW_E_DENIED},
        {nowhere, MW_E_MISSING},  {in_file, MW_E_USAGE},
        {"/", MW_E_USAGE},        {"///", MW_E_USAGE},
        {"", MW_E_USAGE},         {"apps", MW_E_USAGE},
        {"./app", MW_E_USAGE},    {upwards, MW_E_USAGE},
        {control, MW_E_USAGE},    {long_name, MW_E_USAGE},
        {deep, MW_E_USAGE},       {in_loop, MW_E_USAGE},
        {in_long, MW_E_USAGE},
    };
    everything(before);
    for (size_t i = 0; i < MW_COUNT(targets); i++) {
        struct mw_err err = {0};
        enum mw_rc rc = look_at(ws_fd, targets[i].target, &err);
        if (rc != targets[i].rc)
            fail_msg("'%.300s': %s, not %s: %s", targets[i].target, mw_rc_name(rc),
                     mw_rc_name(targets[i].rc), err.text);
        assert_true(rc == MW_OK || err.text[0] != '\0');
    }
    everything(after);
    assert_string_equal(before, after);
    struct mw_err err = {0};
    mw_autoclose int root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(look_at(root_fd, live, &err), MW_E_DENIED); /* all lies in that workspace */
    assert_int_equal(look_at(-1, live, &err), MW_E_IO);
    realpath_errno = EIO;
    assert_int_equal(look_at(ws_fd, live, &err), MW_E_IO);
    assert_non_null(strstr(err.text, outside));
    realpath_errno = 0;
    assert_int_equal(look_at(ws_fd, live, &err), MW_OK);
}

/* What stands at the place is looked at before anything is read, and what would be right is said. */
static void p12_what_is_no_place_for_an_app_is_said_first(void **state)
{
    (void)state;
    mw_autofree char *file = mw_heap_format("%s/file", outside);
    mw_autofree char *dangling = mw_heap_format("%s/dangling", outside);
    mw_autofree char *empty = mw_heap_format("%s/empty", outside);
    mw_autofree char *linked = mw_heap_format("%s/linked", outside);
    mw_autofree char *fresh = mw_heap_format("%s/fresh", outside);
    put(file, "1\n");
    assert_int_equal(mkdir(empty, 0755), 0);
    assert_int_equal(symlink("/nowhere/at/all", dangling), 0);
    assert_int_equal(symlink(empty, linked), 0);
    const struct {
        const char *target;
        enum mw_rc rc;
        const char *word;
    } rows[] = {{"app", MW_OK, ""},
                {empty, MW_OK, ""},
                {fresh, MW_OK, ""},
                {file, MW_E_USAGE, "is no folder"},
                {dangling, MW_E_USAGE, "is a link"},
                {linked, MW_E_USAGE, "is a link"},
                {"apps", MW_E_USAGE, "is not a target"}};
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {0};
        enum mw_rc rc = mw_promote_check_target(ws_fd, rows[i].target, &err);
        if (rc != rows[i].rc || strstr(err.text, rows[i].word) == NULL)
            fail_msg("'%s': %s: %s", rows[i].target, mw_rc_name(rc), err.text);
    }
}

/* What was promoted there is told, and rolled back, as the app root's. */
static void p12_the_app_root_has_one_name(void **state)
{
    (void)state;
    mw_autofree char *here = realpath(".", NULL);
    mw_autofree char *whole = mw_heap_format("%s/app", here);
    mw_autofree char *slashed = mw_heap_format("%s//app//", here);
    mw_autofree char *inside = mw_heap_format("%s/other", here);
    mw_autofree char *elsewhere = mw_heap_format("%s/app", outside);
    mw_autofree char *link = mw_heap_format("%s/here", outside);
    mw_autofree char *linked = mw_heap_format("%s/here/app", outside);
    assert_int_equal(symlink(here, link), 0);
    const struct {
        const char *target;
        bool is_app;
    } rows[] = {{"app", true},   {whole, true},      {slashed, true},
                {linked, true},  {elsewhere, false}, {inside, false},
                {"apps", false}, {"", false},        {"/nowhere/app", false}};
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const char *named = mw_promote_target(ws_fd, rows[i].target);
        if (strcmp(named, rows[i].is_app ? "app" : rows[i].target) != 0)
            fail_msg("'%s' is named '%s'", rows[i].target, named);
    }
}

static void p12_a_place_that_may_not_be_written_is_denied(void **state)
{
    (void)state;
    mw_autofree char *closed = mw_heap_format("%s/closed", outside);
    mw_autofree char *in_closed = mw_heap_format("%s/closed/there/live", outside);
    mw_autofree char *there = mw_heap_format("%s/closed/there", outside);
    mw_autofree char *readable = mw_heap_format("%s/readable", outside);
    mw_autofree char *in_readable = mw_heap_format("%s/readable/live", outside);
    assert_int_equal(mkdir(closed, 0755), 0);
    assert_int_equal(mkdir(there, 0755), 0);
    assert_int_equal(mkdir(readable, 0555), 0);
    assert_int_equal(chmod(closed, 0), 0);
    assert_int_equal(chmod(outside, 0755), 0);
    assert_int_equal(chmod(own_folder, 0755), 0);
    bool root = geteuid() == 0; /* whom nothing is closed to */
    if (root) {
        assert_int_equal(seteuid(65534), 0);
        assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0); /* else /proc/self is root's */
    }
    struct mw_err entered = {0}, written = {0};
    enum mw_rc entered_rc = mw_promote_check_target(ws_fd, in_closed, &entered);
    enum mw_rc written_rc = mw_promote_check_target(ws_fd, in_readable, &written);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(closed, 0755), 0);
    assert_int_equal(chmod(readable, 0755), 0);
    assert_int_equal(entered_rc, MW_E_DENIED);
    assert_non_null(strstr(entered.text, "would lie in"));
    assert_int_equal(written_rc, MW_E_DENIED);
    assert_non_null(strstr(written.text, "nothing can be made beside"));
}

/* A folder that is somebody else's is not told as if it were an app that was edited. */
static void p23_a_folder_with_other_files_is_told_as_one(void **state)
{
    (void)state;
    mw_autofree char *full = mw_heap_format("%s/full", outside);
    mw_autofree char *mine = mw_heap_format("%s/full/thesis.txt", outside);
    assert_int_equal(mkdir(full, 0755), 0);
    put(mine, "mine\n");
    struct mw_promote next = {
        .workspace_fd = ws_fd, .id = "p7", .source = "v1", .source_sha256 = v1, .target = full};
    struct mw_promoted ret;
    struct mw_err err = {0};
    assert_int_equal(mw_promote_run(&next, &ret, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "thesis.txt"));
    assert_non_null(strstr(err.text, "no promotion put there"));
    assert_int_equal(access(mine, F_OK), 0);
    next.edits = MW_EDITS_DISCARD;
    assert_int_equal(mw_promote_run(&next, &ret, &err), MW_OK);
    assert_true(ret.edited); /* kept, and never pruned */
}

static void p23_a_home_is_never_a_target_wherever_it_is(void **state)
{
    (void)state;
    mw_autofree char *live = mw_heap_format("%s/live", outside);
    mw_autofree char *in_live = mw_heap_format("%s/live/home", outside);
    mw_autofree char *alike = mw_heap_format("%s/live2", outside);
    const char *const was = getenv("HOME");
    mw_autofree char *kept = was != NULL ? mw_heap_copy(mw_str_of(was)) : NULL;
    const struct {
        const char *home;
        enum mw_rc rc;
    } homes[] = {{live, MW_E_DENIED}, {in_live, MW_E_DENIED}, {alike, MW_OK},
                 {outside, MW_OK},    {"relative", MW_OK},    {"", MW_OK}};
    for (size_t i = 0; i < MW_COUNT(homes); i++) {
        struct mw_err err = {0};
        assert_int_equal(setenv("HOME", homes[i].home, 1), 0);
        enum mw_rc rc = look_at(ws_fd, live, &err);
        if (rc != homes[i].rc)
            fail_msg("HOME=%s: %s: %s", homes[i].home, mw_rc_name(rc), err.text);
    }
    struct mw_err err = {0};
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(look_at(ws_fd, live, &err), MW_OK);
    if (kept != NULL)
        assert_int_equal(setenv("HOME", kept, 1), 0);
}

/* Whoever cannot say what stood there does not replace it. */
static void p23_edits_that_cannot_be_told_are_not_replaced(void **state)
{
    (void)state;
    struct mw_promoted ret;
    struct mw_err err = {0};
    promoted("p1", "v1", v1, NULL, MW_EDITS_REFUSE);
    put("app/mine", "mine\n");
    const char *expected[] = {v1};
    struct mw_promote next = {.workspace_fd = ws_fd,
                              .id = "p2",
                              .source = "v2",
                              .source_sha256 = v2,
                              .target = "app",
                              .expected = expected,
                              .expected_count = 1,
                              .scaffold = "/nonexistent/scaffold",
                              .edits = MW_EDITS_DISCARD};
    assert_int_equal(mw_promote_run(&next, &ret, &err), MW_E_MISSING);
    next.scaffold = NULL;
    mw_autofree char *manifest = mw_heap_format(".millwright/promotions/trees/%s.json", v1);
    static const char *const damaged[] = {"", "{", "[]", "{\"files\":7}", "not JSON"};
    for (size_t i = 0; i < MW_COUNT(damaged); i++) {
        put(manifest, damaged[i]);
        enum mw_rc rc = mw_promote_run(&next, &ret, &err);
        if (rc == MW_OK || rc == MW_E_MISSING)
            fail_msg("a manifest of '%s': %s", damaged[i], mw_rc_name(rc));
        assert_int_equal(access("app/mine", F_OK), 0);
    }
    expected[0] = "../../../etc/passwd";
    assert_int_equal(mw_promote_run(&next, &ret, &err), MW_E_INPUT);
    assert_int_equal(access("app/mine", F_OK), 0);
    /* With no manifest at all everything counts as an edit. */
    expected[0] = v1;
    assert_int_equal(unlink(manifest), 0);
    next.edits = MW_EDITS_REFUSE;
    assert_int_equal(mw_promote_run(&next, &ret, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "added app.json"));
}

static void p12_an_empty_source_is_refused(void **state)
{
    (void)state;
    struct mw_promoted ret;
    struct mw_err err = {0};
    char empty[MW_SHA256_HEX];
    assert_int_equal(mkdir("v0", 0755), 0);
    digest_of("v0", empty);
    assert_int_equal(promote("p1", "v0", empty, NULL, MW_EDITS_REFUSE, &ret, &err), MW_E_INPUT);
    assert_non_null(strstr(err.text, "holds no files"));
    assert_int_equal(access("app", F_OK), -1);
}

static void p23_a_removal_is_adopted_and_a_link_is_not(void **state)
{
    (void)state;
    struct mw_promoted ret;
    struct mw_err err = {0};
    promoted("p1", "v1", v1, NULL, MW_EDITS_REFUSE);
    promoted("p2", "v2", v2, v1, MW_EDITS_ADOPT); /* nothing was edited: the same as without */
    char found[MW_SHA256_HEX];
    digest_of("app", found);
    assert_string_equal(found, v2);
    assert_int_equal(unlink("app/gone"), 0);
    promoted("p3", "v1", v1, v2, MW_EDITS_ADOPT);
    assert_int_equal(access("app/gone", F_OK), -1);
    assert_int_equal(access("app/src/a.js", F_OK), 0);
    digest_of("app", found);
    assert_int_equal(symlink("/etc/hosts", "app/hosts"), 0);
    assert_int_equal(promote("p4", "v2", v2, found, MW_EDITS_ADOPT, &ret, &err), MW_E_CONFLICT);
    assert_non_null(strstr(err.text, "added hosts"));
}

static void p12_a_note_that_says_nothing_is_not_acted_upon(void **state)
{
    (void)state;
    promoted("p1", "v1", v1, NULL, MW_EDITS_REFUSE);
    mw_autofree char *short_digest = mw_heap_format("{\"sha256\":\"%.63s\"}", v1);
    mw_autofree char *long_digest = mw_heap_format("{\"sha256\":\"%s0\"}", v1);
    mw_autofree char *no_hex = mw_heap_format("{\"sha256\":\"%.63sg\",\"state\":\"done\"}", v1);
    mw_autofree char *no_old = mw_heap_format("{\"sha256\":\"%s\",\"state\":\"done\","
                                              "\"previous_sha256\":\"%.63sg\",\"version\":1}",
                                              v1, v1);
    mw_autofree char *short_old =
        mw_heap_format("{\"sha256\":\"%s\",\"previous_sha256\":\"%.63s\",\"version\":1}", v1, v1);
    mw_autofree char *too_high = mw_heap_format(
        "{\"sha256\":\"%s\",\"previous_sha256\":\"%s\",\"version\":4294967297}", v1, v2);
    mw_autofree char *negative =
        mw_heap_format("{\"sha256\":\"%s\",\"previous_sha256\":\"%s\",\"version\":-1}", v1, v2);
    mw_autofree char *other = mw_heap_format("{\"sha256\":\"%s\",\"beside\":\"mine\"}", v1);
    mw_autofree char *alike =
        mw_heap_format("{\"sha256\":\"%s\",\"beside\":\".millwright-p91\"}", v1);
    mw_autofree char *path =
        mw_heap_format("{\"sha256\":\"%s\",\"beside\":\".millwright-p9-/../mine\"}", v1);
    mw_autofree char *long_name =
        mw_heap_format("{\"sha256\":\"%s\",\"beside\":\".millwright-p9-%0200d\"}", v1, 1);
    const char *const notes[] = {"",
                                 other,
                                 alike,
                                 path,
                                 long_name,
                                 "{",
                                 "[]",
                                 "null",
                                 "{\"sha256\":7}",
                                 short_digest,
                                 no_hex,
                                 long_digest,
                                 no_old,
                                 short_old,
                                 too_high,
                                 negative,
                                 "{\"state\":\"done\"}",
                                 "\xff\xfe"};
    for (size_t i = 0; i < MW_COUNT(notes); i++) {
        struct mw_promoted ret;
        struct mw_err err = {0};
        enum mw_promote_outcome outcome;
        char found[MW_SHA256_HEX];
        put(".millwright/promotions/p9.json", notes[i]);
        enum mw_rc rc = mw_promote_recover(ws_fd, "p9", "app", &outcome, &ret, &err);
        if ((rc != MW_E_CORRUPT && rc != MW_E_INPUT) || err.text[0] == '\0')
            fail_msg("a note of '%s': %s", notes[i], mw_rc_name(rc));
        rc = promote("p9", "v2", v2, v1, MW_EDITS_REFUSE, &ret, &err);
        assert_true(rc == MW_E_CORRUPT || rc == MW_E_INPUT);
        digest_of("app", found);
        assert_string_equal(found, v1);
    }
    struct mw_promoted ret;
    struct mw_err err = {0};
    enum mw_promote_outcome outcome;
    assert_int_equal(unlink(".millwright/promotions/p9.json"), 0);
    assert_int_equal(mkdir(".millwright/promotions/p9.json", 0755), 0);
    assert_int_not_equal(mw_promote_recover(ws_fd, "p9", "app", &outcome, &ret, &err), MW_OK);
}

/* A version is a folder and its record; what has no number is none; the next number is above all that either has. */
static void p12_versions_are_those_that_are_whole(void **state)
{
    (void)state;
    struct mw_version_list list;
    struct mw_err err = {0};
    mw_autofree char *record =
        mw_heap_format("{\"sha256\":\"%s\",\"promotion\":\"p1\",\"edited\":false}", v1);
    mw_autofree char *too_much =
        mw_heap_format("{\"sha256\":\"%s0\",\"promotion\":\"%0200d\"}", v1, 1);
    mw_autofree char *no_hex = mw_heap_format("{\"sha256\":\"%.63sg\",\"edited\":false}", v1);
    assert_int_equal(mw_versions_list(ws_fd, &list, &err), MW_OK);
    assert_int_equal(list.count, 0);
    mw_versions_free(&list);
    promoted("p0", "v1", v1, NULL, MW_EDITS_REFUSE);
    put(".millwright/versions/0/a", "1");
    put(".millwright/versions/0.json", record);
    put(".millwright/versions/4294967295/a", "1");
    put(".millwright/versions/4294967295.json", record);
    put(".millwright/versions/3x/a", "1");
    put(".millwright/versions/3x.json", record);
    put(".millwright/versions/5/a", "1");       /* no record */
    put(".millwright/versions/6.json", record); /* no folder */
    put(".millwright/versions/7/a", "1");
    put(".millwright/versions/7.json", record);
    put(".millwright/versions/8/a", "1");
    put(".millwright/versions/8.json", too_much);
    put(".millwright/versions/9/a", "1");
    put(".millwright/versions/9.json", no_hex);
    for (int i = 100; i < 180; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, ".millwright/versions/%d/a", i);
        put(path, "1");
    }
    assert_int_equal(mw_versions_list(ws_fd, &list, &err), MW_OK);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.items[0].number, 7);
    assert_string_equal(list.items[0].sha256, v1);
    assert_string_equal(list.items[0].promotion, "p1");
    assert_false(list.items[0].edited);
    assert_string_equal(list.items[1].sha256,
                        ""); /* not a digest, and what is not said is an edit */
    assert_string_equal(list.items[1].promotion, "");
    assert_true(list.items[1].edited);
    assert_string_equal(list.items[2].sha256, "");
    assert_string_equal(list.items[2].promotion, "");
    assert_false(list.items[2].edited);
    mw_versions_free(&list);
    promoted("p1", "v2", v2, v1, MW_EDITS_REFUSE);
    assert_int_equal(access(".millwright/versions/180/app.json", F_OK), 0);
    put(".millwright/versions/7.json", "{");
    assert_int_not_equal(mw_versions_list(ws_fd, &list, &err), MW_OK);
}

/* The number that would come next is not seen again, so that each later promotion would put its old tree where the last one is kept. */
static void p12_where_no_number_is_left_nothing_is_promoted(void **state)
{
    (void)state;
    struct mw_promoted done;
    struct mw_err err = {0};
    promoted("p0", "v1", v1, NULL, MW_EDITS_REFUSE);
    put(".millwright/versions/4294967294.json", "{}");
    assert_int_equal(promote("p1", "v2", v2, v1, MW_EDITS_REFUSE, &done, &err), MW_E_LIMIT);
    assert_non_null(strstr(err.text, "4294967294"));
    assert_int_not_equal(access(".millwright/versions/4294967295", F_OK), 0);
    assert_int_not_equal(access(".millwright-p1", F_OK), 0);
    assert_int_equal(unlink(".millwright/versions/4294967294.json"), 0);
    promoted("p1", "v2", v2, v1, MW_EDITS_REFUSE);
    assert_int_equal(access(".millwright/versions/1/app.json", F_OK), 0);
}

/*
 * The note of p9, which puts v2 in the place of v1, with an inode that nothing has any more: what stands is told by digest, then by what is
 * kept. "": nothing is there.
 */
static void p12_a_restored_backup_is_recovered_by_what_the_trees_are(void **state)
{
    (void)state;
    static const struct {
        const char *target, *beside;
        int number;
        bool kept;
        enum mw_rc rc;
        enum mw_promote_outcome outcome;
        const char *stands;
    } rows[] = {
        {"v2", "v1", 1, false, MW_OK, MW_PROMOTE_FORWARD, "v2"},
        {"v2", "", 1, true, MW_OK, MW_PROMOTE_FORWARD, "v2"},
        {"v2", "", 0, false, MW_OK, MW_PROMOTE_FORWARD, "v2"},
        {"v1", "v2", 1, false, MW_OK, MW_PROMOTE_BACK, "v1"},
        {"", "v2", 0, false, MW_OK, MW_PROMOTE_BACK, ""},
        {"v1", "", 1, false, MW_OK, MW_PROMOTE_BACK, "v1"},
        {"v1", "", 0, false, MW_OK, MW_PROMOTE_BACK, "v1"},
        {"edited", "", 1, true, MW_OK, MW_PROMOTE_FORWARD, "edited"}, /* v2, edited since */
        {"edited", "edited", 1, false, MW_E_CONFLICT, MW_PROMOTE_BACK, "edited"},
        {"v1", "edited", 0, false, MW_E_CONFLICT, MW_PROMOTE_BACK, "v1"},
    };
    put("edited/mine", "mine\n");
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_promoted ret;
        struct mw_err err = {0};
        enum mw_promote_outcome outcome;
        mw_autofree char *note =
            mw_heap_format("{\"schema\":1,\"id\":\"p9\",\"state\":\"ready\",\"target\":\"app\","
                           "\"sha256\":\"%s\",\"previous_sha256\":\"%s\",\"version\":%d,"
                           "\"inode\":1}\n",
                           v2, rows[i].number != 0 ? v1 : "", rows[i].number);
        mw_autofree char *make = mw_heap_format(
            "rm -rf app .millwright-p9 .millwright/versions .millwright/promotions && "
            "mkdir -p .millwright/versions .millwright/promotions && "
            "for pair in '%s app' '%s .millwright-p9' '%s .millwright/versions/1'; do "
            "set -- $pair; [ $# -lt 2 ] || cp -r $1 $2; done",
            rows[i].target, rows[i].beside, rows[i].kept ? "v1" : "");
        assert_int_equal(system(make), 0);
        put(".millwright/promotions/p9.json", note);
        for (int again = 0; again < 2; again++) {
            enum mw_rc rc = mw_promote_recover(ws_fd, "p9", "app", &outcome, &ret, &err);
            if (rc != rows[i].rc || (rc == MW_OK && outcome != rows[i].outcome))
                fail_msg("row %zu: %s, %s: %s", i, mw_rc_name(rc),
                         outcome == MW_PROMOTE_FORWARD ? "forward" : "back", err.text);
            assert_int_equal(access("app", F_OK) == 0, rows[i].stands[0] != '\0');
            if (rows[i].stands[0] != '\0') {
                char found[MW_SHA256_HEX], wanted[MW_SHA256_HEX];
                digest_of("app", found);
                digest_of(rows[i].stands, wanted);
                assert_string_equal(found, wanted);
            }
            bool beside = access(".millwright-p9", F_OK) == 0;
            assert_int_equal(beside, rows[i].rc == MW_E_CONFLICT);
        }
    }
}

/* Somebody's own, with a key in it: it is looked at as far as it can be, and the app root is not replaced unasked. */
static void p23_a_file_that_may_not_be_read_is_an_edit(void **state)
{
    (void)state;
    const char *expected[] = {v1};
    const struct mw_promote look = {
        .workspace_fd = ws_fd, .target = "app", .expected = expected, .expected_count = 1};
    struct mw_promote_edits edits = {.edited = false};
    struct mw_err err = {0};
    promoted("p1", "v1", v1, NULL, MW_EDITS_REFUSE);
    put("app/key", "mine\n");
    assert_int_equal(chmod("app/key", 0), 0);
    assert_int_equal(chmod(own_folder, 0755), 0);
    bool root = geteuid() == 0; /* whom nothing is closed to */
    if (root)
        assert_int_equal(seteuid(65534), 0);
    enum mw_rc rc = mw_promote_look(&look, &edits, &err);
    if (root)
        assert_int_equal(seteuid(0), 0);
    if (rc != MW_OK)
        fail_msg("%s", err.text);
    assert_true(edits.edited);
    assert_int_equal(edits.diff.count, 1);
    assert_true(mw_str_is(edits.diff.changes[0].path, "key"));
    mw_promote_edits_free(&edits);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(p17_ids_that_are_not_one_plain_name_are_refused),
        TEST(p23_every_target_has_its_answer),
        TEST(p12_what_is_no_place_for_an_app_is_said_first),
        TEST(p12_the_app_root_has_one_name),
        TEST(p12_a_place_that_may_not_be_written_is_denied),
        TEST(p23_a_folder_with_other_files_is_told_as_one),
        TEST(p23_a_home_is_never_a_target_wherever_it_is),
        TEST(p23_edits_that_cannot_be_told_are_not_replaced),
        TEST(p23_a_file_that_may_not_be_read_is_an_edit),
        TEST(p12_an_empty_source_is_refused),
        TEST(p23_a_removal_is_adopted_and_a_link_is_not),
        TEST(p12_a_note_that_says_nothing_is_not_acted_upon),
        TEST(p12_versions_are_those_that_are_whole),
        TEST(p12_where_no_number_is_left_nothing_is_promoted),
        TEST(p12_a_restored_backup_is_recovered_by_what_the_trees_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
