/*
 * test_journal_power.c - P01 P02 P03 P04 P22: power cuts, failing calls and killed writers, on a disk whose every durable state is known.
 */
#include "../crash/journal_rig.h"
#include "journal/head.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SEGMENT_BYTES 6000 /* a few frames: every run rotates */

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options rigged = {
    .segment_bytes = SEGMENT_BYTES, .reserve_bytes = 4096, .sys = &rig_sys};
static const struct mw_journal_options quick = {
    .segment_bytes = SEGMENT_BYTES, .reserve_bytes = 4096, .sys = &rig_quick};
static char work_dir[64], cut_dir[64];
static long states;

/* How one life of a host went: opened, appended until told to stop or stopped by the disk. */
struct life {
    bool opened;
    uint64_t believed; /* at open: what this life acts upon */
    uint64_t acked;
    uint64_t tried;
    enum mw_rc rc;
};

static struct life live(int appends, bool close_in_order)
{
    struct life life = {0};
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal = NULL;
    life.rc = ops->open(work_dir, &rigged, &journal, &opened, &err);
    if (life.rc != MW_OK)
        return life;
    life.opened = true;
    life.believed = life.acked = life.tried = opened.last_seq;
    rig_ack(life.acked);
    bool sync_failed_before = false;
    for (int i = 0; i < appends && life.rc == MW_OK; i++) {
        uint32_t count = 1 + (uint32_t)(life.acked % 3);
        life.tried = life.acked + count;
        sync_failed_before = rig.sync_failed;
        for (int tries = 0; tries < 3; tries++) {
            life.rc = rig_append(journal, life.acked + 1, count, &err);
            if (life.rc != MW_E_FULL)
                break;
        }
        if (life.rc != MW_OK)
            break;
        if (sync_failed_before)
            fail_msg("P02: acknowledged after a failed sync");
        life.acked = ops->last_seq(journal);
        assert_int_equal(life.acked, life.tried);
        rig_ack(life.acked);
    }
    if (life.rc != MW_OK && life.rc != MW_E_FULL) { /* P02: once is for ever */
        enum mw_rc again = rig_append(journal, life.acked + 1, 1, &err);
        assert_true(again == MW_E_IO || again == MW_E_CONFLICT);
        assert_int_equal(again, life.rc);
    }
    if (close_in_order) {
        (void)ops->close(journal, &err);
    } else { /* killed: nothing more reaches the files */
        bool dead = rig.dead;
        rig.dead = true;
        (void)ops->close(journal, &err);
        rig.dead = dead;
    }
    return life;
}

/* The folder opens, holds every acknowledged record, and nothing but what was tried, in order. */
static void check_dir(const char *dir, uint64_t acked, uint64_t tried, const char *when)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal = NULL;
    enum mw_rc rc = ops->open(dir, &quick, &journal, &opened, &err);
    if (rc != MW_OK)
        fail_msg("%s: acked %lu: does not open: %s", when, (unsigned long)acked, err.text);
    if (opened.last_seq < acked || opened.last_seq > tried)
        fail_msg("%s: acked %lu, tried %lu, found %lu", when, (unsigned long)acked,
                 (unsigned long)tried, (unsigned long)opened.last_seq);
    struct rig_read read = {.next = 1};
    assert_int_equal(ops->read(journal, 1, rig_check_line, &read, &err), MW_OK);
    assert_false(read.wrong);
    assert_int_equal(read.next, opened.last_seq + 1);
    assert_int_equal(rig_append(journal, opened.last_seq + 1, 1, &err), MW_OK);
    (void)ops->close(journal, &err);
    states++;
}

static void cut_power(int prefix, int kind, uint64_t tried)
{
    char when[80];
    rig_empty_dir(cut_dir);
    int dir_fd = open(cut_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t acked = rig_power_cut(prefix, kind, dir_fd);
    (void)close(dir_fd);
    (void)snprintf(when, sizeof when, "power cut after operation %d of %d, state %d", prefix,
                   rig.op_count, kind);
    check_dir(cut_dir, acked, tried, when);
}

static uint64_t seed(void)
{
    const char *given = getenv("MW_SEED");
    return given != NULL ? strtoull(given, NULL, 10) : 20260;
}

static void begin(uint64_t salt)
{
    rig_empty_dir(work_dir);
    rig_reset(seed() + salt);
}

static void p01_no_acknowledged_record_is_lost_by_a_power_cut(void **state)
{
    (void)state;
    begin(1);
    print_message("seed %lu\n", (unsigned long)seed());
    struct life life = live(14, true);
    assert_int_equal(life.rc, MW_OK);
    life = live(10, false); /* killed; the cache survives, the next life recovers from it */
    assert_int_equal(life.rc, MW_OK);
    life = live(10, false);
    assert_int_equal(life.rc, MW_OK);
    const int samples = rig_night() ? 400 : 12;
    for (int prefix = 0; prefix <= rig.op_count; prefix++)
        for (int kind = 0; kind < samples; kind++)
            cut_power(prefix, kind, life.tried);
    print_message("%ld states\n", states);
}

/* The rig itself must be able to see a missing sync, or the test above proves nothing. */
static void p01_the_rig_sees_a_write_that_was_not_synced(void **state)
{
    (void)state;
    begin(2);
    struct life life = live(6, false);
    for (int i = 0; i < rig.op_count; i++)
        if (rig.ops[i].kind == OP_WRITE && rig.ops[i].size > RIG_SECTOR)
            rig.ops[i].synced_at = INT32_MAX;
    rig_empty_dir(cut_dir);
    int dir_fd = open(cut_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t acked = rig_power_cut(rig.op_count, 0, dir_fd);
    (void)close(dir_fd);
    struct mw_err err;
    void *journal = NULL;
    struct mw_journal_opened opened = {0};
    enum mw_rc rc = ops->open(cut_dir, &quick, &journal, &opened, &err);
    assert_true(acked == life.acked && (rc != MW_OK || opened.last_seq < acked));
    if (rc == MW_OK)
        (void)ops->close(journal, &err);
}

static const unsigned SYNCS = 1u << RIG_FDATASYNC | 1u << RIG_FSYNC;
static const unsigned ALL_CALLS = (1u << RIG_CALLS) - 1;

/* Lives with one fault at the n-th call; then a healthy one that must believe only what a power cut cannot take from it. */
static void sweep(enum rig_fault fault, int sys_errno, unsigned calls, bool unclean_before,
                  const char *name)
{
    const int samples = rig_night() ? 40 : 3;
    long at = 1;
    for (bool hit = true; hit; at++) {
        begin((uint64_t)at + 1000 * calls);
        if (unclean_before) {
            struct life before = live(7, false);
            assert_int_equal(before.rc, MW_OK);
        }
        rig_arm(fault, sys_errno, calls, at);
        struct life struck = live(9, fault != RIG_DEAD);
        hit = rig.fault_hit;
        uint64_t acked = struck.opened ? struck.acked : 0;
        uint64_t tried = struck.opened ? struck.tried : UINT64_MAX;
        rig_arm(RIG_NO_FAULT, 0, 0, 0);
        int before_recovery = rig.op_count;
        struct life after = live(3, false);
        if (after.rc != MW_OK)
            fail_msg("%s at call %ld: the next start failed (%d)", name, at, (int)after.rc);
        if (after.believed < acked || after.believed > tried)
            fail_msg("%s at call %ld: acked %lu, tried %lu, found %lu", name, at,
                     (unsigned long)acked, (unsigned long)tried, (unsigned long)after.believed);
        for (int kind = 0; kind < samples; kind++) {
            cut_power(rig.op_count, kind, after.tried);
            cut_power(before_recovery +
                          (int)(rig_random() % (uint64_t)(rig.op_count - before_recovery + 1)),
                      kind, after.tried);
        }
    }
    print_message("%s: %ld places\n", name, at - 2);
    assert_true(at > 3);
}

static void p02_a_failed_sync_is_final_and_the_cache_is_not_believed(void **state)
{
    (void)state;
    sweep(RIG_ERROR, EIO, SYNCS, false, "EIO at a sync");
    sweep(RIG_ERROR, EIO, SYNCS, true, "EIO at a sync, after a kill");
    sweep(RIG_ERROR, ENOSPC, SYNCS, true, "ENOSPC at a sync");
}

static void p01_any_failing_call_loses_nothing_acknowledged(void **state)
{
    (void)state;
    sweep(RIG_ERROR, EIO, ALL_CALLS, false, "EIO");
    sweep(RIG_ERROR, EIO, ALL_CALLS, true, "EIO, after a kill");
}

static void p10_no_space_at_any_call_loses_nothing_acknowledged(void **state)
{
    (void)state;
    sweep(RIG_ERROR, ENOSPC, ALL_CALLS & ~SYNCS, false, "ENOSPC");
    sweep(RIG_ERROR, ENOSPC, ALL_CALLS & ~SYNCS, true, "ENOSPC, after a kill");
    sweep(RIG_ERROR, EDQUOT, 1u << RIG_PWRITE, true, "EDQUOT");
    sweep(RIG_SHORT, 0, 1u << RIG_PWRITE, false, "short write");
    sweep(RIG_SHORT, 0, 1u << RIG_PWRITE, true, "short write, after a kill");
}

static void p01_killed_at_any_call_loses_nothing_acknowledged(void **state)
{
    (void)state;
    sweep(RIG_DEAD, 0, ALL_CALLS, false, "kill");
    sweep(RIG_DEAD, 0, ALL_CALLS, true, "kill, after a kill");
}

/* The head in a folder, and the last record of a segment that another one follows. */
static void look_at_head(const char *path, uint64_t *ret_seq, uint64_t *ret_sealed)
{
    struct mw_err err = {0};
    struct mw_head head = {0};
    struct mw_segments segments;
    enum mw_journal_head state;
    int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_segments_list(dir_fd, &segments, &err), MW_OK);
    *ret_sealed = segments.count > 1 ? segments.first[segments.count - 1] - 1 : 0;
    mw_segments_free(&segments);
    assert_int_equal(mw_head_read(&rig_quick, dir_fd, &head, &state, &err), MW_OK);
    *ret_seq = head.seq;
    (void)close(dir_fd);
}

/* Killed at any sync a life may leave the right head, or its name, in the cache alone: the next start makes it durable before it is done. */
static void p04_whatever_is_sealed_is_named_by_the_head_after_a_kill_and_a_power_cut(void **state)
{
    (void)state;
    long sealed_seen = 0, at = 1;
    for (bool hit = true; hit; at++) {
        begin((uint64_t)at + 77);
        rig_arm(RIG_DEAD, 0, SYNCS, at);
        (void)live(9, true);
        hit = rig.fault_hit;
        rig_arm(RIG_NO_FAULT, 0, 0, 0);
        int started = rig.op_count;
        struct life after = live(12, false);
        assert_int_equal(after.rc, MW_OK);
        while (rig.ops[started].kind != OP_ACK)
            started++;
        for (int prefix = started; prefix <= rig.op_count; prefix++) {
            uint64_t named, sealed;
            rig_empty_dir(cut_dir);
            int dir_fd = open(cut_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            (void)rig_power_cut(prefix, 0, dir_fd);
            (void)close(dir_fd);
            look_at_head(cut_dir, &named, &sealed);
            if (named < sealed)
                fail_msg("killed at sync %ld, power cut after operation %d: sealed up to %lu, the "
                         "head names %lu",
                         at, prefix, (unsigned long)sealed, (unsigned long)named);
            sealed_seen += sealed > 0;
        }
    }
    assert_true(at > 10 && sealed_seen > 100);
}

static int set_up(void **state)
{
    (void)state;
    rig_new_dir(work_dir);
    rig_new_dir(cut_dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_remove_dir(work_dir);
    rig_remove_dir(cut_dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p01_no_acknowledged_record_is_lost_by_a_power_cut),
        cmocka_unit_test(p01_the_rig_sees_a_write_that_was_not_synced),
        cmocka_unit_test(p02_a_failed_sync_is_final_and_the_cache_is_not_believed),
        cmocka_unit_test(p01_any_failing_call_loses_nothing_acknowledged),
        cmocka_unit_test(p10_no_space_at_any_call_loses_nothing_acknowledged),
        cmocka_unit_test(p01_killed_at_any_call_loses_nothing_acknowledged),
        cmocka_unit_test(p04_whatever_is_sealed_is_named_by_the_head_after_a_kill_and_a_power_cut),
    };
    return cmocka_run_group_tests_name("journal power", tests, set_up, tear_down);
}
