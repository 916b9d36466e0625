#include "cli/app_run.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/render.h"
#include "posix/file.h"
#include "posix/heap.h"

#define FILE_BYTES_MAX (8u << 20)
#define LINE_BYTES_MAX (1u << 20)
#define TICK_MS 500
#define TAIL_BYTES 4096
#define RUN_MAX_MS (1000ull * 24 * 3600 * 1000) /* a thousand days */
#define WORDS_MAX 32
#define READS_MAX 32u /* of what a service says, before signals and the others have their turn */

/* ---- reading the app ---- */

static enum mw_rc read_json(struct mw_cli *cli, const char *path, struct mw_tape *ret_tape,
                            struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = mw_file_read(AT_FDCWD, path, FILE_BYTES_MAX, &text, err);
    struct mw_str copy = mw_arena_copy(&cli->arena, mw_buf_str(&text));
    mw_heap_buf_free(&text);
    return rc == MW_OK ? mw_json_parse(&cli->arena, copy, ret_tape, err) : rc;
}

static enum mw_rc read_service(struct mw_app *app, const struct mw_tape *tape, uint32_t row,
                               struct mw_app_service *service, struct mw_err *err)
{
    struct mw_arena *arena = &app->cli->arena;
    struct mw_tape own;
    struct mw_str path = mw_node_get_text(tape, row, "path");
    if (!mw_path_is_plain(path))
        return MW_FAIL(err, MW_E_INPUT, "app.json names the service folder '%.*s'",
                       MW_STR_ARG(path));
    service->folder = mw_arena_format(arena, "%s/%.*s", app->root, MW_STR_ARG(path)).ptr;
    const char *file = mw_arena_format(arena, "%s/service.json", service->folder).ptr;
    enum mw_rc rc = read_json(app->cli, file, &own, err);
    if (rc != MW_OK)
        return MW_FAIL(err, MW_E_INPUT, "'%s' cannot be read", file);
    uint32_t start = mw_node_get(&own, 0, "start"), count = 0;
    const char **argv = mw_arena_array(arena, const char *, WORDS_MAX + 1);
    for (uint32_t i = mw_node_type(&own, start) == MW_NODE_ARRAY ? mw_node_first(&own, start)
                                                                 : MW_NODE_NONE;
         i != MW_NODE_NONE && count < WORDS_MAX; i = mw_node_after(&own, start, i))
        argv[count++] = mw_arena_copy(arena, mw_node_str(&own, i)).ptr;
    service->name = mw_node_get_text(&own, 0, "name");
    service->slug = mw_node_get_text(&own, 0, "slug");
    service->start = argv;
    service->out = mw_heap_buf();
    struct mw_str openapi = mw_node_get_text(&own, 0, "openapi");
    if (count == 0 || service->slug.len == 0 || !mw_path_is_plain(service->slug) ||
        mw_str_find(service->slug, '/', 0) != SIZE_MAX)
        return MW_FAIL(err, MW_E_INPUT, "'%s' has no start command or no slug", file);
    if (mw_path_is_plain(openapi)) {
        service->openapi_path =
            mw_arena_format(arena, "%s/%.*s", service->folder, MW_STR_ARG(openapi)).ptr;
        if (read_json(app->cli, service->openapi_path, &service->openapi, NULL) == MW_OK)
            service->wants_token =
                mw_node_count(&service->openapi, mw_node_get(&service->openapi, 0, "security")) > 0;
    }
    return MW_OK;
}

enum mw_rc mw_app_read(struct mw_cli *cli, const char *root, struct mw_app *app, struct mw_err *err)
{
    struct mw_tape tape, intent;
    *app = (struct mw_app){
        .cli = cli, .root = root, .proxy_in = -1, .proxy_out = -1, .json = cli->json};
    mw_autofree char *file = mw_heap_format("%s/app.json", root);
    mw_autofree char *database = mw_heap_format("%s/config/database_intent.json", root);
    if (!mw_exists(AT_FDCWD, file))
        return MW_FAIL(err, MW_E_USAGE, "there is no app in %s: millwright promote puts one there",
                       root);
    enum mw_rc rc = read_json(cli, file, &tape, err);
    if (rc != MW_OK)
        return rc;
    uint32_t services = mw_node_get(&tape, 0, "services");
    app->app_id = mw_node_get_text(&tape, 0, "app_id");
    app->name = mw_node_get_text(&tape, 0, "name");
    if (mw_node_type(&tape, services) != MW_NODE_ARRAY || mw_node_count(&tape, services) == 0)
        return MW_FAIL(err, MW_E_USAGE,
                       "%s has no services yet: it is the scaffold. millwright promote puts an app "
                       "there",
                       root);
    if (!mw_path_is_plain(app->app_id) || mw_str_find(app->app_id, '/', 0) != SIZE_MAX)
        return MW_FAIL(err, MW_E_INPUT, "%s has no app_id", file);
    for (uint32_t i = mw_node_first(&tape, services); i != MW_NODE_NONE && rc == MW_OK;
         i = mw_node_after(&tape, services, i)) {
        if (app->service_count == MW_APP_SERVICES_MAX)
            return MW_FAIL(err, MW_E_LIMIT, "more than %u services", MW_APP_SERVICES_MAX);
        rc = read_service(app, &tape, i, &app->services[app->service_count++], err);
    }
    if (rc == MW_OK && read_json(cli, database, &intent, NULL) == MW_OK)
        app->storage = mw_node_get_text(&intent, 0, "storage");
    return rc;
}

/* ---- starting ---- */

/* With port rules in the kernel a port has to be named before; else the service picks one. */
static uint16_t choose_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    mw_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (mw_sandbox_probe().landlock_abi < 4 || fd < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.sin_port);
}

/* As root the services run as whom the workspace belongs to. */
static void drop_rights(struct mw_app *app, struct mw_sandbox *sandbox, const char *data)
{
    struct stat found;
    if (geteuid() != 0 || stat(app->cli->workspace, &found) != 0 || found.st_uid == 0)
        return;
    sandbox->drop = true;
    sandbox->uid = found.st_uid;
    sandbox->gid = found.st_gid;
    if (chown(data, found.st_uid, found.st_gid) != 0)
        (void)fprintf(stderr, "millwright: %s keeps its owner: %s\n", data, strerror(errno));
}

static void fill_environment(const struct mw_app *app, const char *data, uint16_t port,
                             const char *env[16])
{
    struct mw_arena *arena = &app->cli->arena;
    bool secret = strcmp(app->algorithm, "HS256") == 0;
    const char *path = getenv("PATH"), *mongo = getenv("MONGODB_URL");
    size_t count = 0;
    env[count++] =
        mw_arena_format(arena, "PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin").ptr;
    env[count++] = mw_arena_format(arena, "PORT=%u", port).ptr;
    env[count++] = "HOST=127.0.0.1";
    env[count++] = "LANG=C.UTF-8";
    env[count++] = mw_arena_format(arena, "DATA_DIR=%s", data).ptr;
    env[count++] = mw_arena_format(arena, "HOME=%s", data).ptr;
    env[count++] = mw_arena_format(arena, "JWT_ALGORITHM=%s", app->algorithm).ptr;
    env[count++] = mw_arena_format(arena, secret ? "JWT_SECRET=%.*s" : "JWT_PUBLIC_KEY=%.*s",
                                   MW_STR_ARG(app->secret))
                       .ptr;
    if (mongo != NULL && *mongo != '\0')
        env[count++] = mw_arena_format(arena, "MONGODB_URL=%s", mongo).ptr;
    env[count] = NULL;
}

static enum mw_rc start_service(struct mw_app *app, struct mw_app_service *service,
                                struct mw_err *err)
{
    struct mw_arena *arena = &app->cli->arena;
    const char *env[16];
    const char *data = mw_arena_format(arena, "%s/%.*s", app->data, MW_STR_ARG(service->slug)).ptr;
    const char *logs = mw_arena_format(arena, "%s/.millwright/log", app->cli->workspace).ptr;
    const char *mongo = getenv("MONGODB_URL");
    uint16_t ports[2] = {choose_port(), 0};
    const char *reads[] = {service->folder, NULL};
    service->stderr_path =
        mw_arena_format(arena, "%s/up-%.*s.err", logs, MW_STR_ARG(service->slug)).ptr;
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, data, 0700, err);
    if (rc == MW_OK)
        rc = mw_mkdirs(AT_FDCWD, logs, 0700, err);
    if (rc != MW_OK)
        return rc;
    (void)unlink(service->stderr_path); /* what the last run said is not this run's */
    fill_environment(app, data, ports[0], env);
    struct mw_exec_spec spec = {.argv = service->start,
                                .env = env,
                                .cwd = service->folder,
                                .stderr_path = service->stderr_path,
                                .hard_max_ms = RUN_MAX_MS,
                                .sandbox = {.profile = MW_PROFILE_SERVE,
                                            .work_dir = data,
                                            .read_paths = reads,
                                            .bind_ports = ports[0] != 0 ? ports : NULL,
                                            .network = mongo != NULL && *mongo != '\0'}};
    drop_rights(app, &spec.sandbox, data);
    rc = mw_exec_start(&spec, &service->child, err);
    service->running = service->started = rc == MW_OK;
    return rc;
}

static enum mw_rc start_proxy(struct mw_app *app, uint16_t port, struct mw_err *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    int in[2], out[2];
    char *argv[MW_APP_SERVICES_MAX + 4];
    size_t count = 0;
    extern char **environ;
    if (pipe2(in, O_CLOEXEC) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make a pipe for the proxy");
    if (pipe2(out, O_CLOEXEC) != 0) {
        (void)close(in[0]); /* nobody has them yet */
        (void)close(in[1]);
        return MW_FAIL_SYS(err, MW_E_IO, "make a pipe for the proxy");
    }
    argv[count++] = mw_heap_copy(MW_STR("millwright"));
    argv[count++] = mw_heap_copy(MW_STR("__proxy"));
    argv[count++] = mw_heap_format("%u", port);
    for (uint32_t i = 0; i < app->service_count; i++)
        argv[count++] =
            mw_heap_format("%.*s=%u", MW_STR_ARG(app->services[i].slug), app->services[i].port);
    argv[count] = NULL;
    (void)sigemptyset(&none);
    (void)posix_spawn_file_actions_init(
        &files); /* fails only for memory, and then the spawn does */
    (void)posix_spawn_file_actions_adddup2(&files, in[0], 0);
    (void)posix_spawn_file_actions_adddup2(&files, out[1], 1);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    int failed = posix_spawn(&app->proxy, "/proc/self/exe", &files, &attributes, argv, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attributes);
    (void)close(in[0]); /* the proxy has its own */
    (void)close(out[1]);
    for (char **at = argv; *at != NULL; at++)
        mw_heap_free(*at);
    app->proxy_in = in[1];
    app->proxy_out = out[0];
    if (failed == 0)
        return MW_OK;
    app->proxy = 0;
    return mw_fail(err, MW_E_MISSING, failed, "start the proxy");
}

/* ---- listening to them ---- */

static void log_line(struct mw_app *app, const struct mw_app_service *service, struct mw_str line)
{
    struct mw_tape tape;
    bool json = line.len > 0 && line.ptr[0] == '{' &&
                mw_json_parse(&app->cli->arena, line, &tape, NULL) == MW_OK;
    struct mw_buf out = mw_heap_buf();
    if (app->json && json) {
        /* The service's own line, and whose it is. */
        struct mw_json writer;
        mw_json_init(&writer, &out);
        mw_json_object(&writer);
        mw_json_kstr(&writer, "service", service->slug);
        for (uint32_t i = mw_node_first(&tape, 0); i != MW_NODE_NONE;
             i = mw_node_after(&tape, 0, i)) {
            if (mw_str_is(tape.nodes[i].text, "service"))
                continue;
            mw_json_key(&writer, tape.nodes[i].text);
            mw_json_node(&writer, &tape, i + 1);
        }
        mw_json_object_end(&writer);
    } else if (app->json) {
        struct mw_json writer;
        mw_json_init(&writer, &out);
        mw_json_object(&writer);
        mw_json_kstr(&writer, "service", service->slug);
        mw_json_kstr(&writer, "text", mw_utf8_valid(line, NULL) ? line : MW_STR("(not UTF-8)"));
        mw_json_object_end(&writer);
    } else if (json && mw_str_is(mw_node_get_text(&tape, 0, "event"), "request")) {
        mw_buf_printf(&out, "%.*s  ", MW_STR_ARG(service->slug));
        mw_put_safe(&out, mw_node_get_text(&tape, 0, "method"));
        mw_buf_put_c(&out, ' ');
        mw_put_safe(&out, mw_node_get_text(&tape, 0, "path"));
        mw_buf_printf(&out, " → %ld  %ld ms",
                      (long)mw_node_int(&tape, mw_node_get(&tape, 0, "status"), 0),
                      (long)mw_node_int(&tape, mw_node_get(&tape, 0, "durationMs"), 0));
    } else {
        mw_buf_printf(&out, "%.*s  ", MW_STR_ARG(service->slug));
        mw_put_safe(&out, line);
    }
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the app runs all the same */
    mw_heap_buf_free(&out);
}

static void take_line(struct mw_app *app, struct mw_app_service *service, struct mw_str line)
{
    struct mw_tape tape;
    /* Nothing of ours stays in the arena for the life of the app. */
    size_t used = app->cli->arena.used_bytes;
    if (!service->is_listening && mw_json_parse(&app->cli->arena, line, &tape, NULL) == MW_OK &&
        mw_str_is(mw_node_get_text(&tape, 0, "event"), "listening")) {
        int64_t port = mw_node_int(&tape, mw_node_get(&tape, 0, "port"), 0);
        service->is_listening = port > 0 && port < 65536;
        service->port = (uint16_t)port;
    } else {
        log_line(app, service, line);
    }
    app->cli->arena.used_bytes = used;
}

static void read_output(struct mw_app *app, struct mw_app_service *service)
{
    char block[16384];
    ssize_t got;
    for (unsigned i = 0; i < READS_MAX; i++) {
        got = read(service->child.stdout_fd, block, sizeof(block));
        if (got <= 0)
            return;
        mw_buf_put(&service->out, (struct mw_str){block, (size_t)got});
        size_t at = 0, end;
        while ((end = mw_str_find(mw_buf_str(&service->out), '\n', at)) != SIZE_MAX) {
            take_line(app, service, mw_str_sub(mw_buf_str(&service->out), at, end - at));
            at = end + 1;
        }
        if (at == 0 && service->out.len > LINE_BYTES_MAX)
            at = service->out.len; /* no line: not kept */
        memmove(service->out.ptr, service->out.ptr + at, service->out.len - at);
        service->out.len -= at;
    }
}

/* Standard error goes to a file; what is new there is shown. True: there may be more. */
static bool read_errors(struct mw_app *app, struct mw_app_service *service)
{
    char block[16384];
    mw_autoclose int fd =
        service->stderr_path != NULL ? open(service->stderr_path, O_RDONLY | O_CLOEXEC) : -1;
    for (unsigned i = 0; i < READS_MAX; i++) {
        ssize_t got = fd >= 0 ? pread(fd, block, sizeof(block), (off_t)service->stderr_at) : 0;
        size_t whole = got > 0 ? (size_t)got : 0;
        while (whole > 0 && block[whole - 1] != '\n')
            whole--;
        if (whole == 0)
            whole = (size_t)got == sizeof(block) ? (size_t)got : 0;
        if (whole == 0)
            return false;
        service->stderr_at += whole;
        for (size_t at = 0; at < whole;) {
            size_t end = mw_str_find((struct mw_str){block, whole}, '\n', at);
            end = end == SIZE_MAX ? whole : end;
            size_t used = app->cli->arena.used_bytes;
            log_line(app, service, (struct mw_str){block + at, end - at});
            app->cli->arena.used_bytes = used;
            at = end + 1;
        }
    }
    return true;
}

/* Reads the stub's report: why it ended. */
static void take_end(struct mw_app *app, struct mw_app_service *service, bool stopping)
{
    struct mw_buf line = mw_heap_buf();
    struct mw_exec_report report;
    char block[1024];
    ssize_t got;
    read_output(app, service); /* as much as a pipe holds */
    while (read_errors(app, service) && !stopping) {
    } /* nobody writes there any more: its last words are the reason, when it ended by itself */
    while ((got = read(service->child.report_fd, block, sizeof(block))) > 0)
        mw_buf_put(&line, (struct mw_str){block, (size_t)got});
    mw_exec_report_read(&app->cli->arena, mw_buf_str(&line), &report);
    (void)mw_exec_reap(&service->child); /* the descriptor said that it has ended */
    mw_exec_close(&service->child);
    mw_heap_buf_free(&line);
    service->running = false;
    if (stopping)
        return;
    if (report.error != MW_EXEC_NO_ERROR)
        (void)fprintf(stderr, "millwright: service %.*s did not run: %s\n",
                      MW_STR_ARG(service->slug), report.error_text);
    else if (report.exited)
        (void)fprintf(stderr, "millwright: service %.*s ended with exit code %d\n",
                      MW_STR_ARG(service->slug), report.exit_code);
    else
        (void)fprintf(stderr, "millwright: service %.*s was ended by signal %d\n",
                      MW_STR_ARG(service->slug), report.signal);
}

/* ---- the loop ---- */

enum until { UNTIL_LISTENING, UNTIL_PROXY, UNTIL_STOPPED, UNTIL_ENDED };

static bool is_reached(const struct mw_app *app, enum until until)
{
    bool all_listen = true, any_runs = false;
    for (uint32_t i = 0; i < app->service_count; i++) {
        all_listen = all_listen && app->services[i].is_listening;
        any_runs = any_runs || app->services[i].running;
    }
    return (until == UNTIL_LISTENING && all_listen) || (until == UNTIL_PROXY && app->port != 0) ||
           (until == UNTIL_ENDED && !any_runs);
}

static void read_proxy(struct mw_app *app, bool *ret_gone)
{
    char text[256];
    struct mw_tape tape;
    ssize_t got = read(app->proxy_out, text, sizeof(text));
    *ret_gone = got <= 0;
    if (got <= 0 || app->port != 0)
        return;
    struct mw_str line = mw_str_trim((struct mw_str){text, (size_t)got});
    if (mw_json_parse(&app->cli->arena, mw_arena_copy(&app->cli->arena, line), &tape, NULL) ==
        MW_OK)
        app->port = (uint16_t)mw_node_int(&tape, mw_node_get(&tape, 0, "port"), 0);
}

/* Serves output and ends until the wanted moment. MW_OK reached; MW_E_FAILED a service or the proxy ended; MW_E_TIMEOUT; *ret_stop a signal. */
static enum mw_rc loop(struct mw_app *app, int signals, enum until until, int timeout_ms,
                       bool *ret_stop)
{
    struct pollfd entries[2 + 2 * MW_APP_SERVICES_MAX];
    int64_t until_ns = mw_now_monotonic_ns() + (int64_t)timeout_ms * 1000000;
    bool more = false;
    while (!is_reached(app, until)) {
        bool gone = false;
        entries[0] = (struct pollfd){.fd = until == UNTIL_ENDED ? -1 : signals, .events = POLLIN};
        entries[1] =
            (struct pollfd){.fd = until == UNTIL_ENDED ? -1 : app->proxy_out, .events = POLLIN};
        for (uint32_t i = 0; i < app->service_count; i++) {
            const struct mw_app_service *service = &app->services[i];
            entries[2 + 2 * i] = (struct pollfd){
                .fd = service->running ? service->child.stdout_fd : -1, .events = POLLIN};
            entries[3 + 2 * i] = (struct pollfd){.fd = service->running ? service->child.pidfd : -1,
                                                 .events = POLLIN};
            /* At its end stdout is readable for ever; the descriptor of the process says more. */
            if (service->running && service->child.stdout_fd < 0)
                entries[2 + 2 * i].fd = -1;
        }
        int ready = poll(entries, 2 + 2 * (nfds_t)app->service_count, more ? 0 : TICK_MS);
        if (timeout_ms > 0 && mw_now_monotonic_ns() > until_ns)
            return MW_E_TIMEOUT;
        if (ready < 0 && errno != EINTR)
            return MW_E_IO;
        if (ready > 0 && entries[0].revents != 0) {
            *ret_stop = true;
            return MW_OK;
        }
        if (ready > 0 && entries[1].revents != 0)
            read_proxy(app, &gone);
        if (gone)
            return MW_E_FAILED;
        bool ended = false;
        more = false;
        for (uint32_t i = 0; i < app->service_count; i++) {
            struct mw_app_service *service = &app->services[i];
            if (!service->running)
                continue;
            if (ready > 0 && entries[2 + 2 * i].revents != 0)
                read_output(app, service);
            more = read_errors(app, service) || more;
            if (ready > 0 && entries[3 + 2 * i].revents != 0) {
                take_end(app, service, until == UNTIL_ENDED);
                ended = true;
            } else if (ready > 0 && (entries[2 + 2 * i].revents & (POLLHUP | POLLERR)) != 0) {
                (void)poll(&entries[3 + 2 * i], 1, 20); /* the stub reports in a moment */
            }
        }
        if (ended && until != UNTIL_ENDED)
            return MW_E_FAILED;
    }
    return MW_OK;
}

static void stop_all(struct mw_app *app)
{
    bool stop = false;
    int status = 0;
    if (app->proxy_in >= 0)
        (void)close(app->proxy_in); /* this is how it is told to end */
    if (app->proxy > 0)
        while (waitpid(app->proxy, &status, 0) < 0 && errno == EINTR)
            ;
    if (app->proxy_out >= 0)
        (void)close(app->proxy_out); /* it says nothing more */
    for (uint32_t i = 0; i < app->service_count; i++)
        if (app->services[i].running &&
            mw_exec_end(&app->services[i].child, MW_EXEC_ASKED, MW_APP_STOP_MS, NULL) != MW_OK)
            mw_exec_close(&app->services[i].child); /* closing ends it as well */
    (void)loop(app, -1, UNTIL_ENDED, 3 * MW_APP_STOP_MS, &stop);
    for (uint32_t i = 0; i < app->service_count; i++) {
        if (app->services[i].running)
            mw_exec_close(&app->services[i].child);
        mw_heap_buf_free(&app->services[i].out);
    }
}

static int failed(struct mw_app *app, const struct mw_err *err)
{
    stop_all(app);
    return mw_cli_fail(app->cli, err);
}

static int proxy_failed(struct mw_app *app, uint16_t port)
{
    int status = 0;
    pid_t got;
    while ((got = waitpid(app->proxy, &status, 0)) < 0 && errno == EINTR)
        ;
    app->proxy = 0;
    stop_all(app);
    (void)fprintf(stderr, "millwright: the proxy on port %u ended\n", port);
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1;
}

int mw_app_run(struct mw_app *app, uint16_t port)
{
    struct mw_err err = {0};
    sigset_t wanted;
    bool stop = false;
    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGINT);
    (void)sigaddset(&wanted, SIGTERM);
    (void)sigaddset(&wanted, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &wanted, NULL); /* heard through the descriptor until the end */
    mw_autoclose int signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        (void)MW_FAIL_SYS(&err, MW_E_IO, "listen for signals");
        return mw_cli_fail(app->cli, &err);
    }
    for (uint32_t i = 0; i < app->service_count; i++)
        if (start_service(app, &app->services[i], &err) != MW_OK)
            return failed(app, &err);
    enum mw_rc rc = loop(app, signals, UNTIL_LISTENING, MW_APP_START_MS, &stop);
    if (rc == MW_E_TIMEOUT)
        (void)MW_FAIL(&err, MW_E_FAILED, "not every service listened within %d s",
                      MW_APP_START_MS / 1000);
    else if (rc != MW_OK)
        (void)MW_FAIL(&err, MW_E_FAILED, "the app did not start");
    if (rc != MW_OK)
        return failed(app, &err);
    if (!stop && start_proxy(app, port, &err) != MW_OK)
        return failed(app, &err);
    if (!stop && loop(app, signals, UNTIL_PROXY, MW_APP_START_MS, &stop) != MW_OK)
        return proxy_failed(app, port);
    if (!stop) {
        mw_app_say_ready(app);
        rc = loop(app, signals, UNTIL_STOPPED, 0, &stop);
    }
    stop_all(app);
    if (rc != MW_OK)
        (void)fprintf(stderr, "millwright: the app was stopped because a part of it ended\n");
    return rc == MW_OK ? 0 : mw_rc_exit_code(MW_E_FAILED);
}
