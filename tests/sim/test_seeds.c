/*
 * test_seeds.c - seeds.h: whatever ends the process that plays a seed, the seed is said, with the command that plays it again; and a night plays as
 * many as it says.
 */
#include "base/base.h"
#include "seeds.h"

#include <fcntl.h>

#define FROM 1000u
#define COUNT 40u
#define JOBS 3u
#define BAD (FROM + 17)

enum ending {
    ENDS_WELL,
    ENDS_BY_ASSERT, /* of the code under test */
    ENDS_BY_TEST,   /* an assertion of cmocka's */
    ENDS_BY_SEGV,
    ENDS_BY_KILL,
    ENDS_BY_EXIT,
    ENDS_NEVER
};

static enum ending ending;

static void play_seeds(uint64_t from, uint64_t step, uint64_t end, bool is_worker, uint64_t *totals)
{
    assert_true(is_worker);
    for (uint64_t seed = from; seed < end; seed += step) {
        seeds_begin(seed);
        totals[0]++;
        totals[1] += seed;
        if (seed != BAD)
            continue;
        switch (ending) {
        case ENDS_WELL:
            break;
        case ENDS_BY_ASSERT:
            MW_ASSERT(seed != BAD);
            break;
        case ENDS_BY_TEST:
            fail_msg("this seed is bad");
            break;
        case ENDS_BY_SEGV:
            (void)raise(SIGSEGV);
            break;
        case ENDS_BY_KILL:
            (void)raise(SIGKILL);
            break;
        case ENDS_BY_EXIT:
            _exit(66);
        case ENDS_NEVER:
            for (;;)
                (void)pause();
        }
    }
}

/* In a process of its own, whose words are heard. Returns whether all was well. */
static bool spread(enum ending wanted, char *ret_said, size_t size)
{
    int ends[2];
    int status = 0;
    size_t len = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        uint64_t totals[SEEDS_TOTALS] = {0};
        (void)dup2(ends[1], 2);
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC),
                   1); /* of tests that fail as they should */
        (void)close(ends[0]);
        (void)close(ends[1]);
        ending = wanted;
        seeds_limit_s = wanted == ENDS_NEVER ? 1 : 0;
        bool well = seeds_spread(play_seeds, FROM, COUNT, JOBS, totals);
        bool all = totals[0] == COUNT && totals[1] == COUNT * (2 * FROM + COUNT - 1) / 2;
        _exit(!well ? 1 : all ? 0 : 2);
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], ret_said + len, size - 1 - len)) > 0)
        len += (size_t)got;
    ret_said[len] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

static void a_seed_that_ends_its_process_is_said_however_it_ends(void **state)
{
    static const struct {
        enum ending ending;
        const char *how;
    } rows[] = {{ENDS_BY_ASSERT, "signal 6"},   {ENDS_BY_SEGV, "signal 11"},
                {ENDS_BY_TEST, "exit code"},    {ENDS_BY_KILL, "signal 9"},
                {ENDS_BY_EXIT, "exit code 66"}, {ENDS_NEVER, "it does not end"}};
    char said[65536], wanted[100];
    (void)state;
    snprintf(wanted, sizeof wanted, "run again with MW_SEED=%u %s\n", BAD, program_invocation_name);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        if (spread(rows[i].ending, said, sizeof said))
            fail_msg("row %zu ended well", i);
        if (strstr(said, wanted) == NULL || strstr(said, rows[i].how) == NULL)
            fail_msg("row %zu: '%s' and '%s' are not in: %s", i, wanted, rows[i].how, said);
    }
}

static void nothing_is_said_when_all_end_well(void **state)
{
    char said[65536];
    (void)state;
    assert_true(spread(ENDS_WELL, said, sizeof said));
    assert_string_equal(said, "");
}

static void a_night_plays_no_fewer_seeds_than_it_says(void **state)
{
    (void)state;
    assert_int_equal(seeds_of_night(1), SEEDS_NIGHT);
    for (uint64_t parts = 1; parts < 20; parts++) {
        assert_true(parts * seeds_of_night(parts) >= SEEDS_NIGHT);
        assert_true(parts * (seeds_of_night(parts) - 1) < SEEDS_NIGHT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_that_ends_its_process_is_said_however_it_ends),
        cmocka_unit_test(nothing_is_said_when_all_end_well),
        cmocka_unit_test(a_night_plays_no_fewer_seeds_than_it_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
