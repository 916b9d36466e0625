/*
 * test_pins.c - definitions and documents in memory: of documents no more than is said, the ones that are asked for last (P09); of definitions
 * those that stand on the disk, and while one of them is wrong no work at all, however often it is asked for.
 */
#include "host/internal.h"
#include "host/mask.h"
#include "own_folder.h"

#include <sys/stat.h>

#define DOCUMENT_BYTES ((size_t)200 << 10)
#define DOCUMENTS 400u

static struct mw_host host;

static ino_t watched; /* 0: none */
static bool watched_is_synced;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat file;
    watched_is_synced =
        watched_is_synced || (watched != 0 && fstat(fd, &file) == 0 && file.st_ino == watched);
    return __real_fsync(fd);
}

static int setup(void **state)
{
    const struct mw_core_config config = {.region = mw_heap_reserve((size_t)1 << 30),
                                          .region_bytes = (size_t)1 << 30,
                                          .region_zeroed = true,
                                          .arena = mw_heap_reserve(MW_STEP_ARENA_BYTES),
                                          .arena_bytes = MW_STEP_ARENA_BYTES,
                                          .catalogue = mw_pins_catalogue,
                                          .document = mw_pins_document,
                                          .host = &host};
    struct mw_err err = {0};
    (void)enter_own_folder(state);
    host = (struct mw_host){.factory = (char *)(uintptr_t)MW_SOURCE_DIR "/factory",
                            .workspace = own_folder,
                            .holds = 1};
    host.workspace_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_mkdirs(AT_FDCWD, ".millwright/defs", 0755, &err), MW_OK);
    assert_int_equal(mw_blobs_open(AT_FDCWD, ".millwright", &host.blobs, &err), MW_OK);
    host.blobs_open = true;
    mw_core_init(&host.core, &config);
    (void)uv_loop_init(&host.loop);
    host.mask = mw_mask_make();
    mw_host_commit_start(&host);
    return 0;
}

static int teardown(void **state)
{
    mw_host_commit_stop(&host);
    mw_watch_end(&host.definitions_watch);
    mw_blobs_close(&host.blobs);
    (void)close(host.workspace_fd);
    return leave_own_folder(state);
}

/* ---- documents ---- */

static void keep(unsigned number, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_err err = {0};
    struct mw_buf text = mw_heap_buf();
    mw_buf_printf(&text, "{\"number\":%u,\"pad\":\"", number);
    while (text.len < DOCUMENT_BYTES)
        mw_buf_put_c(&text, (char)('a' + number % 26));
    mw_buf_put_z(&text, "\"}");
    if (mw_pins_keep_document(&host, mw_buf_str(&text), ret_sha256, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_heap_buf_free(&text);
}

static size_t bytes_in_memory(void)
{
    size_t bytes = 0;
    for (const struct mw_pin *pin = host.pins.oldest; pin != NULL; pin = pin->newer)
        bytes += pin->arena.used_bytes;
    return bytes;
}

static bool is_in_memory(const char *sha256)
{
    for (const struct mw_pin *pin = host.pins.oldest; pin != NULL; pin = pin->newer)
        if (strcmp(pin->sha256, sha256) == 0)
            return true;
    return false;
}

static void p09_of_documents_no_more_is_held_than_is_said(void **state)
{
    static char sha256[DOCUMENTS][MW_SHA256_HEX];
    (void)state;
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        keep(i, sha256[i]);
        assert_non_null(mw_pins_document(&host, mw_str_of(sha256[0]))); /* asked for all the time */
        mw_pins_trim(&host);
        if (bytes_in_memory() > MW_PINNED_BYTES)
            fail_msg("%zu bytes after %u documents", bytes_in_memory(), i + 1);
    }
    assert_true(bytes_in_memory() > MW_PINNED_BYTES / 2);
    assert_true(is_in_memory(sha256[0]));
    assert_true(is_in_memory(sha256[DOCUMENTS - 1]));
    assert_false(is_in_memory(sha256[1]));
    /* What was let go of is read from the disk again, and counts again. */
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        const struct mw_tape *tape = mw_pins_document(&host, mw_str_of(sha256[i]));
        assert_non_null(tape);
        assert_int_equal(mw_node_int(tape, mw_node_get(tape, 0, "number"), -1), i);
        mw_pins_trim(&host);
        assert_true(bytes_in_memory() <= MW_PINNED_BYTES);
    }
}

/* ---- a file that somebody saves while it is read, by the linker (test_pins.wraps) ---- */

static const char *saved_meanwhile; /* what it holds then; NULL: nobody saves it */

enum mw_rc __real_mw_file_read_regular(int at_fd, const char *path, size_t max_bytes,
                                       struct mw_buf *buf, struct mw_err *err);
enum mw_rc __wrap_mw_file_read_regular(int at_fd, const char *path, size_t max_bytes,
                                       struct mw_buf *buf, struct mw_err *err);
enum mw_rc __wrap_mw_file_read_regular(int at_fd, const char *path, size_t max_bytes,
                                       struct mw_buf *buf, struct mw_err *err)
{
    enum mw_rc rc = __real_mw_file_read_regular(at_fd, path, max_bytes, buf, err);
    if (saved_meanwhile != NULL && strstr(path, "/workflows/Lone.yaml") != NULL) {
        put("workflows/Lone.yaml", saved_meanwhile);
        saved_meanwhile = NULL;
    }
    return rc;
}

/* ---- definitions ---- */

static const char right[] = "workflow: Lone\npurpose: One task, on its own.\nroles:\n"
                            "  maker: {task: {skill: MakeThing, expects: ThingMade}}\n"
                            "start:\n  - role: maker\nhandoffs:\n"
                            "  - {on: ThingMade, complete: true}\n"
                            "limits: {iterations: 2, timeout: 5m}\n";

static const char agent[] = "agent_id: maker\nagent_type: Test Agent\nskills: [MakeThing]\n"
                            "domains: [\"*\"]\ntier: 50\ncapacity: 4\n"
                            "backend: {kind: command, argv: [./maker.sh]}\n";

static enum mw_rc refresh(char ret_sha256[MW_SHA256_HEX])
{
    struct mw_err err = {0};
    enum mw_rc rc = mw_pins_refresh(&host, &err);
    if (rc != MW_OK && rc != MW_E_CONFIG && rc != MW_E_INPUT)
        fail_msg("%s", err.text);
    memcpy(ret_sha256, host.definitions_sha256, MW_SHA256_HEX);
    return rc;
}

static void a_wrong_definition_is_refused_until_it_is_right(void **state)
{
    char before[MW_SHA256_HEX], found[MW_SHA256_HEX];
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    assert_int_equal(refresh(before), MW_OK);
    assert_int_equal(refresh(found), MW_OK);
    assert_string_equal(found, before);
    for (int again = 0; again < 8; again++) {
        if (again % 4 == 0)
            put("workflows/Lone.yaml",
                again == 0 ? "workflow: Lone\nroles: [\n" : "purpose: none\n");
        assert_int_not_equal(refresh(found), MW_OK);
    }
    put("workflows/Lone.yaml", right);
    assert_int_equal(refresh(found), MW_OK);
    assert_string_equal(found, before);
}

/* Nobody writes into the pipe: reading it would keep the host from everything else. */
static void what_is_no_file_is_no_definition(void **state)
{
    char found[MW_SHA256_HEX];
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    assert_int_equal(mkfifo("workflows/pipe.yaml", 0600), 0);
    assert_int_equal(refresh(found), MW_E_INPUT);
    assert_int_equal(unlink("workflows/pipe.yaml"), 0);
    assert_int_equal(symlink("/dev/ptmx", "workflows/terminal.yaml"), 0);
    assert_int_equal(refresh(found), MW_E_INPUT);
    assert_int_equal(unlink("workflows/terminal.yaml"), 0);
    assert_int_equal(refresh(found), MW_OK);
}

/* Someone edits all day: what nobody asks for is given back, and is there again when a trace that began with it goes on. */
static void p09_of_definitions_no_more_are_held_than_is_said(void **state)
{
    char first[MW_SHA256_HEX], found[MW_SHA256_HEX], text[400];
    (void)state;
    put("agents/maker.yaml", agent);
    for (unsigned i = 0; i < 3 * MW_PINNED_CATALOGUES; i++) {
        snprintf(text, sizeof text, "%s# edit %u\n", right, i);
        put("workflows/Lone.yaml", text);
        assert_int_equal(refresh(i == 0 ? first : found), MW_OK);
        mw_pins_trim(&host);
        uint32_t held = 0;
        for (const struct mw_pin *pin = host.pins.oldest; pin != NULL; pin = pin->newer)
            held += pin->catalogue != NULL;
        assert_true(held <= MW_PINNED_CATALOGUES);
    }
    assert_false(is_in_memory(first));
    const struct mw_catalogue *catalogue = mw_pins_catalogue(&host, mw_str_of(first));
    assert_non_null(catalogue);
    assert_non_null(mw_catalogue_workflow(catalogue, MW_STR("Lone")));
    mw_pins_trim(&host);
    assert_true(is_in_memory(first));
}

static void whatever_changes_a_definition_is_seen_by_the_next_request(void **state)
{
    static const char *const changes[] = {
        "sed -i 's/5m/6m/' workflows/Lone.yaml",
        "sed 's/6m/7m/' workflows/Lone.yaml >drafts/x && mv drafts/x workflows/Lone.yaml",
        ("cp workflows/Lone.yaml workflows/.new && sed -i 's/./&/' workflows/.new && "
         "sed -i 's/7m/8m/' workflows/.new && mv workflows/.new workflows/Lone.yaml"),
        "sed 's/Lone/Other/' workflows/Lone.yaml >workflows/Other.yaml",
        "mv workflows/Other.yaml drafts",
        "mv drafts/Other.yaml workflows",
        "rm workflows/Other.yaml",
        "mv workflows old && mkdir workflows",
        "rmdir workflows && mv old workflows"};
    char last[MW_SHA256_HEX], found[MW_SHA256_HEX];
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    put("drafts/x", "");
    assert_int_equal(refresh(last), MW_OK);
    for (size_t i = 0; i < MW_COUNT(changes); i++) {
        assert_int_equal(system(changes[i]), 0);
        assert_int_equal(refresh(found), MW_OK);
        if (strcmp(found, last) == 0)
            fail_msg("not seen: %s", changes[i]);
        memcpy(last, found, sizeof last);
    }
}

/* By the next request at the latest: what was read is not what stands there. */
static void what_is_saved_while_definitions_are_read_is_seen(void **state)
{
    char old[MW_SHA256_HEX], found[MW_SHA256_HEX], again[MW_SHA256_HEX];
    struct mw_buf later = mw_heap_buf();
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    mw_buf_printf(&later, "# later\n%s", right);
    mw_buf_put_c(&later, '\0');
    saved_meanwhile = later.ptr;
    assert_int_equal(refresh(old), MW_OK);
    assert_null(saved_meanwhile);
    assert_int_equal(refresh(found), MW_OK);
    assert_string_not_equal(found, old);
    assert_int_equal(refresh(again), MW_OK);
    assert_string_equal(again, found);
    mw_heap_buf_free(&later);
}

/* What a flow begins by has to be there for the host after this one (P13). */
static void p13_definitions_that_cannot_be_kept_are_not_used(void **state)
{
    struct mw_err err = {0};
    char found[MW_SHA256_HEX], path[160];
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    assert_int_equal(rmdir(".millwright/defs"), 0);
    put(".millwright/defs", "in its way");
    for (int again = 0; again < 2; again++) {
        assert_int_not_equal(mw_pins_refresh(&host, &err), MW_OK);
        assert_string_equal(host.definitions_sha256, "");
        assert_int_equal(host.core.catalogue_sha256.len, 0);
    }
    assert_int_equal(unlink(".millwright/defs"), 0);
    assert_int_equal(mkdir(".millwright/defs", 0755), 0);
    mw_seq before = host.core.world.last_seq;
    assert_int_equal(refresh(found), MW_OK);
    assert_true(host.core.world.last_seq > before);
    (void)snprintf(path, sizeof path, ".millwright/defs/%s.json", found);
    assert_true(mw_exists(AT_FDCWD, path));
}

/* A folder that cannot be listed is no empty one: a flow would go without what stands in it. */
static void p13_a_folder_of_definitions_that_cannot_be_listed_is_a_mistake(void **state)
{
    struct mw_err err = {0};
    char found[MW_SHA256_HEX];
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    assert_int_equal(symlink("rules", "rules"), 0);
    assert_int_not_equal(mw_pins_refresh(&host, &err), MW_OK);
    assert_non_null(strstr(err.text, "rules"));
    assert_int_equal(unlink("rules"), 0);
    assert_int_equal(refresh(found), MW_OK);
}

/* ---- agents ---- */

static bool is_there(void)
{
    const struct mw_agent *maker = mw_work_agent(&host.core.work, MW_STR("maker"));
    return maker != NULL && !maker->removed;
}

/* Whoever removed an agent has removed it, for as long as nobody says anything new of it. */
static void a_removed_agent_comes_back_with_a_changed_file_and_no_sooner(void **state)
{
    char sha256[MW_SHA256_HEX];
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    assert_int_equal(refresh(sha256), MW_OK);
    assert_true(is_there());
    mw_host_tell(&host, MW_REQ_REMOVE_AGENT, 0, 0, MW_STR("{\"agentId\":\"maker\"}"));
    assert_false(is_there());
    /* Another definition has changed, a host begins, and both. */
    for (int again = 0; again < 3; again++) {
        if (again != 1)
            assert_int_equal(system("sed -i 's/^purpose: /&Still /' workflows/Lone.yaml"), 0);
        if (again != 0)
            host.definitions_sha256[0] = '\0';
        assert_int_equal(refresh(sha256), MW_OK);
        if (is_there())
            fail_msg("it came back, at look %d", again + 1);
    }
    assert_int_equal(system("sed -i 's/capacity: 4/capacity: 5/' agents/maker.yaml"), 0);
    assert_int_equal(refresh(sha256), MW_OK);
    assert_true(is_there());
}

/* ---- on the disk ---- */

/* The host that put them there may have been killed before their name was durable, and the record that names them is written by the next one. */
static void p22_definitions_that_are_there_already_are_durable_when_they_are_named(void **state)
{
    char first[MW_SHA256_HEX], found[MW_SHA256_HEX];
    struct mw_err err = {0};
    struct stat folder;
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    assert_int_equal(stat(".millwright/defs", &folder), 0);
    assert_int_equal(mw_pins_load_factory(&host, first, &err), MW_OK);
    watched = folder.st_ino;
    watched_is_synced = false;
    enum mw_rc rc = mw_pins_load_factory(&host, found, &err);
    watched = 0;
    assert_int_equal(rc, MW_OK);
    assert_string_equal(found, first);
    assert_true(watched_is_synced);
}

/* A trace goes on by the definitions that it began with, or is told that they are gone; never by others. */
static void definitions_that_are_not_what_their_name_says_are_not_taken(void **state)
{
    char first[MW_SHA256_HEX], text[400];
    struct mw_buf kept = mw_heap_buf();
    struct mw_err err = {0};
    (void)state;
    put("agents/maker.yaml", agent);
    put("workflows/Lone.yaml", right);
    assert_int_equal(refresh(first), MW_OK);
    for (unsigned i = 0; i < 2 * MW_PINNED_CATALOGUES; i++) {
        char found[MW_SHA256_HEX];
        snprintf(text, sizeof text, "%s# edit %u\n", right, i);
        put("workflows/Lone.yaml", text);
        assert_int_equal(refresh(found), MW_OK);
        mw_pins_trim(&host);
    }
    assert_false(is_in_memory(first));
    mw_autofree char *path = mw_heap_format(".millwright/defs/%s.json", first);
    assert_int_equal(mw_file_read(AT_FDCWD, path, 1 << 24, &kept, &err), MW_OK);
    mw_buf_put_c(&kept, '\0');
    char *times = strstr(kept.ptr, "iterations: 2, timeout: 5m");
    assert_non_null(times);
    times[strlen("iterations: ")] = '9';
    put(path, kept.ptr);
    assert_null(mw_pins_catalogue(&host, mw_str_of(first)));
    times[strlen("iterations: ")] = '2';
    put(path, kept.ptr);
    assert_non_null(mw_pins_catalogue(&host, mw_str_of(first)));
    mw_heap_buf_free(&kept);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(p09_of_documents_no_more_is_held_than_is_said),
        TEST(a_wrong_definition_is_refused_until_it_is_right),
        TEST(p09_of_definitions_no_more_are_held_than_is_said),
        TEST(what_is_no_file_is_no_definition),
        TEST(whatever_changes_a_definition_is_seen_by_the_next_request),
        TEST(what_is_saved_while_definitions_are_read_is_seen),
        TEST(p13_definitions_that_cannot_be_kept_are_not_used),
        TEST(p13_a_folder_of_definitions_that_cannot_be_listed_is_a_mistake),
        TEST(a_removed_agent_comes_back_with_a_changed_file_and_no_sooner),
        TEST(p22_definitions_that_are_there_already_are_durable_when_they_are_named),
        TEST(definitions_that_are_not_what_their_name_says_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
