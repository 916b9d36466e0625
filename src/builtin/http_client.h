/*
 * http_client.h - one HTTP/1.1 conversation with a service on the loopback interface, for the checks.
 *
 * Owns:     one libcurl handle with its kept-alive connection, and the bytes of the last answer.
 * Does not: follow redirects, use proxies, retry, or know what an answer means.
 * Limits:   an answer has at most MW_HTTP_ANSWER_MAX bytes; every request has a time-out.
 * Errors:   MW_E_TIMEOUT no answer in time, MW_E_LIMIT the answer is too large, MW_E_FAILED anything else (the text says what).
 */
#ifndef MW_HTTP_CLIENT_H
#define MW_HTTP_CLIENT_H

#include "base/buf.h"

#define MW_HTTP_ANSWER_MAX (4u << 20)
#define MW_HTTP_HEADER_MAX 512

struct mw_client {
    void *easy;         /* owned: libcurl's handle */
    struct mw_buf body; /* owned: the last answer */
    uint16_t port;
    bool too_large;
    char content_type[MW_HTTP_HEADER_MAX];
    char allow[MW_HTTP_HEADER_MAX];
    char challenge[MW_HTTP_HEADER_MAX]; /* WWW-Authenticate */
};

struct mw_client_request {
    const char *method;        /* borrowed */
    const char *path;          /* borrowed: path and query, starting with '/' */
    const char *authorization; /* borrowed: the header's value; NULL: none */
    const char *content_type;  /* borrowed; NULL: none */
    struct mw_str body;
    bool has_body;
    int64_t timeout_ms;
};

struct mw_client_answer {
    int status;
    struct mw_str body;       /* borrowed from the client until its next request */
    const char *content_type; /* borrowed likewise; "" when absent */
    const char *allow;
    const char *challenge;
};

MW_MUST enum mw_rc mw_client_open(struct mw_client *client, struct mw_err *err);
void mw_client_close(struct mw_client *client);
/* From now on 127.0.0.1:port; kept connections are closed. */
MW_MUST enum mw_rc mw_client_target(struct mw_client *client, uint16_t port, struct mw_err *err);
MW_MUST enum mw_rc mw_client_send(struct mw_client *client, const struct mw_client_request *request,
                                  struct mw_client_answer *ret_answer, struct mw_err *err);

#endif
