/*
 * command.h - private to cli: the command table, one parsed command line, and what every verb uses.
 *
 * The table (commands.c) is the only list of verbs: dispatch, help, man pages and completions are all made from it.
 */
#ifndef MW_CLI_COMMAND_H
#define MW_CLI_COMMAND_H

#include "cli/cli.h"

#include <stdio.h>

#define MW_CLI_OPTIONS_MAX 16
#define MW_CLI_ARGS_MAX 8

enum mw_cli_group {
    MW_CLI_EVERYDAY,
    MW_CLI_LOOPS,
    MW_CLI_FACTORY,
    MW_CLI_OPERATIONS,
    MW_CLI_GROUP_COUNT
};

struct mw_option {
    const char *name;  /* without the dashes; NULL ends the list */
    const char *value; /* what stands for the value in help; NULL: a flag */
    const char *help;
};

struct mw_cli;

struct mw_command {
    const char *name; /* one word or two: "plan show" */
    enum mw_cli_group group;
    const char *args; /* for the usage line; "" when it takes none */
    const char *summary;
    const char *details;             /* paragraphs for help and man; NULL: none */
    const struct mw_option *options; /* beside the general ones; NULL: none */
    int arg_min, arg_max;
    int (*run)(struct mw_cli *cli); /* returns the exit code */
    /* For the verbs that read one view (cmd_view.c) or post one request (cmd_post.c): its name, and the key of the word given. */
    const char *target;
    const char *target_key;
    const char
        *candidates; /* the view that lists what the word could be; NULL: the word is optional */
};

/* One parsed command line. */
struct mw_cli {
    const struct mw_cli_ports *ports; /* borrowed */
    const struct mw_command *command; /* borrowed */
    const char *
        values[MW_CLI_OPTIONS_MAX]; /* by the option's place in command->options; NULL: not given */
    const char *args[MW_CLI_ARGS_MAX + 1]; /* borrowed from argv; ends with NULL */
    int arg_count;
    const char *workspace_flag; /* borrowed; NULL: searched for */
    bool json, verbose, help;
    char *workspace;       /* owned; absolute; NULL until mw_cli_workspace */
    bool host_checked;     /* hello was exchanged */
    struct mw_arena arena; /* owned; lives as long as the command */
};

extern const struct mw_command mw_commands[];
extern const size_t mw_command_count;
extern const struct mw_option mw_general_options[];

/* Finds the longest name that the words begin with; *ret_words is how many it took (0: none). */
const struct mw_command *mw_command_find(int count, char *const *words, int *ret_words);
/* The known name nearest to word, or NULL when nothing is near. */
const char *mw_command_suggest(const char *word);
/* Fills cli from the words after the name. */
MW_MUST enum mw_rc mw_cli_parse(struct mw_cli *cli, int count, char *const *words,
                                struct mw_err *err);

const char *mw_cli_value(const struct mw_cli *cli, const char *option); /* NULL: not given */
bool mw_cli_has(const struct mw_cli *cli, const char *option);
/* "millwright: text" on standard error; returns the exit code of err. */
int mw_cli_fail(const struct mw_cli *cli, const struct mw_err *err);
int mw_cli_usage(const struct mw_cli *cli, const char *format, ...) MW_PRINTF(2, 3);
/* The whole text on standard output; false when nobody reads it any more. */
bool mw_cli_put(struct mw_str text);
bool mw_cli_put_line(struct mw_str text);

/* help.c */
int mw_cmd_help(struct mw_cli *cli);
int mw_cmd_man(struct mw_cli *cli);
int mw_cmd_version(struct mw_cli *cli);
int mw_cmd_completion(struct mw_cli *cli);
void mw_help_usage(FILE *to, const struct mw_command *command);
/* the verbs, one file each; the two generic ones first */
int mw_cmd_view(struct mw_cli *cli);
int mw_cmd_post(struct mw_cli *cli);
int mw_cmd_gen(struct mw_cli *cli);
int mw_cmd_submit(struct mw_cli *cli);
int mw_cmd_run(struct mw_cli *cli);
int mw_cmd_coordinator_start(struct mw_cli *cli);
int mw_cmd_inspect(struct mw_cli *cli);
int mw_cmd_chain(struct mw_cli *cli);
int mw_cmd_memory_add(struct mw_cli *cli);
int mw_cmd_promote(struct mw_cli *cli);
int mw_cmd_rollback(struct mw_cli *cli);
int mw_cmd_answer(struct mw_cli *cli);
int mw_cmd_approve(struct mw_cli *cli);
int mw_cmd_agent_register(struct mw_cli *cli);
int mw_cmd_dlq_replay(struct mw_cli *cli);
int mw_cmd_why(struct mw_cli *cli);
int mw_cmd_status(struct mw_cli *cli);
int mw_cmd_review(struct mw_cli *cli);
int mw_cmd_events(struct mw_cli *cli);
int mw_cmd_schema_list(struct mw_cli *cli);
int mw_cmd_schema_show(struct mw_cli *cli);
int mw_cmd_logs(struct mw_cli *cli);
int mw_cmd_init(struct mw_cli *cli);
int mw_cmd_workflow_validate(struct mw_cli *cli);
int mw_cmd_workflow_list(struct mw_cli *cli);
int mw_cmd_doctor(struct mw_cli *cli);
int mw_cmd_verify(struct mw_cli *cli);
int mw_cmd_verify_promises(struct mw_cli *cli); /* cmd_promises.c: verify --promises */
int mw_cmd_journal_show(struct mw_cli *cli);
int mw_cmd_journal_repair(struct mw_cli *cli);
int mw_cmd_journal_snapshot(struct mw_cli *cli);
int mw_cmd_journal_segments(struct mw_cli *cli);
int mw_cmd_journal_position(struct mw_cli *cli);
int mw_cmd_journal_export(struct mw_cli *cli);
int mw_cmd_journal_archive(struct mw_cli *cli);
int mw_cmd_serve(struct mw_cli *cli);
int mw_cmd_clean(struct mw_cli *cli);
int mw_cmd_config_show(struct mw_cli *cli);
int mw_cmd_bench(struct mw_cli *cli);
int mw_cmd_up(struct mw_cli *cli);
int mw_cmd_preview(struct mw_cli *cli);

#endif
