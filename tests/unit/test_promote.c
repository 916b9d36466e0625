/*
 * Promotion: the guard over a person's work (P23), rollback, kept versions, adopting and discarding edits. Its crashes are in
 * test_promote_crash.c.
 */
#include "own_folder.h"
#include "stage/promote.h"
#include "stage/scaffold.h"
#include <sys/stat.h>

static int ws_fd;
static char scaffold[512];

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

/* Everything of the workspace that promotion has no business with. */
static char *other_things(void)
{
    return shell("find . -not -path './app*' -not -path './.millwright/versions*' -not -path "
                 "'./.millwright/promotions*' -not -path . -not -path ./.millwright "
                 "-printf '%p %y %m %T@ %s %l\\n' | LC_ALL=C sort; "
                 "find data other -type f | LC_ALL=C sort | xargs sha256sum");
}

static int setup(void **state)
{
    struct mw_err err;
    bool made;
    (void)enter_own_folder(state);
    ws_fd = open(".", O_RDONLY | O_DIRECTORY);
    snprintf(scaffold, sizeof(scaffold), "%s/factory/scaffold/default/app", MW_SOURCE_DIR);
    assert_int_equal(mw_scaffold_make(ws_fd, MW_SOURCE_DIR "/factory", "default", &made, &err),
                     MW_OK);
    put("data/notes/order/records.jsonl", "precious\n");
    put("other/mine.txt", "mine\n");
    assert_int_equal(symlink("mine.txt", "other/link"), 0);
    put("v1/app.json", "1\n");
    put("v1/src/a.js", "a1\n");
    put("v1/src/b.js", "b1\n");
    put("v1/only1", "1\n");
    put("v2/app.json", "2\n");
    put("v2/src/a.js", "a1\n");
    put("v2/src/b.js", "b2\n");
    put("v2/run.sh", "#!/bin/sh\n");
    assert_int_equal(chmod("v2/run.sh", 0755), 0);
    return 0;
}

static int teardown(void **state)
{
    close(ws_fd);
    return leave_own_folder(state);
}

static enum mw_rc promote(const char *id, const char *source, const char *expected,
                          enum mw_promote_edits_mode edits, struct mw_promoted *ret,
                          struct mw_err *err)
{
    char sha256[MW_SHA256_HEX];
    digest_of(source, sha256);
    const char *list[] = {expected};
    struct mw_promote promote = {.workspace_fd = ws_fd,
                                 .id = id,
                                 .source = source,
                                 .source_sha256 = sha256,
                                 .target = "app",
                                 .expected = list,
                                 .expected_count = expected != NULL,
                                 .scaffold = scaffold,
                                 .edits = edits,
                                 .keep_versions = 3};
    return mw_promote_run(&promote, ret, err);
}

static void promoted(const char *id, const char *source, const char *expected,
                     enum mw_promote_edits_mode edits, struct mw_promoted *ret)
{
    struct mw_err err = {0};
    if (promote(id, source, expected, edits, ret, &err) != MW_OK)
        fail_msg("%s: %s", id, err.text);
}

static void same_trees(const char *a, const char *b)
{
    char one[MW_SHA256_HEX], two[MW_SHA256_HEX];
    digest_of(a, one);
    digest_of(b, two);
    if (strcmp(one, two) != 0)
        fail_msg("'%s' and '%s' differ", a, b);
}

static void ar14_the_target_is_the_source_and_the_rest_is_untouched(void **state)
{
    (void)state;
    struct mw_promoted p1, p2, again;
    mw_autofree char *before = other_things();
    char scaffold_digest[MW_SHA256_HEX];
    digest_of(scaffold, scaffold_digest);
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    same_trees("app", "v1");
    assert_string_equal(p1.previous_sha256, scaffold_digest);
    assert_int_equal(p1.previous_version, 1);
    assert_false(p1.edited);
    promoted("p2", "v2", p1.sha256, MW_EDITS_REFUSE, &p2);
    same_trees("app", "v2");
    same_trees(".millwright/versions/2", "v1");
    assert_int_equal(access("app/run.sh", X_OK), 0);
    struct stat st;
    assert_int_equal(stat("app/app.json", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    /* The same intent again is the same answer and does nothing. */
    promoted("p2", "v2", p1.sha256, MW_EDITS_REFUSE, &again);
    assert_memory_equal(&again, &p2, sizeof(p2));
    mw_autofree char *after = other_things();
    assert_string_equal(before, after);
}

static void p12_rollback_is_the_same_operation(void **state)
{
    (void)state;
    struct mw_promoted p1, p2, p3;
    struct mw_version_list list;
    struct mw_err err;
    char path[MW_VERSION_PATH_MAX];
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    promoted("p2", "v2", p1.sha256, MW_EDITS_REFUSE, &p2);
    assert_int_equal(mw_versions_list(ws_fd, &list, &err), MW_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[1].sha256, p1.sha256);
    assert_string_equal(list.items[1].promotion, "p2");
    mw_version_path(list.items[1].number, path);
    mw_versions_free(&list);
    promoted("p3", path, p2.sha256, MW_EDITS_REFUSE, &p3);
    same_trees("app", "v1");
    same_trees(".millwright/versions/3", "v2");
    assert_string_equal(p3.sha256, p1.sha256);
    /* A refusal names what can be typed: rollback knows no word for edits. */
    put("app/mine", "1");
    const char *expected[] = {p3.sha256};
    const struct mw_promote back = {.workspace_fd = ws_fd,
                                    .id = "p4",
                                    .source = ".millwright/versions/3",
                                    .source_sha256 = p2.sha256,
                                    .target = "app",
                                    .expected = expected,
                                    .expected_count = 1,
                                    .is_rollback = true};
    assert_int_equal(mw_promote_run(&back, &p3, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "'millwright promote --discard-edits'"));
    assert_null(strstr(err.text, "--to DIR"));
}

static void p12_old_versions_are_pruned_but_never_edited_ones(void **state)
{
    (void)state;
    struct mw_promoted last = {0};
    struct mw_version_list list;
    struct mw_err err;
    for (int i = 0; i < 9; i++) {
        char id[16];
        snprintf(id, sizeof(id), "p%d", i);
        if (i == 2)
            put("app/edited.txt", "mine\n");
        promoted(id, i % 2 ? "v2" : "v1", i > 0 ? last.sha256 : NULL,
                 i == 2 ? MW_EDITS_DISCARD : MW_EDITS_REFUSE, &last);
        assert_int_equal(last.edited, i == 2);
    }
    assert_int_equal(mw_versions_list(ws_fd, &list, &err), MW_OK);
    assert_int_equal(list.count, 4);
    assert_true(list.items[0].edited);
    assert_int_equal(list.items[0].number, 3);
    assert_int_equal(list.items[1].number, 7);
    assert_int_equal(list.items[3].number, 9);
    mw_versions_free(&list);
    mw_autofree char *text = shell("cat .millwright/versions/3/edited.txt");
    assert_string_equal(text, "mine\n");
}

static void p23_an_edited_root_is_refused_and_every_edit_named(void **state)
{
    (void)state;
    struct mw_promoted p1, p2 = {0};
    struct mw_err err = {0};
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    put("app/src/a.js", "mine\n");
    put("app/notes.txt", "mine\n");
    assert_int_equal(unlink("app/only1"), 0);
    assert_int_equal(symlink("/etc/hosts", "app/hosts"), 0);
    mw_autofree char *before = shell("find . -printf '%p %y %T@ %s\\n' | LC_ALL=C sort");
    assert_int_equal(promote("p2", "v2", p1.sha256, MW_EDITS_REFUSE, &p2, &err), MW_E_DENIED);
    mw_autofree char *after = shell("find . -printf '%p %y %T@ %s\\n' | LC_ALL=C sort");
    assert_string_equal(before, after);
    assert_non_null(
        strstr(err.text, "added hosts, added notes.txt, removed only1, changed src/a.js"));
    assert_non_null(strstr(err.text, "--adopt-edits"));
    const char *list[] = {p1.sha256};
    struct mw_promote look = {
        .workspace_fd = ws_fd, .target = "app", .expected = list, .expected_count = 1};
    struct mw_promote_edits edits;
    assert_int_equal(mw_promote_look(&look, &edits, &err), MW_OK);
    assert_true(edits.edited);
    assert_int_equal(edits.diff.count, 4);
    mw_promote_edits_free(&edits);
    /* Discarding keeps the edits, link and all, and follows nothing. */
    promoted("p3", "v2", p1.sha256, MW_EDITS_DISCARD, &p2);
    same_trees("app", "v2");
    assert_true(p2.edited);
    mw_autofree char *kept = shell("cat .millwright/versions/2/notes.txt; "
                                   "readlink .millwright/versions/2/hosts");
    assert_string_equal(kept, "mine\n/etc/hosts\n");
}

static void p23_an_edited_scaffold_and_an_unknown_root_are_refused(void **state)
{
    (void)state;
    struct mw_promoted p = {0};
    struct mw_err err = {0};
    put("app/app.json", "mine\n");
    assert_int_equal(promote("p1", "v1", NULL, MW_EDITS_REFUSE, &p, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "changed app.json"));
    assert_int_equal(mw_remove_tree(AT_FDCWD, "app", &err), MW_OK);
    put("app/whatever", "mine\n");
    assert_int_equal(promote("p1", "v1", NULL, MW_EDITS_REFUSE, &p, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "added whatever"));
    assert_int_equal(mw_remove_tree(AT_FDCWD, "app", &err), MW_OK);
    assert_int_equal(symlink("other", "app"), 0);
    assert_int_equal(promote("p1", "v1", NULL, MW_EDITS_DISCARD, &p, &err), MW_E_DENIED);
    assert_int_equal(unlink("app"), 0);
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p); /* nothing stands there */
    same_trees("app", "v1");
    assert_string_equal(p.previous_sha256, "");
    assert_int_equal(p.previous_version, 0);
}

static void p23_edits_are_adopted_where_the_new_version_did_not_change(void **state)
{
    (void)state;
    struct mw_promoted p1, p2, p3;
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    put("app/src/a.js", "mine\n");            /* unchanged in v2: carried */
    put("app/src/new.js", "mine\n");          /* carried */
    put("app/src/b.js", "b2\n");              /* the same edit as v2's: nothing to do */
    assert_int_equal(unlink("app/only1"), 0); /* v2 removed it too */
    assert_int_equal(chmod("app/src/new.js", 0755), 0);
    promoted("p2", "v2", p1.sha256, MW_EDITS_ADOPT, &p2);
    mw_autofree char *all = shell("cd app && find . -type f | LC_ALL=C sort | xargs tail -n 1 -v");
    assert_string_equal(all, "==> ./app.json <==\n2\n\n==> ./run.sh <==\n#!/bin/sh\n\n"
                             "==> ./src/a.js <==\nmine\n\n==> ./src/b.js <==\nb2\n\n"
                             "==> ./src/new.js <==\nmine\n");
    assert_int_equal(access("app/src/new.js", X_OK), 0);
    assert_true(p2.edited);
    /* The adopted tree is what counts as put there from now on. */
    promoted("p3", "v1", p2.sha256, MW_EDITS_REFUSE, &p3);
    same_trees("app", "v1");
}

/* What a file may is part of it: of two who changed it, one of them only that, neither is overrun. */
static void p23_an_edit_of_a_mode_alone_is_an_edit(void **state)
{
    (void)state;
    struct mw_promoted p1, p2 = {0};
    struct mw_err err = {0};
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    assert_int_equal(chmod("app/src/a.js", 0755), 0);
    assert_int_equal(promote("p2", "v2", p1.sha256, MW_EDITS_REFUSE, &p2, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "changed src/a.js"));
    promoted("p2", "v2", p1.sha256, MW_EDITS_ADOPT, &p2);
    assert_int_equal(access("app/src/a.js", X_OK), 0);
    assert_int_equal(access("app/src/b.js", X_OK), -1);
    /* The new version makes a file executable whose bytes somebody has changed, and the other way round. */
    assert_int_equal(chmod("v1/src/a.js", 0644), 0);
    assert_int_equal(chmod("v1/src/b.js", 0755), 0);
    put("app/src/b.js", "mine\n");
    assert_int_equal(promote("p3", "v1", p2.sha256, MW_EDITS_ADOPT, &p2, &err), MW_E_CONFLICT);
    assert_non_null(strstr(err.text, "changed src/b.js"));
    assert_null(strstr(err.text, "src/a.js"));
}

static void p23_edits_that_meet_changes_are_conflicts(void **state)
{
    (void)state;
    struct mw_promoted p1, p2 = {0};
    struct mw_err err = {0};
    char before[MW_SHA256_HEX], after[MW_SHA256_HEX];
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    put("app/src/a.js", "mine\n");
    put("app/src/b.js", "mine\n");
    put("app/run.sh", "mine\n");
    assert_int_equal(unlink("app/app.json"), 0);
    digest_of("app", before);
    assert_int_equal(promote("p2", "v2", p1.sha256, MW_EDITS_ADOPT, &p2, &err), MW_E_CONFLICT);
    assert_non_null(strstr(err.text, "removed app.json, added run.sh, changed src/b.js"));
    assert_null(strstr(err.text, "src/a.js"));
    digest_of("app", after);
    assert_string_equal(before, after);
}

static void p12_a_source_that_is_not_what_was_accepted_is_refused(void **state)
{
    (void)state;
    struct mw_promoted p;
    struct mw_err err = {0};
    char sha256[MW_SHA256_HEX];
    digest_of("v1", sha256);
    put("v1/app.json", "x\n");
    struct mw_promote promote_v1 = {.workspace_fd = ws_fd,
                                    .id = "p1",
                                    .source = "v1",
                                    .source_sha256 = sha256,
                                    .target = "app",
                                    .scaffold = scaffold};
    assert_int_equal(mw_promote_run(&promote_v1, &p, &err), MW_E_CORRUPT);
    promote_v1.source = "absent";
    assert_int_equal(mw_promote_run(&promote_v1, &p, &err), MW_E_MISSING);
    promote_v1.id = "../p1";
    assert_int_equal(mw_promote_run(&promote_v1, &p, &err), MW_E_INPUT);
    same_trees("app", scaffold);
}

static void ar15_promotion_to_another_folder(void **state)
{
    (void)state;
    struct mw_promoted p;
    struct mw_err err = {0};
    /* /dev/shm is another file system: the old tree comes home by copying. */
    char outside[] = "/dev/shm/mw-promote-to-XXXXXX";
    assert_non_null(mkdtemp(outside));
    mw_autofree char *target = mw_heap_format("%s/live", outside);
    char one[MW_SHA256_HEX], two[MW_SHA256_HEX];
    digest_of("v1", one);
    digest_of("v2", two);
    struct mw_promote to = {
        .workspace_fd = ws_fd, .id = "p1", .source = "v1", .source_sha256 = one, .target = target};
    if (mw_promote_run(&to, &p, &err) != MW_OK)
        fail_msg("%s", err.text);
    same_trees(target, "v1");
    same_trees("app", scaffold);
    const char *list[] = {one};
    struct mw_promote next = {.workspace_fd = ws_fd,
                              .id = "p2",
                              .source = "v2",
                              .source_sha256 = two,
                              .target = target,
                              .expected = list,
                              .expected_count = 1};
    if (mw_promote_run(&next, &p, &err) != MW_OK)
        fail_msg("%s", err.text);
    same_trees(target, "v2");
    assert_int_equal(p.previous_version, 1);
    same_trees(".millwright/versions/1", "v1");
    mw_autofree char *listing = mw_heap_format("ls -A %s", outside);
    mw_autofree char *left = shell(listing);
    assert_string_equal(left, "live\n");
    next.id = "p3";
    next.source = "v1";
    next.source_sha256 = one;
    assert_int_equal(mw_promote_run(&next, &p, &err), MW_E_DENIED);
    assert_int_equal(mw_remove_tree(AT_FDCWD, outside, &err), MW_OK);
}

static void p23_targets_that_hold_other_things_are_refused(void **state)
{
    (void)state;
    struct mw_promoted p;
    struct mw_err err = {0};
    char one[MW_SHA256_HEX];
    digest_of("v1", one);
    mw_autofree char *data = mw_heap_format("%s/data", own_folder);
    mw_autofree char *inner = mw_heap_format("%s/.millwright/x", own_folder);
    mw_autofree char *dots = mw_heap_format("%s/data/..", own_folder);
    const char *const targets[] = {own_folder, "/",        "/tmp", data,     inner,
                                   dots,       "relative", "",     "../app", "data"};
    put(".millwright/y", "1");
    for (size_t i = 0; i < MW_COUNT(targets); i++) {
        struct mw_promote to = {.workspace_fd = ws_fd,
                                .id = "p1",
                                .source = "v1",
                                .source_sha256 = one,
                                .target = targets[i],
                                .edits = MW_EDITS_DISCARD};
        enum mw_rc rc = mw_promote_run(&to, &p, &err);
        if (rc != MW_E_DENIED && rc != MW_E_USAGE)
            fail_msg("'%s' was taken: %s", targets[i], mw_rc_name(rc));
    }
}

static void p12_promoting_what_stands_there_changes_nothing(void **state)
{
    (void)state;
    struct mw_promoted p1, p2;
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    struct stat before, after;
    assert_int_equal(stat("app", &before), 0);
    promoted("p2", "v1", p1.sha256, MW_EDITS_REFUSE, &p2);
    assert_int_equal(stat("app", &after), 0);
    assert_true(p2.unchanged);
    assert_int_equal(p2.previous_version, 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

/* The new version is what edits are told against from then on, not it and the edits, and not one before it. */
static void p23_edits_that_were_adopted_are_adopted_again(void **state)
{
    (void)state;
    struct mw_promoted p1, p2, p3;
    char v2[MW_SHA256_HEX];
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    put("app/src/a.js", "mine\n");
    put("app/src/new.js", "mine\n");
    promoted("p2", "v2", p1.sha256, MW_EDITS_ADOPT, &p2);
    digest_of("v2", v2);
    put("v3/app.json", "3\n");
    put("v3/src/a.js", "a1\n");
    put("v3/src/b.js", "b3\n");
    promoted("p3", "v3", v2, MW_EDITS_ADOPT, &p3);
    assert_true(p3.edited);
    mw_autofree char *all = shell("cd app && find . -type f | LC_ALL=C sort | xargs tail -n 1 -v");
    assert_string_equal(all, "==> ./app.json <==\n3\n\n==> ./src/a.js <==\nmine\n\n"
                             "==> ./src/b.js <==\nb3\n\n==> ./src/new.js <==\nmine\n");
}

/* A link cannot be copied home with the rest: the whole old tree stays there, beside the new one. */
static void p23_what_cannot_be_copied_home_stays_beside_the_target(void **state)
{
    (void)state;
    struct mw_promoted p;
    struct mw_err err = {0};
    char outside[] = "/dev/shm/mw-promote-to-XXXXXX", one[MW_SHA256_HEX];
    assert_non_null(mkdtemp(outside));
    mw_autofree char *target = mw_heap_format("%s/live", outside);
    mw_autofree char *mine = mw_heap_format("%s/mine", target);
    mw_autofree char *link = mw_heap_format("%s/link", target);
    put(mine, "precious\n");
    assert_int_equal(symlink("mine", link), 0);
    digest_of("v1", one);
    const struct mw_promote to = {.workspace_fd = ws_fd,
                                  .id = "p1",
                                  .source = "v1",
                                  .source_sha256 = one,
                                  .target = target,
                                  .edits = MW_EDITS_DISCARD,
                                  .keep_versions = 1};
    if (mw_promote_run(&to, &p, &err) != MW_OK)
        fail_msg("%s", err.text);
    same_trees(target, "v1");
    mw_autofree char *look = mw_heap_format("cat %s/live.millwright-p1-*/link", outside);
    mw_autofree char *kept = shell(look);
    assert_string_equal(kept, "precious\n");
    assert_int_equal(mw_remove_tree(AT_FDCWD, outside, &err), MW_OK);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* What nobody else could read stays so: adopted, replaced by a new version, brought back by a rollback. */
static void p23_what_is_private_is_not_opened_to_others(void **state)
{
    static const char *const paths[] = {"", "/.env", "/src", "/src/a.js", "/app.json", "/run.sh"};
    static const unsigned before[] = {0700, 0600, 0750, 0600, 0640, 0700};
    (void)state;
    struct mw_promoted p1, p2, p3;
    char v2[MW_SHA256_HEX];
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    put("app/.env", "KEY=1\n");
    put("app/run.sh", "#!/bin/sh\n");
    for (size_t i = 0; i < MW_COUNT(paths); i++) {
        mw_autofree char *path = mw_heap_format("app%s", paths[i]);
        assert_int_equal(chmod(path, before[i]), 0);
    }
    promoted("p2", "v2", p1.sha256, MW_EDITS_ADOPT, &p2);
    for (size_t i = 0; i < MW_COUNT(paths); i++) {
        mw_autofree char *path = mw_heap_format("app%s", paths[i]);
        if (mode_of(path) != before[i])
            fail_msg("'%s' is %o, not %o", path, mode_of(path), before[i]);
    }
    assert_int_equal(mode_of("app/src/b.js"), 0644);
    digest_of("v2", v2);
    promoted("p3", "v1", p2.sha256, MW_EDITS_REFUSE, &p3);
    assert_int_equal(mode_of("app"), 0700);
    assert_int_equal(mode_of("app/src"), 0750);
    assert_int_equal(mode_of("app/src/a.js"), 0600);
    assert_int_equal(access("app/.env", F_OK), -1);
    promoted("p4", ".millwright/versions/3", p3.sha256, MW_EDITS_REFUSE, &p3);
    assert_int_equal(mode_of("app/.env"), 0600);
    /* Elsewhere too, from where an old tree comes home by copying. */
    struct mw_err err = {0};
    char outside[] = "/dev/shm/mw-promote-to-XXXXXX";
    assert_non_null(mkdtemp(outside));
    mw_autofree char *target = mw_heap_format("%s/live", outside);
    mw_autofree char *env = mw_heap_format("%s/.env", target);
    put(env, "KEY=1\n");
    assert_int_equal(chmod(env, 0600), 0);
    const struct mw_promote to = {.workspace_fd = ws_fd,
                                  .id = "p5",
                                  .source = "v2",
                                  .source_sha256 = v2,
                                  .target = target,
                                  .edits = MW_EDITS_DISCARD};
    if (mw_promote_run(&to, &p3, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_autofree char *kept = mw_heap_format(".millwright/versions/%u/.env", p3.previous_version);
    assert_int_equal(mode_of(kept), 0600);
    assert_int_equal(mw_remove_tree(AT_FDCWD, outside, &err), MW_OK);
}

/* To move a folder into another one it has to be writable; nobody's promotion fails for that. */
static void p12_an_app_that_is_not_writable_is_replaced_and_kept(void **state)
{
    (void)state;
    struct mw_promoted p1, p2 = {0};
    struct mw_err err = {0};
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    bool root = geteuid() == 0; /* who may move anything */
    if (root) {
        mw_autofree char *none = shell("chown -R 65534 .");
        assert_string_equal(none, "");
        assert_int_equal(seteuid(65534), 0);
    }
    assert_int_equal(chmod("app", 0555), 0);
    enum mw_rc rc = promote("p2", "v2", p1.sha256, MW_EDITS_REFUSE, &p2, &err);
    if (root)
        assert_int_equal(seteuid(0), 0);
    if (rc != MW_OK)
        fail_msg("%s", err.text);
    same_trees("app", "v2");
    same_trees(".millwright/versions/2", "v1");
}

/* Whoever put it there: there is nothing to be lost, and nothing to be asked. */
static void p23_what_is_to_be_put_there_is_no_edit(void **state)
{
    (void)state;
    struct mw_promoted p1, p2;
    promoted("p1", "v1", NULL, MW_EDITS_REFUSE, &p1);
    mw_autofree char *copied = shell("rm -r app && cp -r v2 app");
    assert_string_equal(copied, "");
    promoted("p2", "v2", p1.sha256, MW_EDITS_REFUSE, &p2);
    assert_true(p2.unchanged);
    assert_false(p2.edited);
    same_trees("app", "v2");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(ar14_the_target_is_the_source_and_the_rest_is_untouched),
        TEST(p12_rollback_is_the_same_operation),
        TEST(p12_old_versions_are_pruned_but_never_edited_ones),
        TEST(p23_an_edited_root_is_refused_and_every_edit_named),
        TEST(p23_an_edited_scaffold_and_an_unknown_root_are_refused),
        TEST(p23_edits_are_adopted_where_the_new_version_did_not_change),
        TEST(p23_edits_that_were_adopted_are_adopted_again),
        TEST(p23_what_cannot_be_copied_home_stays_beside_the_target),
        TEST(p23_an_edit_of_a_mode_alone_is_an_edit),
        TEST(p23_edits_that_meet_changes_are_conflicts),
        TEST(p12_a_source_that_is_not_what_was_accepted_is_refused),
        TEST(ar15_promotion_to_another_folder),
        TEST(p23_targets_that_hold_other_things_are_refused),
        TEST(p12_promoting_what_stands_there_changes_nothing),
        TEST(p12_an_app_that_is_not_writable_is_replaced_and_kept),
        TEST(p23_what_is_private_is_not_opened_to_others),
        TEST(p23_what_is_to_be_put_there_is_no_edit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
