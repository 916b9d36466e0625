/*
 * answer.h - is what an agent wrote on stdout one answer, and which? (the `command` transport: JSON lines)
 *
 * A line is one JSON object. Progress: has a member "progress", or "type" is "progress". Result: {"type","payload"} and perhaps
 * "rationale", "usage". Failure: {"error":{"class","message","retryable"}}. Blank lines are nothing. Exactly one answer, the last line.
 *
 * Owns:     the verdict, with evidence that a person can check.
 * Does not: believe it: whether the payload fits its schema and the files fit the limits is asked elsewhere. An unreadable answer is never
 *           approval (P20).
 * Limits:   below, and output_bytes_max. After the first fault the rest is only counted.
 */
#ifndef MW_ANSWER_H
#define MW_ANSWER_H

#include "agent/exec.h"

#define MW_ANSWER_LINE_BYTES_MAX (1u << 20)
#define MW_ANSWER_OUTPUT_BYTES_DEFAULT (8u << 20)
#define MW_ANSWER_TYPE_BYTES_MAX 128u
#define MW_ANSWER_EVIDENCE_MAX 512u

enum mw_answer_verdict {
    MW_ANSWER_RESULT,
    MW_ANSWER_FAILURE,         /* the agent says so itself */
    MW_ANSWER_NONE,            /* exit other than 0, no answer */
    MW_ANSWER_SILENT_SUCCESS,  /* exit 0, no answer */
    MW_ANSWER_RESULT_BUT_EXIT, /* a result, then exit other than 0 or death by a signal */
    MW_ANSWER_TWO,             /* a second answer */
    MW_ANSWER_NOT_LAST,        /* a progress record after the answer */
    MW_ANSWER_GARBAGE,         /* a line that is no JSON object */
    MW_ANSWER_BAD_UTF8,
    MW_ANSWER_BAD_SHAPE, /* JSON, but no progress, result or failure */
    MW_ANSWER_LINE_TOO_LONG,
    MW_ANSWER_TOO_MUCH,      /* output_bytes_max */
    MW_ANSWER_RESERVED_TYPE, /* the control plane's own event */
    MW_ANSWER_WRONG_TRACE,   /* a traceId that is not the task's */
    MW_ANSWER_KILLED,        /* we ended it: whatever it said is evidence only */
    MW_ANSWER_NOT_STARTED,   /* the report's error */
    MW_ANSWER_VERDICT_COUNT
};

enum mw_answer_class {
    MW_ANSWER_INVALID_INPUT,
    MW_ANSWER_UNSUPPORTED,
    MW_ANSWER_TOOL,
    MW_ANSWER_MODEL,
    MW_ANSWER_QUOTA,
    MW_ANSWER_AUTH,
    MW_ANSWER_TIMEOUT,
    MW_ANSWER_INTERNAL,
    MW_ANSWER_CLASS_COUNT
};

struct mw_answer_rules {
    struct mw_str trace_id;                     /* borrowed; empty: not checked */
    uint64_t output_bytes_max;                  /* 0: the default */
    bool (*is_reserved)(struct mw_str type);    /* NULL: none is; msg has mw_type_is_reserved */
    bool (*is_well_formed)(struct mw_str type); /* NULL: all are; msg has mw_type_is_well_formed */
    /* Each progress record as it comes; text is valid during the call. NULL: not told. */
    void (*on_progress)(void *user, struct mw_str json);
    void *user;
};

/* What the lines came to. Strings lie in the answer's memory. */
struct mw_answer_outcome {
    enum mw_answer_verdict verdict;
    enum mw_answer_class error_class;      /* every verdict but RESULT has one */
    bool retryable;                        /* the same */
    struct mw_str message;                 /* FAILURE: the agent's */
    struct mw_str type, rationale;         /* RESULT */
    struct mw_str payload, usage;          /* RESULT: JSON text; usage empty when there is none */
    char evidence[MW_ANSWER_EVIDENCE_MAX]; /* why, in words; terminated, UTF-8 */
};

struct mw_answer {
    struct mw_answer_rules rules;
    struct mw_buf line, kept; /* owned */
    struct mw_arena arena;    /* owned */
    uint64_t output_bytes;
    uint32_t line_count;
    uint32_t progress_count;
    bool answered;   /* kept holds the answer's line */
    bool is_failure; /* which of the two it is */
    bool faulty;     /* fault and evidence are set */
    enum mw_answer_verdict fault;
    char evidence[MW_ANSWER_EVIDENCE_MAX];
};

void mw_answer_init(struct mw_answer *answer, const struct mw_answer_rules *rules);
/* Any cut of the stream. False once a fault is known: the caller may as well end the agent. */
bool mw_answer_feed(struct mw_answer *answer, struct mw_str bytes);
/* After the end of the stream and the child's report. */
void mw_answer_finish(struct mw_answer *answer, const struct mw_exec_report *report,
                      struct mw_answer_outcome *ret_outcome);
void mw_answer_free(struct mw_answer *answer);

const char *mw_answer_verdict_name(enum mw_answer_verdict verdict);
const char *mw_answer_class_name(enum mw_answer_class error_class); /* the wire's word */

#endif
