#include "cli/command.h"

/* The only list of verbs. Order is the order of help. */

#define NO_OPTIONS NULL

const struct mw_option mw_general_options[] = {
    {"workspace", "DIR",
     "the workspace; else the nearest folder upwards with .millwright/ or app/app.json"},
    {"json", NULL, "answer in JSON on standard output"},
    {"verbose", NULL, "also show trace, session and journey ids"},
    {"help", NULL, "say what the command does"},
    {NULL, NULL, NULL}};

static const struct mw_option gen_options[] = {
    {"prompt-file", "FILE", "read the prompt from a file"},
    {"blueprint", "FILE", "a blueprint in JSON or YAML instead of a prompt"},
    {"name", "NAME", "the app's name (the first gen of a workspace)"},
    {"priority", "low|normal|high", "which work goes first when agents are busy"},
    {"detach", NULL, "say what was begun and leave"},
    {"trace-id", "ID", "the trace's id, when the caller has one"},
    {"parent-trace-id", "ID", "the trace that asked for this one"},
    {NULL, NULL, NULL}};
static const struct mw_option submit_options[] = {
    {"prompt-file", "FILE", "read the prompt from a file"},
    {"blueprint", "FILE", "a blueprint in JSON or YAML instead of a prompt"},
    {"name", "NAME", "the app's name (the first gen of a workspace)"},
    {"priority", "low|normal|high", "which work goes first when agents are busy"},
    {"trace-id", "ID", "the trace's id, when the caller has one"},
    {"parent-trace-id", "ID", "the trace that asked for this one"},
    {NULL, NULL, NULL}};
static const struct mw_option why_option[] = {{"why", "TEXT", "the reason, for the record"},
                                              {NULL, NULL, NULL}};
static const struct mw_option promote_options[] = {
    {"to", "DIR", "copy to this folder instead of app/"},
    {"adopt-edits", NULL, "keep what was changed in app/ by hand"},
    {"discard-edits", NULL, "drop what was changed in app/ by hand (the old tree is kept aside)"},
    {"approve-config", "SHA256",
     "you have looked at the files that tools run by themselves; the digest is in the refusal"},
    {NULL, NULL, NULL}};
static const struct mw_option port_option[] = {
    {"port", "N", "the port on 127.0.0.1; 0 or none: a free one"}, {NULL, NULL, NULL}};
static const struct mw_option answer_options[] = {
    {"json", "FILE", "the answer as a JSON object; - is standard input"},
    {"files", "DIR", "the files that the task makes, by their paths in the app"},
    {NULL, NULL, NULL}};
static const struct mw_option init_options[] = {
    {"serve", NULL, "start the workspace's host as well"}, {NULL, NULL, NULL}};
static const struct mw_option clean_options[] = {
    {"keep", "N", "leave the newest N of the bundles that would go"},
    {"dry-run", NULL, "only say what would go"},
    {NULL, NULL, NULL}};
static const struct mw_option events_options[] = {
    {"type", "X", "only records of this type or kind"},
    {"trace", "T", "only records of this trace"},
    {"follow", NULL, "go on with new ones"},
    {NULL, NULL, NULL}};
static const struct mw_option route_options[] = {{"task", "SKILL", "what has to be done"},
                                                 {"domain", "D", "in which domain"},
                                                 {NULL, NULL, NULL}};
static const struct mw_option payload_option[] = {
    {"payload", "FILE", "the fragment of a blueprint as JSON or YAML; - is standard input"},
    {NULL, NULL, NULL}};
static const struct mw_option memory_options[] = {
    {"kind", "learning|preference|meta", "what sort of thing it is; learning when none is given"},
    {NULL, NULL, NULL}};
static const struct mw_option start_options[] = {
    {"json", "FILE", "the fragment of a blueprint as JSON or YAML; - is standard input"},
    {NULL, NULL, NULL}};
static const struct mw_option lineage_option[] = {
    {"lineage", NULL, "also what caused and followed it"}, {NULL, NULL, NULL}};
static const struct mw_option verify_options[] = {
    {"promises", NULL, "try the promises on this disk"},
    {"dir", "DIR", "with --promises: in this folder instead of the workspace's .millwright"},
    {NULL, NULL, NULL}};
static const struct mw_option journal_options[] = {
    {"after", "SEQ", "only records after this number"}, {NULL, NULL, NULL}};
static const struct mw_option repair_options[] = {
    {"dry-run", NULL, "only say what would be done, as without --yes"},
    {"yes", NULL, "do what was said"},
    {NULL, NULL, NULL}};
static const struct mw_option export_options[] = {{"trace", "ID", "only the records of this trace"},
                                                  {NULL, NULL, NULL}};
static const struct mw_option archive_options[] = {
    {"compress", NULL, "store new segments packed, as .jsonl.gz"},
    {"seal", NULL,
     "first begin the journal's next segment, so that all of it is stored; no host may run"},
    {"check", NULL, "store nothing: check what is there, and in its workspace against the journal"},
    {NULL, NULL, NULL}};
static const struct mw_option position_options[] = {
    {"expect", "SEQ:HASH", "is that still a place in the journal? No: exit 65"},
    {NULL, NULL, NULL}};
static const struct mw_option serve_options[] = {
    {"foreground", NULL, "run the host here, until it is asked to stop"},
    {"listen", "ADDRESS:PORT",
     "also on a TCP port, such as 127.0.0.1:7000, for whoever has the token in .millwright/token"},
    {"stop", NULL, "end the running host; what agents were at is begun again by the next one"},
    {NULL, NULL, NULL}};

static const struct mw_option bench_options[] = {
    {"concurrency", "C", "flows in flight; without it each workload has its own"},
    {"runs", "N", "the whole so many times: least, middle and most of each figure"},
    {"ms", "N", "how long each measurement takes; 2000 when none is given"},
    {"dir", "DIR", "the folder whose disk is measured; default the current one"},
    {NULL, NULL, NULL}};

const struct mw_command mw_commands[] = {
    /* everyday */
    {"gen", MW_CLI_EVERYDAY, "\"PROMPT\" | - | --prompt-file FILE | --blueprint FILE",
     "turn a prompt or a blueprint into a draft of an app, and follow it",
     "Submits the intent and follows it to a draft that can be reviewed (exit 0), a question (3) "
     "or a failure (1). What is assumed is shown and never stops; a question is asked in place on "
     "a terminal, and in a pipe it is printed with the command that answers it.\n\n"
     "A workspace holds one app: the first gen names it, a later one makes its next version. "
     "Ctrl-C only stops watching (130): the work goes on, and the same gen attaches to it again.",
     gen_options, 0, 1, mw_cmd_gen, NULL, NULL, NULL},
    {"review", MW_CLI_EVERYDAY, "[BUILD]",
     "what a draft holds: summary, files, changes, checks, scope, reasons", NULL, NO_OPTIONS, 0, 1,
     mw_cmd_review, "review", "build", NULL},
    {"accept", MW_CLI_EVERYDAY, "[BUILD]", "make a validated draft the current version",
     "Changes the lineage only; the app root changes with promote.", NO_OPTIONS, 0, 1, mw_cmd_post,
     "AcceptDraft", "buildId", NULL},
    {"reject", MW_CLI_EVERYDAY, "[BUILD] --why TEXT", "put a draft away", NULL, why_option, 0, 1,
     mw_cmd_post, "RejectDraft", "buildId", NULL},
    {"preview", MW_CLI_EVERYDAY, "[BUILD]",
     "run a staged bundle on a loopback port, with a throw-away copy of the data", NULL,
     port_option, 0, 1, mw_cmd_preview, NULL, NULL, NULL},
    {"promote", MW_CLI_EVERYDAY, "[BUILD]", "copy the accepted version to app/",
     "The only verb, with rollback, that changes an app root. When app/ was edited by hand it is "
     "refused (77) with the files named.",
     promote_options, 0, 1, mw_cmd_promote, NULL, NULL, NULL},
    {"rollback", MW_CLI_EVERYDAY, "", "put the version promoted before back into app/", NULL,
     NO_OPTIONS, 0, 0, mw_cmd_rollback, NULL, NULL, NULL},
    {"up", MW_CLI_EVERYDAY, "", "run the promoted app in the foreground",
     "Starts every service with its data under data/, and one proxy on 127.0.0.1 that reaches "
     "them as /SERVICE/…; prints the address and a token for development. Ctrl-C and SIGTERM stop "
     "everything it started; the data stays.",
     port_option, 0, 0, mw_cmd_up, NULL, NULL, NULL},
    {"cancel", MW_CLI_EVERYDAY, "[ID]", "end a build or a run", NULL, why_option, 0, 1, mw_cmd_post,
     "Cancel", "traceId", "open"},
    {"pause", MW_CLI_EVERYDAY, "[ID]", "start nothing new of a build or a run",
     "What agents are at goes on and is recorded, and time goes on as well: a state or a run whose "
     "time is over fails, paused or not.",
     NO_OPTIONS, 0, 1, mw_cmd_post, "Pause", "traceId", "open"},
    {"resume", MW_CLI_EVERYDAY, "[ID]", "go on with a paused build or run", NULL, NO_OPTIONS, 0, 1,
     mw_cmd_post, "Resume", "traceId", "open"},
    {"status", MW_CLI_EVERYDAY, "", "what exists, what runs, what waits", NULL, NO_OPTIONS, 0, 0,
     mw_cmd_status, "status", NULL, NULL},
    {"inbox", MW_CLI_EVERYDAY, "", "everything that waits for a person", NULL, NO_OPTIONS, 0, 0,
     mw_cmd_view, "items", NULL, NULL},
    {"answer", MW_CLI_EVERYDAY, "ITEM [\"TEXT\"]",
     "answer a question of the inbox, or do a task in an agent's place",
     "A task that makes files is answered with --files DIR: what is new or changed there is taken "
     "as "
     "an agent's work would be. `approve` lets an agent try it again instead.",
     answer_options, 1, 2, mw_cmd_answer, NULL, NULL, NULL},
    {"approve", MW_CLI_EVERYDAY, "ITEM", "let a waiting step go on, or an agent try again", NULL,
     NO_OPTIONS, 1, 1, mw_cmd_approve, NULL, NULL, NULL},
    {"show", MW_CLI_EVERYDAY, "ID", "anything by its id", NULL, NO_OPTIONS, 1, 1, mw_cmd_view,
     "show", "id", NULL},
    {"why", MW_CLI_EVERYDAY, "FILE[:LINE]",
     "where a generated line comes from: prompt, field, task, agent, tests, acceptance, promotion",
     NULL, NO_OPTIONS, 1, 1, mw_cmd_why, "why", "path", NULL},
    {"logs", MW_CLI_EVERYDAY, "[TASK]", "an agent's own output, or the host's log", NULL,
     NO_OPTIONS, 0, 1, mw_cmd_logs, NULL, NULL, NULL},
    {"doctor", MW_CLI_EVERYDAY, "", "what is wrong here, and what to do about it", NULL, NO_OPTIONS,
     0, 0, mw_cmd_doctor, NULL, NULL, NULL},
    {"clean", MW_CLI_EVERYDAY, "",
     "remove bundles that were not accepted, kept work folders and caches",
     "Never the journal, data, or a current or promoted version.", clean_options, 0, 0,
     mw_cmd_clean, NULL, NULL, NULL},
    {"init", MW_CLI_EVERYDAY, "[TEMPLATE]",
     "make a workspace with the scaffold of an app; generates nothing", NULL, init_options, 0, 1,
     mw_cmd_init, NULL, NULL, NULL},
    /* loops */
    {"run", MW_CLI_LOOPS, "WORKFLOW \"OBJECTIVE\"", "run one workflow and follow it", NULL,
     payload_option, 1, 2, mw_cmd_run, NULL, NULL, NULL},
    {"inspect", MW_CLI_LOOPS, "[RUN] [iterations]",
     "what a run did and why: each turn with its role, cause, event, tasks and verdicts",
     "RUN is a run's id, or any id of its trace, which then means the trace's newest run; without "
     "it the newest run of all.",
     NO_OPTIONS, 0, 2, mw_cmd_inspect, "run", "id", NULL},
    {"chain", MW_CLI_LOOPS, "A,B,C \"OBJECTIVE\"",
     "run workflows one after the other and follow them",
     "Each is a run of its own; the chain stops at the first one that fails.", NO_OPTIONS, 2, 2,
     mw_cmd_chain, NULL, NULL, NULL},
    {"chain list", MW_CLI_LOOPS, "", "every chain and how it stands", NULL, NO_OPTIONS, 0, 0,
     mw_cmd_view, "chains", NULL, NULL},
    {"chain show", MW_CLI_LOOPS, "[CHAIN]", "one chain: its steps and their runs", NULL, NO_OPTIONS,
     0, 1, mw_cmd_view, "chain", "id", "chains"},
    {"memory list", MW_CLI_LOOPS, "", "what every task of an agent is told beside the task", NULL,
     NO_OPTIONS, 0, 0, mw_cmd_view, "memory", NULL, NULL},
    {"memory add", MW_CLI_LOOPS, "\"TEXT\"", "remember something for this project", NULL,
     memory_options, 1, 1, mw_cmd_memory_add, NULL, NULL, NULL},
    {"memory remove", MW_CLI_LOOPS, "ID", "forget it; what was done with it stays", NULL,
     NO_OPTIONS, 1, 1, mw_cmd_post, "RemoveMemory", "id", NULL},
    {"workflow list", MW_CLI_LOOPS, "", "the workflows that are defined", NULL, NO_OPTIONS, 0, 0,
     mw_cmd_workflow_list, NULL, NULL, NULL},
    {"workflow validate", MW_CLI_LOOPS, "", "check every definition; mistakes with file and line",
     NULL, NO_OPTIONS, 0, 0, mw_cmd_workflow_validate, NULL, NULL, NULL},
    /* factory */
    {"submit", MW_CLI_FACTORY, "\"PROMPT\" | - | --prompt-file FILE | --blueprint FILE",
     "a gen that does not follow", NULL, submit_options, 0, 1, mw_cmd_submit, NULL, NULL, NULL},
    {"plan show", MW_CLI_FACTORY, "[TRACE]",
     "the tasks of a plan, with receivers and what they "
     "wait for",
     NULL, NO_OPTIONS, 0, 1, mw_cmd_view, "plan", "trace", "traces"},
    {"trace list", MW_CLI_FACTORY, "", "every trace", NULL, NO_OPTIONS, 0, 0, mw_cmd_view, "traces",
     NULL, NULL},
    {"trace show", MW_CLI_FACTORY, "[TRACE]", "one trace from intent to end", NULL, lineage_option,
     0, 1, mw_cmd_view, "trace", "trace", "traces"},
    {"build list", MW_CLI_FACTORY, "", "every build and its state", NULL, NO_OPTIONS, 0, 0,
     mw_cmd_view, "builds", NULL, NULL},
    {"build show", MW_CLI_FACTORY, "[BUILD]", "one build: record, ids, phases, bundle", NULL,
     NO_OPTIONS, 0, 1, mw_cmd_view, "build", "build", "builds"},
    {"artifact list", MW_CLI_FACTORY, "", "the artifact versions of each family", NULL, NO_OPTIONS,
     0, 0, mw_cmd_view, "artifacts", NULL, NULL},
    {"artifact log", MW_CLI_FACTORY, "[FAMILY]", "versions of a family with their parents", NULL,
     NO_OPTIONS, 0, 1, mw_cmd_view, "artifacts", "family", NULL},
    {"group show", MW_CLI_FACTORY, "[GROUP]", "a task group: members, strategy, what is done", NULL,
     NO_OPTIONS, 0, 1, mw_cmd_view, "group", "id", "groups"},
    {"coordinator list", MW_CLI_FACTORY, "", "every coordinator and the state it is in", NULL,
     NO_OPTIONS, 0, 0, mw_cmd_view, "coordinators", NULL, NULL},
    {"coordinator show", MW_CLI_FACTORY, "[COORDINATOR]", "one coordinator: states, tasks, facts",
     NULL, NO_OPTIONS, 0, 1, mw_cmd_view, "coordinator", "id", "coordinators"},
    {"coordinator start", MW_CLI_FACTORY, "NAME --json FILE",
     "start one coordinator with a fragment of a blueprint", NULL, start_options, 1, 1,
     mw_cmd_coordinator_start, NULL, NULL, NULL},
    {"agent list", MW_CLI_FACTORY, "", "the registered agents, their skills and load", NULL,
     NO_OPTIONS, 0, 0, mw_cmd_view, "agents", NULL, NULL},
    {"agent show", MW_CLI_FACTORY, "AGENT", "one agent", NULL, NO_OPTIONS, 1, 1, mw_cmd_view,
     "agents", "id", NULL},
    {"agent register", MW_CLI_FACTORY, "FILE", "register an agent from a JSON or YAML file", NULL,
     NO_OPTIONS, 1, 1, mw_cmd_agent_register, NULL, NULL, NULL},
    {"agent remove", MW_CLI_FACTORY, "AGENT", "take an agent off the register", NULL, NO_OPTIONS, 1,
     1, mw_cmd_post, "RemoveAgent", "agentId", NULL},
    {"route", MW_CLI_FACTORY, "--task SKILL [--domain D]",
     "which agent would get a task, with the scores; nothing is started", NULL, route_options, 0, 0,
     mw_cmd_view, "route", NULL, NULL},
    {"dlq list", MW_CLI_FACTORY, "",
     "dead letters: tasks that failed for good, with why, and whether they were put back", NULL,
     NO_OPTIONS, 0, 0, mw_cmd_view, "letters", NULL, NULL},
    {"dlq show", MW_CLI_FACTORY, "[TASK]",
     "one dead letter: what it was told, every attempt, the evidence", NULL, NO_OPTIONS, 0, 1,
     mw_cmd_view, "letter", "task", "letters"},
    {"dlq replay", MW_CLI_FACTORY, "[TASK]", "put a dead letter back: tried from its first attempt",
     "What the task was part of has ended, so it is done in a trace of its own, whose parent is "
     "the "
     "old one, with the payload and the documents that it had. Once a letter: when it comes to "
     "nothing again, that is a new letter.",
     NO_OPTIONS, 0, 1, mw_cmd_dlq_replay, "letter", "task", "letters"},
    {"events", MW_CLI_FACTORY, "", "the journal's records, oldest first", NULL, events_options, 0,
     0, mw_cmd_events, NULL, NULL, NULL},
    {"schema list", MW_CLI_FACTORY, "", "the JSON Schemas of messages and records", NULL,
     NO_OPTIONS, 0, 0, mw_cmd_schema_list, NULL, NULL, NULL},
    {"schema show", MW_CLI_FACTORY, "NAME",
     "one JSON Schema, such as MicroserviceAssemblyCompleted",
     "Draft 2020-12. Each refers to millwright:schema/Envelope, which is Envelope of this list: "
     "give "
     "your validator both. AgentTask is what an agent reads on standard input.",
     NO_OPTIONS, 1, 1, mw_cmd_schema_show, NULL, NULL, NULL},
    /* operations */
    {"serve", MW_CLI_OPERATIONS, "", "start the workspace's host, or stop it", NULL, serve_options,
     0, 0, mw_cmd_serve, NULL, NULL, NULL},
    {"verify", MW_CLI_OPERATIONS, "",
     "check the journal, every frame of it; or what this disk holds to",
     "With --promises, short forms of the proofs of docs/promises.md are tried on this disk, in "
     "folders of their own that are removed again: writers and a host are killed, a journal is "
     "damaged, a lock is raced for, what was done is asked for again. Each promise is said to "
     "hold, not to hold here (exit 1), or not to be for trying here.",
     verify_options, 0, 0, mw_cmd_verify, NULL, NULL, NULL},
    {"journal show", MW_CLI_OPERATIONS, "", "the journal's records as they are written", NULL,
     journal_options, 0, 0, mw_cmd_journal_show, NULL, NULL, NULL},
    {"journal snapshot", MW_CLI_OPERATIONS, "",
     "shorten the journal into .millwright/cache, so that the next start is quick",
     "A snapshot holds the records that still matter; a start that finds one sound begins from it. "
     "The host has one made by itself when many records have come. The journal is not changed, and "
     "removing .millwright/cache loses nothing.",
     NO_OPTIONS, 0, 0, mw_cmd_journal_snapshot, NULL, NULL, NULL},
    {"journal segments", MW_CLI_OPERATIONS, "",
     "the journal's files: records, frames, bytes, sealed or open", NULL, NO_OPTIONS, 0, 0,
     mw_cmd_journal_segments, NULL, NULL, NULL},
    {"journal position", MW_CLI_OPERATIONS, "",
     "the last record's number and its frame's hash, to be kept elsewhere",
     "A journal that was cut at the border of a frame cannot be told from a shorter one by "
     "itself. Keep this word somewhere else; later --expect says whether the journal still holds "
     "that place.",
     position_options, 0, 0, mw_cmd_journal_position, NULL, NULL, NULL},
    {"journal export", MW_CLI_OPERATIONS, "",
     "records as JSON lines, with the proof of where each stands in the journal",
     "The first line says journal, trace, number of records, their SHA-256 and the journal's last "
     "position; before the records of a frame a line says where the frame lies and its hash. "
     "docs/journal.md is the format; tools/journal_reader.py --export FILE checks one.",
     export_options, 0, 0, mw_cmd_journal_export, NULL, NULL, NULL},
    {"journal archive", MW_CLI_OPERATIONS, "DIR",
     "copy the journal's sealed segments into a folder, with a manifest that proves them",
     "Stores every sealed segment that is not there yet, durably, and says so in "
     "DIR/manifest.jsonl; "
     "nothing leaves the journal. A sealed segment never changes, so a host may run meanwhile, and "
     "a run that was ended is taken up by the next one. DIR is a folder of its own, outside "
     ".millwright and app; one that holds something else, or another journal's archive, is refused "
     "(77).\n\n"
     "--check reads all of it again, frame by frame, and names what is damaged by file, byte and "
     "record (65); it needs no workspace. docs/journal.md is the format, and says how to restore.",
     archive_options, 1, 1, mw_cmd_journal_archive, NULL, NULL, NULL},
    {"journal repair", MW_CLI_OPERATIONS, "",
     "cut a damaged journal at the first damage; what is cut off is kept aside",
     "Says file, byte, record and number of bytes of every step, and changes nothing; with --yes "
     "it does them. Every record before the damage stays; nothing is deleted.",
     repair_options, 0, 0, mw_cmd_journal_repair, NULL, NULL, NULL},
    {"bench", MW_CLI_OPERATIONS, "[WORKLOAD]",
     "how fast the control plane is here, beside this machine's own limits",
     "Starts a host of its own in a temporary workspace, posts flows to it over its socket and "
     "says what they took; every record is durable as always, there is no faster mode.\n\n"
     "machine: this machine alone: synced appends, starting programs, a socket's round trip. W1: a "
     "flow of ten tasks, each after the one before. W2: a flow of a hundred tasks at once, joined "
     "by all. W3: a flow of one task, from the request to its record. W6: tasks that each start a "
     "program. W1x: W1 with its agent in another process. W4: starts, also with a journal of a "
     "million records, and memory. W5: a host that is killed with flows in flight, until they are "
     "where they were. Without a name: all of them.",
     bench_options, 0, 1, mw_cmd_bench, NULL, NULL, NULL},
    {"config show", MW_CLI_OPERATIONS, "", "the settings in effect and where they come from", NULL,
     NO_OPTIONS, 0, 0, mw_cmd_config_show, NULL, NULL, NULL},
    {"version", MW_CLI_OPERATIONS, "", "the version of this program", NULL, NO_OPTIONS, 0, 0,
     mw_cmd_version, NULL, NULL, NULL},
    {"help", MW_CLI_OPERATIONS, "[VERB]", "all commands, or one of them", NULL, NO_OPTIONS, 0, 2,
     mw_cmd_help, NULL, NULL, NULL},
    {"man", MW_CLI_OPERATIONS, "[VERB]", "a manual page in roff, for `man -l -`", NULL, NO_OPTIONS,
     0, 2, mw_cmd_man, NULL, NULL, NULL},
    {"completion", MW_CLI_OPERATIONS, "bash|zsh|fish", "completions for a shell", NULL, NO_OPTIONS,
     1, 1, mw_cmd_completion, NULL, NULL, NULL},
};

const size_t mw_command_count = MW_COUNT(mw_commands);
