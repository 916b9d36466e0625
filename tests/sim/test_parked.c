/*
 * test_parked.c - what a flow takes that waits for a person, in bytes of the core's region: at most so many, and none once it has ended.
 */
#include "rig.h"

#define FLOWS 1000u
#define FLOW_BYTES_MAX 960u /* of one of many, with its part of the tables and what remembers it */

/* As the host gives it to the core: a caller's, small enough to stand in the record. */
static void ask(struct rig *rig, enum mw_request_kind kind, const char *body,
                const char *message_id, mw_seq item)
{
    struct mw_tape tape;
    struct mw_err err;
    char sha256[MW_SHA256_HEX];
    mw_arena_reset(&rig->body);
    struct mw_str text = mw_arena_copy(&rig->body, mw_str_of(body));
    if (mw_json_parse(&rig->body, text, &tape, &err) != MW_OK)
        fail_msg("%s in %s", err.text, body);
    mw_sha256_hex(text, sha256);
    struct mw_request request = {.kind = kind,
                                 .actor = MW_STR("user:test"),
                                 .message_id = mw_str_of(message_id),
                                 .item = item,
                                 .now_us = rig->now_us,
                                 .entropy = rig_random(rig),
                                 .body = &tape,
                                 .body_sha256 = mw_str_of(sha256),
                                 .body_in_record = true,
                                 .body_hash = mw_str_of(sha256)};
    size_t from = rig->journal.len;
    mw_core_step(&rig->core, &request, &rig->journal, &rig->result);
    rig_note_lines(rig, from);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
}

static void park(struct rig *rig, uint32_t from, uint32_t to)
{
    char body[300], id[40];
    for (uint32_t i = from; i < to; i++) {
        snprintf(id, sizeof id, "01993e10-5c00-7000-8000-%012u", i);
        snprintf(body, sizeof body,
                 "{\"source\":\"test\",\"coordinator\":\"Parked\",\"traceId\":\"p%u.%u\","
                 "\"payload\":{}}",
                 i % 64, i);
        ask(rig, MW_REQ_START_LONE_COORDINATOR, body, id, 0);
    }
}

static uint32_t answer_all(struct rig *rig)
{
    char body[200], id[40];
    uint32_t answered = 0;
    for (uint32_t i = 0; i < rig->core.world.asks.cap; i++) {
        const struct mw_ask *open = mw_table_at(&rig->core.world.asks, i);
        if (open == NULL || open->opens != MW_OPENS_AGENT)
            continue;
        snprintf(id, sizeof id, "01993e10-5c00-7001-8000-%012lu", (unsigned long)open->seq);
        snprintf(body, sizeof body,
                 "{\"item\":%lu,\"action\":\"answer\",\"payload\":{\"ok\":true}}",
                 (unsigned long)open->item);
        ask(rig, MW_REQ_ANSWER_ITEM, body, id, open->item);
        answered++;
        i = UINT32_MAX; /* the table may have changed */
    }
    return answered;
}

static size_t traces_bytes(const struct mw_world *world)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < world->traces.cap; i++) {
        const struct mw_trace *trace = mw_table_at(&world->traces, i);
        bytes += trace != NULL ? sizeof(*trace) + trace->pool.total_bytes : 0;
    }
    return bytes;
}

static void a_parked_flow_takes_at_most_so_much_and_leaves_nothing(void **state)
{
    struct rig *rig = rig_new();
    const struct mw_world *world = &rig->core.world;
    (void)state;
    rig->quiet_dump = true;
    rig_begin(rig, "parked");
    rig_register_all(rig);
    size_t before = world->mem.used_bytes;
    park(rig, 0, FLOWS);
    assert_int_equal(world->traces.count, FLOWS);
    assert_int_equal(rig->core.work.agents[0].running, FLOWS);
    size_t a_flow = (world->mem.used_bytes - before) / FLOWS;
    if (getenv("MW_LOUD") != NULL)
        fprintf(
            stderr, "a flow: %zu bytes; head %zu, pool %zu, asks %zu, tables %zu, remembered %zu\n",
            a_flow, sizeof(struct mw_trace), traces_bytes(world) / FLOWS - sizeof(struct mw_trace),
            2 * mw_mem_block_bytes(sizeof(struct mw_ask)),
            (oracle_table(&world->items) + oracle_table(&world->traces) +
             oracle_table(&world->asks) + oracle_set(&rig->core.trace_names) +
             oracle_table(&rig->core.remembered_index)) /
                FLOWS,
            sizeof(struct mw_remembered));
    RIG_CHECK(rig, a_flow <= FLOW_BYTES_MAX, "a parked flow takes %zu bytes", a_flow);
    oracle_memory(rig);
    assert_int_equal(answer_all(rig), FLOWS);
    assert_int_equal(world->traces.count + world->items.count + world->asks.count, 0);
    oracle_memory(
        rig); /* every byte that is out belongs to something that stays: names, remembered requests, tables */
    size_t fresh_at = world->mem.fresh_at;
    park(rig, FLOWS, 2 * FLOWS);
    assert_int_equal(answer_all(rig), FLOWS);
    oracle_memory(rig);
    /* Only what remembers has grown. */
    RIG_CHECK(rig, world->mem.fresh_at - fresh_at < 200 * FLOWS, "%zu bytes more were needed",
              world->mem.fresh_at - fresh_at);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parked_flow_takes_at_most_so_much_and_leaves_nothing),
    };
    cmocka_set_test_filter(getenv("MW_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
