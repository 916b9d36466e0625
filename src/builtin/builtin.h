/*
 * builtin.h - the first-party generators as a program of their own: `millwright __agent NAME` reads one task (JSON object) on standard
 * input, works in the current folder, and answers on standard output as JSON lines, exactly like any command agent (docs/agents.md).
 *
 * Owns:     one task at a time. Does not: know the host, the journal or any other agent.
 */
#ifndef MW_BUILTIN_H
#define MW_BUILTIN_H

#include "base/json.h"

struct mw_builtin {
    struct mw_arena arena; /* heap-backed, lives as long as the process */
    struct mw_tape task;   /* the whole task */
    uint32_t payload;      /* node: the fragment of the blueprint this task needs */
    uint32_t context; /* node: outputs of earlier tasks: {"EventType": payload | [payloads], …} */
    struct mw_str task_type;
    struct mw_str
        factory; /* the folder with templates and tables (MILLWRIGHT_FACTORY, else found beside the program) */
    struct mw_buf answer; /* heap buf for the payload's JSON text */
};

/* One generator. Writes the payload object's JSON text into b->answer and names the event. Any rc but MW_OK becomes a failure answer:
 * MW_E_INPUT invalid_input, MW_E_MISSING unsupported, MW_E_FAILED tool, everything else internal. */
typedef enum mw_rc mw_builtin_fn(struct mw_builtin *b, struct mw_str *ret_event,
                                 struct mw_err *err);

mw_builtin_fn mw_builtin_blueprint; /* GenerateVisionBlueprint, ImportBlueprint */
mw_builtin_fn mw_builtin_design;    /* DesignPortsAndUseCases */
mw_builtin_fn mw_builtin_render;    /* every task type of a stack: templates to files */
mw_builtin_fn mw_builtin_check;     /* RunTests, ValidateBundle */
mw_builtin_fn mw_builtin_commit;    /* CommitCode, CreatePullRequest */

/* A progress line: {"progress": text}. */
void mw_builtin_progress(const struct mw_builtin *b, struct mw_str text);
/* `millwright __agent NAME`; the process's exit code. */
int mw_builtin_main(int argc, char **argv);

#endif
