/*
 * host_world.h - the world around the real src/host: one seed decides everything that a host meets, and when.
 *
 * The program test_sim_host links the real host (host, commit, asks, pins, attempt*, effects, api_server, log, mask), the real journal on
 * files, blobs, trees, bundles and promotion. What they ask of the system is answered here: host_wraps.txt has the linker put these
 * functions in the place of the system's, and what libuv's functions are named is defined in host_loop.h.
 *
 * host_heap.h     memory that a dead process gives back           host_agents.h   children, their pipes, what they leave running
 * host_disk.h     files, what of them is durable, power cuts      host_callers.h  requests, what was acknowledged, the same again
 * host_loop.h     the loop, its threads, the writer, the clock    host_remote.h   workers: agents that come over the socket
 * host_look.h     the oracles, beside those of oracle.h
 *
 * Nothing here is part of the product. One host at a time; its threads are steps that run one after the other: what two threads do to one
 * another within a step is ThreadSanitizer's business.
 */
#ifndef MW_TEST_HOST_WORLD_H
#define MW_TEST_HOST_WORLD_H

#include "rig.h"

#include "host/attempt.h"
#include "host/internal.h"

#include <setjmp.h>

#define WORLD_BASE_US 1750000000000000ll
#define WORLD_YEAR_US (366ll * 24 * 3600 * 1000000)
#define WORLD_FAR_NS INT64_MAX

/* How a life of the host ended. */
enum world_end {
    END_RETURNED, /* mw_host_run came back */
    END_EXITED,   /* _exit: it gave up */
    END_KILLED,   /* kill -9 */
    END_POWER     /* the machine lost its power */
};

/* What a seed may do to the host, and how often. */
struct world_mood {
    uint32_t lives;           /* crashes at most */
    uint32_t power_percent;   /* of crashes that are power cuts */
    uint32_t bad_percent;     /* agents that do not simply answer */
    uint32_t clock_permille;  /* a turn that sets the clock */
    uint32_t full_permille;   /* a turn that fills or empties the disk */
    uint32_t fault_permille;  /* a turn that lets the next sync fail */
    uint32_t stall_permille;  /* a turn in which the process stands still for up to two minutes */
    uint32_t leave_permille;  /* a turn that sends SIGTERM */
    uint32_t caller_permille; /* a turn in which a caller wants something */
    uint32_t turns;
    bool snapshots; /* made every 50 records */
    bool herd;      /* a plan of more parts than one step takes */
};

struct world {
    struct rig *rig; /* the shadow, the lines, the random numbers */
    struct world_mood mood;
    struct mw_host *host;
    bool inside; /* the host's code runs */
    jmp_buf out;
    enum world_end end;
    int exit_code;
    uint64_t lives;
    uint64_t boots; /* power cuts so far */
    int64_t now_ns; /* monotonic */
    int64_t utc_us; /* added to it */
    uint64_t trace; /* of everything that happened */
    uint64_t events;
    uint64_t turns_left;
    uint64_t points_left; /* until the crash; UINT64_MAX: none */
    bool draining;        /* everybody does well and nothing breaks any more */
    bool faulted;         /* a sync failed in this life */
    bool latched;         /* one of the journal: nothing may leave any more */
    /* the journal as far as append said that it is durable, and the frame on its way */
    struct mw_buf sure, tried;
    mw_seq sure_seq;
    uint32_t tried_count;
    bool opened;         /* the journal, in this life */
    bool compared;       /* the replayed state with the shadow's, in this life */
    int64_t undo_us;     /* what the clock is to be set back by, or forth */
    uint32_t undo_turns; /* when; 0: it stays as it is */
    int64_t utc_most_us; /* the latest that the clock was ever set to */
    uint64_t drained;    /* settled turns since all is calm */
    uint32_t rests;      /* how often everything has come to its end */
    unsigned edition;    /* of the definitions */
    bool was_full;       /* the disk, in this life */
    bool power_goes;     /* when this life's end comes: the host before it died of a failed sync */
    int snapshot_status; /* how the last one's process ended */
    bool loud;
};

static struct world world;

static uint32_t world_below(uint32_t bound)
{
    return rig_below(world.rig, bound);
}

static bool world_chance(uint32_t percent)
{
    return world_below(100) < percent;
}

static bool world_rarely(uint32_t permille)
{
    return world_below(1000) < permille;
}

static int64_t world_utc_us(void)
{
    return WORLD_BASE_US + world.now_ns / 1000 + world.utc_us;
}

/* Into the hash that two runs of a seed have to agree on. */
static void world_note(const char *what, uint64_t a, uint64_t b)
{
    uint64_t parts[4] = {(uint64_t)world.now_ns, a, b, ++world.events};
    for (const char *at = what; *at != '\0'; at++)
        world.trace = (world.trace ^ (uint8_t)*at) * 0x100000001b3u;
    for (size_t i = 0; i < MW_COUNT(parts); i++)
        world.trace = (world.trace ^ parts[i]) * 0x9e3779b97f4a7c15u;
    world.trace ^= world.trace >> 29;
    if (world.loud)
        dprintf(1, "%12.6f %s %lu %lu\n", (double)world.now_ns / 1e9, what, (unsigned long)a,
                (unsigned long)b);
}

#define WORLD_CHECK(condition, ...) RIG_CHECK(world.rig, condition, __VA_ARGS__)

static bool world_begins(const struct mw_buf *text, const struct mw_buf *beginning)
{
    return mw_str_starts(mw_buf_str(text), mw_buf_str(beginning));
}

/* Out of whatever the host is doing: the process is gone. */
__attribute__((noreturn)) static void world_gone(enum world_end end, int exit_code)
{
    world.end = end;
    world.exit_code = exit_code;
    world.inside = false;
    longjmp(world.out, 1);
}

/* Between any two things that the host does to the world, the process may die. */
static void world_point(void)
{
    if (!world.inside || world.points_left == UINT64_MAX)
        return;
    if (world.points_left-- > 0)
        return;
    world.points_left = UINT64_MAX;
    bool power = world.power_goes || world_chance(world.mood.power_percent);
    world_note(power ? "power is cut" : "killed", 0, 0);
    world_gone(power ? END_POWER : END_KILLED, 137);
}

/* Declares the real function, and defines the one that the linker puts in its place. */
#define WORLD_WRAP(type, name, ...)                                                                \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

#endif
