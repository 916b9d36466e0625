/*
 * proxy_head.h - private to the proxy: reading a request's head, and where its body ends.
 */
#ifndef MW_CLI_PROXY_HEAD_H
#define MW_CLI_PROXY_HEAD_H

#include "base/buf.h"

enum mw_body_framing { MW_BODY_NONE, MW_BODY_LENGTH, MW_BODY_CHUNKED };

/* How much of the client's bytes is still body. */
struct mw_body_meter {
    enum mw_body_framing framing;
    uint64_t left;  /* LENGTH, or of the chunk */
    uint64_t total; /* bytes seen, to hold chunked bodies to the limit */
    int state;      /* CHUNKED */
    uint64_t size;  /* of the chunk while its line is read */
    unsigned digits, line_bytes;
    bool done;
};

struct mw_proxy_request {
    struct mw_str method, target; /* point into the head */
    struct mw_body_meter body;
};

/* Reads a whole head (through the blank line). The status to answer with, or 0 when it is well. */
int mw_proxy_head_read(struct mw_str head, struct mw_proxy_request *ret_request);
/* Writes the head for the service: target instead of the request's, hop-by-hop fields left out, Connection: close. */
void mw_proxy_head_write(struct mw_str head, const struct mw_proxy_request *request,
                         struct mw_str target, struct mw_buf *out);
/* How many of the bytes belong to the body; sets meter->done. False when the framing is broken or over the limit. */
bool mw_body_take(struct mw_body_meter *meter, struct mw_str bytes, size_t *ret_taken);

#endif
