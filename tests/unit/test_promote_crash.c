/*
 * P12, AR-19, P22, P23: promotion and rollback are killed at every system call, and every system call that changes the disk fails once with
 * no space or an I/O error. After each: the root is the old tree or the new one, recovery says which, and nothing is left beside it.
 *
 * The harness is this file's own tracer (ptrace), so that nothing in the product knows of it. Works in /dev/shm, where syncing is free.
 */
#include "posix/heap.h"
#include "stage/promote.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64];    /* everything of this test */
static char outside[64]; /* a folder on another file system */

enum operation { PROMOTE, ROLLBACK, FIRST, ADOPT, DISCARD, ELSEWHERE, RECOVER };

/* ---- the tracer ---- */

enum stop_mode { RUN_THROUGH, KILL_AT, FAIL_AT, EDIT_AT };
struct trace {
    enum stop_mode mode;
    bool changing_only; /* count only calls that change the disk */
    long at;            /* 1-based */
    int fail_errno;
    /* results */
    long count;
    bool killed;
    bool failed_one;
    bool edited;
    int rc; /* what the operation returned, when it did */
    bool unsynced_at_exchange;
    bool changed_after_exchange, synced_after_exchange;
    long folder_syncs, folders_made;
    bool exchanged;
};

static bool changes_disk(const struct __ptrace_syscall_info *info)
{
    switch (info->entry.nr) {
    case SYS_openat:
        return (info->entry.args[2] & O_CREAT) != 0;
    case SYS_write:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_fchmod:
    case SYS_ftruncate:
    case SYS_mkdirat:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_unlinkat:
#ifdef SYS_mkdir
    case SYS_mkdir:
    case SYS_rename:
    case SYS_unlink:
    case SYS_rmdir:
#endif
        return true;
    default:
        return false;
    }
}

static bool can_fail(void)
{
#if defined(__x86_64__)
    return true;
#else
    return false;
#endif
}

#if defined(__x86_64__)
static void skip_call(pid_t pid)
{
    ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1L);
}
static void set_result(pid_t pid, long result)
{
    ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), result);
}
#else
static void skip_call(pid_t pid)
{
    (void)pid;
}
static void set_result(pid_t pid, long result)
{
    (void)pid;
    (void)result;
}
#endif

enum fd_kind { FD_OTHER, FD_FILE_CLEAN, FD_FILE_DIRTY, FD_FOLDER };
struct fds {
    enum fd_kind kind[1024];
    uint64_t nr, args[6]; /* of the call that is running */
    bool changes;         /* it changes the disk */
};

/* What the exchange must not outrun: every file that was written is synced, and so is every folder that was made. */
static void note_call(struct trace *trace, struct fds *fds, long result)
{
    uint64_t fd = fds->args[0] < 1024 ? fds->args[0] : 0;
    if (result < 0)
        return;
    if (trace->exchanged && fds->changes && !trace->changed_after_exchange) {
        trace->changed_after_exchange =
            true; /* the very next change on the disk has to be the sync */
        trace->synced_after_exchange = fds->nr == SYS_fsync && fds->kind[fd] == FD_FOLDER;
    }
    if (fds->nr == SYS_openat && result < 1024)
        fds->kind[result] = fds->args[2] & O_CREAT       ? FD_FILE_DIRTY
                            : fds->args[2] & O_DIRECTORY ? FD_FOLDER
                                                         : FD_OTHER;
    if (fds->nr == SYS_write && fds->kind[fd] == FD_FILE_CLEAN)
        fds->kind[fd] = FD_FILE_DIRTY;
    if (fds->nr == SYS_fsync || fds->nr == SYS_fdatasync) {
        if (fds->kind[fd] == FD_FOLDER)
            trace->folder_syncs += !trace->exchanged;
        if (fds->kind[fd] == FD_FILE_DIRTY)
            fds->kind[fd] = FD_FILE_CLEAN;
    }
    if (fds->nr == SYS_close) {
        if (fds->kind[fd] == FD_FILE_DIRTY && !trace->exchanged)
            trace->unsynced_at_exchange = true;
        fds->kind[fd] = FD_OTHER;
    }
    if (fds->nr == SYS_mkdirat)
        trace->folders_made += !trace->exchanged;
    if (fds->nr == SYS_renameat2 && fds->args[4] == RENAME_EXCHANGE) {
        for (int i = 0; i < 1024; i++)
            if (fds->kind[i] == FD_FILE_DIRTY)
                trace->unsynced_at_exchange = true;
        trace->exchanged = true;
    }
}

static void run_operation_and_exit(enum operation operation);
static void put(const char *path, const char *text);

static void run_traced(enum operation operation, struct trace *trace)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        run_operation_and_exit(operation);
    }
    int status;
    struct fds fds = {0};
    bool failing = false;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status));
    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    for (;;) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) {
            trace->rc = WEXITSTATUS(status);
            return;
        }
        if (WIFSIGNALED(status)) {
            fail_msg("the operation died of signal %d", WTERMSIG(status));
            return;
        }
        if (WSTOPSIG(status) != (SIGTRAP | 0x80))
            fail_msg("unexpected stop by signal %d", WSTOPSIG(status));
        struct __ptrace_syscall_info info;
        assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0);
        if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
            if (failing)
                set_result(pid, -trace->fail_errno);
            note_call(trace, &fds, failing ? -1 : (long)info.exit.rval);
            failing = false;
            continue;
        }
        fds.nr = info.entry.nr;
        fds.changes = changes_disk(&info);
        memcpy(fds.args, info.entry.args, sizeof(fds.args));
        if (trace->changing_only && !fds.changes)
            continue;
        if (++trace->count != trace->at)
            continue;
        if (trace->mode == KILL_AT) {
            kill(pid, SIGKILL);
            assert_int_equal(waitpid(pid, &status, 0), pid);
            trace->killed = true;
            return;
        }
        if (trace->mode == EDIT_AT) {
            put("app/late", "mine\n"); /* somebody saves a file just now */
            trace->edited = true;
        }
        if (trace->mode == FAIL_AT) {
            skip_call(pid);
            failing = trace->failed_one = true;
        }
    }
}

/* ---- the workspace ---- */

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void put_tree(const char *folder, const char *a, const char *b, const char *only)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/src/deep", folder);
    struct mw_err err;
    assert_int_equal(mw_mkdirs(AT_FDCWD, path, 0755, &err), MW_OK);
    snprintf(path, sizeof(path), "%s/app.json", folder);
    put(path, a);
    snprintf(path, sizeof(path), "%s/src/b.js", folder);
    put(path, b);
    snprintf(path, sizeof(path), "%s/src/deep/%s", folder, only);
    put(path, only);
}

static bool digest_of(const char *folder, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_err err;
    struct mw_tree tree;
    struct mw_tree_scan observe = {.observe = true};
    ret_sha256[0] = '\0';
    if (mw_tree_scan(AT_FDCWD, folder, &observe, &tree, &err) != MW_OK)
        return false;
    if (tree.count > 0)
        mw_tree_digest(&tree, ret_sha256);
    mw_tree_free(&tree);
    return true;
}

static struct {
    char v1[MW_SHA256_HEX], v2[MW_SHA256_HEX], edited[MW_SHA256_HEX], adopted[MW_SHA256_HEX];
} digests;

static const char *target_of(enum operation operation)
{
    static char elsewhere[128];
    if (operation != ELSEWHERE)
        return "app";
    snprintf(elsewhere, sizeof(elsewhere), "%s/live", outside);
    return elsewhere;
}

static const char *old_digest(enum operation operation)
{
    return operation == ROLLBACK                        ? digests.v2
           : operation == FIRST                         ? ""
           : operation == ADOPT || operation == DISCARD ? digests.edited
                                                        : digests.v1;
}

static const char *new_digest(enum operation operation)
{
    return operation == ROLLBACK ? digests.v1 : operation == ADOPT ? digests.adopted : digests.v2;
}

static enum mw_rc promote_plainly(const char *id, const char *source, const char *sha256,
                                  const char *target, const char *expected,
                                  enum mw_promote_edits_mode edits, struct mw_err *err)
{
    struct mw_promoted promoted;
    mw_autoclose int ws_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mw_promote promote = {.workspace_fd = ws_fd,
                                 .id = id,
                                 .source = source,
                                 .source_sha256 = sha256,
                                 .target = target,
                                 .expected = &expected,
                                 .expected_count = expected != NULL,
                                 .edits = edits,
                                 .keep_versions = 2};
    return mw_promote_run(&promote, &promoted, err);
}

static enum mw_rc run_operation(enum operation operation, struct mw_err *err)
{
    enum mw_promote_edits_mode edits = operation == ADOPT     ? MW_EDITS_ADOPT
                                       : operation == DISCARD ? MW_EDITS_DISCARD
                                                              : MW_EDITS_REFUSE;
    const char *expected = operation == FIRST      ? NULL
                           : operation == ROLLBACK ? digests.v2
                                                   : digests.v1;
    if (operation == ROLLBACK)
        return promote_plainly("p9", ".millwright/versions/1", digests.v1, "app", expected, edits,
                               err);
    return promote_plainly("p9", "v2", digests.v2, target_of(operation), expected, edits, err);
}

static enum operation recovering; /* what a RECOVER recovers */

static enum mw_rc recover(enum operation operation, enum mw_promote_outcome *ret_outcome,
                          struct mw_promoted *ret_promoted, struct mw_err *err)
{
    mw_autoclose int ws_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return mw_promote_recover(ws_fd, "p9", target_of(operation), ret_outcome, ret_promoted, err);
}

static void run_operation_and_exit(enum operation operation)
{
    struct mw_err err = {0};
    enum mw_promote_outcome outcome;
    struct mw_promoted promoted;
    if (operation == RECOVER)
        _exit((int)recover(recovering, &outcome, &promoted, &err));
    _exit((int)run_operation(operation, &err));
}

static void clear(const char *path)
{
    struct mw_err err;
    assert_int_equal(mw_remove_tree(AT_FDCWD, path, &err), MW_OK);
}

/* A fresh workspace, as it stands before the operation. */
static void prepare(enum operation operation)
{
    struct mw_err err = {0};
    static char ws[128];
    clear(target_of(ELSEWHERE));
    snprintf(ws, sizeof(ws), "%s/ws", base);
    assert_int_equal(chdir(base), 0);
    clear("ws");
    assert_int_equal(mkdir(ws, 0755), 0);
    assert_int_equal(chdir(ws), 0);
    put_tree("v1", "1\n", "b1\n", "one");
    put_tree("v2", "2\n", "b1\n", "two");
    assert_int_equal(mw_mkdirs(AT_FDCWD, "data/notes", 0755, &err), MW_OK);
    assert_int_equal(mw_mkdirs(AT_FDCWD, ".millwright", 0755, &err), MW_OK);
    put("data/notes/records", "precious\n");
    digest_of("v1", digests.v1);
    digest_of("v2", digests.v2);
    if (operation == FIRST)
        return;
    if (promote_plainly("p1", "v1", digests.v1, target_of(operation), NULL, MW_EDITS_REFUSE,
                        &err) != MW_OK)
        fail_msg("%s", err.text);
    if (operation == ROLLBACK &&
        promote_plainly("p2", "v2", digests.v2, "app", digests.v1, MW_EDITS_REFUSE, &err) != MW_OK)
        fail_msg("%s", err.text);
    if (operation == ADOPT || operation == DISCARD) {
        put("app/src/b.js", "mine\n");
        put("app/mine", "mine\n");
        digest_of("app", digests.edited);
        put_tree("adopted", "2\n", "mine\n", "two");
        put("adopted/mine", "mine\n");
        digest_of("adopted", digests.adopted);
        clear("adopted");
    }
}

static bool leftovers(const char *folder)
{
    DIR *list = opendir(folder);
    bool found = false;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        found |= strncmp(entry->d_name, ".millwright-", 12) == 0;
    closedir(list);
    return found;
}

/* True when the new tree stands; fails the test when neither does. */
static bool stands_new(enum operation operation, const char *when, long at)
{
    char found[MW_SHA256_HEX];
    digest_of(target_of(operation), found);
    bool is_new = strcmp(found, new_digest(operation)) == 0;
    if (!is_new && strcmp(found, old_digest(operation)) != 0)
        fail_msg("%s at call %ld: the root is neither the old nor the new tree", when, at);
    return is_new;
}

/* As what it was: with edits in it, it is never pruned. */
static bool old_is_kept(enum operation operation)
{
    struct mw_version_list list;
    struct mw_err err;
    char found[MW_SHA256_HEX], path[MW_VERSION_PATH_MAX];
    mw_autoclose int ws_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_versions_list(ws_fd, &list, &err), MW_OK);
    bool kept =
        list.count > 0 && strcmp(list.items[list.count - 1].sha256, old_digest(operation)) == 0;
    if (kept) {
        mw_version_path(list.items[list.count - 1].number, path);
        digest_of(path, found);
        kept = strcmp(found, old_digest(operation)) == 0 &&
               strcmp(list.items[list.count - 1].promotion, "p9") == 0 &&
               list.items[list.count - 1].edited == (operation == ADOPT || operation == DISCARD);
    }
    mw_versions_free(&list);
    return kept;
}

static void check_data(void)
{
    char found[MW_SHA256_HEX], want[MW_SHA256_HEX];
    struct mw_buf text = mw_heap_buf();
    struct mw_err err;
    assert_int_equal(mw_file_read(AT_FDCWD, "data/notes/records", 100, &text, &err), MW_OK);
    mw_sha256_hex(mw_buf_str(&text), found);
    mw_sha256_hex(MW_STR("precious\n"), want);
    assert_string_equal(found, want);
    mw_heap_buf_free(&text);
}

/* After any accident: one recovery settles it; asked twice it says the same; the operation, asked again, ends with the new tree. */
static void settle(enum operation operation, const char *when, long at)
{
    enum mw_promote_outcome outcome, again;
    struct mw_promoted promoted, repeated;
    struct mw_err err = {0};
    bool was_new = stands_new(operation, when, at);
    check_data();
    if (recover(operation, &outcome, &promoted, &err) != MW_OK)
        fail_msg("%s at call %ld: recovery failed: %s", when, at, err.text);
    bool is_new = stands_new(operation, "recovery", at);
    if (is_new != was_new || is_new != (outcome == MW_PROMOTE_FORWARD))
        fail_msg("%s at call %ld: recovery is wrong about what stands", when, at);
    assert_int_equal(recover(operation, &again, &repeated, &err), MW_OK);
    assert_int_equal(again, outcome);
    assert_memory_equal(&repeated, &promoted, sizeof(promoted));
    if (is_new && operation != FIRST && !old_is_kept(operation))
        fail_msg("%s at call %ld: the old tree is not kept", when, at);
    if (leftovers(".") || leftovers(outside))
        fail_msg("%s at call %ld: something is left beside the root", when, at);
    if (run_operation(operation, &err) != MW_OK)
        fail_msg("%s at call %ld: asked again: %s", when, at, err.text);
    assert_true(stands_new(operation, "asked again", at));
    if (operation != FIRST && !old_is_kept(operation))
        fail_msg("%s at call %ld: asked again, the old tree is not kept", when, at);
    check_data();
}

static void kill_everywhere(enum operation operation, bool changing_only)
{
    long at = 1;
    for (;; at++) {
        struct trace trace = {.mode = KILL_AT, .at = at, .changing_only = changing_only};
        prepare(operation);
        run_traced(operation, &trace);
        if (!trace.killed) {
            assert_int_equal(trace.rc, MW_OK);
            break;
        }
        settle(operation, "killed", at);
    }
    assert_true(at > 40); /* a harness that kills nothing proves nothing */
    print_message("           killed at %ld system calls\n", at - 1);
}

static void p12_ar19_promote_killed_at_every_system_call(void **state)
{
    (void)state;
    kill_everywhere(PROMOTE, false);
}

static void p12_ar19_rollback_killed_at_every_system_call(void **state)
{
    (void)state;
    kill_everywhere(ROLLBACK, false);
}

static void p12_the_first_promotion_killed_at_every_change(void **state)
{
    (void)state;
    kill_everywhere(FIRST, true);
}

static void p23_adopting_edits_killed_at_every_change(void **state)
{
    (void)state;
    kill_everywhere(ADOPT, true);
}

static void p23_discarding_edits_killed_at_every_change(void **state)
{
    (void)state;
    kill_everywhere(DISCARD, true);
}

static void p12_promotion_to_another_file_system_killed_at_every_change(void **state)
{
    (void)state;
    kill_everywhere(ELSEWHERE, true);
}

static void p12_recovery_killed_at_every_change(void **state)
{
    (void)state;
    long recoveries = 0;
    recovering = PROMOTE;
    for (long at = 1;; at++) {
        bool through = false;
        for (long inner = 1; !through; inner++) {
            struct trace trace = {.mode = KILL_AT, .at = at, .changing_only = true};
            struct trace again = {.mode = KILL_AT, .at = inner, .changing_only = true};
            prepare(PROMOTE);
            run_traced(PROMOTE, &trace);
            if (!trace.killed) {
                print_message("           %ld killed recoveries\n", recoveries);
                assert_true(recoveries > 200);
                return;
            }
            run_traced(RECOVER, &again);
            through = !again.killed;
            recoveries += again.killed;
            settle(PROMOTE, "killed twice", at * 1000 + inner);
        }
    }
}

static void fail_everywhere(enum operation operation, int with_errno)
{
    long at = 1, stopped_before = 0;
    for (;; at++) {
        struct trace trace = {
            .mode = FAIL_AT, .at = at, .changing_only = true, .fail_errno = with_errno};
        prepare(operation);
        run_traced(operation, &trace);
        if (!trace.failed_one)
            break;
        bool is_new = stands_new(operation, "failed", at);
        if (trace.rc == MW_OK && !is_new)
            fail_msg("call %ld failed, and success was told with the old tree standing", at);
        if (trace.rc != MW_OK && trace.rc != MW_E_IO && trace.rc != MW_E_FULL && is_new)
            fail_msg("call %ld failed: the new tree stands, and the code %s does not tell to ask",
                     at, mw_rc_name((enum mw_rc)trace.rc));
        stopped_before += trace.rc != MW_OK;
        settle(operation, "failed", at);
    }
    assert_true(stopped_before > 20);
    print_message("           %ld calls failed with '%s', %ld stopped the promotion\n", at - 1,
                  strerror(with_errno), stopped_before);
}

static void p12_every_change_fails_once_for_want_of_space(void **state)
{
    (void)state;
    if (!can_fail())
        skip();
    fail_everywhere(PROMOTE, ENOSPC);
}

static void p12_every_change_fails_once_with_an_io_error(void **state)
{
    (void)state;
    if (!can_fail())
        skip();
    fail_everywhere(PROMOTE, EIO);
    fail_everywhere(ROLLBACK, EIO);
}

static void p12_a_file_system_without_exchange_is_told_and_nothing_changes(void **state)
{
    (void)state;
    struct trace count = {.mode = RUN_THROUGH, .changing_only = true};
    if (!can_fail())
        skip();
    prepare(PROMOTE);
    run_traced(PROMOTE, &count);
    bool told = false;
    for (long at = 1; at <= count.count; at++) {
        struct trace trace = {
            .mode = FAIL_AT, .at = at, .changing_only = true, .fail_errno = EINVAL};
        prepare(PROMOTE);
        run_traced(PROMOTE, &trace);
        if (trace.rc == MW_E_MISSING) { /* only the exchange itself gives this code */
            told = true;
            assert_false(stands_new(PROMOTE, "without exchange", at));
            assert_false(leftovers("."));
        }
        settle(PROMOTE, "without exchange", at);
    }
    assert_true(told);
}

static void p22_everything_is_synced_before_the_exchange_and_the_folder_after(void **state)
{
    (void)state;
    static const enum operation operations[] = {PROMOTE, ROLLBACK, ADOPT, DISCARD, ELSEWHERE};
    for (size_t i = 0; i < MW_COUNT(operations); i++) {
        struct trace trace = {.mode = RUN_THROUGH};
        prepare(operations[i]);
        run_traced(operations[i], &trace);
        assert_int_equal(trace.rc, MW_OK);
        assert_true(trace.exchanged);
        assert_false(trace.unsynced_at_exchange);
        assert_true(trace.synced_after_exchange);
        if (trace.folder_syncs < trace.folders_made + 1)
            fail_msg("%ld folders made, %ld synced", trace.folders_made, trace.folder_syncs);
    }
}

/* Stops a promotion with its note written, just before the exchange or just after it. */
static void stop_around_exchange(bool after)
{
    for (long at = 1;; at++) {
        struct trace trace = {.mode = KILL_AT, .at = at, .changing_only = true};
        prepare(PROMOTE);
        run_traced(PROMOTE, &trace);
        assert_true(trace.killed);
        if (access(".millwright/promotions/p9.json", F_OK) == 0 &&
            stands_new(PROMOTE, "stopped", at) == after)
            return;
    }
}

/* The same files in another folder, as a restored backup has them. */
static void restore_from_backup(const char *folder)
{
    char command[256];
    snprintf(command, sizeof(command), "cp -a %s copied && rm -rf %s && mv copied %s", folder,
             folder, folder);
    assert_int_equal(system(command), 0);
}

static void p12_recovery_goes_by_digest_where_folders_are_new_ones(void **state)
{
    (void)state;
    enum mw_promote_outcome outcome;
    struct mw_promoted promoted;
    struct mw_err err = {0};
    stop_around_exchange(false);
    restore_from_backup(".millwright-p9");
    settle(PROMOTE, "restored before", 0);
    stop_around_exchange(true);
    restore_from_backup("app");
    settle(PROMOTE, "restored after", 0);
    /* An edit of the new root after the crash: it is still the folder that was put there. */
    stop_around_exchange(true);
    put("app/late", "mine\n");
    assert_int_equal(recover(PROMOTE, &outcome, &promoted, &err), MW_OK);
    assert_int_equal(outcome, MW_PROMOTE_FORWARD);
    assert_int_equal(access("app/late", F_OK), 0);
    assert_true(old_is_kept(PROMOTE));
    /* Both were changed and neither is the folder it was: nothing is touched. */
    stop_around_exchange(true);
    restore_from_backup("app");
    restore_from_backup(".millwright-p9");
    put("app/late", "mine\n");
    put(".millwright-p9/late", "mine too\n");
    assert_int_equal(recover(PROMOTE, &outcome, &promoted, &err), MW_E_CONFLICT);
    assert_int_equal(access("app/late", F_OK), 0);
    assert_int_equal(access(".millwright-p9/late", F_OK), 0);
}

static void p23_an_edit_in_the_middle_is_never_lost(void **state)
{
    (void)state;
    long refused = 0, conflicts = 0, kept = 0, standing = 0;
    for (long at = 1;; at++) {
        struct trace trace = {.mode = EDIT_AT, .at = at};
        prepare(PROMOTE);
        run_traced(PROMOTE, &trace);
        if (!trace.edited)
            break;
        bool in_app = access("app/late", F_OK) == 0;
        refused += trace.rc == MW_E_DENIED;
        conflicts += trace.rc == MW_E_CONFLICT;
        if (trace.rc != MW_OK && (!in_app || access("app/src/deep/one", F_OK) != 0))
            fail_msg("edited at call %ld: refused, but the root is not what it was", at);
        if (trace.rc != MW_OK) {
            assert_false(leftovers("."));
            continue;
        }
        struct mw_version_list list;
        struct mw_err err;
        mw_autoclose int ws_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mw_versions_list(ws_fd, &list, &err), MW_OK);
        bool aside = access(".millwright/versions/1/late", F_OK) == 0;
        if (!in_app && (!aside || list.count == 0 || !list.items[0].edited))
            fail_msg("edited at call %ld: the edit is lost, or kept as if nobody had made it", at);
        mw_versions_free(&list);
        standing += in_app;
        kept += aside;
    }
    print_message("           edits: %ld refused, %ld noticed, %ld kept aside, %ld after it\n",
                  refused, conflicts, kept, standing);
    assert_true(refused > 0 && conflicts > 20 && kept > 0 && standing > 0);
}

static int setup_all(void **state)
{
    (void)state;
    strcpy(base, "/dev/shm/mw-crash-XXXXXX");
    strcpy(outside, "/tmp/mw-crash-XXXXXX");
    return mkdtemp(base) != NULL && mkdtemp(outside) != NULL ? 0 : -1;
}

static int teardown_all(void **state)
{
    (void)state;
    assert_int_equal(chdir("/"), 0);
    clear(base);
    clear(outside);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p12_ar19_promote_killed_at_every_system_call),
        cmocka_unit_test(p12_ar19_rollback_killed_at_every_system_call),
        cmocka_unit_test(p12_the_first_promotion_killed_at_every_change),
        cmocka_unit_test(p23_adopting_edits_killed_at_every_change),
        cmocka_unit_test(p23_discarding_edits_killed_at_every_change),
        cmocka_unit_test(p12_promotion_to_another_file_system_killed_at_every_change),
        cmocka_unit_test(p12_recovery_goes_by_digest_where_folders_are_new_ones),
        cmocka_unit_test(p23_an_edit_in_the_middle_is_never_lost),
        cmocka_unit_test(p12_recovery_killed_at_every_change),
        cmocka_unit_test(p12_every_change_fails_once_for_want_of_space),
        cmocka_unit_test(p12_every_change_fails_once_with_an_io_error),
        cmocka_unit_test(p12_a_file_system_without_exchange_is_told_and_nothing_changes),
        cmocka_unit_test(p22_everything_is_synced_before_the_exchange_and_the_folder_after),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
