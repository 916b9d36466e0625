/*
 * test_starting.c - P06 P08 P13 P16: how a host begins from what it finds. What cannot be replayed is left as it is, to the byte; a snapshot is
 * marked while it is loaded and not loaded where somebody died of it; what was asked of the world before it is asked again, and nothing else is;
 * a journal of any length is applied as it was checked.
 */
#include "host/internal.h"
#include "host/snapshot.h"
#include "journal/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define REGION_BYTES ((size_t)64 << 20)
#define MARK ".millwright/cache/loading"
#define ASKS_MAX 8u

static struct mw_host host;
static char workspace[] = "/tmp/mw-starting-XXXXXX";
static pthread_t main_thread;

/* ---- a snapshot of anything ---- */

static struct {
    const char *lines;  /* NULL: there is none */
    enum mw_rc load_rc; /* what loading it answers */
    uint32_t loads;
    bool marked; /* while it was loaded last */
    mw_seq open_asks[ASKS_MAX];
    struct {
        mw_seq seq;
        char line[80];
    } opened[ASKS_MAX];
    uint32_t opened_count;
} scene;

enum mw_rc __wrap_mw_snapshot_find(const char *path, struct mw_snapshot *ret_snapshot,
                                   struct mw_buf *file, struct mw_err *err);
enum mw_rc __wrap_mw_snapshot_find(const char *path, struct mw_snapshot *ret_snapshot,
                                   struct mw_buf *file, struct mw_err *err)
{
    static const char header[MW_SNAPSHOT_HEADER_BYTES];
    (void)path;
    if (scene.lines == NULL)
        return MW_FAIL(err, MW_E_MISSING, "there is no snapshot");
    mw_buf_put(file, (struct mw_str){header, sizeof header});
    mw_buf_put_z(file, scene.lines);
    *ret_snapshot = (struct mw_snapshot){.at = {.seq = 9}, .records = 1};
    return MW_OK;
}

enum mw_rc __wrap_mw_snapshot_load(struct mw_core *core, const struct mw_snapshot *snapshot,
                                   struct mw_str file, struct mw_err *err);
enum mw_rc __wrap_mw_snapshot_load(struct mw_core *core, const struct mw_snapshot *snapshot,
                                   struct mw_str file, struct mw_err *err)
{
    (void)snapshot;
    (void)file;
    scene.loads++;
    scene.marked = mw_exists(host.workspace_fd, MARK);
    for (uint32_t i = 0; i < ASKS_MAX && scene.open_asks[i] != 0; i++) {
        struct mw_ask *ask = mw_mem_alloc(&core->world.mem, sizeof(*ask));
        *ask = (struct mw_ask){.seq = scene.open_asks[i]};
        mw_table_put(&core->world.asks, &core->world.mem, ask);
    }
    core->world.last_seq = 9;
    return scene.load_rc == MW_OK ? MW_OK : MW_FAIL(err, scene.load_rc, "it gives another state");
}

void __wrap_mw_host_ask_opened(struct mw_host *of, mw_seq seq, struct mw_str line);
void __wrap_mw_host_ask_opened(struct mw_host *of, mw_seq seq, struct mw_str line)
{
    assert_ptr_equal(of, &host);
    assert_true(scene.opened_count < ASKS_MAX && line.len < sizeof scene.opened[0].line);
    scene.opened[scene.opened_count].seq = seq;
    memcpy(scene.opened[scene.opened_count++].line, line.ptr, line.len);
}

static void begin_scene(const char *lines)
{
    struct mw_core_config config = {.region = host.core.world.mem.region,
                                    .region_bytes = REGION_BYTES,
                                    .arena = host.core.arena.memory,
                                    .arena_bytes = REGION_BYTES};
    memset(&scene, 0, sizeof scene);
    scene.lines = lines;
    (void)unlinkat(host.workspace_fd, MARK, 0);
    mw_core_init(&host.core, &config);
}

/* ---- a journal longer than what lies between its two threads, and one of them slow ---- */

static struct {
    bool on;
    uv_sem_t go;     /* for the one that applies: the other can do no more */
    bool told;       /* it was told so */
    mw_seq applied;  /* the last record */
    mw_seq not_next; /* the first that was not the next one; 0: none */
} slow;

enum mw_rc __real_mw_core_replay(struct mw_core *core, struct mw_str line, struct mw_err *err);
enum mw_rc __wrap_mw_core_replay(struct mw_core *core, struct mw_str line, struct mw_err *err);
enum mw_rc __wrap_mw_core_replay(struct mw_core *core, struct mw_str line, struct mw_err *err)
{
    char start[40];
    if (!slow.on)
        return __real_mw_core_replay(core, line, err);
    if (slow.applied == 1)
        uv_sem_wait(&slow.go);
    (void)snprintf(start, sizeof start, "{\"seq\":%lu,", (unsigned long)++slow.applied);
    if (slow.not_next == 0 && !mw_str_starts(line, mw_str_of(start)))
        slow.not_next = slow.applied;
    core->world.last_seq = slow.applied;
    return MW_OK;
}

static void let_it_go(void)
{
    if (!slow.told)
        uv_sem_post(&slow.go);
    slow.told = true;
}

void __real_uv_sem_wait(uv_sem_t *sem);
void __wrap_uv_sem_wait(uv_sem_t *sem);
void __wrap_uv_sem_wait(uv_sem_t *sem)
{
    if (slow.on && sem != &slow.go && pthread_equal(pthread_self(), main_thread) != 0) {
        if (uv_sem_trywait(sem) == 0)
            return;
        let_it_go();
    }
    __real_uv_sem_wait(sem);
}

/* ---- P08: the mark ---- */

static void p08_a_snapshot_is_marked_for_as_long_as_it_is_loaded(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        begin_scene("{\"seq\":1}\n");
        scene.load_rc = row == 0 ? MW_OK : MW_E_CORRUPT;
        assert_int_equal(mw_host_snapshot_find(&host), 9);
        assert_false(mw_exists(host.workspace_fd, MARK));
        assert_int_equal(mw_host_snapshot_load(&host), row == 0);
        assert_true(scene.loads == 1 && scene.marked);
        assert_false(mw_exists(host.workspace_fd, MARK));
        assert_int_equal(host.core.world.last_seq,
                         row == 0 ? 9 : 0); /* or as if it were not there */
        assert_int_equal(host.snapshot.at, row == 0 ? 9 : 0);
    }
}

static void p08_a_snapshot_that_ended_who_loaded_it_is_not_loaded_by_the_next(void **state)
{
    (void)state;
    begin_scene("{\"seq\":1}\n");
    int fd = openat(host.workspace_fd, MARK, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(mw_host_snapshot_find(&host), 9);
    assert_false(mw_host_snapshot_load(&host));
    assert_true(scene.loads == 0 && scene.opened_count == 0 && host.snapshot.at == 0);
    /* Without it the records are replayed, and the start after that may try again. */
    assert_false(mw_exists(host.workspace_fd, MARK));
}

/* ---- P06: what is open ---- */

static void p06_what_was_asked_before_a_snapshot_and_is_open_is_asked_again(void **state)
{
    (void)state;
    begin_scene("{\"seq\":2,\"kind\":\"open\"}\n"
                "{\"seq\":3,\"kind\":\"closed\"}\n"
                "{\"left\":{\"seq\":4,\"kind\":\"open by another\"}}\n"
                "{\"kind\":\"open, too\",\"seq\":12}\n");
    scene.open_asks[0] = 2;
    scene.open_asks[1] = 4;
    scene.open_asks[2] = 12;
    assert_int_equal(mw_host_snapshot_find(&host), 9);
    assert_true(mw_host_snapshot_load(&host));
    assert_int_equal(scene.opened_count, 2);
    assert_int_equal(scene.opened[0].seq, 2);
    assert_string_equal(scene.opened[0].line, "{\"seq\":2,\"kind\":\"open\"}");
    assert_int_equal(scene.opened[1].seq, 12);
    assert_string_equal(scene.opened[1].line, "{\"kind\":\"open, too\",\"seq\":12}");
}

/* ---- P13: nothing is written ---- */

/* Every file of a folder with its name and bytes, in the order of the names. */
static void read_folder(const char *path, struct mw_buf *all)
{
    struct dirent **names;
    struct mw_err err;
    int count = scandir(path, &names, NULL, alphasort);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(count > 0 && fd >= 0);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_type == DT_REG) {
            mw_buf_put_z(all, names[i]->d_name);
            assert_int_equal(mw_file_read(fd, names[i]->d_name, 1 << 24, all, &err), MW_OK);
        }
        free(names[i]);
    }
    free(names);
    (void)close(fd);
}

static void p13_a_record_that_cannot_be_replayed_ends_the_start_with_nothing_written(void **state)
{
    static const char record[] = "{\"seq\":1,\"kind\":\"of a later release\"}\n";
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    struct mw_buf before = mw_heap_buf(), after = mw_heap_buf();
    mw_autofree char *folder = mw_heap_format("%s/.millwright/journal", workspace);
    mw_autofree char *side = mw_heap_format("%s/.millwright", workspace);
    struct mw_journal_options options = {.side_dir = side};
    void *journal;
    (void)state;
    begin_scene(NULL);
    assert_int_equal(mw_journal_files.open(folder, &options, &journal, &opened, &err), MW_OK);
    assert_int_equal(mw_journal_files.append(journal, 1, 1, mw_str_of(record), &err), MW_OK);
    assert_int_equal(mw_journal_files.close(journal, &err), MW_OK);
    /* A writer died with half a frame written: whoever takes the journal over would cut that off. */
    int fd = openat(host.workspace_fd, ".millwright/journal/00000000000000000001.jsonl",
                    O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "{\"frame\":2,", 11), 11);
    (void)close(fd);
    read_folder(folder, &before);
    read_folder(side, &before);

    host.ops = &mw_journal_files;
    struct mw_replay *replay = mw_replay_make(&host, &options);
    assert_int_equal(host.ops->open(folder, &options, &host.journal, NULL, &err), MW_OK);
    assert_int_not_equal(mw_replay_run(replay, &opened, &err), MW_OK);
    assert_int_equal(host.ops->close(host.journal, NULL), MW_OK);
    mw_heap_free(replay);

    read_folder(folder, &after);
    read_folder(side, &after);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.ptr, before.ptr, before.len);
    assert_non_null(strstr(err.text, "of a later release")); /* the replay's own words */
    mw_heap_buf_free(&before);
    mw_heap_buf_free(&after);
}

/* ---- P16: two threads ---- */

#define LONG_RECORDS 3000u
#define LONG_LINE_BYTES 1000u

static struct mw_journal_options handed;

static enum mw_rc check_long_journal(void *self, struct mw_journal_opened *ret_opened,
                                     struct mw_err *err)
{
    char line[LONG_LINE_BYTES];
    enum mw_rc rc = MW_OK;
    (void)self;
    (void)ret_opened;
    for (uint64_t seq = 1; seq <= LONG_RECORDS && rc == MW_OK; seq++) {
        memset(line, ' ', sizeof line);
        int len = snprintf(line, sizeof line, "{\"seq\":%lu,", (unsigned long)seq);
        line[len] = ' ';
        line[sizeof line - 1] = '}';
        rc = handed.on_record(handed.context, seq, (struct mw_str){line, sizeof line}, err);
    }
    let_it_go();
    return rc == MW_OK ? handed.on_checked(handed.context, err) : rc;
}

static uint64_t last_of_long_journal(const void *self)
{
    (void)self;
    return LONG_RECORDS;
}

/* However far the one that checks is ahead of the one that applies, what was found good is applied as it was found, and all of it. */
static void p16_a_long_journal_is_applied_in_order_however_slow_that_is(void **state)
{
    static const struct mw_journal_ops long_journal = {.check = check_long_journal,
                                                       .last_seq = last_of_long_journal};
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    (void)state;
    begin_scene(NULL);
    slow.on = true;
    main_thread = pthread_self();
    assert_int_equal(uv_sem_init(&slow.go, 0), 0);
    host.ops = &long_journal;
    struct mw_replay *replay = mw_replay_make(&host, &handed);
    assert_int_equal(mw_replay_run(replay, &opened, &err), MW_OK);
    mw_heap_free(replay);
    if (slow.not_next != 0)
        fail_msg("record %lu was another one when it was applied", (unsigned long)slow.not_next);
    assert_int_equal(slow.applied, LONG_RECORDS);
    uv_sem_destroy(&slow.go);
    slow.on = false;
}

/* ---- when one is made ---- */

static uint32_t queued;
static uv_after_work_cb end_of_work;

int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb work_cb,
                         uv_after_work_cb after_work_cb);
int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb work_cb,
                         uv_after_work_cb after_work_cb)
{
    (void)loop;
    (void)work;
    (void)work_cb;
    end_of_work = after_work_cb;
    queued++;
    return 0;
}

static void a_snapshot_is_made_when_enough_has_come_and_never_when_that_is_said(void **state)
{
    static const struct {
        const char *told; /* MILLWRIGHT_SNAPSHOT_RECORDS; NULL: nothing */
        mw_seq durable;
        bool leaving;
        bool made;
    } rows[] = {
        {NULL, 19999, true, false},   {NULL, 20000, true, true},   {NULL, 20000, false, false},
        {NULL, 499999, false, false}, {NULL, 500000, false, true}, {"0", 900000, true, false},
        {"0", 900000, false, false},  {"0", 0, true, false},       {"50", 49, true, false},
        {"50", 50, false, true},      {"50", 0, true, false},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        begin_scene(NULL);
        (void)(rows[i].told != NULL ? setenv("MILLWRIGHT_SNAPSHOT_RECORDS", rows[i].told, 1)
                                    : unsetenv("MILLWRIGHT_SNAPSHOT_RECORDS"));
        assert_int_equal(mw_host_snapshot_find(&host), 0);
        host.durable = rows[i].durable;
        host.snapshot.running = false;
        host.snapshot.begun_ms = 0;
        queued = 0;
        bool made = mw_host_snapshot_consider(&host, rows[i].leaving);
        if (made != rows[i].made || queued != rows[i].made)
            fail_msg("row %zu: %u are made", i, queued);
    }
    host.snapshot.running = false;
    (void)unsetenv("MILLWRIGHT_SNAPSHOT_RECORDS");
}

/* What cannot be made now is not tried with every frame: no sooner than as much has come again (P09). */
static void p09_a_snapshot_that_failed_is_tried_when_as_much_has_come_again(void **state)
{
    static const struct {
        int status; /* of the process that makes it; -1: there was none */
        bool made;
    } rows[] = {{0, true}, {1 << 8, false}, {SIGKILL, false}, {-1, false}};
    (void)state;
    assert_int_equal(setenv("MILLWRIGHT_SNAPSHOT_RECORDS", "50", 1), 0);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        begin_scene(NULL);
        assert_int_equal(mw_host_snapshot_find(&host), 0);
        queued = 0;
        for (mw_seq seq = 1; seq <= 200; seq++) {
            uint32_t before = queued;
            host.durable = seq;
            (void)mw_host_snapshot_consider(&host, false);
            assert_int_equal(queued, seq / 50);
            if (queued == before)
                continue;
            host.snapshot.status = rows[i].status;
            end_of_work(&host.snapshot.work, 0);
            assert_false(host.snapshot.running);
        }
    }
    (void)unsetenv("MILLWRIGHT_SNAPSHOT_RECORDS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p08_a_snapshot_is_marked_for_as_long_as_it_is_loaded),
        cmocka_unit_test(p08_a_snapshot_that_ended_who_loaded_it_is_not_loaded_by_the_next),
        cmocka_unit_test(p06_what_was_asked_before_a_snapshot_and_is_open_is_asked_again),
        cmocka_unit_test(p13_a_record_that_cannot_be_replayed_ends_the_start_with_nothing_written),
        cmocka_unit_test(p16_a_long_journal_is_applied_in_order_however_slow_that_is),
        cmocka_unit_test(a_snapshot_is_made_when_enough_has_come_and_never_when_that_is_said),
        cmocka_unit_test(p09_a_snapshot_that_failed_is_tried_when_as_much_has_come_again),
    };
    struct mw_err err;
    void *region =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *arena =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED || arena == MAP_FAILED || mkdtemp(workspace) == NULL)
        return 1;
    host.core.world.mem.region = region;
    host.core.arena.memory = arena;
    host.workspace = workspace;
    host.workspace_fd = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mw_mkdirs(host.workspace_fd, ".millwright/cache", 0700, &err) != MW_OK ||
        mw_mkdirs(host.workspace_fd, ".millwright/log", 0700, &err) != MW_OK)
        return 1;
    int failed = cmocka_run_group_tests_name("test_starting", tests, NULL, NULL);
    (void)close(host.workspace_fd);
    return mw_remove_tree(AT_FDCWD, workspace, NULL) == MW_OK ? failed : 1;
}
