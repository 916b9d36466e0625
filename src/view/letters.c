#include "view/internal.h"

/* Dead letters (P08): tasks that ended because nobody could do them, each with what it was told and every attempt that was made. */

struct letter {
    mw_seq task;
    struct mw_str task_id, skill, trace_id, agent_id, error_class, reason, at, put_back, actor;
    uint64_t attempts;
    struct letter *next; /* oldest first */
};

struct letters {
    struct mw_view *view;
    struct letter *first, **end;
    uint64_t waiting; /* not put back */
};

static void take(struct letters *letters, const struct mw_event *event)
{
    struct letter *letter = mw_arena_alloc(letters->view->arena, sizeof(*letter));
    if (letter == NULL)
        return; /* the arena says so */
    *letter = (struct letter){.task = event->item,
                              .task_id = mw_view_copy(letters->view, event->task_id),
                              .skill = mw_view_copy(letters->view, event->task_type),
                              .trace_id = mw_view_copy(letters->view, event->trace_id),
                              .agent_id = mw_view_copy(letters->view, event->agent_id),
                              .error_class = mw_view_copy(letters->view, event->error_class),
                              .reason = mw_view_copy(letters->view, event->reason),
                              .at = mw_view_copy(letters->view, event->timestamp),
                              .attempts = event->attempt};
    *letters->end = letter;
    letters->end = &letter->next;
    letters->waiting++;
}

/* Who put it back has cancelled that. */
static void lie_again(struct letters *letters, struct mw_str trace_id)
{
    for (struct letter *letter = letters->first; letter != NULL; letter = letter->next)
        if (letter->put_back.len > 0 && mw_str_eq(letter->put_back, trace_id)) {
            letter->put_back = letter->actor = MW_STR_NONE;
            letters->waiting++;
        }
}

static enum mw_rc on_letter(void *context, const struct mw_event *event, struct mw_str line,
                            struct mw_err *err)
{
    struct letters *letters = context;
    (void)line; /* everything wanted is in the event */
    (void)err;  /* nothing here can fail but memory, which the arena says */
    if (event->kind == MW_EVT_TASK_DEAD)
        take(letters, event);
    if (event->kind == MW_EVT_TRACE_ENDED && mw_str_is(event->outcome, "cancelled"))
        lie_again(letters, event->trace_id);
    if (event->kind != MW_EVT_TASK_PUT_BACK)
        return MW_OK;
    for (struct letter *letter = letters->first; letter != NULL; letter = letter->next)
        if (letter->task == event->letter) {
            letter->put_back = mw_view_copy(letters->view, event->trace_id);
            letter->actor = mw_view_copy(letters->view, event->actor);
            letters->waiting--;
        }
    return MW_OK;
}

static enum mw_rc fold(struct mw_view *view, struct letters *letters)
{
    *letters = (struct letters){.view = view};
    letters->end = &letters->first;
    return mw_view_each(view, on_letter, letters);
}

static void put_letter(struct mw_view *view, const struct letter *letter)
{
    struct mw_json *json = &view->json;
    mw_json_kstr(json, "task", letter->task_id);
    mw_json_kstr(json, "state", letter->put_back.len > 0 ? MW_STR("put back") : MW_STR("dead"));
    mw_json_kstr(json, "skill", letter->skill);
    mw_json_kstr(json, "traceId", letter->trace_id);
    mw_view_kstr(json, "agent", letter->agent_id);
    mw_json_ku64(json, "attempts", letter->attempts);
    mw_view_kstr(json, "class", letter->error_class);
    mw_view_kstr(json, "reason", letter->reason);
    mw_json_kstr(json, "at", letter->at);
    mw_view_kstr(json, "putBackIn", letter->put_back);
    mw_view_kstr(json, "putBackBy", letter->actor);
}

enum mw_rc mw_view_letters(struct mw_view *view)
{
    struct letters letters;
    enum mw_rc rc = fold(view, &letters);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_json_ku64(&view->json, "waiting", letters.waiting);
    mw_json_karray(&view->json, "letters");
    for (const struct letter *letter = letters.first; letter != NULL; letter = letter->next) {
        mw_json_object(&view->json);
        put_letter(view, letter);
        mw_json_object_end(&view->json);
    }
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
    return MW_OK;
}

/* ---- one letter, with its history ---- */

struct history {
    struct mw_view *view;
    mw_seq task;
    struct mw_str payload, evidence, inputs;
};

/* One row a record that says what became of an attempt; written while they are read. */
static void put_row(struct history *history, const struct mw_event *event, const char *what)
{
    struct mw_json *json = &history->view->json;
    mw_json_object(json);
    mw_json_ku64(json, "seq", event->seq);
    mw_json_kstr(json, "at", event->timestamp);
    mw_json_kstr(json, "what", mw_str_of(what));
    mw_json_ku64(json, "attempt", event->attempt);
    mw_view_kstr(json, "agent",
                 event->target_agent.len > 0 ? event->target_agent : event->agent_id);
    mw_view_kstr(json, "class", event->error_class);
    mw_view_kstr(json, "reason", event->reason);
    mw_view_kraw(json, "evidence", event->evidence);
    mw_view_kstr(json, "filesSha256", event->files_sha256);
    mw_json_object_end(json);
}

static enum mw_rc on_history(void *context, const struct mw_event *event, struct mw_str line,
                             struct mw_err *err)
{
    struct history *history = context;
    (void)line; /* as above */
    (void)err;
    if (event->item != history->task && event->seq != history->task)
        return MW_OK;
    switch (event->kind) {
    case MW_EVT_TASK_DISPATCHED:
        put_row(history, event, "asked");
        break;
    case MW_EVT_TASK_FAILED:
        put_row(history, event, "failed");
        break;
    case MW_EVT_TASK_TIMED_OUT:
        put_row(history, event, "timed out");
        break;
    case MW_EVT_TASK_LATE:
        put_row(history, event, "answered too late");
        break;
    case MW_EVT_AGENT_NOT_FOUND:
        put_row(history, event, "nobody has the skill");
        break;
    case MW_EVT_TASK_ESCALATED:
        put_row(history, event, "given to a person");
        break;
    case MW_EVT_TASK_DEAD:
        history->payload = mw_view_copy(history->view, event->task_payload);
        history->evidence = mw_view_copy(history->view, event->evidence);
        history->inputs = mw_view_copy(history->view, event->inputs);
        break;
    default:
        break;
    }
    return MW_OK;
}

/* The one that is named; without a name the only one that lies there. */
static enum mw_rc pick(struct mw_view *view, const struct letters *letters,
                       const struct letter **ret_letter)
{
    struct mw_str name = mw_view_arg(view->query, "task");
    const struct letter *found = NULL;
    for (const struct letter *letter = letters->first; letter != NULL; letter = letter->next)
        if (name.len > 0 ? mw_str_eq(letter->task_id, name) : letter->put_back.len == 0)
            found = letter;
    if (name.len == 0 && letters->waiting > 1)
        return MW_FAIL(view->err, MW_E_USAGE, "%lu letters are dead: name the task of one",
                       (unsigned long)letters->waiting);
    if (found == NULL && name.len == 0)
        return MW_FAIL(view->err, MW_E_MISSING, "there is no dead letter");
    if (found == NULL)
        return MW_FAIL(view->err, MW_E_MISSING, "no dead letter '%.*s'", MW_STR_ARG(name));
    *ret_letter = found;
    return MW_OK;
}

enum mw_rc mw_view_letter(struct mw_view *view)
{
    struct letters letters;
    const struct letter *letter = NULL;
    enum mw_rc rc = fold(view, &letters);
    if (rc == MW_OK)
        rc = pick(view, &letters, &letter);
    if (rc != MW_OK)
        return rc;
    struct history history = {.view = view, .task = letter->task};
    mw_json_object(&view->json);
    mw_json_kobject(&view->json, "letter");
    put_letter(view, letter);
    mw_json_object_end(&view->json);
    mw_json_karray(&view->json, "history");
    rc = mw_view_each(view, on_history, &history);
    if (rc != MW_OK)
        return rc;
    mw_json_array_end(&view->json);
    mw_view_kraw(&view->json, "evidence", history.evidence);
    mw_view_kraw(&view->json, "payload", history.payload);
    mw_view_kraw(&view->json, "inputs", history.inputs);
    mw_json_object_end(&view->json);
    return MW_OK;
}
