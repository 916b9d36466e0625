/*
 * link.h - the way to the workspace's host: find it, start it, post one request, read one view, follow records.
 *
 * Owns:     the start lock, the hello, repeats with the same messageId. Does not: know what is asked.
 * Promise:  a request is posted with one messageId until it is answered; a lost connection is made again, the host started again once.
 * Errors:   what the host refused keeps its code; MW_E_MISSING no host can be started; MW_E_IO it was lost twice.
 */
#ifndef MW_CLI_LINK_H
#define MW_CLI_LINK_H

#include "cli/command.h"
#include "cli/http.h"

#define MW_LINK_ANSWER_MS 60000
#define MW_LINK_START_MS 60000
#define MW_LINK_REPLAY_MS 600000

/* One request in the making. */
struct mw_post {
    const char *name; /* of requests.def */
    char message_id[37];
    struct mw_buf body; /* owned */
    struct mw_json json;
};

struct mw_posted {
    int64_t first, last;    /* sequence numbers; 0: no record */
    struct mw_str trace_id; /* cli's arena */
    bool duplicate;
};

/* Begins the body with messageId and actor; write the other members with post->json. */
void mw_post_begin(struct mw_post *post, const char *name);
/* Starts the host when there is none, and posts. Frees the post in every case. */
MW_MUST enum mw_rc mw_post_send(struct mw_cli *cli, struct mw_post *post,
                                struct mw_posted *ret_posted, struct mw_err *err);

/* Appends the view's JSON: from the host when one runs, else folded here. MW_E_USAGE when nothing has that id. */
MW_MUST enum mw_rc mw_link_view(struct mw_cli *cli, const char *name, const struct mw_cli_arg *args,
                                uint32_t arg_count, struct mw_buf *out, struct mw_err *err);
/* The same, parsed into cli's arena. */
MW_MUST enum mw_rc mw_link_view_tape(struct mw_cli *cli, const char *name,
                                     const struct mw_cli_arg *args, uint32_t arg_count,
                                     struct mw_tape *ret_tape, struct mw_err *err);

/* Opens the stream of records after `after`; trace and kind (one of events.def) may be NULL. The host is started when there is none. */
MW_MUST enum mw_rc mw_link_follow(struct mw_cli *cli, int64_t after, const char *trace,
                                  const char *kind, struct mw_http_stream *ret_stream,
                                  struct mw_err *err);

/* A connection to the running host, owned by the caller; -1: nobody listens. */
int mw_link_connect(const struct mw_cli *cli);
/* Makes sure that a host of this build runs and is ready. */
MW_MUST enum mw_rc mw_link_ensure(struct mw_cli *cli, struct mw_err *err);
/* True when a host answers now; *ret_hello (may be NULL) is its hello, in cli's arena. Never starts one. */
bool mw_link_running(struct mw_cli *cli, struct mw_str *ret_hello);
/* Asks a running host to end and waits until it is gone. *ret_was: there was one. */
MW_MUST enum mw_rc mw_link_stop(struct mw_cli *cli, bool *ret_was, struct mw_err *err);

/* Text of a new UUIDv7. */
void mw_uuid7(char ret_text[37]);

#endif
