/*
 * app_run.h - an app's services as children, each sandboxed (profile serve), and the development proxy in front of them.
 *
 * Owns:     starting, listening to, and stopping them; the development key and token. Does not: choose which app or which data.
 * Promise:  mw_app_stop leaves no process behind; the data folder is only made, never emptied.
 */
#ifndef MW_CLI_APP_RUN_H
#define MW_CLI_APP_RUN_H

#include "agent/exec.h"
#include "cli/command.h"

#define MW_APP_SERVICES_MAX 64u
#define MW_APP_START_MS 30000
#define MW_APP_STOP_MS 6000

struct mw_app_service {
    struct mw_str name, slug; /* cli's arena */
    const char *folder;       /* absolute */
    const char *const *start; /* argv, ends with NULL */
    const char *openapi_path; /* absolute */
    struct mw_tape openapi;   /* count 0: unreadable */
    bool wants_token;
    const char *stderr_path;
    size_t stderr_at; /* bytes shown */
    struct mw_exec_child child;
    bool running, is_listening, started;
    uint16_t port;
    struct mw_buf out; /* owned: a line that is not whole yet */
};

struct mw_app {
    struct mw_cli *cli; /* borrowed */
    const char *root;   /* absolute */
    struct mw_str app_id, name, storage;
    struct mw_app_service services[MW_APP_SERVICES_MAX];
    uint32_t service_count;
    const char *data;      /* absolute: data/{app_id} or a copy */
    const char *build;     /* whose blueprint says the algorithm; may be NULL */
    const char *algorithm; /* HS256, RS256, ES256 */
    struct mw_str secret;  /* HS256: the secret; else the public key as PEM */
    struct mw_str token;
    pid_t proxy;
    int proxy_in, proxy_out; /* -1: none */
    uint16_t port;
    bool json;
};

/* Reads app.json and the services' files. MW_E_USAGE: there is no app that could run. */
MW_MUST enum mw_rc mw_app_read(struct mw_cli *cli, const char *root, struct mw_app *app,
                               struct mw_err *err);
/* app_key.c: the development key (made once, 0600) and a token of 12 hours. */
MW_MUST enum mw_rc mw_app_key(struct mw_app *app, struct mw_err *err);
/* Starts everything and waits until all listen; prints logs, prints what is up, and stays until SIGINT, SIGTERM or a service's end. */
int mw_app_run(struct mw_app *app, uint16_t port);
/* app_say.c: up.ready, or the table with addresses, token and examples. */
void mw_app_say_ready(const struct mw_app *app);

#endif
