/* A child is started with exactly what it was given, and whatever happens, none of its processes is left. */
#include "exec_fixture.h"

#include "agent/proc.h"

#define CHILDREN 8

static void assert_says(const struct ended *ended, const char *expected)
{
    assert_string_equal(expected, ended->out.ptr);
}

static void arguments_arrive_unchanged_with_spaces_quotes_and_umlauts(void **state)
{
    const char *argv[] = {"printf", "%s|", "zwei Wörter", "", "$HOME `id` \"x\" 'y'",
                          "日本",   "-n",  NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct ended *ended = fixture_run(&spec);
    assert_says(ended, "zwei Wörter||$HOME `id` \"x\" 'y'|日本|-n|");
    assert_true(ended->report.exited);
    assert_int_equal(0, ended->report.exit_code);
    fixture_free(ended);
}

static void the_environment_is_exactly_the_one_given(void **state)
{
    const char *argv[] = {"env", NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", "GRÜSSE=a=b c", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    spec.env = env;
    assert_int_equal(0, setenv("MW_SECRET_OF_THE_HOST", "canary", 1));
    struct ended *ended = fixture_run(&spec);
    assert_says(ended, "PATH=/usr/bin:/bin\nGRÜSSE=a=b c\n");
    fixture_free(ended);
}

static void no_descriptor_of_the_host_reaches_the_program(void **state)
{
    int leak = open("/etc/passwd", O_RDONLY); /* on purpose without close-on-exec */
    assert_true(leak >= 0);
    struct ended *ended = fixture_shell(*state, "ls /proc/self/fd | tr '\\n' ' '");
    assert_says(ended, "0 1 2 3 "); /* 3 is ls's own, of the folder it lists */
    (void)close(leak);
    fixture_free(ended);
}

static void a_folder_and_a_program_with_odd_names_work(void **state)
{
    const struct fixture *f = *state;
    char folder[PATH_MAX];
    struct mw_err err;
    fixture_join(folder, sizeof(folder), f->work, "Ein Ordner für Üben");
    assert_int_equal(MW_OK, mw_mkdirs(AT_FDCWD, folder, 0755, &err));
    fixture_write(folder, "mein agent.sh", "#!/bin/sh\nbasename \"$PWD\"\necho \"$0\"\n", 0755);
    const char *argv[] = {"./mein agent.sh", NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.cwd = folder;
    struct ended *ended = fixture_run(&spec);
    char expected[PATH_MAX + 64];
    (void)snprintf(expected, sizeof(expected), "Ein Ordner für Üben\n%s/./mein agent.sh\n", folder);
    assert_says(ended, expected);
    fixture_free(ended);
}

static void a_path_near_the_systems_limit_works(void **state)
{
    const struct fixture *f = *state;
    char folder[PATH_MAX], part[201];
    struct mw_err err;
    memset(part, 'x', sizeof(part) - 1);
    part[sizeof(part) - 1] = '\0';
    (void)snprintf(folder, sizeof(folder), "%s", f->work);
    while (strlen(folder) + sizeof(part) + 64 < sizeof(folder)) {
        strcat(folder, "/");
        strcat(folder, part);
    }
    assert_true(strlen(folder) > 3700);
    assert_int_equal(MW_OK, mw_mkdirs(AT_FDCWD, folder, 0755, &err));
    fixture_write(folder, "agent.sh", "#!/bin/sh\necho deep; echo made > made\n", 0755);
    const char *argv[] = {"./agent.sh", NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.cwd = folder;
    struct ended *ended = fixture_run(&spec);
    assert_says(ended, "deep\n");
    assert_int_equal(0, ended->report.exit_code);
    fixture_free(ended);
}

static void a_missing_program_is_told_from_exit_127(void **state)
{
    const char *argv[] = {"no-such-program", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct ended *ended = fixture_run(&spec);
    assert_int_equal(MW_EXEC_PROGRAM_MISSING, ended->report.error);
    assert_string_equal("program 'no-such-program' not found in PATH", ended->report.error_text);
    assert_false(ended->report.exited);
    fixture_free(ended);

    ended = fixture_shell(*state, "no-such-program");
    assert_int_equal(MW_EXEC_NO_ERROR, ended->report.error);
    assert_true(ended->report.exited);
    assert_int_equal(127, ended->report.exit_code);
    fixture_free(ended);
}

static void what_cannot_be_run_says_why(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *text;
        mode_t mode;
        const char *expected;
    } rows[] = {
        {"#!/bin/sh\n", 0644, "program './x' is there, but may not be run"},
        {"echo no first line\n", 0755,
         "program './x' has no #! line and is no binary of this machine"},
        {"#!/no/such/interpreter\n", 0755,
         "program './x': the interpreter that its first line names is not there"},
    };
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const char *argv[] = {"./x", NULL};
        fixture_write(f->work, "x", rows[i].text, rows[i].mode);
        struct mw_exec_spec spec = fixture_spec(f, argv);
        struct ended *ended = fixture_run(&spec);
        assert_int_equal(MW_EXEC_PROGRAM_DENIED, ended->report.error);
        assert_string_equal(rows[i].expected, ended->report.error_text);
        fixture_free(ended);
    }
}

static void a_program_is_never_taken_from_an_empty_part_of_path(void **state)
{
    const struct fixture *f = *state;
    const char *argv[] = {"planted", NULL};
    const char *env[] = {"PATH=:.:/usr/bin", NULL};
    fixture_write(f->work, "planted", "#!/bin/sh\necho planted\n", 0755);
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.env = env;
    struct ended *ended = fixture_run(&spec);
    assert_int_equal(MW_EXEC_PROGRAM_MISSING, ended->report.error);
    fixture_free(ended);
}

static void what_the_host_did_wrong_is_refused_before_anything_starts(void **state)
{
    const char *bad[] = {"echo", "\xff\xfe", NULL};
    const char *none[] = {NULL};
    const char *good[] = {"echo", NULL};
    struct mw_exec_child child = {.pid = 42};
    struct mw_err err;
    struct mw_exec_spec spec = fixture_spec(*state, bad);
    assert_int_equal(MW_E_USAGE, mw_exec_start(&spec, &child, &err));
    assert_string_equal("argv of the child: item 1 is not UTF-8", err.text);
    spec.argv = none;
    assert_int_equal(MW_E_USAGE, mw_exec_start(&spec, &child, &err));
    spec.argv = good;
    spec.cwd = "relative";
    assert_int_equal(MW_E_USAGE, mw_exec_start(&spec, &child, &err));
    spec = fixture_spec(*state, good);
    spec.stdin_path = "/no/such/task";
    assert_int_equal(MW_E_MISSING, mw_exec_start(&spec, &child, &err));
    spec = fixture_spec(*state, good);
    spec.stub_path = "/no/such/stub";
    assert_int_equal(MW_E_MISSING, mw_exec_start(&spec, &child, &err));
    assert_int_equal(42, child.pid);
}

static void a_missing_work_folder_is_an_error_of_the_start(void **state)
{
    const char *argv[] = {"echo", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    spec.cwd = "/tmp/mw-no-such-folder";
    struct ended *ended = fixture_run(&spec);
    assert_int_equal(MW_EXEC_SETUP_FAILED, ended->report.error);
    assert_string_equal("the work folder '/tmp/mw-no-such-folder': No such file or directory",
                        ended->report.error_text);
    fixture_free(ended);
}

static void the_task_is_read_from_standard_input_and_the_log_is_appended(void **state)
{
    const struct fixture *f = *state;
    char task[PATH_MAX];
    struct mw_buf log = mw_heap_buf();
    struct mw_err err;
    fixture_join(task, sizeof(task), f->root, "task.json");
    fixture_write(f->root, "task.json", "{\"a\":1}\n", 0600);
    const char *argv[] = {
        "sh", "-c", "cat /dev/stdin; echo one >&2; echo two >>/dev/stderr; echo three >/dev/stdout",
        NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.stdin_path = task;
    for (int i = 0; i < 2; i++) {
        struct ended *ended = fixture_run(&spec);
        assert_says(ended, "{\"a\":1}\nthree\n");
        assert_int_equal(0, ended->report.exit_code);
        fixture_free(ended);
    }
    assert_int_equal(MW_OK, mw_file_read(AT_FDCWD, f->err_path, 4096, &log, &err));
    assert_true(mw_str_eq(mw_buf_str(&log), MW_STR("one\ntwo\none\ntwo\n")));
    mw_heap_buf_free(&log);
}

static void a_megabyte_of_output_arrives_whole(void **state)
{
    struct ended *ended = fixture_shell(*state, "head -c 1048576 /dev/zero | tr '\\0' z");
    assert_int_equal(1048576 + 1, ended->out.len);
    fixture_free(ended);
}

static void term_is_enough_for_a_program_that_listens(void **state)
{
    char line[64];
    const char *argv[] = {
        "sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 1000 & wait; done", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_exec_child child = fixture_start(&spec);
    struct mw_err err;
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    assert_int_equal(MW_OK, mw_exec_end(&child, MW_EXEC_ASKED, FIXTURE_WAIT_MS, &err));
    struct ended *ended = fixture_finish(&child);
    assert_int_equal(MW_EXEC_ASKED, ended->report.killed);
    assert_true(ended->report.exited); /* "success", but we ended it: killed says so */
    assert_int_equal(0, ended->report.exit_code);
    fixture_free(ended);
}

static void a_program_that_ignores_term_is_killed_after_the_grace(void **state)
{
    char line[64];
    const char *argv[] = {"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done",
                          NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_exec_child child = fixture_start(&spec);
    struct mw_err err;
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    int64_t from_ns = mw_now_monotonic_ns();
    assert_int_equal(MW_OK, mw_exec_end(&child, MW_EXEC_DEADLINE, 300, &err));
    struct ended *ended = fixture_finish(&child);
    assert_true(mw_now_monotonic_ns() - from_ns >= 300 * 1000000ll);
    assert_int_equal(MW_EXEC_DEADLINE, ended->report.killed);
    assert_int_equal(SIGKILL, ended->report.signal);
    assert_false(ended->report.exited);
    fixture_free(ended);
}

static void asking_again_shortens_the_grace_and_keeps_the_first_reason(void **state)
{
    char line[64];
    const char *argv[] = {"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done",
                          NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_exec_child child = fixture_start(&spec);
    struct mw_err err;
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    assert_int_equal(MW_OK, mw_exec_end(&child, MW_EXEC_IDLE, 10 * FIXTURE_WAIT_MS, &err));
    assert_int_equal(MW_OK, mw_exec_end(&child, MW_EXEC_ASKED, 0, &err));
    struct ended *ended = fixture_finish(&child);
    assert_int_equal(MW_EXEC_IDLE, ended->report.killed);
    fixture_free(ended);
}

static void a_stopped_program_is_ended(void **state)
{
    char line[64];
    const char *argv[] = {"sh", "-c", "echo $$; kill -STOP $$; sleep 1000", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_exec_child child = fixture_start(&spec);
    struct mw_proc proc;
    struct mw_err err;
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    do { /* until the kernel says stopped: there is no event for a stranger */
        assert_true(mw_proc_read((pid_t)atoi(line), &proc));
    } while (proc.state != 'T');
    assert_int_equal(MW_OK, mw_exec_end(&child, MW_EXEC_IDLE, FIXTURE_WAIT_MS, &err));
    struct ended *ended = fixture_finish(&child);
    assert_int_equal(SIGTERM, ended->report.signal);
    fixture_free(ended);
}

static void a_background_child_that_holds_stdout_does_not_hold_the_host(void **state)
{
    struct ended *ended = fixture_shell(*state, "sleep 1000 & (setsid sleep 1000 &) ; echo done");
    assert_says(ended, "done\n");
    assert_true(ended->report.exited);
    assert_int_equal(0, ended->report.exit_code);
    assert_int_equal(MW_EXEC_NOT_KILLED, ended->report.killed);
    assert_int_equal(2, ended->report.orphans_killed);
    assert_int_equal(0, ended->report.orphans_left);
    fixture_free(ended);
}

static void a_daemon_that_forked_twice_and_left_the_session_is_found(void **state)
{
    char line[64];
    const char *argv[] = {
        "sh", "-c",
        "(setsid sh -c '(setsid sh -c \"trap \\\"\\\" TERM HUP; echo \\$\\$; exec 1>&-; exec sleep "
        "1000\" &)' &); sleep 1000",
        NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_exec_child child = fixture_start(&spec);
    struct mw_err err;
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    int daemon = fixture_pidfd((pid_t)atoi(line));
    assert_int_equal(MW_OK, mw_exec_end(&child, MW_EXEC_ASKED, 1000, &err));
    struct ended *ended = fixture_finish(&child);
    struct pollfd gone = {.fd = daemon, .events = POLLIN};
    assert_int_equal(1, poll(&gone, 1, 0)); /* the stub does not exit before it is gone */
    assert_true(ended->report.orphans_killed >= 1);
    (void)close(daemon);
    fixture_free(ended);
}

static void closing_the_output_ends_the_program(void **state)
{
    char line[64];
    const char *argv[] = {"sh", "-c", "echo ready; sleep 1000",
                          NULL}; /* never writes again: no SIGPIPE */
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_exec_child child = fixture_start(&spec);
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    (void)close(child.stdout_fd);
    child.stdout_fd = -1;
    struct ended *ended = fixture_finish(&child);
    assert_int_equal(MW_EXEC_OUTPUT_CLOSED, ended->report.killed);
    assert_int_equal(SIGTERM, ended->report.signal);
    fixture_free(ended);
}

static void closing_the_control_channel_ends_the_program(void **state)
{
    char line[64];
    const char *argv[] = {"sh", "-c", "echo ready; sleep 1000", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_exec_child child = fixture_start(&spec);
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    (void)close(child.control_fd);
    child.control_fd = -1;
    struct ended *ended = fixture_finish(&child);
    assert_int_equal(MW_EXEC_HOST_GONE, ended->report.killed);
    fixture_free(ended);
}

static void the_backstop_rings_when_the_host_forgets(void **state)
{
    const char *argv[] = {"sleep", "1000", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    spec.hard_max_ms = 100;
    struct ended *ended = fixture_run(&spec);
    assert_int_equal(MW_EXEC_DEADLINE, ended->report.killed);
    fixture_free(ended);
}

static void ending_an_ended_child_says_so(void **state)
{
    const char *argv[] = {"true", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_exec_child child = fixture_start(&spec);
    struct mw_err err;
    fixture_wait(child.pidfd);
    assert_int_equal(MW_E_MISSING, mw_exec_end(&child, MW_EXEC_ASKED, 0, &err));
    fixture_free(fixture_finish(&child));
}

/* Also one that became another user, which unties a process from its parent. */
static void a_killed_supervisor_is_no_report_and_takes_the_program_along(void **state)
{
    const struct fixture *f = *state;
    const char *argv[] = {"sh", "-c", "echo $$; exec sleep 1000", NULL};
    for (int drops = 0; drops < (geteuid() == 0 ? 2 : 1); drops++) {
        char line[64];
        struct mw_exec_spec spec = fixture_spec(f, argv);
        spec.sandbox.drop = drops == 1;
        spec.sandbox.uid = spec.sandbox.gid = FIXTURE_NOBODY;
        struct mw_exec_child child = fixture_start(&spec);
        fixture_read_line(child.stdout_fd, line, sizeof(line));
        int program = fixture_pidfd((pid_t)atoi(line));
        assert_int_equal(0, kill(child.pid, SIGKILL));
        struct pollfd heard = {.fd = program, .events = POLLIN};
        bool gone = poll(&heard, 1, FIXTURE_WAIT_MS) == 1;
        if (!gone)
            (void)kill((pid_t)atoi(line), SIGKILL);
        assert_true(gone);
        (void)close(program);
        struct ended *ended = fixture_finish(&child);
        assert_int_equal(MW_EXEC_NO_REPORT, ended->report.error);
        fixture_free(ended);
    }
}

static void short_of_memory_the_kernel_takes_the_program_before_the_host(void **state)
{
    struct ended *ended = fixture_shell(*state, "cat /proc/self/oom_score_adj");
    assert_says(ended, "500\n");
    fixture_free(ended);
    char own[8] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDONLY);
    assert_true(fd >= 0 && read(fd, own, sizeof(own) - 1) > 0);
    assert_true(atoi(own) < 500);
    (void)close(fd);
}

static void usage_is_measured(void **state)
{
    struct ended *ended =
        fixture_shell(*state, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    assert_true(ended->report.user_ms + ended->report.system_ms > 0);
    assert_true(ended->report.max_rss_kb > 100);
    assert_true(mw_str_starts(ended->report.sandbox, MW_STR("{\"profile\":\"build\",")));
    fixture_free(ended);
}

static void an_unreadable_report_is_no_report(void **state)
{
    static const char *const lines[] = {"", "not json\n", "[]\n", "{\"exit\":0",
                                        "{\"error\":{\"class\":\"new\"}}\n"};
    struct mw_arena arena;
    (void)state;
    mw_heap_arena(&arena, 1u << 20);
    for (size_t i = 0; i < MW_COUNT(lines); i++) {
        struct mw_exec_report report;
        mw_arena_reset(&arena);
        mw_exec_report_read(&arena, mw_str_of(lines[i]), &report);
        assert_int_equal(MW_EXEC_NO_REPORT, report.error);
    }
    mw_heap_arena_free(&arena);
}

/* ---- fork bombs ---- */

static void a_fork_bomb_of_root_is_counted_and_killed(void **state)
{
    if (geteuid() != 0) {
        print_message("skipped: not root\n");
        return;
    }
    const char *argv[] = {"sh", "-c",
                          "i=0; while [ $i -lt 80 ]; do setsid sleep 1000 & i=$((i+1)); done; wait",
                          NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    spec.sandbox.processes_max = 40;
    struct ended *ended = fixture_run(&spec);
    assert_int_equal(MW_EXEC_PROCESSES, ended->report.killed);
    assert_true(ended->report.orphans_killed >= 40);
    assert_int_equal(0, ended->report.orphans_left);
    fixture_free(ended);
}

static struct mw_exec_spec as_nobody(const struct fixture *f, const char *const *argv,
                                     uint32_t processes_max)
{
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.sandbox.drop = true;
    spec.sandbox.uid = spec.sandbox.gid = FIXTURE_NOBODY;
    spec.sandbox.processes_max = processes_max;
    return spec;
}

static void the_kernel_holds_a_user_to_the_number_of_processes(void **state)
{
    if (geteuid() != 0) {
        print_message("skipped: not root\n");
        return;
    }
    const char *argv[] = {"sh", "-c", "i=0; while [ $i -lt 80 ]; do sleep 1000 & i=$((i+1)); done",
                          NULL};
    struct mw_exec_spec spec = as_nobody(*state, argv, 40);
    struct ended *ended = fixture_run(&spec);
    assert_true(ended->report.exited);
    assert_int_not_equal(0, ended->report.exit_code); /* the shell could not fork */
    assert_in_range(ended->report.orphans_killed, 30, 40);
    fixture_free(ended);
}

static void a_fork_bomb_of_a_user_leaves_nothing(void **state)
{
    if (geteuid() != 0) {
        print_message("skipped: not root\n");
        return;
    }
    const char *argv[] = {"sh", "-c", "b() { b | b & }; while :; do b; done 2>&1", NULL};
    struct mw_exec_spec spec = as_nobody(*state, argv, 40);
    struct mw_exec_child child = fixture_start(&spec);
    struct mw_err err;
    char line[256];
    do { /* until it has filled its limit */
        fixture_read_line(child.stdout_fd, line, sizeof(line));
    } while (strstr(line, "ork") == NULL);
    enum mw_rc rc = mw_exec_end(&child, MW_EXEC_ASKED, 0, &err);
    assert_true(rc == MW_OK ||
                rc == MW_E_MISSING); /* its first shell may have died of its own bomb */
    struct ended *ended = fixture_finish(&child);
    assert_int_equal(0, ended->report.orphans_left);
    struct mw_procs procs = mw_procs_all();
    for (size_t i = 0; i < procs.count; i++)
        assert_int_not_equal(child.pid, procs.list[i].session);
    mw_procs_free(&procs);
    fixture_free(ended);
}

/* ---- the fork server ---- */

/* The number of a host's fork server; 0 when it has none. */
static pid_t server_of(pid_t host)
{
    pid_t found = 0;
    struct mw_procs procs = mw_procs_all();
    for (size_t i = 0; i < procs.count && found == 0; i++) {
        char path[40];
        struct mw_err err;
        struct mw_buf text = mw_heap_buf();
        (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)procs.list[i].pid);
        if (procs.list[i].parent == host && procs.list[i].state != 'Z' &&
            mw_file_read(AT_FDCWD, path, 65536, &text, &err) == MW_OK &&
            memmem(text.ptr, text.len, "__exec\0serve", 13) != NULL)
            found = procs.list[i].pid;
        mw_heap_buf_free(&text);
    }
    mw_procs_free(&procs);
    return found;
}

static struct mw_exec_spec cat_by_server(const struct fixture *f)
{
    static const char *const argv[] = {"sh", "-c", "echo ready; read line; echo \"$line\"", NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.by_server = true;
    return spec;
}

static void assert_still_starts(const struct fixture *f)
{
    const char *argv[] = {"echo", "well", NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.by_server = true;
    struct ended *ended = fixture_run(&spec);
    assert_says(ended, "well\n");
    assert_int_equal(MW_EXEC_NO_ERROR, ended->report.error);
    fixture_free(ended);
}

static void a_forked_supervisor_is_a_child_of_the_host_and_shows_nothing_of_the_server(void **state)
{
    const char *argv[] = {"sh", "-c", "tr '\\0' ' ' < /proc/$PPID/cmdline", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct mw_proc proc;
    spec.by_server = true;
    struct mw_exec_child child = fixture_start(&spec);
    assert_true(mw_proc_read(child.pid, &proc));
    assert_int_equal(getpid(), proc.parent);
    assert_int_not_equal(0, server_of(getpid()));
    struct ended *ended = fixture_finish(&child);
    assert_non_null(strstr(ended->out.ptr, " __exec "));
    assert_null(strstr(ended->out.ptr, "serve"));
    fixture_free(ended);
}

static void children_outlive_a_killed_fork_server_and_the_next_start_makes_a_new_one(void **state)
{
    const struct fixture *f = *state;
    int input[2];
    char path[64], line[64];
    assert_int_equal(0, pipe2(input, O_CLOEXEC));
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", input[0]);
    struct mw_exec_spec spec = cat_by_server(f);
    spec.stdin_path = path;
    struct mw_exec_child child = fixture_start(&spec);
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    assert_string_equal("ready", line);
    pid_t killed = server_of(getpid());
    assert_true(killed > 0);
    int gone = fixture_pidfd(killed);
    assert_int_equal(0, kill(killed, SIGKILL));
    fixture_wait(gone);
    (void)close(gone);
    assert_still_starts(f);
    assert_int_equal(6, write(input[1], "alive\n", 6));
    struct ended *ended = fixture_finish(&child);
    assert_says(ended, "alive\n");
    assert_int_equal(MW_EXEC_NO_ERROR, ended->report.error);
    assert_true(ended->report.exited && ended->report.exit_code == 0);
    fixture_free(ended);
    pid_t next = server_of(getpid());
    assert_true(next > 0 && next != killed);
    (void)close(input[0]);
    (void)close(input[1]);
}

/* The order is taken back with the stopped server's life: nothing is started twice, and the child comes by the other way. */
static void a_stopped_fork_server_is_given_up_and_the_child_started_once(void **state)
{
    const struct fixture *f = *state;
    char path[PATH_MAX];
    struct mw_err err;
    struct mw_buf text = mw_heap_buf();
    assert_still_starts(f);
    pid_t server = server_of(getpid());
    assert_int_equal(0, kill(server, SIGSTOP));
    const char *argv[] = {"sh", "-c", "echo once >> times; echo started", NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.by_server = true;
    int64_t from_ns = mw_now_monotonic_ns();
    struct ended *ended = fixture_run(&spec);
    assert_says(ended, "started\n");
    fixture_free(ended);
    /* Whoever starts it waits meanwhile, and that is the host's only loop. */
    assert_true(mw_now_monotonic_ns() - from_ns < 5000 * 1000000ll);
    assert_int_not_equal(server, server_of(getpid()));
    fixture_join(path, sizeof(path), f->work, "times");
    assert_int_equal(MW_OK, mw_file_read(AT_FDCWD, path, 65536, &text, &err));
    assert_int_equal(5, text.len);
    mw_heap_buf_free(&text);
}

static size_t descriptors_open(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void starting_by_the_server_leaves_no_descriptor_and_no_process_behind(void **state)
{
    assert_still_starts(*state);
    size_t before = descriptors_open();
    pid_t server = server_of(getpid());
    for (int i = 0; i < 50; i++)
        assert_still_starts(*state);
    assert_int_equal(before, descriptors_open());
    assert_int_equal(server, server_of(getpid()));
    struct mw_procs procs = mw_procs_all();
    for (size_t i = 0; i < procs.count; i++)
        assert_true(procs.list[i].parent != getpid() || procs.list[i].pid == server);
    mw_procs_free(&procs);
}

static void whoever_forks_from_the_host_gets_a_server_of_its_own(void **state)
{
    assert_still_starts(*state);
    pid_t pid = fork();
    if (pid == 0) {
        const char *argv[] = {"true", NULL};
        struct mw_exec_spec spec = fixture_spec(*state, argv);
        struct mw_exec_child child;
        struct mw_err err;
        struct mw_proc proc;
        spec.by_server = true;
        _exit(mw_exec_start(&spec, &child, &err) == MW_OK && mw_proc_read(child.pid, &proc) &&
                      proc.parent == getpid() && server_of(getpid()) > 0
                  ? 0
                  : 1);
    }
    int status;
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_still_starts(*state);
}

/* ---- the host is killed ---- */

/* Runs as its own process: starts children, says the numbers of all that run, and waits to be killed. */
static int be_host(const char *work, bool by_server)
{
    const char *argv[] = {"sh", "-c",
                          "trap '' TERM HUP; (setsid sh -c '(setsid sh -c \"trap \\\"\\\" TERM; "
                          "echo \\$\\$; exec sleep 1000\" &)' &);"
                          " echo $$; while :; do sleep 1000; done",
                          NULL};
    struct mw_exec_child children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        struct mw_exec_spec spec = {.argv = argv,
                                    .env = fixture_env,
                                    .cwd = work,
                                    .grace_ms = 300,
                                    .by_server = by_server,
                                    .sandbox = {.profile = MW_PROFILE_BUILD, .work_dir = work}};
        struct mw_err err;
        if (mw_exec_start(&spec, &children[i], &err) != MW_OK) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        printf("%d\n", (int)children[i].pid);
        for (int lines = 0; lines < 2;) {
            char byte;
            struct pollfd heard = {.fd = children[i].stdout_fd, .events = POLLIN};
            if (poll(&heard, 1, FIXTURE_WAIT_MS) != 1 || read(children[i].stdout_fd, &byte, 1) != 1)
                return 1;
            lines += byte == '\n';
            putchar(byte);
        }
    }
    fflush(stdout);
    pause();
    return 0;
}

static void kill_9_of_the_host_with_8_children_and_their_daemons_leaves_none(void **state)
{
    const struct fixture *f = *state;
    int out[2], pidfds[CHILDREN * 3];
    int server_fd = -1;
    char line[64];
    assert_int_equal(0, pipe2(out, O_CLOEXEC));
    pid_t host = fork();
    if (host == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "test_exec", "host", f->work,
                    fixture_by_server ? "server" : "alone", (char *)NULL);
        _exit(127);
    }
    assert_true(host > 0);
    (void)close(out[1]);
    for (int i = 0; i < CHILDREN * 3; i++) {
        fixture_read_line(out[0], line, sizeof(line));
        pidfds[i] = fixture_pidfd((pid_t)atoi(line));
    }
    if (fixture_by_server)
        server_fd = fixture_pidfd(server_of(host));
    assert_int_equal(0, kill(host, SIGKILL));
    assert_int_equal(host, waitpid(host, NULL, 0));
    if (fixture_by_server) {
        fixture_wait(server_fd);
        (void)close(server_fd);
    }
    for (int i = 0; i < CHILDREN * 3; i++) {
        fixture_wait(pidfds[i]);
        (void)close(pidfds[i]);
    }
    (void)close(out[0]);
}

int main(int argc, char **argv)
{
    if (fixture_is_stub(argc, argv))
        return mw_exec_main(argc, argv);
    if (argc > 3 && strcmp(argv[1], "host") == 0)
        return be_host(argv[2], strcmp(argv[3], "server") == 0);
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
    const struct CMUnitTest tests[] = {
        TEST(arguments_arrive_unchanged_with_spaces_quotes_and_umlauts),
        TEST(the_environment_is_exactly_the_one_given),
        TEST(no_descriptor_of_the_host_reaches_the_program),
        TEST(a_folder_and_a_program_with_odd_names_work),
        TEST(a_path_near_the_systems_limit_works),
        TEST(a_missing_program_is_told_from_exit_127),
        TEST(what_cannot_be_run_says_why),
        TEST(a_program_is_never_taken_from_an_empty_part_of_path),
        TEST(what_the_host_did_wrong_is_refused_before_anything_starts),
        TEST(a_missing_work_folder_is_an_error_of_the_start),
        TEST(the_task_is_read_from_standard_input_and_the_log_is_appended),
        TEST(a_megabyte_of_output_arrives_whole),
        TEST(term_is_enough_for_a_program_that_listens),
        TEST(a_program_that_ignores_term_is_killed_after_the_grace),
        TEST(asking_again_shortens_the_grace_and_keeps_the_first_reason),
        TEST(a_stopped_program_is_ended),
        TEST(a_background_child_that_holds_stdout_does_not_hold_the_host),
        TEST(a_daemon_that_forked_twice_and_left_the_session_is_found),
        TEST(closing_the_output_ends_the_program),
        TEST(closing_the_control_channel_ends_the_program),
        TEST(the_backstop_rings_when_the_host_forgets),
        TEST(ending_an_ended_child_says_so),
        TEST(a_killed_supervisor_is_no_report_and_takes_the_program_along),
        TEST(short_of_memory_the_kernel_takes_the_program_before_the_host),
        TEST(usage_is_measured),
        TEST(an_unreadable_report_is_no_report),
        TEST(a_fork_bomb_of_root_is_counted_and_killed),
        TEST(the_kernel_holds_a_user_to_the_number_of_processes),
        TEST(a_fork_bomb_of_a_user_leaves_nothing),
        TEST(kill_9_of_the_host_with_8_children_and_their_daemons_leaves_none),
    };
    const struct CMUnitTest of_the_server[] = {
        TEST(a_forked_supervisor_is_a_child_of_the_host_and_shows_nothing_of_the_server),
        TEST(children_outlive_a_killed_fork_server_and_the_next_start_makes_a_new_one),
        TEST(a_stopped_fork_server_is_given_up_and_the_child_started_once),
        TEST(starting_by_the_server_leaves_no_descriptor_and_no_process_behind),
        TEST(whoever_forks_from_the_host_gets_a_server_of_its_own),
    };
    int failed = cmocka_run_group_tests_name("loaded", tests, NULL, NULL);
    fixture_by_server = true;
    failed += cmocka_run_group_tests_name("forked", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("server", of_the_server, NULL, NULL);
}
