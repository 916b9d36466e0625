/*
 * test_effects.c - bundles and promotions as the host runs them: whatever failed, what is told is what stands (P12); and of the trees that stood before, the ten
 * newest are kept, and each that somebody had edited (P23).
 */
#include "host/internal.h"
#include "host/mask.h"
#include "own_folder.h"
#include "stage/bundle.h"
#include "stage/promote.h"

#include <errno.h>
#include <sys/stat.h>

static struct mw_host host;
static mw_seq number;

/* ---- what the host calls, by the linker (test_effects.wraps) ---- */

static enum mw_rc fails_with; /* MW_OK: as it goes */
static bool fails_behind;     /* the exchange took place all the same */
static char told[1024];       /* the body of the request that ends the ask */
static enum mw_request_kind told_as = MW_REQ_RECORD_PROMOTION;
static uint32_t bundles_tried, tries_without_room, files_in_bundle;
static int no_room_errno; /* what is said of it; 0: MW_E_FULL */

enum mw_rc __real_mw_promote_run(const struct mw_promote *promote, struct mw_promoted *ret_promoted,
                                 struct mw_err *err);
enum mw_rc __wrap_mw_promote_run(const struct mw_promote *promote, struct mw_promoted *ret_promoted,
                                 struct mw_err *err);
enum mw_rc __wrap_mw_promote_run(const struct mw_promote *promote, struct mw_promoted *ret_promoted,
                                 struct mw_err *err)
{
    struct mw_promoted nobody_sees;
    if (fails_with == MW_OK)
        return __real_mw_promote_run(promote, ret_promoted, err);
    if (fails_behind)
        assert_int_equal(__real_mw_promote_run(promote, &nobody_sees, err), MW_OK);
    return MW_FAIL(err, fails_with, "the disk fails");
}

struct mw_promote_place;
struct mw_promote_note;
static unsigned keeps_fail; /* so many times there is no room to keep the old tree */
static bool never_keeps;    /* it can never be kept, for another reason */
enum mw_rc __real_mw_version_keep(const struct mw_promote_place *place, const char *id,
                                  const struct mw_promote_note *note, struct mw_err *err);
enum mw_rc __wrap_mw_version_keep(const struct mw_promote_place *place, const char *id,
                                  const struct mw_promote_note *note, struct mw_err *err);
enum mw_rc __wrap_mw_version_keep(const struct mw_promote_place *place, const char *id,
                                  const struct mw_promote_note *note, struct mw_err *err)
{
    if (never_keeps)
        return MW_FAIL(err, MW_E_IO, "the old tree stays where it is");
    if (keeps_fail == 0)
        return __real_mw_version_keep(place, id, note, err);
    keeps_fail--;
    return MW_FAIL(err, MW_E_FULL, "no room");
}

void __wrap_mw_host_tell(struct mw_host *to, enum mw_request_kind kind, mw_seq item, mw_seq fence,
                         struct mw_str body);
void __wrap_mw_host_tell(struct mw_host *to, enum mw_request_kind kind, mw_seq item, mw_seq fence,
                         struct mw_str body)
{
    (void)item;
    assert_ptr_equal(to, &host);
    assert_int_equal(kind, told_as);
    assert_int_equal(fence, number);
    assert_string_equal(told, ""); /* once */
    (void)snprintf(told, sizeof told, "%.*s", MW_STR_ARG(body));
}

enum mw_rc __wrap_mw_bundle_assemble(int workspace_fd, const char *app_id, const char *build_id,
                                     const struct mw_tree *tree, const struct mw_blobs *blobs,
                                     char ret_path[MW_BUNDLE_PATH_MAX], struct mw_err *err);
enum mw_rc __wrap_mw_bundle_assemble(int workspace_fd, const char *app_id, const char *build_id,
                                     const struct mw_tree *tree, const struct mw_blobs *blobs,
                                     char ret_path[MW_BUNDLE_PATH_MAX], struct mw_err *err)
{
    (void)workspace_fd;
    (void)blobs;
    files_in_bundle = tree->count;
    (void)snprintf(ret_path, MW_BUNDLE_PATH_MAX, "%s/%s", app_id, build_id);
    if (++bundles_tried > tries_without_room)
        return MW_OK;
    if (no_room_errno == 0)
        return MW_FAIL(err, MW_E_FULL, "no room");
    errno = no_room_errno;
    return MW_FAIL_SYS(err, MW_E_IO, "write");
}

/* Nobody waits here. */
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb rings, uint64_t after_ms,
                          uint64_t again_ms);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb rings, uint64_t after_ms,
                          uint64_t again_ms);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb rings, uint64_t after_ms,
                          uint64_t again_ms)
{
    assert_true(after_ms > 0);
    return __real_uv_timer_start(timer, rings, 0, again_ms);
}

/* ---- a workspace ---- */

static int setup(void **state)
{
    const struct mw_core_config config = {.region = mw_heap_reserve((size_t)1 << 30),
                                          .region_bytes = (size_t)1 << 30,
                                          .region_zeroed = true,
                                          .arena = mw_heap_reserve(MW_STEP_ARENA_BYTES),
                                          .arena_bytes = MW_STEP_ARENA_BYTES,
                                          .host = &host};
    (void)enter_own_folder(state);
    host = (struct mw_host){.factory = (char *)(uintptr_t)MW_SOURCE_DIR "/factory",
                            .workspace = own_folder};
    host.workspace_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mw_core_init(&host.core, &config);
    (void)uv_loop_init(&host.loop);
    fails_with = MW_OK;
    told_as = MW_REQ_RECORD_PROMOTION;
    put(".millwright/head", "");
    put("v1/app.json", "1\n");
    put("v2/app.json", "2\n");
    return 0;
}

static int teardown(void **state)
{
    (void)uv_loop_close(&host.loop);
    (void)close(host.workspace_fd);
    return leave_own_folder(state);
}

static void digest_of(const char *folder, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_err err;
    struct mw_tree tree;
    struct mw_tree_scan observe = {.observe = true};
    assert_int_equal(mw_tree_scan(AT_FDCWD, folder, &observe, &tree, &err), MW_OK);
    mw_tree_digest(&tree, ret_sha256);
    mw_tree_free(&tree);
}

static bool keeps_app; /* what is promoted elsewhere leaves the app root's version what it is */

/* As if the record had just become durable; until its end is told. */
static void promote_tree(const char *target, const char *source, const char sha256[MW_SHA256_HEX],
                         const char *mode)
{
    static char standing[MW_SHA256_HEX];
    const struct mw_ask open = {.seq = ++number, .opens = MW_OPENS_STAGE};
    struct mw_ask *kept = mw_mem_alloc(&host.core.world.mem, sizeof(*kept));
    *kept = open;
    mw_table_put(&host.core.world.asks, &host.core.world.mem, kept);
    struct mw_host_ask ask = {.seq = number};
    ask.line = mw_heap_format("{\"kind\":\"promotion.started\",\"payload\":{\"path\":\"%s\","
                              "\"sha256\":\"%s\",\"target\":\"%s\",\"mode\":\"%s\"}}",
                              source, sha256, target, mode);
    told[0] = '\0';
    mw_stage_begin(&host, &ask);
    (void)uv_run(&host.loop, UV_RUN_DEFAULT);
    assert_int_equal(host.attempts_running, 0);
    assert_false(ask.held);
    assert_string_not_equal(told, "");
    mw_heap_free(ask.line);
    if (strstr(told, "\"error\"") != NULL)
        return;
    memcpy(standing, sha256, sizeof standing);
    if (strcmp(target, "app") != 0 && keeps_app)
        return;
    host.core.session.promoted_sha256 = mw_str_of(standing);
}

static void promote_to(const char *target, const char *source, const char *mode)
{
    char sha256[MW_SHA256_HEX];
    digest_of(source, sha256);
    promote_tree(target, source, sha256, mode);
}

static void promote(const char *source, const char *mode)
{
    promote_to("app", source, mode);
}

static void p12_what_is_told_of_a_failed_promotion_is_what_stands(void **state)
{
    static const struct {
        enum mw_rc rc;
        bool behind;
    } rows[] = {{MW_E_IO, true},    {MW_E_FULL, true},    {MW_E_IO, false},
                {MW_E_FULL, false}, {MW_E_DENIED, false}, {MW_E_CONFLICT, false}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        char found[MW_SHA256_HEX], wanted[MW_SHA256_HEX];
        fails_with = MW_OK;
        promote("v1", "");
        assert_null(strstr(told, "\"error\""));
        fails_with = rows[i].rc;
        fails_behind = rows[i].behind;
        promote("v2", "");
        digest_of("app", found);
        digest_of(rows[i].behind ? "v2" : "v1", wanted);
        assert_string_equal(found, wanted);
        if ((strstr(told, "\"error\"") == NULL) != rows[i].behind)
            fail_msg("%s, and %s stands: %s", mw_rc_name(rows[i].rc),
                     rows[i].behind ? "the new tree" : "the old tree", told);
        assert_true(!rows[i].behind || strstr(told, wanted) != NULL);
    }
}

/* What stands is not told as a failure: the next promotion would find an edited root, and the tree before would stay beside it for ever. */
static void p10_p12_what_stands_is_finished_when_there_is_room(void **state)
{
    struct mw_version_list list;
    struct mw_err err;
    char wanted[MW_SHA256_HEX];
    (void)state;
    promote("v1", "");
    digest_of("v2", wanted);
    keeps_fail = 2; /* the promotion, and the first look at what stands */
    promote("v2", "");
    assert_int_equal(keeps_fail, 0);
    if (strstr(told, "\"error\"") != NULL || strstr(told, wanted) == NULL)
        fail_msg("%s", told);
    assert_int_equal(mw_versions_list(host.workspace_fd, &list, &err), MW_OK);
    assert_int_equal(list.count, 1);
    mw_versions_free(&list);
    mw_autofree char *beside = mw_heap_format(".millwright-p%lu", (unsigned long)number);
    assert_int_not_equal(access(beside, F_OK), 0);
}

/* Nor for any other failure behind the exchange: the app is the new version, and what is told says so. */
static void p12_what_stands_is_told_though_the_old_tree_cannot_be_kept(void **state)
{
    char wanted[MW_SHA256_HEX], found[MW_SHA256_HEX];
    (void)state;
    promote("v1", "");
    digest_of("v2", wanted);
    never_keeps = true;
    promote("v2", "");
    never_keeps = false;
    digest_of("app", found);
    assert_string_equal(found, wanted);
    if (strstr(told, "\"error\"") != NULL || strstr(told, wanted) == NULL)
        fail_msg("%s", told);
    promote("v1", "");
    assert_null(strstr(told, "\"error\""));
}

/* It is a promotion like any other: an app that was edited is not replaced unasked. */
static void p23_a_rollback_does_not_replace_edits(void **state)
{
    char before[MW_SHA256_HEX], after[MW_SHA256_HEX];
    (void)state;
    promote("v1", "");
    promote("v2", "");
    put("app/mine.txt", "mine\n");
    digest_of("app", before);
    promote("v1", "rollback");
    digest_of("app", after);
    assert_non_null(strstr(told, "\"error\""));
    assert_string_equal(after, before);
    assert_int_equal(unlink("app/mine.txt"), 0);
    promote("v1", "rollback");
    assert_null(strstr(told, "\"error\""));
}

/* The digest of a list of one file. */
static struct mw_str made_file(const char *path)
{
    static char names[8][MW_SHA256_HEX];
    static uint32_t count;
    char *name = names[count++ % MW_COUNT(names)];
    struct mw_err err;
    struct mw_tree tree = {0};
    struct mw_buf text = mw_heap_buf();
    struct mw_tree_file file = {.path = mw_str_of(path), .mode = 0644};
    assert_int_equal(mw_blob_put(&host.blobs, mw_str_of(path), file.sha256, &err), MW_OK);
    mw_tree_add(&tree, &file);
    assert_int_equal(mw_tree_seal(&tree, &err), MW_OK);
    mw_tree_text(&tree, &text);
    assert_int_equal(mw_blob_put(&host.blobs, mw_buf_str(&text), name, &err), MW_OK);
    mw_tree_free(&tree);
    mw_heap_buf_free(&text);
    return mw_str_of(name);
}

static void ask_for_bundle(mw_seq item)
{
    struct mw_ask *open = mw_mem_alloc(&host.core.world.mem, sizeof(*open));
    *open = (struct mw_ask){.seq = ++number, .item = item, .opens = MW_OPENS_STAGE};
    mw_table_put(&host.core.world.asks, &host.core.world.mem, open);
    mw_host_ask_opened(&host, number,
                       MW_STR("{\"kind\":\"build.stage\",\"payload\":{\"app_id\":\"a\","
                              "\"buildId\":\"b\"}}"));
    told[0] = '\0';
    bundles_tried = files_in_bundle = 0;
    mw_stage_begin(&host, mw_host_ask_find(&host, number));
}

static void p12_a_bundle_holds_what_every_part_of_its_flow_made(void **state)
{
    enum { TRACE = 7, JOURNEY = 8, COORDINATOR = 20, MANY = 17000 };
    static struct mw_fact facts[MANY];
    struct mw_world *world = &host.core.world;
    struct mw_trace *trace = mw_mem_alloc(&world->mem, sizeof(*trace));
    struct mw_item *journey = mw_mem_alloc(&world->mem, sizeof(*journey));
    struct mw_err err;
    (void)state;
    told_as = MW_REQ_RECORD_STAGE;
    tries_without_room = 0;
    assert_int_equal(mw_blobs_open(AT_FDCWD, ".millwright", &host.blobs, &err), MW_OK);
    facts[0] = (struct mw_fact){.seq = 30, .files_sha256 = made_file("app/all.txt")};
    struct mw_str others = made_file("services/one.txt");
    for (uint32_t i = 1; i < MANY; i++)
        facts[i] = (struct mw_fact){
            .seq = 30 + i, .scope = COORDINATOR, .files_sha256 = others, .older = &facts[i - 1]};
    facts[MANY - 1].files_sha256 = MW_STR_NONE; /* it made none */
    *trace = (struct mw_trace){.id = TRACE, .newest_fact = &facts[MANY - 1]};
    *journey = (struct mw_item){.id = JOURNEY, .trace = TRACE, .kind = MW_ITEM_JOURNEY};
    mw_table_put(&world->traces, &world->mem, trace);
    mw_table_put(&world->items, &world->mem, journey);
    ask_for_bundle(JOURNEY);
    (void)uv_run(&host.loop, UV_RUN_DEFAULT);
    assert_string_not_equal(told, "");
    assert_null(strstr(told, "\"error\""));
    assert_int_equal(files_in_bundle, 2);
    mw_blobs_close(&host.blobs);
}

/* A disk without room fails no bundle; but what nobody wants any more is not tried for ever. */
static void p10_a_bundle_waits_for_room_until_its_build_is_cancelled(void **state)
{
    static const struct {
        uint32_t without_room;
        bool cancelled;
        uint32_t tries;
        int sys_errno;
        bool failed;
    } rows[] = {
        {0, false, 1, 0, false},      {3, false, 4, 0, false},     {5000, false, 5001, 0, false},
        {0, true, 1, 0, false},       {3, true, 1, 0, false},      {3, false, 4, ENOSPC, false},
        {3, false, 4, EDQUOT, false}, {3, true, 1, EDQUOT, false}, {3, false, 1, EIO, true}};
    struct mw_err err;
    (void)state;
    told_as = MW_REQ_RECORD_STAGE;
    assert_int_equal(mw_blobs_open(AT_FDCWD, ".millwright", &host.blobs, &err), MW_OK);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        tries_without_room = rows[i].without_room;
        no_room_errno = rows[i].sys_errno;
        ask_for_bundle(0);
        if (rows[i].cancelled) {
            mw_table_remove(&host.core.world.asks, number);
            mw_host_ask_closed(&host, number);
        }
        (void)uv_run(&host.loop, UV_RUN_DEFAULT);
        if (bundles_tried != rows[i].tries || (told[0] == '\0') != rows[i].cancelled)
            fail_msg("row %zu: tried %u times, and told: '%s'", i, bundles_tried, told);
        assert_true((strstr(told, "\"error\"") != NULL) == rows[i].failed);
        assert_int_equal(host.attempts_running, 0);
        assert_true((mw_host_ask_find(&host, number) == NULL) == rows[i].cancelled);
    }
    no_room_errno = 0;
    mw_blobs_close(&host.blobs);
}

static void p12_p23_ten_versions_are_kept_and_every_edited_one(void **state)
{
    struct mw_version_list list;
    struct mw_err err;
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        if (i == 2)
            put("app/mine.txt", "mine\n");
        promote(i % 2 == 0 ? "v1" : "v2", i == 2 ? "discard-edits" : i > 12 ? "rollback" : "");
        if (strstr(told, "\"error\"") != NULL)
            fail_msg("promotion %u: %s", i, told);
    }
    assert_int_equal(mw_versions_list(host.workspace_fd, &list, &err), MW_OK);
    assert_int_equal(list.count, 11);
    assert_int_equal(list.items[0].number, 2); /* nothing stood there at first */
    assert_true(list.items[0].edited);
    for (uint32_t i = 1; i < list.count; i++) {
        assert_int_equal(list.items[i].number, 5 + i);
        assert_false(list.items[i].edited);
    }
    mw_versions_free(&list);
    assert_int_equal(access(".millwright/versions/2/mine.txt", F_OK), 0);
}

/* Edits that a promotion carried over are edits still: another promotion that is not told what to do with them replaces nothing, and a rollback,
 * which puts the tree before in their place, takes them along. */
static void p23_edits_that_were_adopted_are_not_replaced_unasked(void **state)
{
    static struct mw_build build;
    static char whole[MW_SHA256_HEX], bundle[MW_SHA256_HEX];
    (void)state;
    promote("v1", "");
    put("app/mine.txt", "mine\n");
    promote("v2", "adopt-edits");
    assert_null(strstr(told, "\"error\""));
    digest_of("app", whole);
    digest_of("v2", bundle);
    assert_string_not_equal(whole, bundle);
    build.bundle_sha256 = mw_str_of(bundle);
    host.core.session.builds = &build;
    host.core.session.promoted = 1;
    host.core.session.promoted_sha256 = mw_str_of(whole);
    promote("v1", "");
    assert_non_null(strstr(told, "\"error\""));
    assert_int_equal(access("app/mine.txt", F_OK), 0);
    host.core.session.promoted_sha256 = mw_str_of(whole);
    promote("v1", "rollback");
    assert_null(strstr(told, "\"error\""));
    assert_int_not_equal(access("app/mine.txt", F_OK), 0);
    host.core.session.builds = NULL;
    host.core.session.promoted = 0;
}

/* `promote --to app`: what stands in the app root is what was promoted there, by whichever of its names. */
static void p12_the_app_root_is_told_as_such_by_its_whole_path_too(void **state)
{
    (void)state;
    mw_autofree char *whole = mw_heap_format("%s/app/", own_folder);
    mw_autofree char *around = mw_heap_format("%s/v1/../app", own_folder);
    mw_autofree char *other = mw_heap_format("%s-other/app", own_folder);
    mw_autofree char *beside = mw_heap_format("%s-other", own_folder);
    const struct {
        const char *target, *source, *told;
    } rows[] = {{whole, "v1", "app"}, {around, "v2", "app"}, {other, "v1", other}};
    assert_int_equal(mkdir(beside, 0755), 0);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        mw_autofree char *words =
            mw_heap_format("\"target\":\"%s\",\"root\":\"%s\"", rows[i].told, rows[i].told);
        promote_to(rows[i].target, rows[i].source, "");
        if (strstr(told, "\"error\"") != NULL || strstr(told, words) == NULL)
            fail_msg("'%s': %s", rows[i].target, told);
    }
    struct mw_err err;
    assert_int_equal(mw_remove_tree(AT_FDCWD, beside, &err), MW_OK);
}

/* The trees that stood in the app root are kept: no bundle has to be. */
static void p12_a_rollback_takes_the_kept_tree_when_the_bundle_is_gone(void **state)
{
    char sha256[MW_SHA256_HEX], found[MW_SHA256_HEX];
    (void)state;
    digest_of("v1", sha256);
    promote("v1", "");
    promote("v2", "");
    mw_autofree char *gone = shell("rm -r v1");
    assert_string_equal(gone, "");
    promote_tree("app", "v1", sha256, "");
    assert_non_null(strstr(
        told, "\"error\"")); /* what was never reviewed is not put there from anywhere else */
    promote_tree("app", "v1", sha256, "rollback");
    if (strstr(told, "\"error\"") != NULL)
        fail_msg("%s", told);
    digest_of("app", found);
    assert_string_equal(found, sha256);
}

/* --to: what stands there is told against what was put there, whatever the app root holds. */
static void p23_elsewhere_is_replaced_what_was_promoted_there(void **state)
{
    (void)state;
    mw_autofree char *beside = mw_heap_format("%s-other", own_folder);
    mw_autofree char *other = mw_heap_format("%s-other/live", own_folder);
    mw_autofree char *slashed = mw_heap_format("%s-other/./live/", own_folder);
    mw_autofree char *third = mw_heap_format("%s-other/third", own_folder);
    mw_autofree char *mine = mw_heap_format("%s-other/live/mine.txt", own_folder);
    mw_autofree char *app_json = mw_heap_format("cat %s-other/live/app.json", own_folder);
    struct mw_err err;
    assert_int_equal(mkdir(beside, 0755), 0);
    put("v3/app.json", "3\n");
    promote("v3", "");
    keeps_app = true;
    const struct {
        const char *target, *source, *mode;
        bool edits, refused;
    } rows[] = {{other, "v1", "", false, false},
                {other, "v1", "", false, false}, /* the same again */
                {third, "v3", "", false, false}, /* another's note */
                {slashed, "v2", "", false, false},
                {other, "v1", "", true, true},
                {other, "v1", "adopt-edits", false, false},
                {other, "v2", "", false, true}, /* what was adopted is an edit still */
                {slashed, "v2", "adopt-edits", false, false}};
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        if (rows[i].edits)
            put(mine, "mine\n");
        promote_to(rows[i].target, rows[i].source, rows[i].mode);
        if ((strstr(told, "\"error\"") != NULL) != rows[i].refused)
            fail_msg("row %zu: %s", i, told);
        if (rows[i].refused && strstr(told, "put there: added mine.txt.") == NULL)
            fail_msg("row %zu: %s", i, told);
    }
    keeps_app = false;
    mw_autofree char *now = shell(app_json);
    assert_string_equal(now, "2\n");
    assert_int_equal(access(mine, F_OK), 0);
    assert_int_equal(mw_remove_tree(AT_FDCWD, beside, &err), MW_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(p12_what_is_told_of_a_failed_promotion_is_what_stands),
        TEST(p12_the_app_root_is_told_as_such_by_its_whole_path_too),
        TEST(p10_p12_what_stands_is_finished_when_there_is_room),
        TEST(p12_what_stands_is_told_though_the_old_tree_cannot_be_kept),
        TEST(p23_a_rollback_does_not_replace_edits),
        TEST(p12_a_rollback_takes_the_kept_tree_when_the_bundle_is_gone),
        TEST(p23_elsewhere_is_replaced_what_was_promoted_there),
        TEST(p12_a_bundle_holds_what_every_part_of_its_flow_made),
        TEST(p10_a_bundle_waits_for_room_until_its_build_is_cancelled),
        TEST(p12_p23_ten_versions_are_kept_and_every_edited_one),
        TEST(p23_edits_that_were_adopted_are_not_replaced_unasked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
