/*
 * test_log.c - P09 P17 P23: the host's own log. It is bounded, it is written in its place and nowhere else, and one that cannot be written holds
 * nobody up.
 */
#include "host/internal.h"
#include "own_folder.h"

#include <sys/stat.h>

#define LOG ".millwright/log/host.log"
#define LOG_BYTES ((off_t)16 << 20)

static struct mw_host host;

static int setup(void **state)
{
    (void)enter_own_folder(state);
    put(".millwright/log/nothing", "");
    host = (struct mw_host){.workspace = own_folder};
    host.workspace_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return 0;
}

static int teardown(void **state)
{
    (void)close(host.workspace_fd);
    return leave_own_folder(state);
}

/* -1: it is not there. */
static off_t size_of(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 ? info.st_size : -1;
}

static void p09_a_full_log_goes_aside_and_one_is_kept(void **state)
{
    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        mw_host_log(&host, "info", "test.first", "turn %d", turn);
        assert_in_range(size_of(LOG), 1, 1000);
        assert_int_equal(truncate(LOG, LOG_BYTES), 0);
        mw_host_log(&host, "info", "test.last", "turn %d", turn);
        assert_int_equal(size_of(LOG), -1);
        assert_in_range(size_of(LOG ".1"), LOG_BYTES + 1, LOG_BYTES + 1000);
    }
    assert_int_equal(size_of(LOG ".2"), -1);
}

static void p17_p23_a_link_in_the_place_of_the_log_is_not_followed(void **state)
{
    (void)state;
    put("mine.txt", "mine\n");
    assert_int_equal(symlink("../../mine.txt", LOG), 0);
    mw_host_log(&host, "info", "test.linked", "not for there");
    assert_int_equal(size_of("mine.txt"), 5);
    assert_int_equal(unlink(LOG), 0);
    assert_int_equal(symlink("../../none.txt", LOG), 0);
    mw_host_log(&host, "info", "test.linked", "not for there");
    assert_int_equal(size_of("none.txt"), -1);
}

static void p17_a_pipe_in_the_place_of_the_log_holds_nobody_up(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(LOG, 0600), 0);
    (void)alarm(20); /* it would wait for a reader for ever */
    mw_host_log(&host, "info", "test.pipe", "nobody reads");
    (void)alarm(0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(p09_a_full_log_goes_aside_and_one_is_kept),
        TEST(p17_p23_a_link_in_the_place_of_the_log_is_not_followed),
        TEST(p17_a_pipe_in_the_place_of_the_log_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
