#include "host/internal.h"

#include <string.h>

/*
 * The agent that the host is itself: its answer is the task's own payload, said as soon as the asking record is durable. No folder, no child,
 * no thread; what it says goes the road of every other answer, so it is recorded before anything can follow from it.
 */

/* What holds an escaped control character is left to the whole reader. */
static struct mw_str read_payload(struct mw_str line)
{
    struct mw_arena arena;
    struct mw_tape tape;
    mw_heap_arena(&arena, line.len * 64 + 65536);
    enum mw_rc rc = mw_json_parse(&arena, line, &tape, NULL);
    MW_ASSERT(rc == MW_OK);                                                    /* our own line */
    struct mw_str payload = tape.nodes[mw_node_get(&tape, 0, "payload")].text; /* in the line */
    mw_heap_arena_free(&arena);
    return payload;
}

/* Our own line: a key can stand nowhere in a text, whose quotes are escaped, and nothing before the payload has members of that name. */
static struct mw_str payload_of(struct mw_str line)
{
    static const char key[] = ",\"payload\":";
    const char *at = memmem(line.ptr, line.len, key, sizeof(key) - 1);
    MW_ASSERT(at != NULL);
    size_t from = (size_t)(at - line.ptr) + sizeof(key) - 1;
    size_t to = mw_json_skip(line, from);
    return to > from ? mw_str_sub(line, from, to - from) : read_payload(line);
}

void mw_echo_begin(struct mw_host *host, const struct mw_host_ask *ask)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    struct mw_str type = mw_work_expects(&host->core.world, open->item);
    struct mw_json json;
    struct mw_buf body = mw_heap_buf();
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_kstr(&json, "type", type);
    mw_json_key(&json, MW_STR("payload"));
    mw_json_raw(&json, payload_of(mw_str_of(ask->line)));
    mw_json_object_end(&json);
    mw_host_tell(host, MW_REQ_RECORD_RESULT, open->item, open->seq, mw_buf_str(&body));
    mw_heap_buf_free(&body);
}
