/*
 * attempt.h - one attempt of one agent, from its folder to the request that says what came of it.
 *
 * .millwright/work/{taskId}.{attempt}/: files/ (where the agent works), tmp/ (unless it gets and owns no files), task.json (what it was given), stderr.log, pid.
 * The folder stays; `clean` removes it. One that nothing is left in but task.json (of an attempt that got, owned and left no file, wrote
 * nothing to stderr and went well) becomes another such attempt's when enough newer ones are there: five files less to make for each.
 */
#ifndef MW_HOST_ATTEMPT_H
#define MW_HOST_ATTEMPT_H

#include "host/internal.h"
#include "stage/tree.h"

/* Files of one earlier result, and who made them. All owned. */
struct mw_attempt_input {
    char *files_sha256, *task_id, *task_type, *agent_id;
};

struct mw_run_attempt {
    struct mw_host *host;
    struct mw_host_ask *ask;
    mw_seq item;
    struct mw_arena arena; /* everything of this attempt */
    struct mw_tape record; /* the asking record */
    struct mw_agent_def agent;
    struct mw_str agent_definition;
    struct mw_str expects, trace_id, task_id, task_type;
    bool writes_files, uses_repository;
    struct mw_str *owns;
    uint32_t owns_count;
    struct mw_str context; /* JSON object */
    struct mw_str memory;  /* JSON array: what the project remembers */
    struct mw_attempt_input *inputs;
    uint32_t input_count;
    uint64_t attempt;
    char *folder;            /* absolute */
    char *used_folder;       /* another's, to be used again; NULL: none */
    bool folder_is_like_new; /* after collecting: may be used again */
    struct mw_tree base;
    char input_sha256[MW_SHA256_HEX]; /* of task.json */
    /* running */
    struct mw_exec_child child;
    bool tried; /* whoever starts programs was asked for this one */
    bool started, cancelled, exited, stdout_ended;
    bool
        over; /* cancelled before its program ended: nothing is collected, but its log is looked through */
    bool
        pid_unwritten; /* the disk was full: what a killed supervisor left is known from child alone */
    uv_poll_t *stdout_poll, *pid_poll;
    uv_timer_t *idle;
    struct mw_answer answer;
    struct mw_answer_outcome outcome;
    struct mw_exec_report report;
    struct mw_buf report_line;
    /* what the worker threads leave */
    uv_work_t work;
    struct mw_err err;
    enum mw_rc rc;
    char files_sha256[MW_SHA256_HEX], payload_sha256[MW_SHA256_HEX];
    uint32_t changed_count;
    struct mw_buf violations; /* JSON array */
    uint32_t violations_left_out;
    bool wants_document;
};

/* attempt_folder.c, on a worker thread: make and tidy. */
MW_MUST enum mw_rc mw_attempt_folder_make(struct mw_run_attempt *attempt);
void mw_attempt_folder_tidy(struct mw_run_attempt *attempt);
/* One folder; there already is fine, and said. */
MW_MUST enum mw_rc mw_attempt_folder_new(const char *path, mode_t mode, bool *ret_there,
                                         struct mw_err *err);
/* On the loop's thread. The oldest path, NULL while there are no more than are kept; to the caller. */
char *mw_used_folder_take(struct mw_used_folders *used);
/* path is taken over. */
void mw_used_folder_give(struct mw_used_folders *used, char *path);
/* attempt_prepare.c, on a worker thread. */
void mw_attempt_prepare(uv_work_t *work);
/* An attempt that gets no files and owns none. It has no folder for TMPDIR apart, and nobody looks at what it jotted down. */
bool mw_attempt_is_words(const struct mw_run_attempt *attempt);
/* What is started, and with which environment; both live as long as the attempt. */
const char *const *mw_attempt_argv(struct mw_run_attempt *attempt);
const char *const *mw_attempt_environment(struct mw_run_attempt *attempt);
/* attempt_collect.c, on a worker thread: what changed in the folder. */
void mw_attempt_collect(uv_work_t *work);
/* attempt_tell.c: the end of stderr.log, what stands before it counted; false: it cannot be read. */
bool mw_attempt_log(const struct mw_run_attempt *attempt, size_t bytes_max, struct mw_buf *text,
                    uint64_t *ret_left_out);
/* Takes secrets out of a text of any bytes (what is no UTF-8 is replaced then, too). False: there was none. */
bool mw_attempt_mask(const struct mw_run_attempt *attempt, struct mw_buf *text);
/* The request. */
void mw_attempt_tell(struct mw_run_attempt *attempt);
void mw_attempt_tell_late(struct mw_run_attempt *attempt);
/* "…/files" and the like; owned by the caller. */
char *mw_attempt_path(const struct mw_run_attempt *attempt, const char *name);

#endif
