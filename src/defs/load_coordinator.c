/* load_coordinator.c - state machines over a fragment of the blueprint: every state reached, every state leads to the end, in time. */
#include "defs/load.h"

#include "msg/msg.h"

#define COORDINATOR_KEYS                                                                           \
    "coordinator version command completes_with key fragment result tracker initial states"
#define HERE (LOAD_ITEM | LOAD_EVENT | LOAD_FACTS)

/* Names of the states, before any of them is read. */
struct machine {
    struct mw_coordinator_def *coordinator;
    struct mw_state_def *states;
    uint32_t keys[MW_STATES_MAX];     /* node of the state's name; the value follows it */
    uint64_t leads_to[MW_STATES_MAX]; /* by state: bits of states */
};

static bool state_index(struct loader *l, const struct machine *machine, uint32_t node,
                        uint32_t *ret_index)
{
    struct mw_str name;
    struct mw_str near = MW_STR_NONE;
    unsigned best = 4;
    if (!load_word(l, node, "a state", &name))
        return false;
    for (uint32_t i = 0; i < machine->coordinator->state_count; i++) {
        if (mw_str_eq(machine->states[i].name, name)) {
            *ret_index = i;
            return true;
        }
        if (load_distance(machine->states[i].name, name) < best) {
            best = load_distance(machine->states[i].name, name);
            near = machine->states[i].name;
        }
    }
    if (near.len > 0)
        return load_refuse(l, node, "there is no state '%.*s'; did you mean '%.*s'?",
                           MW_STR_ARG(name), MW_STR_ARG(near));
    return load_refuse(l, node, "there is no state '%.*s'", MW_STR_ARG(name));
}

static bool read_ask(struct loader *l, const struct machine *machine,
                     const struct mw_state_def *state, uint32_t node, struct mw_ask_def *ask)
{
    uint32_t task = load_key(l, node, "task");
    uint32_t group = load_key(l, node, "group");
    if (!load_keys(l, node, "task group when rule field after", "what a state asks for"))
        return false;
    if ((task != MW_NODE_NONE) == (group != MW_NODE_NONE))
        return load_refuse(l, node, "a state asks for a 'task:' or a 'group:', one of the two");
    struct mw_str rule = mw_arena_format(
        l->arena, "%.*s.%.*s", MW_STR_ARG(machine->coordinator->name), MW_STR_ARG(state->name));
    if (!load_rule(l, node, HERE, rule, &ask->when, &ask->rule, &ask->rule_field) ||
        !load_waits(l, load_key(l, node, "after"), &ask->after, &ask->after_count))
        return false;
    return task != MW_NODE_NONE ? load_task(l, task, HERE, MW_STR_NONE, &ask->task)
                                : load_group(l, group, HERE, &ask->group);
}

static bool read_asks(struct loader *l, const struct machine *machine, uint32_t list,
                      struct mw_state_def *state)
{
    if (list == MW_NODE_NONE)
        return true;
    uint32_t count = mw_node_count(l->tape, list);
    if (mw_node_type(l->tape, list) != MW_NODE_ARRAY || count > MW_STATE_ASKS_MAX)
        return load_refuse(l, list, "'enter' is a list of at most %d tasks and groups",
                           MW_STATE_ASKS_MAX);
    struct mw_ask_def *asks = load_array(l, struct mw_ask_def, count);
    if (asks == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = mw_node_at(l->tape, list, i);
        if (!read_ask(l, machine, state, node, &asks[i]))
            return false;
        for (uint32_t j = 0; j < i && asks[i].group != NULL; j++)
            if (asks[j].group != NULL && mw_str_eq(asks[j].group->id, asks[i].group->id))
                return load_refuse(l, node, "the state asks for the group '%.*s' twice",
                                   MW_STR_ARG(asks[i].group->id));
    }
    state->asks = asks;
    state->ask_count = count;
    return true;
}

static bool read_group_name(struct loader *l, uint32_t node, const struct mw_state_def *state,
                            struct mw_str *ret_group)
{
    if (node == MW_NODE_NONE)
        return true;
    if (!load_word(l, node, "group", ret_group))
        return false;
    for (uint32_t i = 0; i < state->ask_count; i++)
        if (state->asks[i].group != NULL && mw_str_eq(state->asks[i].group->id, *ret_group))
            return true;
    return load_refuse(l, node, "the state '%.*s' does not ask for a group '%.*s'",
                       MW_STR_ARG(state->name), MW_STR_ARG(*ret_group));
}

static bool read_emit(struct loader *l, uint32_t node, struct mw_str *ret_emit)
{
    if (node == MW_NODE_NONE)
        return true;
    if (!load_type(l, node, "event", ret_emit) || !load_emit_add(l, *ret_emit))
        return false;
    bool derived = mw_str_is(*ret_emit, "TestsPassed") || mw_str_is(*ret_emit, "TestsFailed");
    if (mw_type_is_reserved(*ret_emit) && !derived)
        return load_refuse(l, node,
                           "'%.*s' is the control plane's own event: no definition may emit it",
                           MW_STR_ARG(*ret_emit));
    return true;
}

/* V-43: a state whose part is not wanted is passed by a rule, never by a made-up event. */
static bool read_skip(struct loader *l, const struct machine *machine, uint32_t node,
                      struct mw_transition_def *transition)
{
    uint32_t rule;
    uint32_t go;
    if (!load_keys(l, node, "rule when field skip go", "a transition that skips") ||
        !load_need(l, node, "rule", "a transition that skips", &rule) ||
        !load_need(l, node, "when", "a transition that skips", &go) ||
        !load_need(l, node, "go", "a transition that skips", &go))
        return false;
    return load_rule(l, node, HERE, MW_STR_NONE, &transition->when, &transition->rule,
                     &transition->rule_field) &&
           state_index(l, machine, go, &transition->go);
}

static bool read_waiting(struct loader *l, const struct machine *machine,
                         const struct mw_state_def *state, uint32_t node,
                         struct mw_transition_def *transition)
{
    uint32_t event = load_key(l, node, "event");
    uint32_t events = load_key(l, node, "events");
    uint32_t go = load_key(l, node, "go");
    uint32_t fail = load_key(l, node, "fail");
    if (!load_keys(l, node, "event events group when go fail emit skip", "a transition"))
        return false;
    if (event != MW_NODE_NONE && events != MW_NODE_NONE)
        return load_refuse(l, events, "a transition has 'event:' or 'events:', not both");
    if ((go != MW_NODE_NONE) == (fail != MW_NODE_NONE))
        return load_refuse(l, node,
                           "a transition has 'go: State' or 'fail: reason', one of the two");
    if (!load_waits(l, event != MW_NODE_NONE ? event : events, &transition->events,
                    &transition->event_count) ||
        !read_group_name(l, load_key(l, node, "group"), state, &transition->group) ||
        !load_expr_at(l, node, "when", HERE, &transition->when) ||
        !read_emit(l, load_key(l, node, "emit"), &transition->emit))
        return false;
    if (transition->event_count == 0 && transition->group.len == 0)
        return load_refuse(l, node,
                           "a transition waits for 'event:', 'events:' or 'group:', or "
                           "passes by a rule with 'skip: true'");
    transition->fails = fail != MW_NODE_NONE;
    return transition->fails ? load_text(l, fail, "fail", &transition->fail_reason)
                             : state_index(l, machine, go, &transition->go);
}

static bool read_transitions(struct loader *l, struct machine *machine, uint32_t list,
                             uint32_t index)
{
    struct mw_state_def *state = &machine->states[index];
    uint32_t count = mw_node_count(l->tape, list);
    if (mw_node_type(l->tape, list) != MW_NODE_ARRAY || count > MW_TRANSITIONS_MAX)
        return load_refuse(l, list, "'on' is a list of at most %d transitions", MW_TRANSITIONS_MAX);
    struct mw_transition_def *transitions = load_array(l, struct mw_transition_def, count);
    if (transitions == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = mw_node_at(l->tape, list, i);
        struct mw_transition_def *transition = &transitions[i];
        if (!load_bool(l, node, "skip", false, &transition->skip))
            return false;
        if (transition->skip ? !read_skip(l, machine, node, transition)
                             : !read_waiting(l, machine, state, node, transition))
            return false;
        if (!transition->fails)
            machine->leads_to[index] |= (uint64_t)1 << transition->go;
    }
    state->transitions = transitions;
    state->transition_count = count;
    return true;
}

static bool read_state(struct loader *l, struct machine *machine, uint32_t index)
{
    struct mw_state_def *state = &machine->states[index];
    uint32_t node = machine->keys[index] + 1;
    uint32_t list;
    state->line = load_line(l, machine->keys[index]);
    if (!load_keys(l, node, "timeout final enter on", "a state") ||
        !load_bool(l, node, "final", false, &state->final))
        return false;
    if (state->final) {
        if (mw_node_count(l->tape, node) > 1)
            return load_refuse(l, machine->keys[index],
                               "the final state '%.*s' has nothing but 'final: true'",
                               MW_STR_ARG(state->name));
        return true;
    }
    if (load_key(l, node, "timeout") == MW_NODE_NONE)
        return load_refuse(l, machine->keys[index],
                           "the state '%.*s' has no time-out; add 'timeout: 5m'",
                           MW_STR_ARG(state->name));
    if (!load_duration(l, node, "timeout", 0, &state->timeout_ms) ||
        !read_asks(l, machine, load_key(l, node, "enter"), state))
        return false;
    if (load_key(l, node, "on") == MW_NODE_NONE)
        return load_refuse(l, machine->keys[index],
                           "the state '%.*s' has no way out; add 'on:', or 'final: true'",
                           MW_STR_ARG(state->name));
    return load_need(l, node, "on", "a state", &list) && read_transitions(l, machine, list, index);
}

static bool read_states(struct loader *l, struct machine *machine, uint32_t node)
{
    uint32_t count = mw_node_count(l->tape, node);
    if (mw_node_type(l->tape, node) != MW_NODE_OBJECT || count == 0 || count > MW_STATES_MAX)
        return load_refuse(l, node, "'states' is a mapping of names to states, at most %d",
                           MW_STATES_MAX);
    machine->states = load_array(l, struct mw_state_def, count);
    if (machine->states == NULL)
        return false;
    uint32_t at = 0;
    for (uint32_t i = mw_node_first(l->tape, node); i != MW_NODE_NONE;
         i = mw_node_after(l->tape, node, i), at++) {
        machine->keys[at] = i;
        if (!load_word(l, i, "a state", &machine->states[at].name))
            return false;
    }
    machine->coordinator->states = machine->states;
    machine->coordinator->state_count = count;
    for (uint32_t i = 0; i < count; i++)
        if (!read_state(l, machine, i))
            return false;
    return true;
}

static bool check_ways(struct loader *l, const struct machine *machine)
{
    const struct mw_coordinator_def *coordinator = machine->coordinator;
    uint64_t reached = (uint64_t)1 << coordinator->initial;
    uint64_t ends = 0;
    for (uint32_t i = 0; i < coordinator->state_count; i++)
        ends |= (uint64_t)machine->states[i].final << i;
    /* As many rounds as there are states reach everything that can be reached. */
    for (uint32_t round = 0; round < coordinator->state_count; round++)
        for (uint32_t i = 0; i < coordinator->state_count; i++) {
            if ((reached >> i & 1) != 0)
                reached |= machine->leads_to[i];
            if ((machine->leads_to[i] & ends) != 0)
                ends |= (uint64_t)1 << i;
        }
    for (uint32_t i = 0; i < coordinator->state_count; i++) {
        if ((reached >> i & 1) == 0)
            return load_refuse(l, machine->keys[i], "the state '%.*s' is never reached",
                               MW_STR_ARG(machine->states[i].name));
        if ((ends >> i & 1) == 0)
            return load_refuse(l, machine->keys[i],
                               "no way leads from the state '%.*s' to a final state",
                               MW_STR_ARG(machine->states[i].name));
    }
    return true;
}

bool load_coordinator(struct loader *l)
{
    struct machine machine = {.coordinator = load_array(l, struct mw_coordinator_def, 1)};
    struct mw_coordinator_def *coordinator = machine.coordinator;
    const char *const what = "a coordinator";
    uint32_t version, command, completes, key, initial, states;
    if (coordinator == NULL || !load_keys(l, 0, COORDINATOR_KEYS, what) ||
        !load_word(l, load_key(l, 0, "coordinator"), "a coordinator's name", &coordinator->name) ||
        !load_need(l, 0, "version", what, &version) ||
        !load_text(l, version, "a version (in quotes, such as \"1.0.0\")", &coordinator->version) ||
        !load_need(l, 0, "command", what, &command) ||
        !load_type(l, command, "command", &coordinator->command) ||
        !load_need(l, 0, "completes_with", what, &completes) ||
        !load_type(l, completes, "event", &coordinator->completes_with) ||
        !load_emit_add(l, coordinator->completes_with) || !load_need(l, 0, "key", what, &key) ||
        !load_expr(l, key, LOAD_ITEM, &coordinator->key) ||
        !load_bindings(l, load_key(l, 0, "fragment"), LOAD_ITEM, &coordinator->fragment) ||
        !load_bindings(l, load_key(l, 0, "result"), HERE, &coordinator->result) ||
        !load_bindings(l, load_key(l, 0, "tracker"), LOAD_ITEM, &coordinator->tracker) ||
        !load_need(l, 0, "initial", what, &initial) || !load_need(l, 0, "states", what, &states) ||
        !read_states(l, &machine, states) ||
        !state_index(l, &machine, initial, &coordinator->initial))
        return false;
    if (machine.states[coordinator->initial].final)
        return load_refuse(l, initial, "a coordinator that begins in a final state does nothing");
    if (!check_ways(l, &machine))
        return false;
    coordinator->line = load_line(l, 0);
    coordinator->index = l->coordinators.count;
    return load_add(l, &l->coordinators, coordinator);
}
