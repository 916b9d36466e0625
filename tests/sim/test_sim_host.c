/*
 * test_sim_host.c - the real src/host, on its real journal, blobs and promotion, in a simulated world: one seed decides what agents do, what
 * callers ask and ask again, when a sync is done and when it fails, when the disk is full, when the clock is set, and when the process or the
 * machine dies. host_world.h says what is real and what is not; host_look.h has the oracles.
 *
 * MW_SEED=N build/release/test_sim_host plays one seed; MW_LOUD=1 tells every event of it. More in seeds.h; MW_SEEDS is the number a theme.
 */
#include "host_look.h"
#include "seeds.h"

#include <sys/resource.h>

#define WORLD_LIVES_MAX 300

/* ---- the weather ---- */

static void world_set_clock(void)
{
    static const int64_t jumps[] = {1000000, 60000000, 3600000000, WORLD_YEAR_US,
                                    10 * WORLD_YEAR_US};
    int64_t jump = jumps[world_below(MW_COUNT(jumps))] * (world_chance(50) ? 1 : -1);
    /* Who set it wrong by mistake sets it right a moment later. */
    world.undo_turns = world_chance(50) ? 1 + world_below(12) : 0;
    world.undo_us = -jump;
    world.utc_us += jump;
    if (world.utc_us < -20 * WORLD_YEAR_US || world.utc_us > 20 * WORLD_YEAR_US)
        world.utc_us = 0;
    if (world.utc_us > world.utc_most_us)
        world.utc_most_us = world.utc_us;
    world_note("the clock is set", (uint64_t)world.utc_us, 0);
}

static void world_set_clock_right(void)
{
    if (world.undo_turns == 0 || --world.undo_turns > 0)
        return;
    world.utc_us += world.undo_us;
    if (world.utc_us > world.utc_most_us)
        world.utc_most_us = world.utc_us;
    world_note("the clock is set right", (uint64_t)world.utc_us, 0);
}

static void world_make_room(void)
{
    if (disk.room_bytes != SIZE_MAX)
        disk.full_until_ns = world.now_ns;
    disk.room_bytes = SIZE_MAX;
}

static void world_fill_disk(void)
{
    bool full = disk.room_bytes != SIZE_MAX;
    if (full)
        world_make_room();
    else
        disk.room_bytes = disk.written_bytes + world_below(30000);
    world.was_full = world.was_full || !full;
    world_note(full ? "there is room" : "the disk is full", disk.written_bytes, 0);
}

/* Two editions of the definitions: what runs goes on by the one that it began with. */
static void world_define(void)
{
    static const char path[] = DISK_ROOT "/factory/workflows/policy.yaml";
    static const char old[] = "attempts: 2", new[] = "attempts: 3";
    struct mw_arena *arena = &world.rig->definitions;
    static struct mw_str editions[2];
    if (disk.room_bytes != SIZE_MAX)
        return; /* whoever edits finds no room, and the old text stays */
    if (editions[0].len == 0) {
        editions[0] =
            rig_read(arena, MW_SOURCE_DIR "/tests/sim/definitions/host/workflows/policy.yaml");
        editions[1] = mw_arena_copy(arena, editions[0]);
        char *at = memmem(editions[1].ptr, editions[1].len, old, sizeof old - 1);
        assert_non_null(at);
        memcpy(at, new, sizeof new - 1);
    }
    bool was = world.inside;
    world.inside = false;
    disk_write_file(path, editions[world.edition ^= 1]);
    disk_sync(disk_find(path));
    world.inside = was;
}

static void world_calm(void)
{
    world_note("all is calm", 0, 0);
    world.draining = true;
    world.points_left = UINT64_MAX;
    world.utc_us = world.utc_most_us;
    world_make_room();
    disk.sync_fails = 0;
}

static void world_weather(void)
{
    const struct world_mood *mood = &world.mood;
    if (world.draining)
        return;
    if (world.turns_left == 0 || world.turns_left-- == 0) {
        world_calm();
        return;
    }
    world_set_clock_right();
    if (world_rarely(mood->clock_permille))
        world_set_clock();
    if (world_rarely(mood->full_permille))
        world_fill_disk();
    if (world_rarely(mood->fault_permille))
        disk.sync_fails = 1 + world_below(8);
    if (world_rarely(mood->stall_permille))
        world.now_ns += (int64_t)world_below(120000) * 1000000;
    if (world_rarely(5))
        world_define();
    if (world_rarely(mood->caller_permille) && !world.host->replaying)
        caller_does_something();
    if (world_rarely(mood->leave_permille)) {
        world_note("SIGTERM", 0, 0);
        loop.signal_call(loop.signal, 15);
    }
}

/* ---- turns and lives ---- */

static void world_leave_in_peace(struct mw_host *host)
{
    WORLD_CHECK(host->asks.count == 0, "%u asks are left", host->asks.count);
    WORLD_CHECK(host->attempts_running == 0, "%u attempts are left", host->attempts_running);
    look_for_strays();
    WORLD_CHECK(loop.work_count == 0, "%u workers are left", loop.work_count);
    WORLD_CHECK(host->core.world.items.count == 0, "%u items are left",
                host->core.world.items.count);
    for (size_t i = 0; i < world.rig->item_cap; i++)
        WORLD_CHECK(!world.rig->items[i].opened || world.rig->items[i].ended,
                    "item %zu never ended", i);
}

/* What the records say is promoted is what stands. */
static void world_compare_app(const struct mw_host *host)
{
    struct mw_str promoted = host->core.session.promoted_sha256;
    char wanted[MW_SHA256_HEX];
    snprintf(wanted, sizeof wanted, "%.*s", MW_STR_ARG(promoted));
    look_at_app(promoted.len > 0 ? wanted : NULL);
}

static void look_between_turns(void)
{
    struct mw_host *host = world.host;
    world.now_ns += world_below(1000000);
    if (!look_is_settled(host))
        return;
    world.inside = false;
    look.quiet_turns++;
    look_at_asks(host);
    look_at_children(host);
    look_at_offers(host);
    world.inside = true;
    if (!world.draining || loop.stopped)
        return;
    WORLD_CHECK(++world.drained < 8000, "it never ends: %u traces, %u asks",
                host->core.world.traces.count, host->core.world.asks.count);
    world.inside = false;
    bool waited_for = callers_finish();
    world.inside = true;
    if (waited_for || host->core.world.traces.count > 0 || host->core.world.asks.count > 0 ||
        host->attempts_running > 0 || host->snapshot.running)
        return;
    world.rests++;
    world.inside = false;
    world_leave_in_peace(host);
    world_compare_app(host);
    world.inside = true;
    if (world_chance(50))
        loop.signal_call(loop.signal, 15); /* else it leaves by itself, after an idle minute */
}

/* 0: asked to leave, or idle; 74: the disk failed, or had no room for a start; 3 and the like never. */
static void look_at_end(void)
{
    bool may_fail = world.faulted || world.was_full;
    WORLD_CHECK(world.exit_code == 0 || world.end == END_KILLED || world.end == END_POWER ||
                    (world.exit_code == 74 && may_fail),
                "the host left with %d", world.exit_code);
}

static struct mw_host world_host; /* a process's */

static void world_live(void)
{
    memset(&world_host, 0, sizeof world_host);
    memset(disk_lists, 0, sizeof disk_lists);
    loop = (struct loop){.order = 0};
    look_begin_life();
    world.host = &world_host;
    world.lives++;
    /* P02: what a failed sync left in the page cache only, nobody may have believed. */
    world.power_goes = world.latched && !world.draining && world_chance(60);
    world.opened = world.compared = world.faulted = world.latched = false;
    world.was_full = disk.room_bytes != SIZE_MAX;
    world.points_left = UINT64_MAX;
    if (world.power_goes)
        world.points_left = 100 + world_below(900);
    else if (!world.draining && world.mood.lives > 0) {
        world.mood.lives--;
        world.points_left = world_chance(30) ? world_below(250) : world_below(2500);
    }
    world_note("a host starts", world.lives, world.sure_seq);
    look_at_app(NULL);
    if (setjmp(world.out) == 0) {
        world.inside = true;
        world.exit_code = mw_host_run(&world_host, DISK_ROOT "/ws");
        world.inside = false;
        world.end = END_RETURNED;
    }
    world.was_full = world.was_full || disk.room_bytes != SIZE_MAX;
    world_note("the host is gone", (uint64_t)world.end, (uint64_t)world.exit_code);
    look_at_end();
    disk_process_gone();
    heap_take_back();
    callers_host_gone();
    remotes_host_gone(world.end == END_KILLED && !world.was_full);
    agents_host_gone(world.end == END_POWER);
    if (world.end == END_POWER) {
        disk_power_cut();
        world.boots++;
    }
    if (world.exit_code != 0 && world.was_full && world_chance(50))
        world_make_room();
    agents_pass(world.now_ns + (world_chance(50) ? 0 : (int64_t)world_below(3000) * 1000000));
    if (world.end == END_RETURNED && !world.draining) { /* it had nothing to do: somebody comes */
        world.turns_left -= world.turns_left > 20 ? 20 : world.turns_left;
        caller_starts_something();
    }
}

/* ---- a seed ---- */

/* What a seed is mostly about: its number modulo THEMES. */
enum theme {
    THEME_DEATH,   /* kills, power cuts, failed syncs, snapshots */
    THEME_CALLERS, /* many, who ask again; kills */
    THEME_AGENTS,  /* of every kind; kills */
    THEME_CLOCK,   /* set forth and back; a process that stands still */
    THEME_FULL,    /* the disk is full, and is not */
    THEME_ALL,     /* a little of everything */
    THEMES
};

static void world_choose_mood(enum theme theme)
{
    struct world_mood *mood = &world.mood;
    bool fails = world_chance(theme == THEME_DEATH ? 50 : 15);
    bool any = theme == THEME_ALL;
    *mood = (struct world_mood){.lives = world_below(4) + 2 * fails + 2 * (theme == THEME_DEATH),
                                .power_percent = fails              ? 80
                                                 : world_chance(50) ? 50
                                                                    : 0,
                                .bad_percent = theme == THEME_AGENTS ? 50
                                               : world_chance(50)    ? 20
                                                                     : 0,
                                .clock_permille = theme == THEME_CLOCK      ? 25
                                                  : any && world_chance(40) ? 15
                                                                            : 0,
                                .full_permille = theme == THEME_FULL       ? 25
                                                 : any && world_chance(30) ? 12
                                                                           : 0,
                                .fault_permille = fails ? 12 : 0,
                                .stall_permille = theme == THEME_CLOCK || world_chance(20) ? 15 : 0,
                                .leave_permille = world_chance(30) ? 5 : 0,
                                .caller_permille =
                                    (theme == THEME_CALLERS ? 120 : 20) + world_below(150),
                                .turns = 60 + world_below(240),
                                .snapshots = world_chance(theme == THEME_DEATH ? 25 : 4),
                                .herd = world_below(150) == 0};
}

static void world_copy_folder(const char *from, const char *to)
{
    char path[600], full[600];
    DIR *list = __real_fdopendir(__real_openat(AT_FDCWD, from, O_RDONLY | O_DIRECTORY, 0));
    static struct {
        char path[600];
        struct mw_str text;
    } known[32];
    assert_non_null(list);
    disk_make_folders(to);
    for (struct dirent *entry; (entry = __real_readdir(list)) != NULL;) {
        size_t at = 0;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(full, sizeof full, "%s/%s", from, entry->d_name);
        snprintf(path, sizeof path, "%s/%s", to, entry->d_name);
        while (known[at].path[0] != '\0' && strcmp(known[at].path, path) != 0)
            at++;
        if (known[at].path[0] == '\0') {
            known[at].text = rig_read(&world.rig->definitions, full);
            snprintf(known[at].path, sizeof known[at].path, "%s", path);
        }
        disk_write_file(path, known[at].text);
    }
    (void)__real_closedir(list);
}

static void world_begin(uint64_t seed)
{
    struct rig *rig = world.rig;
    struct mw_buf sure = world.sure, tried = world.tried;
    sure.len = tried.len = 0;
    rig->seed = seed;
    rig->random = seed * 0x2545f4914f6cdd1dull + 1;
    rig->line_count = rig->journal.len = rig->step_count = 0;
    oracle_forget(rig);
    rig->steps_looked_at = 0;
    rig->quiet_dump = seed / THEMES % 8 != 0;
    world = (struct world){.rig = rig,
                           .sure = sure,
                           .tried = tried,
                           .now_ns = 5000000000,
                           .trace = seed,
                           .loud = getenv("MW_LOUD") != NULL};
    world_choose_mood((enum theme)(seed % THEMES));
    world.turns_left = world.mood.turns;
    look.bundle_count = look.once_count = 0;
    agents_begin();
    callers_begin();
    remotes_begin();
    disk_begin();
    disk_make_folders(DISK_ROOT "/ws");
    disk_make_folders(DISK_ROOT "/bin");
    world_copy_folder(MW_SOURCE_DIR "/tests/sim/definitions/host/agents",
                      DISK_ROOT "/factory/agents");
    world_copy_folder(MW_SOURCE_DIR "/tests/sim/definitions/host/workflows",
                      DISK_ROOT "/factory/workflows");
    world_define();
    disk.change_count = 0; /* all that stands */
    for (struct disk_node *node = disk.nodes; node != NULL; node = node->next)
        disk_sync(node);
    caller_starts_something();
}

static void world_play(uint64_t seed)
{
    world_begin(seed);
    while (world.rests < 2) {
        WORLD_CHECK(world.lives < WORLD_LIVES_MAX, "the host starts again and again");
        world_live();
    }
    for (uint32_t i = 0; i < agents.count; i++)
        WORLD_CHECK(!agents.children[i].used || agents.children[i].life < world.lives, "%s runs on",
                    agents.children[i].folder);
    world_note("over", world.sure_seq, world.sure.len);
}

enum total {
    TOTAL_RECORDS,
    TOTAL_LIVES,
    TOTAL_STEPS,
    TOTAL_ACKS,
    TOTAL_REPEATS,
    TOTAL_REFUSED,
    TOTAL_CHILDREN,
    TOTAL_RINGS,
    TOTAL_BLOBS,
    TOTAL_LATE,
    TOTAL_PROMOTIONS,
    TOTAL_ONCES,
    TOTAL_QUIET,
    TOTAL_TASKS,
    TOTAL_RECORDED,
    TOTAL_TOO_LATE,
    TOTAL_GONE,
    TOTAL_PLANS,
    TOTAL_KINDS = TOTAL_PLANS + AGENT_PLANS
};

static void world_leave_host(void)
{
    world.inside = false;
}

static void world_make(bool is_worker)
{
    world.rig = rig_new();
    world.rig->program = "test_sim_host";
    world.rig->is_worker = is_worker;
    world.rig->before_failing = world_leave_host;
    world.sure = mw_heap_buf();
    world.tried = mw_heap_buf();
    memset(&look, 0, sizeof look);
    look_begin();
    memset(&agents, 0, sizeof agents);
    memset(&callers, 0, sizeof callers);
    memset(&remotes, 0, sizeof remotes);
    if (getenv("MW_LOUD") == NULL) {
        world.rig->stderr_was = stderr;
        stderr = fopen("/dev/null", "we");
        assert_non_null(stderr);
    }
}

static enum theme playing;

#define TWICE 50u /* one of so many seeds is played twice */

/* P16: one seed, one way, and one journal, byte by byte. */
static void world_play_again(uint64_t seed)
{
    uint64_t trace = world.trace;
    struct mw_buf first = mw_heap_buf();
    mw_buf_put(&first, mw_buf_str(&world.sure));
    world_play(seed);
    WORLD_CHECK(world.trace == trace, "the same seed went another way");
    WORLD_CHECK(mw_str_eq(mw_buf_str(&first), mw_buf_str(&world.sure)),
                "P16: the same seed wrote another journal");
    mw_heap_buf_free(&first);
}

/* The numbers are those of the theme's seeds; or there is one, which is a seed. */
static void play_seeds(uint64_t from, uint64_t step, uint64_t end, bool is_worker, uint64_t *totals)
{
    world_make(is_worker);
    for (uint64_t number = from; number < end; number += step) {
        uint64_t seed = is_worker ? number * THEMES + playing : number;
        seeds_begin(seed);
        world_play(seed);
        if (seed / THEMES % TWICE == 1)
            world_play_again(seed);
        totals[TOTAL_RECORDS] += world.sure_seq;
        totals[TOTAL_LIVES] += world.lives;
        for (unsigned kind = 0; kind < MW_EVENT_COUNT; kind++)
            totals[TOTAL_KINDS + kind] += world.rig->kind_count[kind];
        memset(world.rig->kind_count, 0, sizeof world.rig->kind_count);
    }
    totals[TOTAL_STEPS] += look.steps;
    totals[TOTAL_ACKS] += callers.acknowledged;
    totals[TOTAL_REPEATS] += callers.repeated;
    totals[TOTAL_REFUSED] += callers.refused;
    totals[TOTAL_CHILDREN] += agents.started;
    totals[TOTAL_RINGS] += look.rings;
    totals[TOTAL_BLOBS] += look.blobs;
    totals[TOTAL_LATE] += look.late;
    totals[TOTAL_PROMOTIONS] += look.promotions;
    totals[TOTAL_ONCES] += look.onces;
    totals[TOTAL_QUIET] += look.quiet_turns;
    totals[TOTAL_TASKS] += remotes.tasks;
    totals[TOTAL_RECORDED] += remotes.recorded;
    totals[TOTAL_TOO_LATE] += remotes.late;
    totals[TOTAL_GONE] += remotes.gone;
    for (unsigned plan = 0; plan < AGENT_PLANS; plan++)
        totals[TOTAL_PLANS + plan] += agents.plans[plan];
    rig_hear(world.rig);
}

static void play_theme(enum theme theme, const char *what)
{
    uint64_t totals[SEEDS_TOTALS] = {0};
    const char *one = getenv("MW_SEED");
    if (one != NULL && strtoull(one, NULL, 10) % THEMES != theme)
        skip(); /* it is about something else */
    playing = theme;
    seeds_run(what, play_seeds, 60, THEMES, totals);
    print_message(
        "%lu records, %lu lives, %lu steps, %lu acknowledged, %lu repeated, %lu refused, "
        "%lu children, %lu asked at most once, %lu timers, %lu blobs named, %lu late answers, "
        "%lu promotions, "
        "%lu settled turns; workers: %lu tasks, %lu answers recorded, %lu late, %lu leases "
        "gone\n",
        totals[TOTAL_RECORDS], totals[TOTAL_LIVES], totals[TOTAL_STEPS], totals[TOTAL_ACKS],
        totals[TOTAL_REPEATS], totals[TOTAL_REFUSED], totals[TOTAL_CHILDREN], totals[TOTAL_ONCES],
        totals[TOTAL_RINGS], totals[TOTAL_BLOBS], totals[TOTAL_LATE], totals[TOTAL_PROMOTIONS],
        totals[TOTAL_QUIET], totals[TOTAL_TASKS], totals[TOTAL_RECORDED], totals[TOTAL_TOO_LATE],
        totals[TOTAL_GONE]);
    /* Hosts that leave at once keep every promise: then nothing was tried. */
    assert_true(one != NULL || (totals[TOTAL_ACKS] > 0 && totals[TOTAL_CHILDREN] > 0));
    for (unsigned kind = 0; theme == THEME_ALL && kind < MW_EVENT_COUNT; kind++)
        if (totals[TOTAL_KINDS + kind] == 0 && one == NULL)
            print_message("  never seen: %s\n", mw_event_info((enum mw_event_kind)kind)->kind.ptr);
}

static void p01_p02_p03_p11_nothing_acknowledged_is_lost_whatever_dies(void **state)
{
    (void)state;
    play_theme(THEME_DEATH, "simulated deaths");
}

static void p05_who_asks_again_is_told_the_same_and_nothing_is_done_twice(void **state)
{
    (void)state;
    play_theme(THEME_CALLERS, "simulated callers");
}

static void p06_what_runs_is_what_is_asked_and_counts_once(void **state)
{
    (void)state;
    play_theme(THEME_AGENTS, "simulated agents");
}

static void p07_timers_ring_once_and_never_early_whatever_the_clock_says(void **state)
{
    (void)state;
    play_theme(THEME_CLOCK, "simulated clocks");
}

static void p10_a_full_disk_is_survived_and_left(void **state)
{
    (void)state;
    play_theme(THEME_FULL, "simulated full disks");
}

static void p09_p12_p15_p16_p22_all_of_it_holds_together(void **state)
{
    (void)state;
    play_theme(THEME_ALL, "simulated hosts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p01_p02_p03_p11_nothing_acknowledged_is_lost_whatever_dies),
        cmocka_unit_test(p05_who_asks_again_is_told_the_same_and_nothing_is_done_twice),
        cmocka_unit_test(p06_what_runs_is_what_is_asked_and_counts_once),
        cmocka_unit_test(p07_timers_ring_once_and_never_early_whatever_the_clock_says),
        cmocka_unit_test(p10_a_full_disk_is_survived_and_left),
        cmocka_unit_test(p09_p12_p15_p16_p22_all_of_it_holds_together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
