/* load_group.c - groups, their members and plans. A member with `route:` becomes one member for each place the rules lead to. */
#include "defs/load.h"

#define GROUP_KEYS "id strategy sequential scope keep members"
#define MEMBER_KEYS "id for_each when rule field route after task coordinator group"

/* A member as it is written: which of the made members stand for it. */
struct written {
    struct mw_str id;
    uint32_t node;
    uint32_t after; /* written index or UINT32_MAX */
    uint32_t first; /* made index */
    uint32_t count;
    const struct mw_rules *rules; /* NULL: no route */
};

struct members {
    struct written *written;
    uint32_t written_count;
    struct mw_member_def *made;
    uint32_t made_count;
};

/* Places that the rules lead to, each once; the written order. */
static uint32_t routes_of(const struct mw_rules *rules, struct mw_str routes[MW_RULES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rules->count; i++) {
        bool known = rules->items[i].route.len == 0;
        for (uint32_t j = 0; j < count && !known; j++)
            known = mw_str_eq(routes[j], rules->items[i].route);
        if (!known)
            routes[count++] = rules->items[i].route;
    }
    return count;
}

static bool read_route(struct loader *l, struct written *written)
{
    uint32_t route = load_key(l, written->node, "route");
    uint32_t index;
    struct mw_str routes[MW_RULES_MAX];
    written->count = 1;
    if (route == MW_NODE_NONE)
        return true;
    if (!load_name_index(l, LOAD_RULES, route, &index))
        return false;
    if (load_key(l, written->node, "when") != MW_NODE_NONE)
        return load_refuse(l, route, "a member has 'route:' or 'when:', not both");
    if (load_key(l, written->node, "task") == MW_NODE_NONE)
        return load_refuse(l, route, "'route:' gives a task its skill; this member has no 'task:'");
    written->rules = l->rules.items[index];
    written->count = routes_of(written->rules, routes);
    if (written->count == 0)
        return load_refuse(l, route, "the rules '%.*s' lead nowhere: each of them skips",
                           MW_STR_ARG(written->rules->name));
    return true;
}

static bool read_ids(struct loader *l, uint32_t list, struct members *members)
{
    uint32_t node = mw_node_first(l->tape, list);
    for (uint32_t i = 0; i < members->written_count; i++) {
        struct written *written = &members->written[i];
        uint32_t id;
        if (!load_keys(l, node, MEMBER_KEYS, "a member") ||
            !load_need(l, node, "id", "a member", &id) ||
            !load_word(l, id, "a member's id", &written->id))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (mw_str_eq(members->written[j].id, written->id))
                return load_refuse(l, id, "the member '%.*s' is there already, at line %u",
                                   MW_STR_ARG(written->id), load_line(l, members->written[j].node));
        written->node = node;
        written->first = members->made_count;
        if (!read_route(l, written))
            return false;
        members->made_count += written->count;
        node = mw_node_after(l->tape, list, node);
    }
    return true;
}

static bool read_after(struct loader *l, struct members *members, bool sequential)
{
    for (uint32_t i = 0; i < members->written_count; i++) {
        struct written *written = &members->written[i];
        uint32_t after = load_key(l, written->node, "after");
        struct mw_str id;
        written->after = UINT32_MAX;
        if (after == MW_NODE_NONE)
            continue;
        if (sequential)
            return load_refuse(l, after,
                               "a sequential group has its order already; leave 'after:' out");
        if (!load_word(l, after, "after", &id))
            return false;
        for (uint32_t j = 0; j < members->written_count; j++)
            if (mw_str_eq(members->written[j].id, id))
                written->after = j;
        if (written->after == UINT32_MAX)
            return load_refuse(l, after, "this group has no member '%.*s' to wait for",
                               MW_STR_ARG(id));
    }
    for (uint32_t i = 0; i < members->written_count; i++) {
        uint32_t at = members->written[i].after;
        for (uint32_t steps = 0; at != UINT32_MAX && steps <= members->written_count; steps++) {
            if (at == i)
                return load_refuse(l, load_key(l, members->written[i].node, "after"),
                                   "'%.*s' waits for itself: the members' 'after:' go in a circle",
                                   MW_STR_ARG(members->written[i].id));
            at = members->written[at].after;
        }
    }
    return true;
}

static bool is_field(struct mw_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return text.len > 0;
}

/* "design.services" becomes the root design and the pointer /services; metadata is the blueprint's. */
static bool read_for_each(struct loader *l, uint32_t node, unsigned roots,
                          struct mw_member_def *member)
{
    struct mw_str text;
    if (!load_text(l, node, "for_each", &text))
        return false;
    size_t dot = mw_str_find(text, '.', 0);
    struct mw_str root = mw_str_sub(text, 0, dot < text.len ? dot : text.len);
    bool metadata = mw_str_is(root, "metadata") && load_is_document(l, MW_STR("blueprint"));
    if (!(metadata || load_is_document(l, root) || mw_str_is(root, "intent") ||
          (mw_str_is(root, "item") && (roots & LOAD_ITEM) != 0)))
        return load_refuse(
            l, node,
            "'for_each' begins with a document's name, metadata, intent or item, not "
            "'%.*s'",
            MW_STR_ARG(root));
    struct mw_str pointer = metadata ? MW_STR("/metadata") : MW_STR("");
    while (dot < text.len) {
        size_t end = mw_str_find(text, '.', dot + 1);
        end = end < text.len ? end : text.len;
        struct mw_str part = mw_str_sub(text, dot + 1, end - dot - 1);
        if (!is_field(part))
            return load_refuse(l, node, "'for_each' is a path of names such as design.services");
        pointer = mw_arena_format(l->arena, "%.*s/%.*s", MW_STR_ARG(pointer), MW_STR_ARG(part));
        if (pointer.ptr == NULL)
            return load_memory(l);
        dot = end;
    }
    member->for_each_root = metadata ? MW_STR("blueprint") : root;
    member->for_each_pointer = pointer;
    return true;
}

/* What is to be done: exactly one of task, coordinator and group. */
static bool read_work(struct loader *l, uint32_t node, unsigned roots, struct mw_str route,
                      struct mw_member_def *member)
{
    uint32_t task = load_key(l, node, "task");
    uint32_t coordinator = load_key(l, node, "coordinator");
    uint32_t group = load_key(l, node, "group");
    if ((task != MW_NODE_NONE) + (coordinator != MW_NODE_NONE) + (group != MW_NODE_NONE) != 1)
        return load_refuse(l, node,
                           "a member has exactly one of 'task:', 'coordinator:' and 'group:'");
    member->kind = task != MW_NODE_NONE          ? MW_MEMBER_TASK
                   : coordinator != MW_NODE_NONE ? MW_MEMBER_COORDINATOR
                                                 : MW_MEMBER_GROUP;
    switch (member->kind) {
    case MW_MEMBER_TASK:
        return load_task(l, task, roots, route, &member->task);
    case MW_MEMBER_COORDINATOR:
        return load_name_index(l, LOAD_COORDINATOR, coordinator, &member->coordinator);
    case MW_MEMBER_GROUP:
        return load_group(l, group, roots, &member->group);
    }
    return false;
}

/* One of the members that stand for a written one with rules: there when the rules lead to `route`. */
static bool read_routed(struct loader *l, const struct written *written, unsigned roots,
                        struct mw_str route, struct mw_member_def *member)
{
    const struct mw_node *at = &l->tape->nodes[load_key(l, written->node, "route")];
    struct mw_str text = mw_rules_route_condition(l->arena, written->rules, route);
    if (text.ptr == NULL)
        return load_memory(l);
    for (uint32_t i = 0; i < written->rules->count && member->rule.len == 0; i++)
        if (mw_str_eq(written->rules->items[i].route, route)) {
            member->rule = written->rules->items[i].id;
            member->rule_field = written->rules->items[i].field;
        }
    if (member->rule_field == NULL) /* the else looks at what the others did */
        member->rule_field = written->rules->items[0].field;
    return load_expr_text(l, text, at->line, at->column, roots, &member->when);
}

static bool read_member(struct loader *l, const struct members *members,
                        const struct written *written, unsigned roots)
{
    uint32_t for_each = load_key(l, written->node, "for_each");
    struct mw_str routes[MW_RULES_MAX] = {MW_STR_NONE};
    if (written->rules != NULL)
        (void)routes_of(written->rules, routes); /* the count is known */
    unsigned inside = roots;
    if (for_each != MW_NODE_NONE)
        inside = (roots & ~LOAD_OUTER) | LOAD_ITEM | ((roots & LOAD_ITEM) != 0 ? LOAD_OUTER : 0u);
    for (uint32_t i = 0; i < written->count; i++) {
        struct mw_member_def *member = &members->made[written->first + i];
        member->id = written->id;
        if (written->count > 1)
            member->id = mw_arena_format(l->arena, "%.*s/%.*s", MW_STR_ARG(written->id),
                                         MW_STR_ARG(routes[i]));
        /* At most one of those that stand for a written member runs, so a chain of them waits for no more than that one does. */
        member->after = UINT32_MAX;
        if (i > 0)
            member->after = written->first + i - 1;
        else if (written->after != UINT32_MAX)
            member->after =
                members->written[written->after].first + members->written[written->after].count - 1;
        if (for_each != MW_NODE_NONE && !read_for_each(l, for_each, roots, member))
            return false;
        /* Whether there are any is asked once, before the list is gone through. */
        if (written->rules != NULL ? !read_routed(l, written, roots, routes[i], member)
                                   : !load_rule(l, written->node, roots, written->id, &member->when,
                                                &member->rule, &member->rule_field))
            return false;
        if (!read_work(l, written->node, inside, routes[i], member))
            return false;
    }
    return true;
}

static bool read_members(struct loader *l, uint32_t list, unsigned roots,
                         struct mw_group_def *group)
{
    struct members members = {.written_count = mw_node_count(l->tape, list)};
    if (mw_node_type(l->tape, list) != MW_NODE_ARRAY || members.written_count == 0)
        return load_refuse(l, list, "'members' is a list with at least one member");
    if (members.written_count > MW_MEMBERS_MAX)
        return load_refuse(l, list, "more than %d members", MW_MEMBERS_MAX);
    members.written = load_array(l, struct written, members.written_count);
    if (members.written == NULL || !read_ids(l, list, &members) ||
        !read_after(l, &members, group->sequential))
        return false;
    if (members.made_count > MW_MEMBERS_MAX)
        return load_refuse(l, list,
                           "more than %d members, one for each place that a route leads to",
                           MW_MEMBERS_MAX);
    members.made = load_array(l, struct mw_member_def, members.made_count);
    if (members.made == NULL)
        return false;
    for (uint32_t i = 0; i < members.written_count; i++)
        if (!read_member(l, &members, &members.written[i], roots))
            return false;
    group->members = members.made;
    group->member_count = members.made_count;
    return true;
}

static bool read_strategy(struct loader *l, uint32_t node, struct mw_group_def *group)
{
    int64_t needed;
    group->strategy = MW_JOIN_ALL;
    if (node == MW_NODE_NONE)
        return true;
    if (mw_node_type(l->tape, node) == MW_NODE_OBJECT) {
        if (!load_keys(l, node, "n", "a strategy") ||
            !load_number(l, node, "n", 1, UINT32_MAX, 0, &needed))
            return false;
        if (needed == 0)
            return load_refuse(l, node, "a strategy is wait-all, wait-any or {n: 2}");
        group->strategy = MW_JOIN_N_OF_M;
        group->needed = (uint32_t)needed;
        return true;
    }
    struct mw_str text = mw_node_str(l->tape, node);
    if (mw_str_is(text, "wait-any"))
        group->strategy = MW_JOIN_ANY;
    else if (!mw_str_is(text, "wait-all"))
        return load_refuse(l, node, "a strategy is wait-all, wait-any or {n: 2}");
    return true;
}

/* With a list to go through, how many there will be is not known before. */
static bool check_needed(struct loader *l, uint32_t node, const struct mw_group_def *group)
{
    for (uint32_t i = 0; i < group->member_count; i++)
        if (group->members[i].for_each_root.len > 0)
            return true;
    if (group->strategy == MW_JOIN_N_OF_M && group->needed > group->member_count)
        return load_refuse(l, node, "the group needs %u of its members and has %u", group->needed,
                           group->member_count);
    return true;
}

static bool read_group(struct loader *l, uint32_t node, struct mw_str id, unsigned roots,
                       struct mw_group_def *group)
{
    uint32_t strategy = load_key(l, node, "strategy");
    uint32_t members;
    if (l->depth >= MW_GROUP_DEPTH_MAX)
        return load_refuse(l, node, "more than %d groups inside each other", MW_GROUP_DEPTH_MAX);
    group->id = id;
    group->line = load_line(l, node);
    group->index = l->groups.count;
    l->depth++;
    roots &= ~LOAD_EVENT; /* its members start on their own, not by a fact */
    if (!load_add(l, &l->groups, group) || !read_strategy(l, strategy, group) ||
        !load_bool(l, node, "keep", false, &group->keeps_late) ||
        !load_bool(l, node, "sequential", false, &group->sequential) ||
        !load_bool(l, node, "scope", false, &group->opens_scope) ||
        !load_need(l, node, "members", "a group", &members) ||
        !read_members(l, members, roots, group) || !check_needed(l, strategy, group))
        return false;
    l->depth--;
    if (group->keeps_late && group->strategy == MW_JOIN_ALL)
        return load_refuse(l, load_key(l, node, "keep"),
                           "'keep' is for wait-any and {n: …}: with wait-all nobody is late");
    return true;
}

bool load_group(struct loader *l, uint32_t node, unsigned roots,
                const struct mw_group_def **ret_group)
{
    uint32_t id_node;
    struct mw_str id;
    struct mw_group_def *group = load_array(l, struct mw_group_def, 1);
    if (group == NULL || !load_keys(l, node, GROUP_KEYS, "a group") ||
        !load_need(l, node, "id", "a group", &id_node) ||
        !load_word(l, id_node, "a group's id", &id) || !read_group(l, node, id, roots, group))
        return false;
    *ret_group = group;
    return true;
}

bool load_plan(struct loader *l)
{
    uint32_t id_node;
    struct mw_str id;
    struct mw_group_def *group = load_array(l, struct mw_group_def, 1);
    return group != NULL &&
           load_keys(l, 0, "plan group strategy sequential scope keep members", "a plan") &&
           load_need(l, 0, "group", "a plan", &id_node) &&
           load_word(l, id_node, "the plan's group", &id) &&
           read_group(l, 0, id, LOAD_FACTS, group) && load_add(l, &l->plans, group);
}
