#include "builtin/probe_internal.h"

#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES ((size_t)256 << 20) /* reserved, not used: most of it is never touched */
#define SCRATCH_BYTES ((size_t)256 << 20)
#define START_MS 15000
#define REFUSE_MS 5000
#define STOP_MS 10000
#define SMALL_BODY_LIMIT 65536
#define ENV_MAX 12

static enum mw_rc prepare(struct probe *p, struct mw_err *err);
static enum mw_rc prepare_keys(struct probe *p, struct mw_err *err);
static void run_whole(struct probe *p);
static void run_smoke(struct probe *p);
static void check_refuses_to_start(struct probe *p);
static void check_stop(struct probe *p);
static void tell_not_checked(struct probe *p);
static void clean(struct probe *p);

static void say(struct probe *p, const char *text)
{
    if (p->options->say != NULL)
        p->options->say(p->options->user, mw_str_of(text));
}

enum mw_rc mw_probe_run(const struct mw_probe_options *options, struct mw_probe_report *report,
                        struct mw_err *err)
{
    struct probe *p = mw_heap_alloc(sizeof *p);
    p->options = options;
    p->report = report;
    p->number = 1;
    p->when = "";
    p->service.pid_fd = p->service.out_fd = p->service.err_fd = -1;
    mw_heap_arena(&p->keep, KEEP_BYTES);
    mw_heap_arena(&p->scratch, SCRATCH_BYTES);
    enum mw_rc rc = prepare(p, err);
    if (rc == MW_OK) {
        if (options->smoke)
            run_smoke(p);
        else
            run_whole(p);
        if (p->missing)
            rc = MW_FAIL(err, MW_E_MISSING, "the program '%s' is not on PATH", options->start[0]);
        else if (p->keep.exhausted || p->scratch.exhausted)
            rc = MW_FAIL(err, MW_E_LIMIT, "the design is too large for the probe's memory");
    }
    clean(p);
    return rc;
}

static enum mw_rc prepare(struct probe *p, struct mw_err *err)
{
    enum mw_rc rc = probe_design_read(p, err);
    if (rc != MW_OK)
        return rc;
    (void)snprintf(p->data_dir, sizeof p->data_dir, "%s/probe-XXXXXX", p->options->scratch);
    if (mkdtemp(p->data_dir) == NULL) {
        p->data_dir[0] = '\0';
        return MW_FAIL_SYS(err, MW_E_IO, "make a folder in '%s'", p->options->scratch);
    }
    rc = mw_client_open(&p->http, err);
    return rc == MW_OK && p->auth ? prepare_keys(p, err) : rc;
}

static enum mw_rc prepare_keys(struct probe *p, struct mw_err *err)
{
    enum mw_rc rc = mw_jwt_key_make(&p->keep, p->algorithm, &p->key, err);
    if (rc == MW_OK)
        rc = mw_jwt_key_make(&p->keep, p->algorithm, &p->other_key, err);
    if (rc == MW_OK)
        rc = mw_jwt_key_make(&p->keep, MW_JWT_RS256, &p->rsa_key, err);
    if (rc == MW_OK && p->key.pair != NULL)
        rc = mw_jwt_key_public_pem(&p->keep, &p->key, &p->public_pem, err);
    for (uint32_t owner = 0; rc == MW_OK && owner < 2; owner++) {
        struct mw_str token =
            probe_token(p, mw_jwt_algorithm_name(p->algorithm), &p->key, probe_claims(p, owner));
        p->bearer[owner] = mw_arena_format(&p->keep, "Bearer %.*s", MW_STR_ARG(token)).ptr;
    }
    return rc;
}

static void clean(struct probe *p)
{
    struct mw_err err;
    mw_service_free(&p->service);
    mw_client_close(&p->http);
    mw_jwt_key_free(&p->key);
    mw_jwt_key_free(&p->other_key);
    mw_jwt_key_free(&p->rsa_key);
    for (uint32_t i = 0; i < p->record_count; i++)
        mw_heap_free((void *)(uintptr_t)p->records[i].json.ptr);
    if (p->data_dir[0] != '\0' && mw_remove_tree(AT_FDCWD, p->data_dir, &err) != MW_OK)
        probe_skip(p, "service: its data folder could be removed (%s)", err.text);
    mw_heap_arena_free(&p->keep);
    mw_heap_arena_free(&p->scratch);
    mw_heap_free(p);
}

/* ------------------------------------------------------------------ starting */

static void make_env(struct probe *p, bool with_key, bool with_data, const char *ret_env[ENV_MAX])
{
    size_t count = 0;
    ret_env[count++] = "PORT=0";
    ret_env[count++] = "HOST=127.0.0.1";
    if (with_data) /* a folder that is not there yet */
        ret_env[count++] = mw_arena_format(&p->keep, "DATA_DIR=%s/data", p->data_dir).ptr;
    if (p->auth) {
        ret_env[count++] =
            mw_arena_format(&p->keep, "JWT_ALGORITHM=%s", mw_jwt_algorithm_name(p->algorithm)).ptr;
        if (with_key && p->public_pem.len > 0)
            ret_env[count++] =
                mw_arena_format(&p->keep, "JWT_PUBLIC_KEY=%.*s", MW_STR_ARG(p->public_pem)).ptr;
        else if (with_key)
            ret_env[count++] =
                mw_arena_format(&p->keep, "JWT_SECRET=%.*s", MW_STR_ARG(p->key.secret)).ptr;
        if (p->issuer)
            ret_env[count++] = "JWT_ISSUER=mwprobe-issuer";
    }
    if (p->body_limit > 0)
        ret_env[count++] = mw_arena_format(&p->keep, "REQUEST_TIMEOUT_MS=%d", PROBE_SLOW_MS).ptr;
    if (p->body_limit > 0)
        ret_env[count++] = mw_arena_format(&p->keep, "BODY_LIMIT_BYTES=%u", p->body_limit).ptr;
    ret_env[count] = NULL;
}

bool probe_start(struct probe *p, const char *when)
{
    const char *env[ENV_MAX];
    struct mw_err err = {0};
    struct mw_command command = {
        .words = p->options->start, .folder = p->options->folder, .env = env};
    mw_service_free(&p->service);
    make_env(p, true, true, env);
    struct mw_str name = probe_say(p, "service: starts %s", when);
    enum mw_rc rc = mw_service_start(&p->service, &command, START_MS, &err);
    if (rc == MW_OK)
        rc = mw_client_target(&p->http, p->service.port, &err);
    p->asked_count = 0;
    p->missing = rc == MW_E_MISSING;
    if (rc != MW_OK) {
        probe_fail(p, name, MW_STR("a listening line"), mw_str_of(err.text));
        p->stopped = true;
        return false;
    }
    (void)probe_judge(p, p->service.first_line_listens,
                      MW_STR("service: its first line says that it listens"),
                      "{\"event\":\"listening\",\"port\":N} first", MW_STR("another line first"));
    probe_pass(p);
    return true;
}

static void refuse_to_start(struct probe *p, bool with_key, bool with_data, const char *variable)
{
    const char *env[ENV_MAX];
    struct mw_err err = {0};
    struct mw_service service;
    struct mw_command command = {
        .words = p->options->start, .folder = p->options->folder, .env = env};
    make_env(p, with_key, with_data, env);
    struct mw_str name = probe_say(p, "service: without %s it refuses to start", variable);
    enum mw_rc rc = mw_service_start_refused(&service, &command, REFUSE_MS, &err);
    struct mw_str out = mw_buf_str(&service.out);
    struct mw_str words = mw_buf_str(&service.err);
    bool named =
        (out.len > 0 && memmem(out.ptr, out.len, variable, strlen(variable)) != NULL) ||
        (words.len > 0 && memmem(words.ptr, words.len, variable, strlen(variable)) != NULL);
    if (rc == MW_OK && service.status == 0)
        probe_fail(p, name, MW_STR("an exit code other than 0"), MW_STR("0"));
    else
        (void)probe_judge(p, rc == MW_OK && named, name, "an end that names the variable",
                          rc == MW_OK ? MW_STR("it is not named") : mw_str_of(err.text));
    mw_service_free(&service);
}

static void check_refuses_to_start(struct probe *p)
{
    if (p->auth)
        refuse_to_start(p, false, true, p->public_pem.len > 0 ? "JWT_PUBLIC_KEY" : "JWT_SECRET");
    if (p->durable)
        refuse_to_start(p, true, false, "DATA_DIR");
}

/* ------------------------------------------------------------------ the order of things */

static void forget_records(struct probe *p)
{
    for (uint32_t i = 0; i < p->record_count; i++)
        p->records[i].gone = true;
    for (uint32_t i = 0; i < p->entity_count; i++)
        p->entities[i].anchor[0] = p->entities[i].anchor[1] = PROBE_NONE;
}

/* kill -9, and up again with the same data. */
static bool restart(struct probe *p, const char *when)
{
    mw_arena_reset(&p->scratch);
    if (p->stopped)
        return false;
    mw_service_kill(&p->service);
    probe_http_log(p, false);
    if (!p->durable)
        forget_records(p);
    mw_arena_reset(&p->scratch);
    return probe_start(p, when);
}

static void run_whole(struct probe *p)
{
    say(p, "probe: starting the service");
    if (!probe_start(p, "and says that it listens"))
        return;
    say(p, "probe: pages, methods, bodies");
    probe_http(p);
    say(p, "probe: fields");
    probe_fields(p);
    say(p, "probe: effects");
    probe_effects(p);
    say(p, "probe: tokens and other users");
    probe_door(p);
    tell_not_checked(p);
    say(p, "probe: kill -9 and what is left");
    p->issuer = p->auth;
    p->body_limit = SMALL_BODY_LIMIT;
    if (!restart(p, "again after kill -9"))
        return;
    if (p->durable)
        probe_read_all(p, " after kill -9");
    probe_door_issuer(p);
    probe_http_limit(p);
    probe_raw_slow(p);
    probe_effects_last(p); /* the last answers before the second kill */
    probe_raw_burst(p);
    p->issuer = false;
    p->body_limit = 0;
    if (!restart(p, "again after a second kill -9"))
        return;
    if (p->durable)
        probe_read_all(p, " after a second kill -9");
    check_stop(p);
    check_refuses_to_start(p);
}

static void run_smoke(struct probe *p)
{
    static const char pages[][16] = {"/health", "/ready"};
    if (!probe_start(p, "and says that it listens"))
        return;
    for (size_t i = 0; i < MW_COUNT(pages); i++) {
        struct probe_ask ask = {.method = "GET", .path = mw_str_of(pages[i]), .owner = PROBE_NONE};
        (void)probe_expect(p, probe_say(p, "service: GET %s answers 200", pages[i]), &ask, 200,
                           NULL);
    }
    check_stop(p);
}

static void check_stop(struct probe *p)
{
    struct mw_err err = {0};
    int code = 0;
    mw_arena_reset(&p->scratch);
    if (p->stopped)
        return;
    struct mw_str rest;
    int running = p->options->smoke ? -1 : probe_raw_begin(p, &rest);
    mw_service_terminate(&p->service);
    if (running >= 0)
        probe_raw_finish(p, running, rest);
    enum mw_rc rc = mw_service_stop(&p->service, STOP_MS, &code, &err);
    (void)probe_judge(p, rc == MW_OK && code == 0, MW_STR("service: SIGTERM ends it with 0"),
                      "exit 0 within 10 s",
                      rc == MW_OK ? probe_say(p, "exit %d", code) : mw_str_of(err.text));
    (void)probe_judge(p, p->service.left_count == 0,
                      MW_STR("service: leaves no process behind after SIGTERM"), "none",
                      probe_say(p, "%u", p->service.left_count));
    probe_http_log(p, true);
}

/* What this design gives no way to see. */
static void tell_not_checked(struct probe *p)
{
    for (uint32_t i = 0; i < p->entity_count; i++) {
        const struct probe_entity *kind = &p->entities[i];
        if (!kind->creatable)
            continue;
        if (kind->by_effect[PROBE_READ] == PROBE_NONE && kind->by_effect[PROBE_LIST] == PROBE_NONE)
            probe_skip(p,
                       "%.*s: reading back without changing (no read or list use case; the answers "
                       "of state-changing ones stand in)",
                       MW_STR_ARG(kind->name));
    }
    if (!p->durable)
        probe_skip(p, "%.*s: records after kill -9 (storage is Memory)",
                   MW_STR_ARG(p->service_name));
}
