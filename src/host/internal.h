/*
 * internal.h - between the files of this room only.
 */
#ifndef MW_HOST_INTERNAL_H
#define MW_HOST_INTERNAL_H

#include "agent/answer.h"
#include "agent/exec.h"
#include "core/core.h"
#include "host/host.h"
#include "host/mask.h"
#include "host/watch.h"
#include "port/journal.h"
#include "posix/file.h"
#include "posix/heap.h"
#include "stage/blob.h"

#include <uv.h>

#define MW_REGION_BYTES ((size_t)4 << 30) /* address space; the ceiling is MILLWRIGHT_MEMORY_MB */
#define MW_STEP_ARENA_BYTES ((size_t)256 << 20)
#define MW_FRAME_SOFT_MAX                                                                          \
    ((size_t)4 << 20) /* a fuller frame takes no more steps until it is written */
#define MW_PENDING_MAX 4096u
#define MW_PINNED_BYTES ((size_t)32 << 20) /* of documents in memory */
#define MW_PINNED_CATALOGUES 32u           /* the others are read again when they are asked for */
#define MW_MEMORY_MB_MIN 64u               /* of MILLWRIGHT_MEMORY_MB; the most is the region */
#define MW_SPARE_ARENAS 8u
#define MW_SPARE_ARENA_BYTES ((size_t)1 << 20) /* reserved; backed as far as it was touched */
#define MW_IDLE_EXIT_MS 60000u

struct mw_host;
struct mw_poison; /* poison.h */

/* What a request came to, told when it may leave (P01, architecture 2.6). */
struct mw_host_answer {
    enum mw_rc rc;
    char text[MW_ERR_TEXT_MAX];
    char pointer[128];
    bool duplicate;
    mw_seq first, last;
    char trace_id[80];
};
typedef void mw_host_answered(void *user, const struct mw_host_answer *answer);

/* A posted request: owned by the host from post to answer. */
struct mw_post {
    struct mw_post *next;
    struct mw_request request;
    struct mw_arena arena; /* body's text and tape, ids: until it is decided */
    struct mw_tape tape;
    char body_sha256[MW_SHA256_HEX], body_hash[MW_SHA256_HEX];
    mw_host_answered *answered; /* may be NULL */
    void *user;
    mw_seq leaves_at; /* durable number at which the answer may leave */
    struct mw_host_answer answer;
};

struct mw_frame {
    struct mw_buf lines;
    mw_seq first;
    uint32_t count;
    struct mw_post *posts, **posts_end;
    struct mw_ask_change *changes; /* heap */
    uint32_t change_count, change_cap;
};

/* A definition or document that is held in memory under its hash. */
struct mw_pin {
    struct mw_pin *beside;        /* in the same slot */
    struct mw_pin *newer, *older; /* by their last use */
    char sha256[MW_SHA256_HEX];
    struct mw_arena arena;
    struct mw_tape tape;
    const struct mw_catalogue *catalogue; /* NULL: a document */
};

#define MW_PIN_SLOTS 256u
struct mw_pins {
    struct mw_pin *slots[MW_PIN_SLOTS];
    struct mw_pin *newest, *oldest;
    size_t document_bytes; /* that the documents take in memory */
    uint32_t catalogue_count;
};

struct mw_run_attempt; /* attempt.c */
struct mw_offer;       /* workers.c */
struct mw_workers;

/* An open ask that somebody here works for. People and times are only waited for: the core's table of asks is all there is of those. */
struct mw_host_ask {
    struct mw_host_ask *newer, *older; /* in the order of their numbers */
    struct mw_host_ask *beside;        /* in the same slot of the table */
    mw_seq seq;
    char *line; /* the asking record; NULL when nobody here will read it */
    struct mw_run_attempt *attempt;
    struct mw_offer *offer; /* a worker's: waiting for one, or leased */
    bool started;
    bool closed;
    bool held; /* an effect works for it, and forgets it when it has ended */
};

/* deadlines.c */
struct mw_deadlines {
    struct mw_deadline {
        int64_t due_us; /* UTC */
        mw_seq seq;
    } * heap; /* owned; soonest first, with some whose ask is closed */
    uint32_t count, cap;
    uint32_t closed;         /* asks since the heap was last looked through */
    uv_timer_t timer;        /* for the soonest; used once it has data, as clock is */
    uv_timer_t clock;        /* while anything is due: was the clock set? */
    int64_t clock_offset_us; /* UTC less the monotonic clock, when it was last looked */
};

/* attempt_folder.c: folders of attempts that left nothing in them, oldest first. The newest are kept for whoever wants to look. */
#define MW_USED_FOLDERS_KEPT 64u
struct mw_used_folders {
    char *paths[2 * MW_USED_FOLDERS_KEPT]; /* owned */
    uint32_t oldest, count;
};

struct mw_host {
    uv_loop_t loop;
    char *workspace; /* absolute */
    int workspace_fd;
    char *factory;
    char *program;        /* our own absolute path */
    char *path;           /* PATH for children: the last caller's */
    struct mw_mask *mask; /* values that never go into a request */
    size_t memory_bytes;  /* ceiling of what the core holds */
    struct mw_core core;
    const struct mw_journal_ops *ops;
    void *journal;
    mw_seq durable;
    struct mw_journal_stats journal_stats; /* as of the last frame that became durable */
    struct mw_blobs blobs;
    bool blobs_open;
    /* committing */
    struct mw_frame frames[2];
    struct mw_frame *filling;
    struct mw_frame *writing; /* NULL: the writer is idle */
    uv_thread_t writer;
    uv_sem_t writer_wake;
    uv_async_t writer_done;
    enum mw_rc writer_rc;
    unsigned
        writer_turns; /* atomic: raised when the writer is done, so that what it left is seen by whoever reads this first */
    struct mw_err writer_err;
    bool writer_stop, writer_started;
    struct mw_post *pending, **pending_end;
    uint32_t pending_count;
    bool full; /* P10: no space; new work is refused */
    uint32_t holds;
    struct mw_arena spare_arenas[MW_SPARE_ARENAS];
    uint32_t spare_count;
    uint8_t entropy[256]; /* drawn in advance */
    uint32_t entropy_left;
    /* asks */
    struct mw_host_asks {
        struct mw_host_ask *oldest, *newest;
        struct mw_host_ask **slots; /* owned; by number */
        uint32_t slot_count;        /* a power of two, or 0 */
        uint32_t count;
    } asks;
    uint32_t attempts_running;
    struct mw_used_folders used_folders;
    struct mw_deadlines deadlines;
    struct mw_workers *workers; /* owned; NULL until an agent of that kind is asked or asks */
    /* definitions */
    struct mw_pins pins;
    struct mw_watch definitions_watch;      /* of what the newest definitions were read from */
    char definitions_sha256[MW_SHA256_HEX]; /* the newest that core was told of */
    /* life */
    uv_timer_t idle;
    uv_signal_t signals[3];
    uint64_t last_busy_ms;
    char since[MW_TIME_TEXT];
    bool draining;
    bool elsewhere; /* so is its workspace */
    /* starting */
    bool replaying;
    uv_work_t replay;
    struct mw_replay *replay_plan; /* owned; replay.c */
    mw_seq replayed;               /* atomic: how far the worker is */
    enum mw_rc start_rc;
    struct mw_err start_err;
    int exit_code;
    bool is_root;
    uid_t owner_uid;
    gid_t owner_gid;
    struct {
        uv_work_t work;
        mw_seq at;                 /* what the last one stands for */
        mw_seq until;              /* what the one being made will */
        pid_t pid;                 /* atomic; of the process that makes it, 0: none */
        int status;                /* how that ended */
        struct mw_snapshot *found; /* owned, between find and load; with the file's text */
        struct mw_buf file;
        uint64_t begun_ms;
        uint64_t every; /* MILLWRIGHT_SNAPSHOT_RECORDS: so many records make a new one; 0: never */
        bool told;      /* that is set */
        bool running;
    } snapshot;
    ino_t socket_inode; /* of the socket that is ours */
    char *socket_path;  /* owned; by the workspace's whole path */
    void *api;          /* api.c */
    struct mw_poison *poison;
    mw_seq
        read_only_for; /* record that cannot be replayed: nothing is replayed, views alone work; 0: none (P08) */
};

/* snapshot.c: SHA-256 of the core's whole state. */
void mw_core_digest(const struct mw_core *core, char ret_sha256[MW_SHA256_HEX]);

/* starting.c: a snapshot of this journal, read and found whole. The number of the last record that it stands for; 0: none. */
mw_seq mw_host_snapshot_find(struct mw_host *host);
/* What was found becomes the state. False, and the log says why: it gives another one; the core is as it was, and the records are needed. */
bool mw_host_snapshot_load(struct mw_host *host);
/* Has one made when enough records have come since the last; `enough` is less before leaving. True: one is being made. */
bool mw_host_snapshot_consider(struct mw_host *host, bool leaving);
/* Nobody waits for it any more. */
void mw_host_snapshot_stop(struct mw_host *host);

/* commit.c: request → step → frame → durable → answers and asks. */
void mw_host_commit_start(struct mw_host *host);
void mw_host_commit_stop(struct mw_host *host);
/* body_text is copied; NULL pointer body: "{}". kind, item, fence as in struct mw_request. */
struct mw_post *mw_post_make(struct mw_host *host, enum mw_request_kind kind,
                             struct mw_str body_text, struct mw_str message_id, struct mw_str actor,
                             struct mw_err *err);
void mw_post_discard(struct mw_host *host, struct mw_post *post);
struct mw_api_call;
/* Whether nothing can be asked now: it starts, leaves (503) or is read-only (423). True: that was answered. */
bool mw_host_refuse_closed(struct mw_host *host, struct mw_api_call *call);
/* Before anything is made or written for it: MW_E_LIMIT, MW_E_FULL when a request of a caller cannot be taken now (P09, P10). said_before: its
 * messageId is known, so nothing will be done. */
MW_MUST enum mw_rc mw_host_admits(struct mw_host *host, enum mw_request_kind kind, bool said_before,
                                  struct mw_err *err);
void mw_host_post(struct mw_host *host, struct mw_post *post, mw_host_answered *answered,
                  void *user);
/* Between the two, what is posted is decided, and none of it handed to the writer: it all becomes one frame. May be nested. */
void mw_host_hold(struct mw_host *host);
void mw_host_release(struct mw_host *host);
/* Scratch memory for the loop's thread, used again and again; give resets it. Of at least so many bytes. */
void mw_host_arena_take(struct mw_host *host, size_t size_bytes, struct mw_arena *ret_arena);
void mw_host_arena_give(struct mw_host *host, struct mw_arena *arena);
/* From inside: a body made by ourselves. False: it is in quarantine, and was not decided. */
bool mw_host_tell(struct mw_host *host, enum mw_request_kind kind, mw_seq item, mw_seq fence,
                  struct mw_str body_text);

/* replay.c: check and replay of the journal in one pass. make: before the journal is opened with these options; run: on a worker thread, then
 * free the plan. The core and the asks are the worker's until it has ended. */
struct mw_replay *mw_replay_make(struct mw_host *host, struct mw_journal_options *options);
MW_MUST enum mw_rc mw_replay_run(struct mw_replay *replay, struct mw_journal_opened *ret_opened,
                                 struct mw_err *err);

/* deadlines.c: of an ask that is open and durable; rings when it is due and still open. Once for each ask. */
void mw_deadline_add(struct mw_host *host, mw_seq seq, int64_t due_us);
/* Some ask was closed, with a deadline or without. */
void mw_deadlines_closed(struct mw_host *host);

/* asks.c: starts what core asks and does not run; stops what runs and is not asked any more. */
void mw_host_ask_opened(struct mw_host *host, mw_seq seq, struct mw_str line);
void mw_host_ask_closed(struct mw_host *host, mw_seq seq);
/* Called when `seq`, which opened it, has become durable. */
void mw_host_ask_start(struct mw_host *host, mw_seq seq);
void mw_host_asks_start_all(struct mw_host *host);
struct mw_host_ask *mw_host_ask_find(struct mw_host *host, mw_seq seq);
void mw_host_ask_forget(struct mw_host *host, struct mw_host_ask *ask);
uint32_t mw_host_asks_busy(const struct mw_host *host);
/* P22: of an answer that the host is told whole. A payload larger than its record need hold, or that is a document, is durable as a body, masked,
 * before the record that names it: then the answer has `payloadSha256` beside it. */
enum mw_rc mw_host_keep_payload(struct mw_host *host, mw_seq item, struct mw_str type,
                                struct mw_str payload, struct mw_json *json, struct mw_err *err);

/* attempt.c: one attempt of one agent. */
void mw_attempt_begin(struct mw_host *host, struct mw_host_ask *ask);
void mw_attempt_cancel(struct mw_run_attempt *attempt);
/* echo.c: the agent that the host is itself. False: its answer waits for space on the disk. */
bool mw_echo_begin(struct mw_host *host, const struct mw_host_ask *ask);
/* What a task's definition wants it to know: JSON object of earlier payloads, JSON array of what the project remembers. In the arena.
 * MW_E_CONFIG: more than any agent is given. */
enum mw_rc mw_attempt_context(struct mw_host *host, const struct mw_task_needs *needs,
                              struct mw_arena *arena, struct mw_str *ret_context,
                              struct mw_err *err);
/* Those of mw_work_facts, all of them; the list is owned by the caller. */
const struct mw_fact **mw_host_facts(const struct mw_trace *trace, mw_seq scope, struct mw_str type,
                                     uint32_t *ret_count);
struct mw_str mw_attempt_memory(const struct mw_host *host, struct mw_arena *arena);
/* answer_files.c: takes the folder that an answer to `item` names, on a thread; `taken` is called later, err NULL when all is well, with an
 * empty digest when nothing waits there. body is copied. */
typedef void mw_files_taken(struct mw_host *host, struct mw_str body, const char *sha256,
                            const struct mw_err *err, struct mw_api_call *call);
void mw_answer_files_begin(struct mw_host *host, mw_seq item, struct mw_str folder,
                           struct mw_str body, struct mw_api_call *call, mw_files_taken *taken);
/* put_back.c: whether the files that a ReplayTask's inputs name are all there. */
MW_MUST enum mw_rc mw_host_has_inputs(struct mw_host *host, const struct mw_tape *tape,
                                      struct mw_err *err);
/* effects.c: bundles and promotion. */
void mw_stage_begin(struct mw_host *host, struct mw_host_ask *ask);
/* pins.c: what a pointer goes to is valid until the next trim. */
const struct mw_catalogue *mw_pins_catalogue(void *host, struct mw_str sha256);
const struct mw_tape *mw_pins_document(void *host, struct mw_str sha256);
/* Reads factory/ and the workspace's own definitions, checks them, keeps them by hash and makes them the newest. */
MW_MUST enum mw_rc mw_pins_load_factory(struct mw_host *host, char ret_sha256[MW_SHA256_HEX],
                                        struct mw_err *err);
MW_MUST enum mw_rc mw_pins_keep_document(struct mw_host *host, struct mw_str text,
                                         char ret_sha256[MW_SHA256_HEX], struct mw_err *err);
/* Lets go of the documents that were not asked for longest, down to MW_PINNED_BYTES: they are read from the disk again. Not within a step. */
void mw_pins_trim(struct mw_host *host);
/* Posts the agents' definitions found in factory/agents and the workspace's agents/. */
void mw_pins_register_agents(struct mw_host *host);
/* Core and the registry as the definitions on the disk are now. */
MW_MUST enum mw_rc mw_pins_refresh(struct mw_host *host, struct mw_err *err);

/* api_server.c */
MW_MUST enum mw_rc mw_host_api_start(struct mw_host *host, struct mw_err *err);
void mw_host_api_stop(struct mw_host *host);
/* These records have just become durable. */
void mw_host_api_durable(struct mw_host *host, mw_seq first, uint32_t count, struct mw_str lines);
/* Ends the streams whose client has gone; without records nothing else notices them. */
void mw_host_api_look(struct mw_host *host);
uint32_t mw_host_api_connections(const struct mw_host *host);
/* Somebody asked for one: a host that is there for others does not leave because nothing happens. */
bool mw_host_api_has_port(const struct mw_host *host);

/* host.c: one life of a host, from opening the workspace to the exit code. host: zeroed; not to be used again. */
int mw_host_run(struct mw_host *host, const char *workspace);
/* host.c: what it stays for; else it leaves after a while. */
bool mw_host_is_busy(const struct mw_host *host);
/* host.c: nothing new is begun; the loop ends, exit 0, when who asked has heard it. */
void mw_host_drain(struct mw_host *host);
/* host.c: its workspace was moved, removed or given to another host. It leaves: what stands where it was is not ours (P23). */
bool mw_host_is_elsewhere(struct mw_host *host);
/* host.c: for that, or because it was told to. */
bool mw_host_leaves(struct mw_host *host);
/* log.c: JSON lines in .millwright/log/host.log. */
void mw_host_log(const struct mw_host *host, const char *level, const char *event,
                 const char *format, ...) MW_PRINTF(4, 5);
/* Ends the process's work with this code; never returns to the caller's caller: the loop is stopped. */
void mw_host_die(struct mw_host *host, int exit_code, const char *why);

#endif
