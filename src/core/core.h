/*
 * core.h - one step at a time: a request in, events out and applied, until quiet. And replay, which is apply alone.
 *
 * Owns:     the state of everything (in the region it is given), sequence numbers, open asks, remembered requests, traces.
 * Does not: read a clock, write a file, start anything. The host gives time and entropy with the request and does what the asks say.
 *
 * Bounds of a step: MW_STEP_RECORDS_MAX records, MW_STEP_BYTES_MAX bytes; what would go further stays in state and is taken up by
 * STEP_CONTINUES (architecture 2.4). A request from outside that is refused has changed nothing.
 */
#ifndef MW_CORE_H
#define MW_CORE_H

#include "loop/refine/refine.h"
#include "loop/session/chain.h"
#include "loop/session/session.h"
#include "loop/workflow/memory.h"
#include "loop/workflow/workflow.h"
#include "work/work.h"

#define MW_STEP_RECORDS_MAX 4096u
#define MW_STEP_BYTES_MAX (1024u * 1024)
#define MW_STEP_FOLLOWS_MAX 8192u
/* A frame buffer must have at least this much room before a step. */
#define MW_STEP_ROOM_BYTES (4u * 1024 * 1024)
/* And the region this much, else the step is refused (P09). */
#define MW_STEP_MEMORY_BYTES (8u * 1024 * 1024)
#define MW_REMEMBERED_MAX 65536u
#define MW_REMEMBERED_PART 128u /* are made room for at once */
#define MW_REMEMBERED_US (7ll * 24 * 3600 * 1000000)
/* So far may a caller's clock be from the host's when the window begins in a future that the host's clock was set back from. */
#define MW_REMEMBERED_SLACK_US (5ll * 60 * 1000000)

struct mw_core_config {
    void *region; /* borrowed; state lives here */
    size_t region_bytes;
    bool region_zeroed; /* fresh from the system: untouched parts need not be cleared */
    void *arena; /* borrowed; one step's scratch, 64 MiB is ample and only touched when used */
    size_t arena_bytes;
    const struct mw_catalogue *(*catalogue)(void *host, struct mw_str sha256);
    const struct mw_tape *(*document)(void *host, struct mw_str sha256);
    void *host;
};

#define MW_ASK_CHANGES (MW_STEP_FOLLOWS_MAX * 2) /* room that is always there */
struct mw_ask_change {
    mw_seq seq;
    bool opened;
};

struct mw_remembered {
    uint64_t id_hash; /* 0: free */
    uint64_t body_hash;
    mw_seq seq;
    mw_seq trace;
    uint64_t made_ms : 48; /* as its id says, at most as its record does; 0: the id says nothing */
    uint64_t record_count : 16; /* from seq on, what it made */
    struct mw_shared *trace_id; /* held; NULL: the one that is made of the trace's number */
};

struct mw_step_result {
    enum mw_rc rc;         /* MW_OK, or why it was refused */
    struct mw_str refusal; /* arena: until the next step */
    struct mw_str pointer;
    bool duplicate; /* a remembered request: nothing was done again */
    bool noted;     /* it was so already: the only record says that it was asked */
    mw_seq first;   /* records of this step, or of the one that a duplicate repeats; 0: none */
    mw_seq last;
    mw_seq trace;                /* what the request opened or was about; 0: nothing */
    struct mw_str trace_wire_id; /* arena */
};

struct mw_core {
    struct mw_world world;
    struct mw_work work;
    struct mw_session session;
    struct mw_memory memory;
    struct mw_arena arena;
    struct mw_str catalogue_sha256; /* shared: what new traces pin; empty: none loaded */
    struct mw_set trace_names;      /* hash of every traceId ever used */
    struct mw_remembered
        *remembered[MW_REMEMBERED_MAX / MW_REMEMBERED_PART]; /* KEEP; a ring, in parts as needed */
    uint32_t remembered_at;
    struct mw_table remembered_index; /* id hash -> entry */
    int64_t
        forgotten_ms; /* made_ms of the newest that had to make room; 0: none has, that says it */
    mw_seq forgotten_seq;              /* its record */
    struct mw_ask_change *ask_changes; /* KEEP; of the last step or replayed record */
    uint32_t ask_change_count, ask_change_cap;
    uint64_t traces_ended;
};

void mw_core_init(struct mw_core *core, const struct mw_core_config *config);
/* Decides and applies; appends the step's lines to frame. */
void mw_core_step(struct mw_core *core, const struct mw_request *request, struct mw_buf *frame,
                  struct mw_step_result *ret_result);
/* A caller's request with this id was taken: said again (P05) it needs nothing of the world that may be gone by now. */
bool mw_core_knows(const struct mw_core *core, struct mw_str message_id);
/* One line of the journal. MW_E_CORRUPT when it cannot be what this release wrote at this place. */
MW_MUST enum mw_rc mw_core_replay(struct mw_core *core, struct mw_str line, struct mw_err *err);
/* Canonical text of the whole state; its digest is the state hash. buf must be able to grow or be large enough. */
void mw_core_dump(const struct mw_core *core, struct mw_buf *buf);
/* What that text leaves out and traces leave behind: names, remembered requests, the order of queues. Two states with both texts alike
 * decide alike. */
void mw_core_dump_left(const struct mw_core *core, struct mw_buf *buf);

/*
 * keep.c: a shortened journal. Which of the records up to core's last one give the same state again when all others are left out: a record
 * is dropped, or kept to be replayed, or (its trace is over) kept only for what it left behind: its request is remembered, its queue has a
 * name. queue_seen: MW_KEEP_QUEUES_MAX flags, zeroed before the first record; records come in their order.
 */
enum mw_kept { MW_KEPT_NOT, MW_KEPT_LEFT, MW_KEPT_WHOLE };
#define MW_KEEP_QUEUES_MAX 4096u
enum mw_kept mw_core_keeps(const struct mw_core *core, const struct mw_event *event,
                           uint8_t *queue_seen);
/* Like mw_core_replay, for the lines of a shortened journal: numbers rise and may have gaps. */
MW_MUST enum mw_rc mw_core_replay_kept(struct mw_core *core, struct mw_str line, enum mw_kept kept,
                                       struct mw_err *err);
/* The records up to last_seq that are not there were left out. */
void mw_core_replay_skip(struct mw_core *core, mw_seq last_seq);

#endif
