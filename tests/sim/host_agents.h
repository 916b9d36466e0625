/*
 * host_agents.h - children: what the host starts as agents, with pipes and process numbers, and what runs on when the host is killed.
 *
 * A child answers well, late or never, lies about its type or its files, talks nonsense, fails, dies, loses its supervisor, or goes on after it
 * was told to end. Its files lie on the simulated disk.
 */
#ifndef MW_TEST_HOST_AGENTS_H
#define MW_TEST_HOST_AGENTS_H

#include "host_loop.h"

#include "agent/exec_wire.h"
#include "agent/leftovers.h"

#define AGENTS_MAX 256

enum agent_plan {
    AGENT_ANSWERS,
    AGENT_OTHER_TYPE,  /* an event that nobody expects, or the control plane's own */
    AGENT_SECOND_TYPE, /* the other event that its task expects */
    AGENT_TALKS,       /* no JSON */
    AGENT_FAILS,       /* says so */
    AGENT_FAILS_FOR_GOOD,
    AGENT_DIES,       /* exit 1 without a word */
    AGENT_LIES,       /* success, and nothing was written */
    AGENT_TRESPASSES, /* writes what is not its own */
    AGENT_TWICE,      /* two answers */
    AGENT_HANGS,      /* until it is ended, and then it is silent */
    AGENT_LATE,       /* answers when it is told to end */
    AGENT_CHATS, /* says every ten seconds that it works, and answers after a minute and a half */
    AGENT_ORPHANED, /* its supervisor is killed */
    AGENT_PLANS
};

struct agent_child {
    bool used, exited, told, closed, gone, has_pid_file;
    int pid;
    uint64_t life;
    mw_seq ask;
    char folder[256]; /* DISK_ROOT/ws/.millwright/work/T.N */
    char task[96];
    char type[96], second_type[96];
    char owns[96];
    bool by_diff;
    enum agent_plan plan;
    uint32_t said; /* parts of it */
    int64_t next_ns;
    int64_t spoke_ns; /* last output */
    enum mw_exec_killed killed;
    struct mw_buf out; /* what it wrote to its output, as far as it is not read */
    size_t out_read;
    struct mw_buf report;
    size_t report_read;
};

enum pipe_end { PIPE_OUT, PIPE_PID, PIPE_REPORT, PIPE_CONTROL, PIPE_API };

struct agents {
    struct agent_child children[AGENTS_MAX];
    uint32_t count; /* children behind it are free */
    int pids;
    uint64_t started, plans[AGENT_PLANS];
};

static struct agents agents;

static void agents_begin(void)
{
    for (uint32_t i = 0; i < agents.count; i++) {
        mw_heap_buf_free(&agents.children[i].out);
        mw_heap_buf_free(&agents.children[i].report);
    }
    memset(agents.children, 0, agents.count * sizeof agents.children[0]);
    agents.count = 0;
    agents.pids = 1000;
}

static bool agent_lives(const struct agent_child *child)
{
    return child->used && !child->gone;
}

static int64_t agents_next_ns(void)
{
    int64_t next = WORLD_FAR_NS;
    for (uint32_t i = 0; i < agents.count; i++)
        if (agent_lives(&agents.children[i]) && agents.children[i].next_ns < next)
            next = agents.children[i].next_ns;
    return next;
}

static void agent_free(struct agent_child *child)
{
    mw_heap_buf_free(&child->out);
    mw_heap_buf_free(&child->report);
    *child = (struct agent_child){0};
}

/* ---- what it says ---- */

static void agent_write_file(const struct agent_child *child, const char *name)
{
    char path[512], folder[512], text[160];
    snprintf(path, sizeof path, "%s/files/%s", child->folder, name);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    char files[300];
    snprintf(files, sizeof files, "%s/files", child->folder);
    if (disk_find(files) == NULL)
        return; /* somebody cleared its folder away under it */
    disk_make_folders(folder);
    snprintf(text, sizeof text, "%s %d\n", child->task, child->pid);
    disk_write_file(path, mw_str_of(text));
}

static void agent_work(const struct agent_child *child)
{
    char name[256];
    size_t len = strcspn(child->owns, "/");
    if (child->owns[0] == '\0' || child->plan == AGENT_LIES)
        return;
    snprintf(name, sizeof name, "%.*s/%s.txt", (int)len, child->owns, child->task);
    agent_write_file(child, name);
    if (child->plan == AGENT_TRESPASSES)
        agent_write_file(child, "elsewhere/mine.txt");
}

static void agent_payload(const struct agent_child *child, struct mw_buf *buf)
{
    static const char *const domains[] = {"Gardens", "Roads"};
    if (strcmp(child->type, "PlanSketched") == 0) {
        uint32_t sites = world.mood.herd ? 300 : world_below(3);
        mw_buf_put_z(buf, "{\"app\":\"sites\",\"blueprintId\":\"blueprint-1\",\"sites\":[");
        for (uint32_t i = 0; i < sites; i++) {
            uint32_t holes = world.mood.herd ? 0 : world_below(3);
            mw_buf_printf(buf, "%s{\"site\":\"S%u\",\"paint\":%s,\"ask\":%s,\"holes\":[",
                          i > 0 ? "," : "", i, world_chance(50) ? "true" : "false",
                          world_chance(25) ? "true" : "false");
            for (uint32_t h = 0; h < holes; h++)
                mw_buf_printf(buf, "%s{\"name\":\"H%u\",\"domain\":\"%s\"}", h > 0 ? "," : "", h,
                              domains[h % 2]);
            mw_buf_put_z(buf, "]}");
        }
        mw_buf_put_z(buf, "]}");
    } else if (strcmp(child->type, "SiteChecked") == 0) {
        mw_buf_put_z(buf, "{\"result\":\"Passed\"}");
    } else if (world_chance(10)) { /* larger than what a record holds of it */
        mw_buf_put_z(buf, "{\"words\":\"");
        for (uint32_t i = 0; i < 150; i++)
            mw_buf_put_z(buf, "plaster ");
        mw_buf_put_z(buf, "\"}");
    } else {
        mw_buf_printf(buf, "{\"ok\":true,\"by\":%d}", child->pid);
    }
}

static void agent_result(struct agent_child *child, const char *type, struct mw_buf *buf)
{
    mw_buf_printf(buf, "{\"type\":\"%s\",\"payload\":", type);
    if (type == child->second_type)
        mw_buf_put_z(buf, "{\"question\":\"what?\"}");
    else
        agent_payload(child, buf);
    mw_buf_put_z(buf, "}\n");
}

static void agent_exit(struct agent_child *child, int code, int number)
{
    struct mw_exec_report report = {.exited = number == 0,
                                    .exit_code = code,
                                    .signal = number,
                                    .killed = child->killed,
                                    .sandbox = MW_STR("{}")};
    child->exited = true;
    child->spoke_ns = world.now_ns;
    child->next_ns = WORLD_FAR_NS;
    world_note("child exits", (uint64_t)child->pid, (uint64_t)code);
    if (child->plan == AGENT_ORPHANED && child->killed != MW_EXEC_HOST_GONE)
        return; /* no report, and what it ran goes on */
    mw_exec_report_write(&report, &child->report);
    child->gone = true;
    if (child->closed)
        agent_free(child);
}

/* The whole of what it has to say, and how it ends. */
static void agent_speak(struct agent_child *child)
{
    static const char *const types[] = {"NobodyAsked", "ApprovalGranted", "TraceEnded"};
    struct mw_buf *out = &child->out;
    int code = 0;
    switch (child->plan) {
    case AGENT_OTHER_TYPE:
        agent_result(child, types[world_below(3)], out);
        break;
    case AGENT_SECOND_TYPE:
        agent_result(child, child->second_type[0] != '\0' ? child->second_type : child->type, out);
        break;
    case AGENT_TALKS:
        mw_buf_put_z(out, "Sure! I have done all of it.\n{\"type\":");
        break;
    case AGENT_FAILS:
    case AGENT_FAILS_FOR_GOOD:
        mw_buf_printf(
            out, "{\"error\":{\"class\":\"tool\",\"message\":\"it fell over\",\"retryable\":%s}}\n",
            child->plan == AGENT_FAILS ? "true" : "false");
        code = 1;
        break;
    case AGENT_DIES:
    case AGENT_ORPHANED:
        agent_exit(child, 1, world_chance(50) ? 9 : 0);
        return;
    case AGENT_TWICE:
        agent_work(child);
        agent_result(child, child->type, out);
        agent_result(child, child->type, out);
        break;
    case AGENT_ANSWERS:
    case AGENT_LIES:
    case AGENT_TRESPASSES:
    case AGENT_HANGS:
    case AGENT_LATE:
    case AGENT_CHATS:
    case AGENT_PLANS:
        agent_work(child);
        if (!child->by_diff)
            agent_result(child, child->type, out);
        break;
    }
    agent_exit(child, code, 0);
}

static void agent_act(struct agent_child *child)
{
    world_note("child", (uint64_t)child->pid, child->said);
    if (child->killed == MW_EXEC_HOST_GONE || (child->told && child->plan != AGENT_LATE)) {
        agent_exit(child, 0, 15);
        return;
    }
    bool chats = child->plan == AGENT_CHATS && child->said < 9;
    if (!child->by_diff && (chats || (child->said == 0 && world_chance(30)))) {
        mw_buf_put_z(&child->out, "{\"progress\":\"working\"}\n");
        child->said++;
        child->spoke_ns = world.now_ns;
        child->next_ns = chats ? world.now_ns + 10000000000ll : loop_soon();
        return;
    }
    agent_speak(child);
}

static void agents_turn(void)
{
    bool was = world.inside;
    world.inside = false;
    uint32_t from = agents.count > 0 ? world_below(agents.count) : 0;
    for (uint32_t i = 0; i < agents.count; i++) {
        struct agent_child *child = &agents.children[(from + i) % agents.count];
        if (!agent_lives(child) || child->next_ns > world.now_ns)
            continue;
        if (child->exited)
            agent_free(
                child); /* what a killed supervisor left, of a host that is gone, ended by itself */
        else
            agent_act(child);
        break;
    }
    world.inside = was;
}

static void agent_begin(struct agent_child *child)
{
    uint32_t dice = world_below(100);
    child->plan = AGENT_ANSWERS;
    if (!world.draining && dice < world.mood.bad_percent)
        child->plan = (enum agent_plan)(1 + world_below(AGENT_PLANS - 1));
    if (child->plan == AGENT_LIES && child->owns[0] == '\0')
        child->plan = AGENT_TALKS;
    if (child->by_diff && (child->plan == AGENT_LATE || child->plan == AGENT_CHATS))
        child->plan = AGENT_HANGS;
    child->next_ns = loop_soon() + (world_chance(20) ? world_below(60) * 1000000000ll : 0);
    if (child->plan == AGENT_HANGS || child->plan == AGENT_LATE)
        child->next_ns = WORLD_FAR_NS;
    if (child->plan == AGENT_CHATS)
        child->next_ns = world.now_ns + 5000000000ll;
    agents.plans[child->plan]++;
    agents.started++;
}

/* ---- what the host does with it ---- */

/* host_look.h */
static void look_at_start(struct agent_child *child);
static void look_at_asked(const char *task);
static void look_at_idle_end(const struct agent_child *child);

static int agent_fd(struct agent_child *child, enum pipe_end which)
{
    int fd = disk_fd_open(DISK_OTHER, NULL, 0);
    disk.fds[fd - DISK_FD_BASE].other = child;
    disk.fds[fd - DISK_FD_BASE].which = (int)which;
    return fd;
}

static void agent_copy(char *to, size_t cap, struct mw_str text)
{
    snprintf(to, cap, "%.*s", MW_STR_ARG(text));
}

/* What it was given, read as an agent reads it. */
static void agent_read_task(struct agent_child *child)
{
    char path[300];
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err;
    snprintf(path, sizeof path, "%s/task.json", child->folder);
    const struct disk_node *node = disk_find(path);
    WORLD_CHECK(node != NULL, "%s: started without a task", child->folder);
    struct mw_str text = {node->now.at, node->now.filled};
    mw_heap_arena(&arena, text.len * 40 + 65536);
    enum mw_rc rc = mw_json_parse(&arena, mw_str_trim(text), &tape, &err);
    WORLD_CHECK(rc == MW_OK, "%s: %s", path, err.text);
    uint32_t expects = mw_node_get(&tape, 0, "expects");
    agent_copy(child->task, sizeof child->task, mw_node_get_text(&tape, 0, "taskId"));
    agent_copy(child->type, sizeof child->type, mw_node_get_text(&tape, expects, "type"));
    uint32_t owns = mw_node_get(&tape, expects, "owns");
    if (mw_node_count(&tape, owns) > 0)
        agent_copy(child->owns, sizeof child->owns, mw_node_str(&tape, mw_node_at(&tape, owns, 0)));
    if (strcmp(child->type, "PlanSketched") == 0)
        strcpy(child->second_type, "QuestionRaised");
    mw_heap_arena_free(&arena);
}

WORLD_WRAP(enum mw_rc, mw_exec_start, const struct mw_exec_spec *spec,
           struct mw_exec_child *ret_child, struct mw_err *err)
{
    if (!world.draining && world_rarely(10))
        return MW_FAIL(err, MW_E_IO, "no process can be started");
    bool was = world.inside;
    world.inside = false;
    struct agent_child *child = NULL;
    for (uint32_t i = 0; i < AGENTS_MAX && child == NULL; i++)
        if (!agents.children[i].used)
            child = &agents.children[i];
    WORLD_CHECK(child != NULL, "more than %d children", AGENTS_MAX);
    if (child - agents.children >= (ptrdiff_t)agents.count)
        agents.count = (uint32_t)(child - agents.children) + 1;
    *child = (struct agent_child){.used = true,
                                  .pid = ++agents.pids,
                                  .life = world.lives,
                                  .spoke_ns = world.now_ns,
                                  .out = mw_heap_buf(),
                                  .report = mw_heap_buf()};
    agent_copy(child->folder, sizeof child->folder, mw_str_of(spec->cwd));
    *strrchr(child->folder, '/') = '\0';
    child->by_diff = strstr(spec->stdin_path, "prompt.txt") != NULL;
    agent_read_task(child);
    agent_begin(child);
    world_note("child starts", (uint64_t)child->pid, (uint64_t)child->plan);
    look_at_start(child);
    *ret_child = (struct mw_exec_child){.pid = child->pid,
                                        .start_ticks = (uint64_t)child->pid * 7,
                                        .started_us = world_utc_us(),
                                        .pidfd = agent_fd(child, PIPE_PID),
                                        .stdout_fd = agent_fd(child, PIPE_OUT),
                                        .report_fd = agent_fd(child, PIPE_REPORT),
                                        .control_fd = agent_fd(child, PIPE_CONTROL)};
    world.inside = was;
    world_point();
    return MW_OK;
}

static struct agent_child *agent_of(int pid)
{
    for (uint32_t i = 0; i < agents.count; i++)
        if (agents.children[i].used && agents.children[i].pid == pid)
            return &agents.children[i];
    return NULL;
}

WORLD_WRAP(enum mw_rc, mw_exec_end, const struct mw_exec_child *of, enum mw_exec_killed why,
           uint32_t grace_ms, struct mw_err *err)
{
    struct agent_child *child = agent_of(of->pid);
    world_note("child is told to end", (uint64_t)of->pid, (uint64_t)why);
    if (child == NULL || child->exited)
        return MW_FAIL(err, MW_E_MISSING, "the child's supervisor has gone");
    if (why == MW_EXEC_IDLE)
        look_at_idle_end(child);
    child->told = true;
    child->killed = child->killed == MW_EXEC_NOT_KILLED ? why : child->killed;
    int64_t end_ns = world.now_ns + (int64_t)world_below(grace_ms + 1) * 1000000;
    if (end_ns < child->next_ns || child->next_ns == WORLD_FAR_NS)
        child->next_ns = end_ns;
    return MW_OK;
}

WORLD_WRAP(bool, mw_exec_reap, struct mw_exec_child *of)
{
    const struct agent_child *child = agent_of(of->pid);
    return child == NULL || child->exited;
}

WORLD_WRAP(void, mw_exec_close, struct mw_exec_child *of)
{
    int *fds[] = {&of->pidfd, &of->stdout_fd, &of->report_fd, &of->control_fd};
    struct agent_child *child = agent_of(of->pid);
    for (size_t i = 0; i < MW_COUNT(fds); i++) {
        if (*fds[i] >= 0)
            (void)__wrap_close(*fds[i]);
        *fds[i] = -1;
    }
    if (child == NULL)
        return;
    child->closed = true;
    bool was = world.inside;
    world.inside = false;
    if (child->gone)
        agent_free(child);
    world.inside = was;
}

/* As leftovers.c does it. */
WORLD_WRAP(enum mw_rc, mw_leftover_write, const char *path, const struct mw_exec_child *of,
           struct mw_err *err)
{
    char text[64];
    int len = snprintf(text, sizeof text, "{\"pid\":%d}\n", (int)of->pid);
    if (!world.draining && world_chance(world.mood.bad_percent / 2))
        return MW_FAIL(err, MW_E_FULL, "no room for '%s'", path);
    int fd = __wrap_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_FULL, "write '%s'", path);
    enum mw_rc rc = mw_write_all(fd, (struct mw_str){text, (size_t)len}, err);
    (void)__wrap_close(fd);
    struct agent_child *child = agent_of(of->pid);
    if (child != NULL)
        child->has_pid_file = rc == MW_OK;
    return rc;
}

WORLD_WRAP(enum mw_rc, mw_leftover_end, const char *path, uint32_t grace_ms,
           enum mw_leftover *ret_found, struct mw_err *err)
{
    int pid = 0;
    const struct disk_node *node = disk_find(path);
    *ret_found = MW_LEFTOVER_NONE;
    if (node == NULL || node->now.filled == 0)
        return MW_OK;
    char text[64] = {0};
    (void)disk_bytes_get(&node->now, 0, text, sizeof text - 1);
    if (sscanf(text, "{\"pid\":%d}", &pid) != 1)
        return MW_FAIL(err, MW_E_CORRUPT, "'%s' is no pid file of a child", path);
    struct agent_child *child = agent_of(pid);
    world_point();
    if (child == NULL || child->gone)
        return MW_OK;
    world_note("leftover is ended", (uint64_t)pid, child->life);
    world.now_ns += (int64_t)world_below(grace_ms + 1) * 1000000;
    bool was = world.inside;
    world.inside = false;
    child->gone = true;
    child->exited = true;
    child->next_ns = WORLD_FAR_NS;
    if (child->closed)
        agent_free(child);
    world.inside = was;
    *ret_found = MW_LEFTOVER_ENDED;
    return MW_OK;
}

/* ---- pipes ---- */

static int64_t api_next_ns(void);

static bool pipe_is_readable(int fd)
{
    const struct disk_fd *ours = disk_fd(fd);
    WORLD_CHECK(ours != NULL && ours->kind == DISK_OTHER, "a closed descriptor is watched");
    const struct agent_child *child = ours->other;
    if (ours->which == PIPE_API)
        return api_next_ns() <= world.now_ns;
    if (ours->which == PIPE_PID)
        return child->exited;
    return child->out_read < child->out.len || child->gone;
}

static ssize_t pipe_read(struct disk_fd *fd, char *to, size_t len)
{
    struct agent_child *child = fd->other;
    struct mw_buf *from = fd->which == PIPE_OUT ? &child->out : &child->report;
    size_t *at = fd->which == PIPE_OUT ? &child->out_read : &child->report_read;
    size_t left = from->len - *at;
    if (left == 0 && (fd->which == PIPE_OUT ? child->gone : child->exited))
        return 0;
    if (left == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (fd->which == PIPE_OUT && left > 1 && world_chance(30))
        left = 1 + world_below((uint32_t)left);
    if (left > len)
        left = len;
    memcpy(to, from->ptr + *at, left);
    *at += left;
    return (ssize_t)left;
}

static void pipe_close(struct disk_fd *fd)
{
    struct agent_child *child = fd->other;
    if (child == NULL || child->gone || child->exited)
        return;
    if (fd->which == PIPE_CONTROL || fd->which == PIPE_OUT) {
        child->told = true;
        child->killed = MW_EXEC_OUTPUT_CLOSED;
        child->next_ns = loop_soon();
    }
}

/* ---- the host is gone ---- */

/* Supervisors notice it and end what they run within a second; one in five is slow. A power cut ends everything. */
static void agents_host_gone(bool power)
{
    for (uint32_t i = 0; i < agents.count; i++) {
        struct agent_child *child = &agents.children[i];
        if (!child->used)
            continue;
        if (power || child->gone) {
            agent_free(child);
            continue;
        }
        child->closed = true;
        if (child->killed == MW_EXEC_HOST_GONE)
            continue;
        child->killed = MW_EXEC_HOST_GONE;
        child->told = true;
        int64_t after_ms = world_chance(80) ? world_below(1000) : 1000 + world_below(600000);
        child->next_ns = world.now_ns + after_ms * 1000000;
    }
}

/* While no host runs, only time passes. */
static void agents_pass(int64_t until_ns)
{
    while (agents_next_ns() <= until_ns) {
        world.now_ns = agents_next_ns() > world.now_ns ? agents_next_ns() : world.now_ns;
        agents_turn();
    }
    world.now_ns = until_ns > world.now_ns ? until_ns : world.now_ns;
}

#endif
