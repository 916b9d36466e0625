/* A killed host's children are ended by number, start time and boot together, and nobody else is. */
#include "exec_fixture.h"

#include "agent/leftovers.h"
#include "agent/proc.h"

#include <sys/prctl.h>

#define GRACE_MS 2000

/* A task's folder with its pid file, and a child that may be running. */
struct task {
    char folder[400], pid_path[420], mark[460];
    const char *env[3];
};

static struct task make_task(const struct fixture *f, const char *name)
{
    struct task task = {0};
    struct mw_err err;
    fixture_join(task.folder, sizeof(task.folder), f->work, name);
    fixture_join(task.pid_path, sizeof(task.pid_path), task.folder, "pid");
    assert_int_equal(MW_OK, mw_mkdirs(AT_FDCWD, task.folder, 0755, &err));
    (void)snprintf(task.mark, sizeof(task.mark), "MILLWRIGHT_WORK_DIR=%s", task.folder);
    return task;
}

/* Starts the script, waits for its first line (a process number), writes the pid file. */
static struct mw_exec_child start_task(const struct fixture *f, struct task *task,
                                       const char *script, pid_t *ret_pid)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    const char *env[] = {fixture_env[0], task->mark, NULL};
    char line[64];
    struct mw_err err;
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.env = env;
    struct mw_exec_child child = fixture_start(&spec);
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    *ret_pid = (pid_t)atoi(line);
    assert_int_equal(MW_OK, mw_leftover_write(task->pid_path, &child, &err));
    return child;
}

static enum mw_leftover end_task(const struct task *task)
{
    enum mw_leftover found;
    struct mw_err err;
    if (mw_leftover_end(task->pid_path, GRACE_MS, &found, &err) != MW_OK)
        fail_msg("%s", err.text);
    return found;
}

static bool is_gone(int pidfd)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    return poll(&gone, 1, 0) == 1;
}

/* An innocent process of our own, leader of its session when asked. */
static pid_t start_innocent(bool leader, const char *mark)
{
    const char *env[] = {mark, NULL};
    int started[2];
    assert_int_equal(0, pipe2(started, O_CLOEXEC));
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test must not leave it behind */
        if (leader)
            (void)setsid();
        (void)execle("/bin/sleep", "sleep", "1000", (char *)NULL, env);
        _exit(127);
    }
    char byte;
    (void)close(started[1]);
    assert_int_equal(0, read(started[0], &byte, 1)); /* exec closed it */
    (void)close(started[0]);
    return pid;
}

static void end_innocent(pid_t pid)
{
    int status;
    assert_int_equal(0, waitpid(pid, &status, WNOHANG)); /* still there */
    assert_int_equal(0, kill(pid, SIGKILL));
    assert_int_equal(pid, waitpid(pid, &status, 0));
}

static void a_running_child_is_ended_with_all_it_started(void **state)
{
    struct task task = make_task(*state, "t 1 ü");
    pid_t daemon_pid;
    struct mw_exec_child child = start_task(
        *state, &task,
        "(setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' &); while :; do sleep 1000; done",
        &daemon_pid);
    int daemon = fixture_pidfd(daemon_pid);
    assert_int_equal(MW_LEFTOVER_ENDED, end_task(&task));
    assert_true(is_gone(daemon));
    assert_true(is_gone(child.pidfd));
    (void)close(daemon);
    fixture_free(fixture_finish(&child));
    assert_int_equal(MW_LEFTOVER_NONE, end_task(&task)); /* asking again is harmless */
}

static void a_child_that_ignores_term_is_killed(void **state)
{
    struct task task = make_task(*state, "t-1");
    pid_t pid;
    struct mw_exec_child child =
        start_task(*state, &task, "trap '' TERM; echo $$; while :; do sleep 1000; done", &pid);
    int program = fixture_pidfd(pid);
    enum mw_leftover found;
    struct mw_err err;
    assert_int_equal(MW_OK, mw_leftover_end(task.pid_path, 50, &found, &err));
    assert_int_equal(MW_LEFTOVER_ENDED, found);
    assert_true(is_gone(program));
    assert_true(is_gone(child.pidfd));
    (void)close(program);
    fixture_free(fixture_finish(&child));
}

static void a_stopped_supervisor_is_ended_with_its_tree(void **state)
{
    struct task task = make_task(*state, "t-1");
    pid_t pid;
    struct mw_exec_child child = start_task(*state, &task, "echo $$; sleep 1000", &pid);
    int program = fixture_pidfd(pid);
    assert_int_equal(0, kill(child.pid, SIGSTOP));
    assert_int_equal(MW_LEFTOVER_ENDED, end_task(&task));
    assert_true(is_gone(program));
    (void)close(program);
    fixture_free(fixture_finish(&child));
}

static void what_outlived_its_killed_supervisor_is_found_by_session_and_by_mark(void **state)
{
    struct task task = make_task(*state, "t-1");
    char line[64];
    pid_t first, second;
    struct mw_exec_child child = start_task(*state, &task,
                                            "(env -i sleep 1000 & echo $!); (setsid sh -c 'echo "
                                            "$$; exec sleep 1000' &); while :; do sleep 1000; done",
                                            &first);
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    second = (pid_t)atoi(line);
    int in_session = fixture_pidfd(first), with_mark = fixture_pidfd(second);
    assert_int_equal(0, kill(child.pid, SIGKILL));
    fixture_wait(child.pidfd);
    assert_true(mw_exec_reap(&child));
    assert_false(is_gone(in_session));
    assert_false(is_gone(with_mark));
    assert_int_equal(MW_LEFTOVER_ENDED, end_task(&task));
    assert_true(is_gone(in_session));
    assert_true(is_gone(with_mark));
    (void)close(in_session);
    (void)close(with_mark);
    mw_exec_close(&child);
}

static void a_reused_number_is_left_alone(void **state)
{
    struct task task = make_task(*state, "t-1");
    struct mw_err err;
    pid_t innocent = start_innocent(true, "A=b");
    struct mw_proc proc;
    assert_true(mw_proc_read(innocent, &proc));
    struct mw_exec_child dead = {.pid = innocent, .start_ticks = proc.start_ticks - 1};
    assert_int_equal(MW_OK, mw_leftover_write(task.pid_path, &dead, &err));
    assert_int_equal(MW_LEFTOVER_NONE, end_task(&task));
    end_innocent(innocent);
}

static void a_pid_file_written_again_names_the_newer_process_alone(void **state)
{
    struct task task = make_task(*state, "t-1");
    struct mw_err err;
    struct mw_exec_child longer = {.pid = 4194304 - 1, .start_ticks = UINT64_MAX / 2};
    struct mw_exec_child shorter = {.pid = 2, .start_ticks = 1};
    struct stat first, second;
    assert_int_equal(MW_OK, mw_leftover_write(task.pid_path, &longer, &err));
    assert_int_equal(0, stat(task.pid_path, &first));
    assert_int_equal(MW_OK, mw_leftover_write(task.pid_path, &shorter, &err));
    assert_int_equal(0, stat(task.pid_path, &second));
    assert_true(second.st_size < first.st_size);
    assert_int_equal(MW_LEFTOVER_NONE, end_task(&task)); /* it can be read as one */
    mw_leftover_forget(task.pid_path);
    assert_int_equal(0, stat(task.pid_path, &second));
    assert_int_equal(0, second.st_size);
}

static void another_boot_is_left_alone(void **state)
{
    struct task task = make_task(*state, "t-1");
    pid_t innocent = start_innocent(true, "A=b");
    struct mw_proc proc;
    char text[256];
    assert_true(mw_proc_read(innocent, &proc));
    (void)snprintf(
        text, sizeof(text),
        "{\"pid\":%d,\"start\":%llu,\"boot\":\"00000000-0000-0000-0000-000000000000\"}\n",
        (int)innocent, (unsigned long long)proc.start_ticks);
    fixture_write(task.folder, "pid", text, 0600);
    assert_int_equal(MW_LEFTOVER_NONE, end_task(&task));
    end_innocent(innocent);
}

static void the_neighbour_whose_name_begins_the_same_is_left_alone(void **state)
{
    struct task task = make_task(*state, "t-1"), neighbour = make_task(*state, "t-10");
    struct mw_err err;
    struct mw_exec_child gone = {.pid = 4194304 - 1,
                                 .start_ticks = 1}; /* a number that nobody has */
    pid_t innocent = start_innocent(false, neighbour.mark);
    assert_int_equal(MW_OK, mw_leftover_write(task.pid_path, &gone, &err));
    assert_int_equal(MW_LEFTOVER_NONE, end_task(&task));
    end_innocent(innocent);
}

static void we_ourselves_are_never_a_leftover(void **state)
{
    struct task task = make_task(*state, "t-1");
    struct mw_err err;
    struct mw_exec_child gone = {.pid = 4194304 - 1, .start_ticks = 1};
    assert_int_equal(MW_OK, mw_leftover_write(task.pid_path, &gone, &err));
    pid_t nested = fork();
    if (nested == 0) { /* a host that an agent of this very task started */
        const char *env[] = {task.mark, NULL};
        (void)execle("/proc/self/exe", "test_leftovers", "nested", task.pid_path, (char *)NULL,
                     env);
        _exit(127);
    }
    int status;
    assert_int_equal(nested, waitpid(nested, &status, 0));
    assert_true(WIFEXITED(status));
    assert_int_equal(MW_LEFTOVER_NONE, WEXITSTATUS(status));
}

/* Not even when the file names us, or the process that we run in, with its own start time: whoever wrote it. */
static void a_file_that_names_us_or_what_we_run_in_ends_nobody(void **state)
{
    struct task task = make_task(*state, "t-1");
    for (int generations = 1; generations <= 2; generations++) {
        int status;
        pid_t named = fork();
        if (named == 0) {
            struct mw_proc proc;
            struct mw_err err;
            enum mw_leftover found = MW_LEFTOVER_ENDED;
            struct mw_exec_child child = {.pid = getpid()};
            bool noted = mw_proc_read(getpid(), &proc);
            child.start_ticks = proc.start_ticks;
            noted = noted && mw_leftover_write(task.pid_path, &child, &err) == MW_OK;
            pid_t asking = generations == 2 ? fork() : 0;
            if (asking == 0)
                _exit(noted && mw_leftover_end(task.pid_path, 0, &found, &err) == MW_OK &&
                              found == MW_LEFTOVER_NONE
                          ? 0
                          : 1);
            _exit(waitpid(asking, &status, 0) == asking && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                             : 2);
        }
        assert_int_equal(named, waitpid(named, &status, 0));
        assert_true(WIFEXITED(status));
        assert_int_equal(0, WEXITSTATUS(status));
    }
}

static void no_file_and_an_empty_file_mean_nothing_runs(void **state)
{
    struct task task = make_task(*state, "t-1");
    assert_int_equal(MW_LEFTOVER_NONE, end_task(&task));
    fixture_write(task.folder, "pid", "", 0600);
    assert_int_equal(MW_LEFTOVER_NONE, end_task(&task));
}

static void a_file_that_is_none_of_ours_is_refused(void **state)
{
    static const char *const texts[] = {"42\n",
                                        "{}\n",
                                        "{\"pid\":1,\"start\":1,\"boot\":\"b\"}\n",
                                        "{\"pid\":-7,\"start\":1,\"boot\":\"b\"}\n",
                                        "{\"pid\":99999999999,\"start\":1,\"boot\":\"b\"}\n",
                                        "{\"pid\":7,\"start\":1,\"boot\":\"\"}\n",
                                        "{\"pid\":7,\"sta"};
    struct task task = make_task(*state, "t-1");
    for (size_t i = 0; i < MW_COUNT(texts); i++) {
        enum mw_leftover found = MW_LEFTOVER_ENDED;
        struct mw_err err;
        fixture_write(task.folder, "pid", texts[i], 0600);
        assert_int_equal(MW_E_CORRUPT, mw_leftover_end(task.pid_path, GRACE_MS, &found, &err));
        assert_int_equal(MW_LEFTOVER_ENDED, found);
    }
}

static void ending_while_it_ends_by_itself_is_no_error(void **state)
{
    for (int i = 0; i < 10; i++) {
        struct task task = make_task(*state, "t-1");
        pid_t pid;
        struct mw_exec_child child = start_task(*state, &task, "echo $$; sleep 1000", &pid);
        int program = fixture_pidfd(pid);
        (void)close(child.control_fd); /* the stub sees its host gone at this moment */
        child.control_fd = -1;
        if (i % 2 == 0)
            (void)kill(pid, SIGKILL);
        (void)end_task(&task);
        assert_true(is_gone(program));
        assert_true(is_gone(child.pidfd));
        (void)close(program);
        fixture_free(fixture_finish(&child));
    }
}

static int be_nested(const char *path)
{
    enum mw_leftover found;
    struct mw_err err;
    return mw_leftover_end(path, GRACE_MS, &found, &err) == MW_OK ? (int)found : 99;
}

int main(int argc, char **argv)
{
    if (fixture_is_stub(argc, argv))
        return mw_exec_main(argc, argv);
    if (argc > 2 && strcmp(argv[1], "nested") == 0)
        return be_nested(argv[2]);
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
    const struct CMUnitTest tests[] = {
        TEST(a_running_child_is_ended_with_all_it_started),
        TEST(a_child_that_ignores_term_is_killed),
        TEST(a_stopped_supervisor_is_ended_with_its_tree),
        TEST(what_outlived_its_killed_supervisor_is_found_by_session_and_by_mark),
        TEST(a_reused_number_is_left_alone),
        TEST(a_pid_file_written_again_names_the_newer_process_alone),
        TEST(another_boot_is_left_alone),
        TEST(the_neighbour_whose_name_begins_the_same_is_left_alone),
        TEST(we_ourselves_are_never_a_leftover),
        TEST(a_file_that_names_us_or_what_we_run_in_ends_nobody),
        TEST(no_file_and_an_empty_file_mean_nothing_runs),
        TEST(a_file_that_is_none_of_ours_is_refused),
        TEST(ending_while_it_ends_by_itself_is_no_error),
    };
    int failed = cmocka_run_group_tests_name("loaded", tests, NULL, NULL);
    fixture_by_server = true;
    return failed + cmocka_run_group_tests_name("forked", tests, NULL, NULL);
}
