/*
 * test_journal_processes.c - P01 P11 with real processes: writers killed at each system call and at random moments, and races for the lock.
 */
#include "../crash/journal_rig.h"
#include "journal/doctor.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options real = {.segment_bytes = 6000, .reserve_bytes = 4096};
static char dir[64];

/* Opens, appends frames and writes each acknowledged position to the pipe; ends by itself after `appends`. */
static void writer(int acks_fd, int appends)
{
    struct mw_err err;
    struct mw_journal_opened opened;
    void *journal;
    if (ops->open(dir, &real, &journal, &opened, &err) != MW_OK)
        _exit(3);
    for (int i = 0; i < appends; i++) {
        uint64_t first = ops->last_seq(journal) + 1;
        if (rig_append(journal, first, 1 + (uint32_t)(first % 3), &err) != MW_OK)
            _exit(4);
        uint64_t acked = ops->last_seq(journal);
        if (write(acks_fd, &acked, sizeof acked) != (ssize_t)sizeof acked)
            _exit(5);
    }
    _exit(ops->close(journal, &err) == MW_OK ? 0 : 6);
}

static uint64_t last_ack(int fd)
{
    uint64_t acked = 0, next;
    while (read(fd, &next, sizeof next) == (ssize_t)sizeof next)
        acked = next;
    return acked;
}

static void check(uint64_t acked, const char *when, long at)
{
    struct mw_err err;
    struct mw_journal_opened opened;
    void *journal;
    if (ops->open(dir, &real, &journal, &opened, &err) != MW_OK)
        fail_msg("%s %ld: %s", when, at, err.text);
    if (opened.last_seq < acked)
        fail_msg("%s %ld: acknowledged %lu, found %lu", when, at, (unsigned long)acked,
                 (unsigned long)opened.last_seq);
    struct rig_read read = {.next = 1};
    assert_int_equal(ops->read(journal, 1, rig_check_line, &read, &err), MW_OK);
    assert_false(read.wrong);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

/* Runs the child from stop to stop and kills it at the at-th. True when it ended before. */
static bool trace_and_kill(pid_t child, long at)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL), 0);
    for (long stop = 0;; stop++) {
        if (stop == at) {
            assert_int_equal(kill(child, SIGKILL), 0);
            assert_int_equal(waitpid(child, &status, 0), child);
            return WIFEXITED(status);
        }
        assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, 0), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            return true;
        }
        assert_true(WIFSTOPPED(status));
    }
}

static void sweep(int appends, int unclean, long step, const char *name)
{
    bool ended = false;
    long at = 0;
    for (; !ended; at += step) {
        rig_empty_dir(dir);
        int acks[2];
        assert_int_equal(pipe2(acks, O_CLOEXEC), 0);
        uint64_t acked = 0;
        if (unclean > 0) { /* so that the traced start has something to recover */
            pid_t before = fork();
            if (before == 0) {
                struct mw_err err;
                struct mw_journal_opened opened;
                void *journal;
                if (ops->open(dir, &real, &journal, &opened, &err) != MW_OK ||
                    rig_append(journal, 1, 3, &err) != MW_OK)
                    _exit(1);
                _exit(0);
            }
            int status;
            assert_int_equal(waitpid(before, &status, 0), before);
            assert_int_equal(status, 0);
            acked = 3;
        }
        pid_t child = fork();
        if (child == 0) {
            (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
            (void)raise(SIGSTOP);
            writer(acks[1], appends);
        }
        ended = trace_and_kill(child, at);
        (void)close(acks[1]);
        uint64_t heard = last_ack(acks[0]);
        (void)close(acks[0]);
        check(heard > acked ? heard : acked, name, at);
    }
    print_message("%s: %ld places\n", name, at / step);
    assert_true(at > 50);
}

static void p01_killed_at_each_system_call_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    pid_t probe = fork();
    if (probe == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
    int status;
    assert_int_equal(waitpid(probe, &status, 0), probe);
    if (status != 0) {
        print_message("skipped: this machine does not let a process be traced\n");
        skip();
    }
    sweep(rig_night() ? 30 : 6, 0, 1, "killed at a system call");
    sweep(rig_night() ? 30 : 4, 1, 1, "killed at a system call of a recovery");
}

static void p01_killed_at_random_moments_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    const int lives = rig_night() ? 500 : 60;
    uint64_t acked = 0;
    rig_reset(99);
    for (int i = 0; i < lives; i++) { /* one journal, many lives */
        int acks[2];
        assert_int_equal(pipe2(acks, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0)
            writer(acks[1], 1000000);
        (void)close(acks[1]);
        for (uint64_t wanted = rig_random() >> 20 & 31, heard = 0; wanted > 0; wanted--)
            if (read(acks[0], &heard, sizeof heard) == (ssize_t)sizeof heard)
                acked = heard;
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status))
            fail_msg("the writer ended with %d", WEXITSTATUS(status));
        uint64_t rest = last_ack(acks[0]);
        acked = rest > acked ? rest : acked;
        (void)close(acks[0]);
        check(acked, "killed in life", i);
    }
    print_message("%d lives, %lu records\n", lives, (unsigned long)acked);
}

/* The durable position is shared memory here; in the host it is a message from the writer thread. */
static void a_reader_beside_a_running_writer_sees_whole_records_only(void **state)
{
    (void)state;
    const uint64_t wanted = rig_night() ? 100000 : 20000;
    uint64_t *durable = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(durable != MAP_FAILED);
    const struct mw_journal_options options = {.segment_bytes = 100000, .sys = &rig_quick};
    struct mw_err err;
    struct mw_journal_opened opened;
    void *journal, *told = NULL, *untold = NULL;
    assert_int_equal(ops->open(dir, &options, &journal, &opened, &err), MW_OK);
    pid_t child = fork();
    if (child == 0) {
        while (*durable < wanted) {
            uint64_t first = *durable + 1;
            if (rig_append(journal, first, 1 + (uint32_t)(first % 9), &err) != MW_OK)
                _exit(1);
            __atomic_store_n(durable, ops->last_seq(journal), __ATOMIC_SEQ_CST);
        }
        _exit(0);
    }
    assert_int_equal(ops->reader_open(dir, &options, 1, &told, &err), MW_OK);
    assert_int_equal(ops->reader_open(dir, &options, 1, &untold, &err), MW_OK);
    struct rig_read told_read = {.next = 1}, untold_read = {.next = 1};
    uint64_t next = 1;
    while (next <= wanted) {
        uint64_t until = __atomic_load_n(durable, __ATOMIC_SEQ_CST);
        if (ops->reader_read(told, until, rig_check_line, &told_read, &next, &err) != MW_OK)
            fail_msg("told of %lu: %s", (unsigned long)until, err.text);
        assert_int_equal(next, until + 1);
        if (ops->reader_read(untold, UINT64_MAX, rig_check_line, &untold_read, NULL, &err) != MW_OK)
            fail_msg("untold: %s", err.text);
        assert_false(told_read.wrong || untold_read.wrong);
        if (mw_journal_verify(dir, &options, NULL, NULL, NULL, &err) != MW_OK)
            fail_msg("verify beside a writer: %s", err.text);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    ops->reader_close(told);
    ops->reader_close(untold);
    (void)ops->close(journal, &err); /* the child's handle: this one never wrote */
    (void)munmap(durable, 4096);
}

/* ---- races for the lock ---- */

#define RACERS 3

struct outcome {
    int rc;
    int named; /* the holder that the refusal names */
    uint64_t epoch;
};

static void racer(int go_fd, int outcome_fd)
{
    const struct mw_journal_options options = {.sys = &rig_quick};
    char go;
    while (read(go_fd, &go, 1) == 1) {
        struct mw_err err = {0};
        struct mw_journal_opened opened = {0};
        void *journal = NULL;
        struct outcome outcome = {.rc = ops->open(dir, &options, &journal, &opened, &err)};
        const char *pid = strstr(err.text, "process ");
        outcome.named = outcome.rc == MW_E_CONFLICT && pid != NULL ? atoi(pid + 8) : 0;
        outcome.epoch = opened.epoch;
        if (write(outcome_fd, &outcome, sizeof outcome) != (ssize_t)sizeof outcome ||
            read(go_fd, &go, 1) != 1) /* everybody has tried: let go */
            _exit(1);
        if (journal != NULL)
            (void)ops->close(journal, &err);
        if (write(outcome_fd, "", 1) != 1)
            _exit(1);
    }
    _exit(0);
}

static void p11_of_all_who_race_for_the_lock_one_wins_and_the_others_name_it(void **state)
{
    (void)state;
    const int races = rig_night() ? 20000 : 1000;
    int go[RACERS][2], back[RACERS][2];
    pid_t pid[RACERS];
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(pipe2(go[i], O_CLOEXEC), 0);
        assert_int_equal(pipe2(back[i], O_CLOEXEC), 0);
        pid[i] = fork();
        if (pid[i] == 0) {
            for (int earlier = 0; earlier <= i; earlier++)
                (void)close(go[earlier][1]);
            racer(go[i][0], back[i][1]);
        }
    }
    uint64_t epoch = 0;
    int wins[RACERS] = {0};
    for (int race = 0; race < races; race++) {
        struct outcome outcomes[RACERS];
        char done;
        int winner = -1;
        for (int i = 0; i < RACERS; i++) /* in turns, so that not always the same one is first */
            assert_int_equal(write(go[(race + i) % RACERS][1], "", 1), 1);
        for (int i = 0; i < RACERS; i++) {
            assert_int_equal(read(back[i][0], &outcomes[i], sizeof outcomes[i]),
                             sizeof outcomes[i]);
            if (outcomes[i].rc == MW_OK) {
                assert_int_equal(winner, -1);
                winner = i;
            }
        }
        assert_true(winner >= 0);
        assert_true(outcomes[winner].epoch > epoch);
        epoch = outcomes[winner].epoch;
        wins[winner]++;
        for (int i = 0; i < RACERS; i++) {
            if (i != winner) {
                assert_int_equal(outcomes[i].rc, MW_E_CONFLICT);
                assert_int_equal(outcomes[i].named, pid[winner]);
            }
            assert_int_equal(write(go[i][1], "", 1), 1);
        }
        for (int i = 0; i < RACERS; i++)
            assert_int_equal(read(back[i][0], &done, 1), 1);
    }
    print_message("%d races, won %d %d %d\n", races, wins[0], wins[1], wins[2]);
    for (int i = 0; i < RACERS; i++) {
        int status;
        (void)close(go[i][1]);
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
        (void)close(go[i][0]);
        (void)close(back[i][0]);
        (void)close(back[i][1]);
    }
}

static void p10_a_file_size_limit_is_survived(void **state)
{
    (void)state;
    struct mw_err err;
    struct mw_journal_opened opened;
    void *journal;
    struct rlimit before;
    const struct mw_journal_options one_segment = {.reserve_bytes = 4096};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR); /* as the host does */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(ops->open(dir, &one_segment, &journal, &opened, &err), MW_OK);
    assert_int_equal(rig_append(journal, 1, 20, &err), MW_OK);
    struct rlimit small = before;
    small.rlim_cur = 20000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum mw_rc rc = rig_append(journal, 21, 30, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, MW_E_FULL);
    assert_int_equal(rig_append(journal, 21, 30, &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    check(50, "file size limit", 0);
}

static int fresh(void **state)
{
    (void)state;
    rig_new_dir(dir);
    return 0;
}

static int done(void **state)
{
    (void)state;
    rig_remove_dir(dir);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(p01_killed_at_each_system_call_keeps_what_was_acknowledged),
        TEST(p01_killed_at_random_moments_keeps_what_was_acknowledged),
        TEST(a_reader_beside_a_running_writer_sees_whole_records_only),
        TEST(p11_of_all_who_race_for_the_lock_one_wins_and_the_others_name_it),
        TEST(p10_a_file_size_limit_is_survived),
    };
    return cmocka_run_group_tests_name("journal processes", tests, NULL, NULL);
}
