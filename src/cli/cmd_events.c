#include "cli/command.h"

#include <string.h>
#include <unistd.h>

#include "cli/follow.h"
#include "cli/link.h"
#include "cli/render.h"
#include "cli/workspace.h"
#include "posix/heap.h"

/* events, journal show: records, as they are or as one line each. */

struct listing {
    struct mw_cli *cli; /* borrowed */
    const char *type, *trace;
    bool raw, color;
    struct mw_arena arena; /* owned: one record at a time */
    struct mw_buf out;     /* owned */
};

static bool is_wanted(const struct listing *listing, const struct mw_tape *record)
{
    if (listing->type != NULL && !mw_str_is(mw_node_get_text(record, 0, "type"), listing->type) &&
        !mw_str_is(mw_node_get_text(record, 0, "kind"), listing->type))
        return false;
    return listing->trace == NULL ||
           mw_str_is(mw_node_get_text(record, 0, "traceId"), listing->trace);
}

static void put_field(struct listing *listing, const struct mw_tape *record, const char *key)
{
    struct mw_str value = mw_node_get_text(record, 0, key);
    if (value.len == 0)
        return;
    mw_buf_put_c(&listing->out, ' ');
    mw_put_cut(&listing->out, value, 80);
}

static void put_record(struct listing *listing, const struct mw_tape *record)
{
    struct mw_buf *out = &listing->out;
    struct mw_str at = mw_node_get_text(record, 0, "timestamp");
    mw_buf_printf(out, "%s%ld %.*s%s ", mw_color(listing->color, MW_DIM),
                  (long)mw_node_int(record, mw_node_get(record, 0, "seq"), 0),
                  MW_STR_ARG(mw_str_sub(at, 11, 12)), mw_color(listing->color, MW_PLAIN));
    mw_buf_put_z(out, mw_color(listing->color, MW_BOLD));
    mw_put_safe(out, mw_node_get_text(record, 0, "type"));
    mw_buf_put_z(out, mw_color(listing->color, MW_PLAIN));
    put_field(listing, record, "taskType");
    put_field(listing, record, "taskId");
    put_field(listing, record, "agentId");
    put_field(listing, record, "key");
    put_field(listing, record, "state");
    put_field(listing, record, "outcome");
    put_field(listing, record, "reason");
    if (listing->cli->verbose)
        put_field(listing, record, "traceId");
    mw_buf_put_c(out, '\n');
}

static bool on_record(void *context, struct mw_str line, const struct mw_tape *record)
{
    struct listing *listing = context;
    if (!is_wanted(listing, record))
        return true;
    if (listing->raw)
        return mw_cli_put_line(line);
    put_record(listing, record);
    bool read = mw_cli_put(mw_buf_str(&listing->out));
    mw_buf_reset(&listing->out);
    return read;
}

static bool on_line(void *context, struct mw_str line)
{
    struct listing *listing = context;
    struct mw_tape record;
    mw_arena_reset(&listing->arena);
    if (mw_json_parse(&listing->arena, line, &record, NULL) != MW_OK)
        return mw_cli_put_line(line);
    return on_record(listing, line, &record);
}

static int list(struct mw_cli *cli, struct listing *listing, int64_t after, bool follow_on)
{
    struct mw_err err = {0};
    bool left = false;
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err);
    listing->cli = cli;
    listing->color = mw_color_wanted(STDOUT_FILENO);
    listing->out = mw_heap_buf();
    mw_heap_arena(&listing->arena, 64UL * 1024 * 1024);
    if (rc == MW_OK && follow_on) {
        struct mw_follow follow = {
            .trace = listing->trace, .after = after, .on_record = on_record, .context = listing};
        rc = mw_follow(cli, &follow, &left, &err);
    } else if (rc == MW_OK && cli->ports->offline_records == NULL) {
        rc = MW_FAIL(&err, MW_E_MISSING, "this build cannot read journals");
    } else if (rc == MW_OK) {
        rc = cli->ports->offline_records(cli->workspace, (uint64_t)after + 1, on_line, listing,
                                         &err);
    }
    mw_heap_buf_free(&listing->out);
    mw_heap_arena_free(&listing->arena);
    return rc == MW_OK ? 0 : mw_cli_fail(cli, &err);
}

/* Names of the contract that are no records of their own: the view tells what the records imply. */
static bool is_implied(const char *type)
{
    return type != NULL &&
           (strcmp(type, "TaskRouted") == 0 || strcmp(type, "AgentActionStarted") == 0 ||
            strcmp(type, "AgentActionCompleted") == 0 || strcmp(type, "TaskCompleted") == 0);
}

static int list_implied(struct mw_cli *cli, struct listing *listing)
{
    struct mw_err err = {0};
    struct mw_tape tape;
    struct mw_cli_arg args[] = {
        {"type", listing->type}, {"limit", "100000"}, {"trace", listing->trace}};
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err);
    if (rc == MW_OK)
        rc = mw_link_view_tape(cli, "events", args, listing->trace != NULL ? 3 : 2, &tape, &err);
    if (rc != MW_OK)
        return mw_cli_fail(cli, &err);
    uint32_t events = mw_node_get(&tape, 0, "events");
    listing->cli = cli;
    listing->color = mw_color_wanted(STDOUT_FILENO);
    listing->out = mw_heap_buf();
    mw_heap_arena(&listing->arena, 64UL * 1024 * 1024);
    uint32_t at = mw_node_first(&tape, events);
    while (at != MW_NODE_NONE && on_line(listing, tape.nodes[at].text))
        at = mw_node_after(&tape, events, at);
    mw_heap_buf_free(&listing->out);
    mw_heap_arena_free(&listing->arena);
    return 0;
}

int mw_cmd_events(struct mw_cli *cli)
{
    struct listing listing = {
        .type = mw_cli_value(cli, "type"), .trace = mw_cli_value(cli, "trace"), .raw = cli->json};
    if (is_implied(listing.type) && !mw_cli_has(cli, "follow"))
        return list_implied(cli, &listing);
    return list(cli, &listing, 0, mw_cli_has(cli, "follow"));
}

int mw_cmd_journal_show(struct mw_cli *cli)
{
    struct listing listing = {.raw = true};
    const char *word = mw_cli_value(cli, "after");
    uint64_t after = 0;
    if (word != NULL && (!mw_str_to_u64(mw_str_of(word), &after) || after > INT64_MAX))
        return mw_cli_usage(cli, "--after is a record's number");
    return list(cli, &listing, (int64_t)after, false);
}
