#include "view/internal.h"

/* What a run did, turn by turn, and why (JR-16); chains of runs; what the project remembers. */

/* ---- a run ---- */

struct turn {
    mw_seq seq;
    uint64_t iteration;
    struct mw_str role, cause, event, outcome, reason, error_class, at, ended;
    struct turn *next;
};

struct run_fold {
    struct mw_view *view;
    mw_seq run;
    struct mw_str launch; /* the record that began it */
    struct mw_str cause;  /* what the next turn comes of */
    struct turn *turns, **turns_end, *last;
};

static void on_turn(struct run_fold *fold, const struct mw_event *event)
{
    struct mw_view *view = fold->view;
    struct turn *turn = mw_arena_alloc(view->arena, sizeof(*turn));
    if (turn == NULL)
        return; /* the arena says so */
    turn->seq = event->seq;
    turn->iteration = event->iteration;
    turn->role = mw_view_copy(view, event->role);
    turn->cause = fold->cause;
    turn->at = mw_view_copy(view, event->timestamp);
    *fold->turns_end = turn;
    fold->turns_end = &turn->next;
    fold->last = turn;
}

static enum mw_rc on_run_record(void *context, const struct mw_event *event, struct mw_str line,
                                struct mw_err *err)
{
    struct run_fold *fold = context;
    struct mw_view *view = fold->view;
    (void)err; /* nothing here can fail but memory, which the arena says */
    if (event->seq == fold->run) {
        fold->launch = mw_view_copy(view, line);
        fold->cause = MW_STR("loop.start");
    }
    if (event->item != fold->run)
        return MW_OK;
    if (event->kind == MW_EVT_TURN_STARTED || event->kind == MW_EVT_PLAN_ASKED)
        on_turn(fold, event);
    if (event->kind != MW_EVT_TURN_ENDED || fold->last == NULL)
        return MW_OK;
    fold->last->event = mw_view_copy(view, event->event_type);
    fold->last->outcome = mw_view_copy(view, event->outcome);
    fold->last->reason = mw_view_copy(view, event->reason);
    fold->last->error_class = mw_view_copy(view, event->error_class);
    fold->last->ended = mw_view_copy(view, event->timestamp);
    fold->cause = fold->last->event;
    return MW_OK;
}

/* By run id; else the newest run of the trace that the name means, or of all. */
static enum mw_rc pick_run(struct mw_view *view, const struct mw_view_index *index,
                           struct mw_str name, const struct mw_view_run **ret_run)
{
    const struct mw_view_run *found = NULL;
    struct mw_view_trace *trace = NULL;
    for (const struct mw_view_run *run = index->runs; run != NULL; run = run->next)
        if (name.len == 0 || mw_str_eq(run->run_id, name))
            found = run;
    if (found == NULL && name.len > 0) {
        enum mw_rc rc = mw_view_trace_pick(index, name, &trace);
        if (rc != MW_OK)
            return MW_FAIL(view->err, rc, "no run '%.*s'", MW_STR_ARG(name));
        for (const struct mw_view_run *run = index->runs; run != NULL; run = run->next)
            if (run->trace == trace)
                found = run;
    }
    if (found == NULL)
        return MW_FAIL(view->err, MW_E_MISSING, "there is no run here yet");
    *ret_run = found;
    return MW_OK;
}

static bool is_inside(const struct mw_view_detail *detail, const struct mw_view_item *item,
                      mw_seq run)
{
    for (; item != NULL; item = mw_view_item_of(detail, item->owner))
        if (item->owner == run)
            return true;
    return false;
}

static void put_task(struct mw_view *view, const struct mw_view_index *index,
                     const struct mw_view_item *task)
{
    struct mw_json *json = &view->json;
    const struct mw_view_attempt *last = task->last;
    bool over = task->outcome.len > 0;
    mw_json_object(json);
    mw_json_kstr(json, "taskId", mw_view_item_id(index, view->arena, task));
    mw_view_kstr(json, "taskType", task->name);
    mw_view_kstr(json, "agentId", last != NULL ? last->agent_id : MW_STR_NONE);
    mw_json_ku64(json, "attempts", last != NULL ? last->number : 0);
    mw_json_kstr(json, "verdict", mw_str_of(mw_view_item_state(task)));
    mw_view_kstr(json, "event", over && last != NULL ? last->result_type : MW_STR_NONE);
    mw_view_kstr(json, "reason", task->reason);
    mw_json_object_end(json);
}

/* The turns with the tasks that began while each was on; items come oldest first, like turns. */
static void put_turns(struct mw_view *view, const struct mw_view_index *index,
                      const struct mw_view_detail *detail, const struct run_fold *fold)
{
    struct mw_json *json = &view->json;
    const struct mw_view_item *item = detail->items;
    mw_json_karray(json, "iterations");
    for (const struct turn *turn = fold->turns; turn != NULL; turn = turn->next) {
        mw_json_object(json);
        mw_json_ku64(json, "iteration", turn->iteration);
        mw_view_kstr(json, "role", turn->role);
        mw_view_kstr(json, "cause", turn->cause);
        mw_view_kstr(json, "event", turn->event);
        mw_view_kstr(json, "outcome", turn->outcome);
        mw_view_kstr(json, "reason", turn->reason);
        mw_view_kstr(json, "class", turn->error_class);
        mw_view_kstr(json, "started", turn->at);
        mw_view_kstr(json, "ended", turn->ended);
        mw_json_karray(json, "tasks");
        for (; item != NULL && (turn->next == NULL || item->id < turn->next->seq);
             item = item->next)
            if (item->kind == MW_VIEW_TASK && item->id > turn->seq &&
                is_inside(detail, item, fold->run))
                put_task(view, index, item);
        mw_json_array_end(json);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

/* The nine launch fields as they were written (JR-02), and what became of the run. */
static enum mw_rc put_launch(struct mw_view *view, const struct mw_view_run *run,
                             const struct run_fold *fold)
{
    struct mw_json *json = &view->json;
    struct mw_tape tape;
    enum mw_rc rc = mw_view_parse(view, fold->launch, "the record of a run", &tape);
    if (rc != MW_OK)
        return rc;
    uint32_t payload = mw_node_get(&tape, 0, "payload");
    mw_json_kobject(json, "run");
    for (uint32_t key = mw_node_first(&tape, payload); key != MW_NODE_NONE;
         key = mw_node_after(&tape, payload, key)) {
        mw_json_key(json, tape.nodes[key].text);
        mw_json_node(json, &tape, key + 1);
    }
    mw_json_kstr(json, "state", run->outcome.len > 0 ? run->outcome : MW_STR("open"));
    mw_view_kstr(json, "reason", run->reason);
    mw_view_kstr(json, "ended", run->ended);
    mw_json_kstr(json, "traceId", run->trace->wire_id);
    mw_json_object_end(json);
    return MW_OK;
}

enum mw_rc mw_view_run_of(struct mw_view *view)
{
    struct mw_view_index index;
    const struct mw_view_run *run = NULL;
    struct mw_str name = mw_view_arg(view->query, "id");
    enum mw_rc rc = mw_view_index_make(view, name, &index);
    if (rc == MW_OK)
        rc = pick_run(view, &index, name, &run);
    if (rc != MW_OK)
        return rc;
    struct run_fold fold = {.view = view, .run = run->id};
    struct mw_view_detail detail = {.trace = run->trace};
    fold.turns_end = &fold.turns;
    rc = mw_view_each(view, on_run_record, &fold);
    if (rc == MW_OK)
        rc = mw_view_detail_make(view, &detail);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    rc = put_launch(view, run, &fold);
    if (rc != MW_OK)
        return rc;
    put_turns(view, &index, &detail, &fold);
    mw_json_object_end(&view->json);
    return MW_OK;
}

/* ---- chains ---- */

struct step {
    mw_seq run; /* 0: not there yet */
    struct mw_str run_id, outcome, reason, started, ended;
    struct step *next;
};

struct chain {
    mw_seq id;
    struct mw_str run_id, trace_id, objective, workflows, outcome, reason, started, ended;
    uint64_t begun;
    struct step *steps, **steps_end, *last;
    struct chain *next;
};

struct chain_fold {
    struct mw_view *view;
    struct mw_view_table by_id; /* chains by their number, steps by their run's */
    struct chain *chains, **chains_end;
};

static void on_chain_started(struct chain_fold *fold, const struct mw_event *event)
{
    struct mw_view *view = fold->view;
    struct chain *chain = mw_arena_alloc(view->arena, sizeof(*chain));
    if (chain == NULL)
        return; /* the arena says so */
    chain->id = event->seq;
    chain->run_id = mw_view_copy(view, event->run_id);
    chain->trace_id = mw_view_copy(view, event->trace_id);
    chain->objective = mw_view_copy(view, event->objective);
    chain->workflows = mw_view_copy(view, event->workflows);
    chain->started = mw_view_copy(view, event->timestamp);
    chain->steps_end = &chain->steps;
    *fold->chains_end = chain;
    fold->chains_end = &chain->next;
    mw_view_table_put(&fold->by_id, view->arena, chain->id, chain);
}

static struct step *step_of(const struct chain *chain, mw_seq run)
{
    struct step *step = chain->steps;
    while (step != NULL && step->run != run)
        step = step->next;
    return step;
}

static void on_step(struct chain_fold *fold, struct chain *chain, const struct mw_event *event)
{
    struct mw_view *view = fold->view;
    struct step *step = mw_arena_alloc(view->arena, sizeof(*step));
    if (step == NULL)
        return;
    step->started = mw_view_copy(view, event->timestamp);
    *chain->steps_end = step;
    chain->steps_end = &step->next;
    chain->last = step;
    chain->begun = event->step;
}

static void on_chain_run(struct chain_fold *fold, const struct chain *chain,
                         const struct mw_event *event)
{
    struct mw_view *view = fold->view;
    if (event->kind == MW_EVT_RUN_STARTED && chain->last != NULL) {
        chain->last->run = event->seq;
        chain->last->run_id = mw_view_copy(view, event->run_id);
        return;
    }
    bool cancelled = event->kind == MW_EVT_SCOPE_TERMINATED;
    bool over =
        cancelled || event->kind == MW_EVT_RUN_COMPLETED || event->kind == MW_EVT_RUN_STOPPED;
    struct step *step = over ? step_of(chain, event->item) : NULL;
    if (step == NULL)
        return;
    step->outcome = cancelled ? MW_STR("cancelled") : mw_view_copy(view, event->outcome);
    step->reason = mw_view_copy(view, event->reason);
    step->ended = mw_view_copy(view, event->timestamp);
}

static enum mw_rc on_chain_record(void *context, const struct mw_event *event, struct mw_str line,
                                  struct mw_err *err)
{
    struct chain_fold *fold = context;
    struct mw_view *view = fold->view;
    struct chain *chain = mw_view_table_get(&fold->by_id, event->item);
    const struct chain *owner = mw_view_table_get(&fold->by_id, event->owner);
    (void)line; /* everything wanted is in the event */
    (void)err;  /* nothing here can fail but memory, which the arena says */
    if (event->kind == MW_EVT_CHAIN_STARTED)
        on_chain_started(fold, event);
    else if (chain != NULL && event->kind == MW_EVT_CHAIN_STEP)
        on_step(fold, chain, event);
    else if (owner != NULL)
        on_chain_run(fold, owner, event);
    bool cancelled = event->kind == MW_EVT_SCOPE_TERMINATED;
    if (chain == NULL || (!cancelled && event->kind != MW_EVT_CHAIN_ENDED))
        return MW_OK;
    chain->outcome = cancelled ? MW_STR("cancelled") : mw_view_copy(view, event->outcome);
    chain->reason = mw_view_copy(view, event->reason);
    chain->ended = mw_view_copy(view, event->timestamp);
    return MW_OK;
}

static enum mw_rc fold_chains(struct mw_view *view, struct chain_fold *ret_fold)
{
    *ret_fold = (struct chain_fold){.view = view};
    ret_fold->chains_end = &ret_fold->chains;
    return mw_view_each(view, on_chain_record, ret_fold);
}

static void put_chain(struct mw_view *view, const struct chain *chain)
{
    struct mw_json *json = &view->json;
    mw_json_kstr(json, "run_id", chain->run_id);
    mw_json_kstr(json, "traceId", chain->trace_id);
    mw_view_kstr(json, "objective", chain->objective);
    mw_view_kraw(json, "workflows", chain->workflows);
    mw_json_kstr(json, "state", chain->outcome.len > 0 ? chain->outcome : MW_STR("open"));
    mw_json_ku64(json, "begun", chain->begun);
    mw_view_kstr(json, "reason", chain->reason);
    mw_view_kstr(json, "started", chain->started);
    mw_view_kstr(json, "ended", chain->ended);
}

enum mw_rc mw_view_chains(struct mw_view *view)
{
    struct chain_fold fold;
    enum mw_rc rc = fold_chains(view, &fold);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_json_karray(&view->json, "chains");
    for (const struct chain *chain = fold.chains; chain != NULL; chain = chain->next) {
        mw_json_object(&view->json);
        put_chain(view, chain);
        mw_json_object_end(&view->json);
    }
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
    return MW_OK;
}

static enum mw_rc put_steps(struct mw_view *view, const struct chain *chain)
{
    struct mw_json *json = &view->json;
    struct mw_tape tape;
    const struct step *step = chain->steps;
    uint64_t number = 0;
    enum mw_rc rc = mw_view_parse(view, chain->workflows, "the steps of a chain", &tape);
    if (rc != MW_OK)
        return rc;
    mw_json_karray(json, "steps");
    for (uint32_t i = mw_node_first(&tape, 0); i != MW_NODE_NONE;
         i = mw_node_after(&tape, 0, i), step = step != NULL ? step->next : NULL) {
        mw_json_object(json);
        mw_json_ku64(json, "step", ++number);
        mw_json_kstr(json, "workflow", mw_node_str(&tape, i));
        mw_json_kstr(json, "state",
                     step == NULL             ? MW_STR("not started")
                     : step->outcome.len == 0 ? MW_STR("open")
                                              : step->outcome);
        mw_view_kstr(json, "run_id", step != NULL ? step->run_id : MW_STR_NONE);
        mw_view_kstr(json, "reason", step != NULL ? step->reason : MW_STR_NONE);
        mw_view_kstr(json, "started", step != NULL ? step->started : MW_STR_NONE);
        mw_view_kstr(json, "ended", step != NULL ? step->ended : MW_STR_NONE);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    return MW_OK;
}

enum mw_rc mw_view_chain(struct mw_view *view)
{
    struct chain_fold fold;
    const struct chain *found = NULL;
    struct mw_str name = mw_view_arg(view->query, "id");
    enum mw_rc rc = fold_chains(view, &fold);
    if (rc != MW_OK)
        return rc;
    for (const struct chain *chain = fold.chains; chain != NULL; chain = chain->next)
        if (name.len == 0 || mw_str_eq(chain->run_id, name) || mw_str_eq(chain->trace_id, name))
            found = chain;
    if (found == NULL && name.len == 0)
        return MW_FAIL(view->err, MW_E_MISSING, "there is no chain here yet");
    if (found == NULL)
        return MW_FAIL(view->err, MW_E_MISSING, "no chain '%.*s'", MW_STR_ARG(name));
    mw_json_object(&view->json);
    mw_json_kobject(&view->json, "chain");
    put_chain(view, found);
    mw_json_object_end(&view->json);
    rc = put_steps(view, found);
    mw_json_object_end(&view->json);
    return rc;
}

/* ---- what the project remembers ---- */

struct entry {
    mw_seq id;
    struct mw_str kind, text, actor, at;
    struct entry *next;
};

struct memory_fold {
    struct mw_view *view;
    struct entry *entries, **end;
};

static void on_removed(struct memory_fold *fold, mw_seq id)
{
    struct entry **at = &fold->entries;
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    if (fold->end == &(*at)->next)
        fold->end = at;
    *at = (*at)->next;
}

static enum mw_rc on_memory(void *context, const struct mw_event *event, struct mw_str line,
                            struct mw_err *err)
{
    struct memory_fold *fold = context;
    (void)line; /* everything wanted is in the event */
    (void)err;  /* nothing here can fail but memory, which the arena says */
    if (event->kind == MW_EVT_MEMORY_REMOVED)
        on_removed(fold, event->memory_id);
    if (event->kind != MW_EVT_MEMORY_ADDED)
        return MW_OK;
    struct entry *entry = mw_arena_alloc(fold->view->arena, sizeof(*entry));
    if (entry == NULL)
        return MW_OK; /* the arena says so */
    entry->id = event->seq;
    entry->kind = mw_view_copy(fold->view, event->memory_kind);
    entry->text = mw_view_copy(fold->view, event->memory_text);
    entry->actor = mw_view_copy(fold->view, event->actor);
    entry->at = mw_view_copy(fold->view, event->timestamp);
    *fold->end = entry;
    fold->end = &entry->next;
    return MW_OK;
}

enum mw_rc mw_view_memory(struct mw_view *view)
{
    struct mw_json *json = &view->json;
    struct memory_fold fold = {.view = view};
    fold.end = &fold.entries;
    enum mw_rc rc = mw_view_each(view, on_memory, &fold);
    if (rc != MW_OK)
        return rc;
    mw_json_object(json);
    mw_json_karray(json, "memory");
    for (const struct entry *entry = fold.entries; entry != NULL; entry = entry->next) {
        mw_json_object(json);
        mw_json_ku64(json, "id", entry->id);
        mw_json_kstr(json, "kind", entry->kind);
        mw_json_kstr(json, "text", entry->text);
        mw_view_kstr(json, "actor", entry->actor);
        mw_view_kstr(json, "at", entry->at);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_json_object_end(json);
    return MW_OK;
}
