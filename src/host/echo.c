#include "host/internal.h"

#include <string.h>

/*
 * The agent that the host is itself: its answer is the task's own payload, said as soon as the asking record is durable. No folder, no child,
 * no thread; what it says goes the road of every other answer, so it is recorded before anything can follow from it.
 */

void mw_echo_begin(struct mw_host *host, const struct mw_host_ask *ask)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    struct mw_str type = mw_work_expects(&host->core.world, open->item);
    struct mw_arena arena;
    struct mw_event record;
    struct mw_json json;
    struct mw_buf body = mw_heap_buf();
    mw_host_arena_take(host, strlen(ask->line) * 40 + 65536, &arena);
    enum mw_rc rc = mw_event_read(&arena, mw_str_of(ask->line), &record, NULL);
    MW_ASSERT(rc == MW_OK); /* our own line */
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_kstr(&json, "type", type);
    mw_json_key(&json, MW_STR("payload"));
    mw_json_raw(&json, record.body);
    mw_json_object_end(&json);
    mw_host_tell(host, MW_REQ_RECORD_RESULT, open->item, open->seq, mw_buf_str(&body));
    mw_heap_buf_free(&body);
    mw_host_arena_give(host, &arena);
}
