/*
 * CommitCode and CreatePullRequest (PQ-01, PQ-04, PQ-09, PQ-11) against a real git program.
 */
#include "builtin/builtin.h"
#include "builtin/commit_git.h"
#include "own_folder.h"
#include <sys/stat.h>
#include <sys/wait.h>

/* Runs one task; the answer (owned) or NULL with err. */
static char *run(const char *task_type, const char *payload, struct mw_str *ret_event,
                 struct mw_err *err)
{
    struct mw_builtin b = {.task_type = mw_str_of(task_type), .answer = mw_heap_buf()};
    mw_heap_arena(&b.arena, 1 << 20);
    assert_int_equal(mw_json_parse(&b.arena, mw_str_of(payload), &b.task, err), MW_OK);
    b.payload = 0;
    b.context = MW_NODE_NONE;
    enum mw_rc rc = mw_builtin_commit(&b, ret_event, err);
    char *text = rc == MW_OK ? mw_heap_copy(mw_buf_str(&b.answer)) : NULL;
    mw_heap_buf_free(&b.answer);
    mw_heap_arena_free(&b.arena);
    return text;
}

static char *git(const char *words)
{
    char command[512], out[16384];
    snprintf(command, sizeof(command), "git --git-dir=%s/repos/b1 %s", own_folder, words);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(out, 1, sizeof(out), pipe);
    assert_int_equal(pclose(pipe), 0);
    return mw_heap_copy((struct mw_str){out, got});
}

static char *commit_payload(const char *slug, const char *trace)
{
    return mw_heap_format(
        "{\"repo\":\"%s/repos/b1\",\"branch\":\"feature/%s\",\"service\":\"OrderService\","
        "\"slug\":\"%s\",\"traceId\":\"%s\",\"sessionId\":\"s-1\",\"blueprintId\":\"bp-1\","
        "\"outputs\":[{\"taskId\":\"t-1\",\"taskType\":\"GenerateUseCaseHandler\","
        "\"agentId\":\"handler-writer\",\"handler\":\"CreateOrder\","
        "\"files\":[\"services/%s/src/a.js\"]},"
        "{\"taskId\":\"t-2\",\"taskType\":\"GenerateAdapter\",\"agentId\":\"a <b>\","
        "\"files\":[\"services/%s/run.sh\",\"services/%s/q\\\"uote.txt\"]}]}",
        own_folder, slug, slug, trace, slug, slug, slug);
}

static void put_service(const char *slug)
{
    mw_autofree char *a = mw_heap_format("services/%s/src/a.js", slug);
    mw_autofree char *sh = mw_heap_format("services/%s/run.sh", slug);
    mw_autofree char *quote = mw_heap_format("services/%s/q\"uote.txt", slug);
    put(a, "one\r\n");
    put(sh, "#!/bin/sh\n");
    put(quote, "q\n");
    assert_int_equal(chmod(sh, 0755), 0);
}

static void pq01_a_commit_per_output_with_the_trace_in_its_trailers(void **state)
{
    (void)state;
    struct mw_err err = {0};
    struct mw_str event;
    put_service("order");
    mw_autofree char *payload = commit_payload("order", "trace-1");
    mw_autofree char *answer = run("CommitCode", payload, &event, &err);
    if (answer == NULL)
        fail_msg("%s", err.text);
    assert_true(mw_str_is(event, "CommitComplete"));
    mw_autofree char *log = git("log --reverse --format='%an|%ae|%s|%(trailers:only,unfold)' "
                                "feature/order");
    assert_string_equal(
        log,
        "millwright|millwright@localhost|millwright: empty root|\n"
        "handler-writer|handler-writer@millwright.invalid|GenerateUseCaseHandler: CreateOrder|"
        "Trace-Id: trace-1\nSession-Id: s-1\nBlueprint-Id: bp-1\nTask-Id: t-1\n"
        "Agent: handler-writer\n\n"
        "a b|a--b-@millwright.invalid|GenerateAdapter: OrderService|"
        "Trace-Id: trace-1\nSession-Id: s-1\nBlueprint-Id: bp-1\nTask-Id: t-2\nAgent: a b\n\n");
    mw_autofree char *files = git("ls-tree -r -z feature/order | tr '\\0' '\\n' | cut -c1-12,54-");
    assert_string_equal(files, "100644 blob services/order/q\"uote.txt\n"
                               "100755 blob services/order/run.sh\n"
                               "100644 blob services/order/src/a.js\n");
    mw_autofree char *bytes = git("show feature/order:services/order/src/a.js");
    assert_string_equal(bytes, "one\r\n");
    mw_autofree char *refs = git("for-each-ref --format='%(refname)'");
    assert_string_equal(refs, "refs/heads/feature/order\nrefs/heads/main\n");
    mw_autofree char *fsck = git("fsck --strict 2>&1");
    assert_string_equal(fsck, "");
}

static void pq01_the_same_input_again_gives_the_same_commit(void **state)
{
    (void)state;
    struct mw_err err = {0};
    struct mw_str event;
    put_service("order");
    mw_autofree char *payload = commit_payload("order", "trace-1");
    mw_autofree char *first = run("CommitCode", payload, &event, &err);
    mw_autofree char *second = run("CommitCode", payload, &event, &err);
    assert_non_null(first);
    assert_non_null(second);
    assert_string_equal(first, second);
    mw_autofree char *count = git("rev-list --count feature/order");
    assert_string_equal(count, "3\n");
    /* A changed file makes new commits on top; and those, again, are idempotent. */
    put("services/order/src/a.js", "two\n");
    mw_autofree char *third = run("CommitCode", payload, &event, &err);
    mw_autofree char *fourth = run("CommitCode", payload, &event, &err);
    assert_non_null(third);
    assert_string_not_equal(first, third);
    assert_string_equal(third, fourth);
    mw_autofree char *count2 = git("rev-list --count feature/order");
    assert_string_equal(count2, "5\n");
    /* Another repository, the same ids: nothing of the clock or the machine is in them. */
    mw_autofree char *head = git("rev-parse feature/order~2");
    assert_int_equal(rename("repos/b1", "repos/old"), 0);
    put("services/order/src/a.js", "one\r\n");
    mw_autofree char *fresh = run("CommitCode", payload, &event, &err);
    mw_autofree char *fresh_head = git("rev-parse feature/order");
    assert_non_null(fresh);
    assert_string_equal(head, fresh_head);
}

/* P06: a task is asked again while something of its attempt before lives on, or was killed in the middle: it is committed once. */
static void pq01_the_same_task_at_once_is_committed_once(void **state)
{
    enum { COUNT = 4, ROUNDS = 4 };
    (void)state;
    put_service("order");
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[COUNT];
        mw_autofree char *words = mw_heap_format("round %d\n", round);
        put("services/order/src/a.js", words);
        mw_autofree char *payload = commit_payload("order", "trace-1");
        for (int i = 0; i < COUNT; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] == 0) {
                struct mw_err err = {0};
                struct mw_str event;
                char *answer = run("CommitCode", payload, &event, &err);
                if (answer == NULL)
                    fprintf(stderr, "%s\n", err.text);
                _exit(answer != NULL ? 0 : 1);
            }
        }
        for (int i = 0; i < COUNT; i++) {
            int status;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        mw_autofree char *count = git("rev-list --count feature/order");
        assert_int_equal(atoi(count), 1 + 2 * (round + 1));
    }
}

static void pq01_a_lock_of_the_dead_holds_nobody_up(void **state)
{
    struct mw_err err = {0};
    struct mw_str event;
    (void)state;
    put_service("order");
    mw_autofree char *payload = commit_payload("order", "trace-1");
    mw_autofree char *first = run("CommitCode", payload, &event, &err);
    assert_non_null(first);
    put("services/order/src/a.js", "two\n");
    put("repos/b1/refs/heads/feature/order.lock", "");
    mw_autofree char *second = run("CommitCode", payload, &event, &err);
    if (second == NULL)
        fail_msg("%s", err.text);
    mw_autofree char *count = git("rev-list --count feature/order");
    assert_string_equal(count, "5\n");
    /* Killed while the pack got its name: those very objects make that very name again. */
    mw_autofree char *keeps =
        git("rev-parse --git-dir >/dev/null; for p in repos/b1/objects/pack/*.pack; do "
            ": >\"${p%.pack}.keep\"; done; ls repos/b1/objects/pack | grep -c 'keep$'");
    assert_true(atoi(keeps) > 0);
    mw_autofree char *undone = git("update-ref -d refs/heads/feature/order");
    assert_string_equal(undone, "");
    mw_autofree char *third = run("CommitCode", payload, &event, &err);
    if (third == NULL)
        fail_msg("%s", err.text);
    mw_autofree char *fourth = run("CommitCode", payload, &event, &err);
    assert_string_equal(third, fourth);
    mw_autofree char *fsck = git("fsck --strict --no-dangling 2>&1");
    assert_string_equal(fsck, "");
}

static void pq01_many_services_commit_at_once(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    pid_t children[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char slug[16];
        snprintf(slug, sizeof(slug), "s%d", i);
        put_service(slug);
    }
    for (int i = 0; i < COUNT; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            char slug[16];
            struct mw_err err = {0};
            struct mw_str event;
            snprintf(slug, sizeof(slug), "s%d", i);
            char *answer = run("CommitCode", commit_payload(slug, "trace-1"), &event, &err);
            if (answer == NULL)
                fprintf(stderr, "%s\n", err.text);
            _exit(answer != NULL ? 0 : 1);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    mw_autofree char *refs = git("for-each-ref refs/heads/feature | wc -l");
    assert_int_equal(atoi(refs), COUNT);
    mw_autofree char *roots = git("rev-list --max-parents=0 --all | wc -l");
    assert_int_equal(atoi(roots), 1);
}

static void pq01_configuration_and_hooks_of_the_user_have_no_say(void **state)
{
    (void)state;
    struct mw_err err = {0};
    struct mw_str event;
    put_service("order");
    put("home/.gitconfig", "[core]\n\tautocrlf = true\n[user]\n\tname = Somebody\n"
                           "[init]\n\tdefaultBranch = trunk\n[commit]\n\tgpgSign = true\n");
    mw_autofree char *home = mw_heap_format("%s/home", own_folder);
    mw_autofree char *old_home = mw_heap_copy(mw_str_of(getenv("HOME")));
    setenv("HOME", home, 1);
    setenv("GIT_AUTHOR_NAME", "Somebody", 1);
    setenv("GIT_DIR", "/nowhere", 1);
    mw_autofree char *payload = commit_payload("order", "trace-1");
    mw_autofree char *answer = run("CommitCode", payload, &event, &err);
    setenv("HOME", old_home, 1);
    unsetenv("GIT_AUTHOR_NAME");
    unsetenv("GIT_DIR");
    if (answer == NULL)
        fail_msg("%s", err.text);
    mw_autofree char *names = git("log --format='%an %cn' feature/order | sort -u");
    assert_null(strstr(names, "Somebody"));
    mw_autofree char *bytes = git("show feature/order:services/order/src/a.js");
    assert_string_equal(bytes, "one\r\n");
}

static void pq01_paths_that_escape_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"../x",        "/etc/passwd", "a/../../x",
                                        ".git/config", "a/.GIT/x",    "link",
                                        "linked/x",    "missing",     "a\\\\b"};
    put("outside/x", "secret\n");
    assert_int_equal(symlink("outside/x", "link"), 0);
    assert_int_equal(symlink("outside", "linked"), 0);
    for (size_t i = 0; i < MW_COUNT(paths); i++) {
        struct mw_err err = {0};
        struct mw_str event;
        mw_autofree char *payload = mw_heap_format(
            "{\"repo\":\"%s/repos/b1\",\"branch\":\"feature/"
            "x\",\"service\":\"X\",\"traceId\":\"t\","
            "\"sessionId\":\"s\",\"blueprintId\":\"b\",\"outputs\":[{\"taskId\":\"1\","
            "\"taskType\":\"T\",\"agentId\":\"a\",\"files\":[\"%s\"]}]}",
            own_folder, paths[i]);
        mw_autofree char *answer = run("CommitCode", payload, &event, &err);
        if (answer != NULL)
            fail_msg("'%s' was committed", paths[i]);
        assert_true(err.rc == MW_E_INPUT || err.rc == MW_E_DENIED);
    }
    mw_autofree char *refs = git("for-each-ref refs/heads/feature");
    assert_string_equal(refs, "");
}

static char *pr_payload(const char *slug, const char *result)
{
    return mw_heap_format(
        "{\"repo\":\"%s/repos/b1\",\"branch\":\"feature/%s\",\"targetRepo\":\"local\","
        "\"title\":\"OrderService\",\"service\":\"OrderService\",\"traceId\":\"trace-1\","
        "\"blueprintId\":\"bp-1\",\"sessionId\":\"s-1\","
        "\"coordinator\":{\"name\":\"MicroserviceAssembly\",\"version\":\"1.2.0\"},"
        "\"tests\":{\"result\":\"%s\",\"coverage\":{\"lines\":97}}}",
        own_folder, slug, result);
}

static char *slurp(const char *path)
{
    struct mw_err err = {0};
    struct mw_buf buf = mw_heap_buf();
    if (mw_file_read(AT_FDCWD, path, 1 << 20, &buf, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_buf_put_c(&buf, '\0');
    return buf.ptr;
}

static void pq04_pq11_a_pull_request_has_number_diff_and_the_ids(void **state)
{
    (void)state;
    struct mw_err err = {0};
    struct mw_str event;
    put_service("order");
    put_service("stock");
    mw_autofree char *one = commit_payload("order", "trace-1");
    mw_autofree char *two = commit_payload("stock", "trace-1");
    mw_autofree char *first = run("CommitCode", one, &event, &err);
    mw_autofree char *second = run("CommitCode", two, &event, &err);
    assert_non_null(first);
    assert_non_null(second);
    mw_autofree char *order = pr_payload("order", "Passed");
    mw_autofree char *stock = pr_payload("stock", "Passed");
    mw_autofree char *pr = run("CreatePullRequest", order, &event, &err);
    if (pr == NULL)
        fail_msg("%s", err.text);
    assert_true(mw_str_is(event, "PullRequestCreated"));
    mw_autofree char *expected =
        mw_heap_format("{\"url\":\"file://%s/repos/b1/pull-requests/feature/order.json\","
                       "\"status\":\"open\",\"branch\":\"feature/order\",\"number\":1}",
                       own_folder);
    assert_string_equal(pr, expected);
    mw_autofree char *other = run("CreatePullRequest", stock, &event, &err);
    assert_non_null(strstr(other, "\"number\":2"));
    mw_autofree char *record = slurp("repos/b1/pull-requests/feature/order.json");
    static const char *const wanted[] = {"\"traceId\":\"trace-1\"",
                                         "\"blueprintId\":\"bp-1\"",
                                         "\"sessionId\":\"s-1\"",
                                         "\"version\":\"1.2.0\"",
                                         "\"files\":3",
                                         "\"insertions\":3",
                                         "\"deletions\":0",
                                         "Trace-Id: trace-1",
                                         "MicroserviceAssembly 1.2.0",
                                         "\"result\":\"Passed\"",
                                         "\"targetRepo\":\"local\"",
                                         "\"title\":\"OrderService\""};
    for (size_t i = 0; i < MW_COUNT(wanted); i++)
        if (strstr(record, wanted[i]) == NULL)
            fail_msg("'%s' is not in %s", wanted[i], record);
    mw_autofree char *diff = slurp("repos/b1/pull-requests/feature/order.diff");
    assert_non_null(strstr(diff, "+++ b/services/order/src/a.js\n"));
    /* Again: the same number, nothing new. */
    mw_autofree char *again = run("CreatePullRequest", order, &event, &err);
    assert_string_equal(again, pr);
    mw_autofree char *record_again = slurp("repos/b1/pull-requests/feature/order.json");
    assert_string_equal(record_again, record);
}

static void pq09_failed_tests_and_missing_branches_give_no_pull_request(void **state)
{
    (void)state;
    struct mw_err err = {0};
    struct mw_str event;
    put_service("order");
    mw_autofree char *payload = commit_payload("order", "trace-1");
    mw_autofree char *done = run("CommitCode", payload, &event, &err);
    assert_non_null(done);
    mw_autofree char *failed = pr_payload("order", "Failed");
    mw_autofree char *absent = pr_payload("nowhere", "Passed");
    assert_null(run("CreatePullRequest", failed, &event, &err));
    assert_int_equal(err.rc, MW_E_INPUT);
    assert_non_null(strstr(err.text, "did not pass"));
    assert_null(run("CreatePullRequest", absent, &event, &err));
    assert_int_equal(err.rc, MW_E_INPUT);
    assert_int_not_equal(access("repos/b1/pull-requests/feature/order.json", F_OK), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, enter_own_folder, leave_own_folder)
    const struct CMUnitTest tests[] = {
        TEST(pq01_a_commit_per_output_with_the_trace_in_its_trailers),
        TEST(pq01_the_same_input_again_gives_the_same_commit),
        TEST(pq01_the_same_task_at_once_is_committed_once),
        TEST(pq01_a_lock_of_the_dead_holds_nobody_up),
        TEST(pq01_many_services_commit_at_once),
        TEST(pq01_configuration_and_hooks_of_the_user_have_no_say),
        TEST(pq01_paths_that_escape_are_refused),
        TEST(pq04_pq11_a_pull_request_has_number_diff_and_the_ids),
        TEST(pq09_failed_tests_and_missing_branches_give_no_pull_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
