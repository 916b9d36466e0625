#include "agent/exec.h"
#include "builtin/builtin.h"
#include "cli/cli.h"
#include "cli/proxy.h"
#include "host/definitions.h"
#include "host/host.h"
#include "host/offline.h"
#include "host/snapshot.h"
#include "stage/bundle.h"
#include "stage/scaffold.h"

#include <string.h>

/* The one program under its names; the rooms meet the command line here and nowhere else. */

static enum mw_rc offline_view(const char *workspace, const char *name,
                               const struct mw_cli_arg *args, uint32_t arg_count,
                               struct mw_buf *out, struct mw_err *err)
{
    struct mw_view_query query = {.name = mw_str_of(name)};
    for (uint32_t i = 0; i < arg_count && i < MW_VIEW_ARGS_MAX; i++, query.count++) {
        query.keys[i] = mw_str_of(args[i].key);
        query.values[i] = mw_str_of(args[i].value);
    }
    return mw_offline_view(workspace, &query, out, err);
}

struct lines {
    uint64_t from_seq;
    bool (*on_line)(void *context, struct mw_str line);
    void *context;
};

static enum mw_rc on_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    const struct lines *lines = context;
    if (seq < lines->from_seq || lines->on_line(lines->context, line))
        return MW_OK;
    return MW_FAIL(err, MW_E_LIMIT, "enough");
}

static enum mw_rc offline_records(const char *workspace, uint64_t from_seq,
                                  bool (*on_line)(void *context, struct mw_str line), void *context,
                                  struct mw_err *err)
{
    struct lines lines = {from_seq, on_line, context};
    enum mw_rc rc = mw_offline_journal(workspace, on_record, &lines, err);
    return rc == MW_E_LIMIT ? MW_OK : rc;
}

static struct mw_cli_snapshot shown(const struct mw_offline_snapshot *found)
{
    struct mw_cli_snapshot snapshot = {.found = found->found,
                                       .usable = found->usable,
                                       .agrees = found->agrees,
                                       .seq = found->seq,
                                       .records = found->records};
    memcpy(snapshot.why, found->why, sizeof(snapshot.why));
    return snapshot;
}

static enum mw_rc offline_state(const char *workspace, char ret_sha256[65], uint64_t *ret_seq,
                                struct mw_cli_snapshot *ret_snapshot, struct mw_err *err)
{
    struct mw_offline_snapshot found;
    enum mw_rc rc = mw_offline_state(workspace, ret_sha256, ret_seq, &found, err);
    if (rc == MW_OK)
        *ret_snapshot = shown(&found);
    return rc;
}

static enum mw_rc make_snapshot(const char *workspace, struct mw_cli_snapshot *ret_snapshot,
                                bool *ret_made, struct mw_err *err)
{
    struct mw_snapshot snapshot;
    enum mw_rc rc = mw_snapshot_make(workspace, UINT64_MAX, &snapshot, ret_made, err);
    if (rc == MW_OK)
        *ret_snapshot = (struct mw_cli_snapshot){.found = true,
                                                 .usable = true,
                                                 .agrees = true,
                                                 .seq = snapshot.at.seq,
                                                 .records = snapshot.records};
    return rc;
}

int main(int argc, char **argv)
{
    static const struct mw_cli_ports ports = {.build_id = mw_build_id,
                                              .offline_view = offline_view,
                                              .offline_records = offline_records,
                                              .offline_state = offline_state,
                                              .make_snapshot = make_snapshot,
                                              .check_promises = mw_promises_check,
                                              .read_only_for = mw_poison_look,
                                              .check_definitions = mw_host_check_definitions,
                                              .make_scaffold = mw_scaffold_make,
                                              .diff_trees = mw_diff_trees};
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "__exec") == 0)
        return mw_exec_main(argc, argv);
    if (strcmp(name, "__agent") == 0)
        return mw_builtin_main(argc, argv);
    if (strcmp(name, "__host") == 0)
        return mw_host_main(argc, argv);
    if (strcmp(name, "__snapshot") == 0)
        return mw_snapshot_main(argc, argv);
    if (strcmp(name, "__proxy") == 0)
        return mw_proxy_main(argc, argv);
    return mw_cli_main(argc, argv, &ports);
}
