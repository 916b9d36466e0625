#include "builtin/probe_internal.h"

#include <string.h>

static void check_items(struct probe *p, const struct probe_use_case *use_case, uint32_t owner,
                        const struct mw_tape *tape, uint32_t items);
static void check_pages(struct probe *p, const struct probe_use_case *use_case, uint32_t owner,
                        struct mw_str first_id, struct mw_str second_id, int64_t total);

static bool ask_list(struct probe *p, const struct probe_use_case *use_case, uint32_t owner,
                     const char *query, struct mw_str name, struct probe_answer *ret_answer)
{
    struct probe_ask ask = {.method = "GET",
                            .path = probe_say(p, "%.*s%s", MW_STR_ARG(use_case->path), query),
                            .owner = owner};
    if (!probe_expect(p, name, &ask, 200, ret_answer))
        return false;
    const struct mw_tape *tape = &ret_answer->tape;
    return probe_judge(p,
                       mw_node_type(tape, mw_node_get(tape, 0, "items")) == MW_NODE_ARRAY &&
                           mw_node_type(tape, mw_node_get(tape, 0, "total")) == MW_NODE_INTEGER,
                       name, "{\"items\":[…],\"total\":N}",
                       probe_say(p, "%.*s",
                                 (int)(ret_answer->body.len < 80 ? ret_answer->body.len : 80),
                                 ret_answer->body.ptr));
}

void probe_list(struct probe *p, uint32_t index)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    for (uint32_t owner = 0; owner < (p->auth ? 2u : 1u) && !p->stopped; owner++) {
        struct probe_answer answer;
        struct mw_str name = probe_say(p, "%.*s: answers the list", MW_STR_ARG(use_case->name));
        if (!ask_list(p, use_case, owner, "?limit=1000", name, &answer))
            return;
        uint32_t items = mw_node_get(&answer.tape, 0, "items");
        uint32_t count = mw_node_count(&answer.tape, items);
        int64_t total = mw_node_int(&answer.tape, mw_node_get(&answer.tape, 0, "total"), -1);
        if (total > 1000)
            probe_skip(p, "%.*s: more than 1000 records at once", MW_STR_ARG(use_case->name));
        else
            (void)probe_judge(p, total == (int64_t)count,
                              probe_say(p, "%.*s: total counts the records%s",
                                        MW_STR_ARG(use_case->name), p->when),
                              "as many as there are items", probe_say(p, "%ld", (long)total));
        check_items(p, use_case, owner, &answer.tape, items);
        struct mw_str first =
            mw_node_get_text(&answer.tape, mw_node_at(&answer.tape, items, 0), "id");
        struct mw_str second =
            mw_node_get_text(&answer.tape, mw_node_at(&answer.tape, items, 1), "id");
        /* The answer's bytes go with the next request. */
        first = mw_arena_copy(&p->scratch, first);
        second = mw_arena_copy(&p->scratch, second);
        check_pages(p, use_case, owner, first, second, total);
    }
}

static uint32_t find_record(const struct probe *p, uint32_t from, struct mw_str id)
{
    for (uint32_t step = 0; step < p->record_count; step++) {
        uint32_t i = (from + step) % p->record_count;
        if (mw_str_eq(p->records[i].id, id))
            return i;
    }
    return PROBE_NONE;
}

static void check_items(struct probe *p, const struct probe_use_case *use_case, uint32_t owner,
                        const struct mw_tape *tape, uint32_t items)
{
    struct mw_str list = use_case->name;
    bool *seen = mw_arena_array(&p->scratch, bool, p->record_count + 1);
    uint32_t guess = 0;
    int64_t last_us = INT64_MIN;
    bool ordered = true;
    if (seen == NULL)
        return;
    for (uint32_t i = mw_node_first(tape, items); i != MW_NODE_NONE;
         i = mw_node_after(tape, items, i)) {
        uint32_t record = find_record(p, guess, mw_node_get_text(tape, i, "id"));
        int64_t created_us = last_us;
        if (probe_time_us(mw_node_get_text(tape, i, "createdAt"), &created_us)) {
            ordered = ordered && created_us >= last_us;
            last_us = created_us;
        }
        if (record == PROBE_NONE)
            continue;
        const struct probe_record *kept = &p->records[record];
        guess = record + 1;
        seen[record] = true;
        if (kept->owner != owner || kept->entity != use_case->entity)
            probe_fail(
                p,
                probe_say(p, "%.*s: shows only the caller's records%s", MW_STR_ARG(list), p->when),
                MW_STR("only one's own"), MW_STR("another user's or entity's record"));
        else if (kept->gone)
            probe_fail(
                p,
                probe_say(p, "%.*s: a deleted record is not listed%s", MW_STR_ARG(list), p->when),
                MW_STR("not there"), MW_STR("there"));
        else if (!kept->vague) {
            struct mw_str difference = probe_difference(p, kept->json, NULL, 0, false, tape, i);
            (void)probe_judge(
                p, difference.ptr == NULL,
                probe_say(p, "%.*s: shows records as they are%s", MW_STR_ARG(list), p->when),
                "the record as it was answered", difference);
        }
    }
    (void)probe_judge(p, ordered, probe_say(p, "%.*s: newest last%s", MW_STR_ARG(list), p->when),
                      "createdAt never goes back", MW_STR("it goes back"));
    uint32_t missing = 0;
    for (uint32_t i = 0; i < p->record_count; i++)
        missing += p->records[i].entity == use_case->entity && p->records[i].owner == owner &&
                   !p->records[i].gone && !p->records[i].vague && !seen[i];
    if (mw_node_count(tape, items) < 1000)
        (void)probe_judge(
            p, missing == 0,
            probe_say(p, "%.*s: shows all of the caller's records%s", MW_STR_ARG(list), p->when),
            "every record", probe_say(p, "%u are missing", missing));
}

static void check_pages(struct probe *p, const struct probe_use_case *use_case, uint32_t owner,
                        struct mw_str first_id, struct mw_str second_id, int64_t total)
{
    struct mw_str name =
        probe_say(p, "%.*s: limit and offset choose a page", MW_STR_ARG(use_case->name));
    const struct {
        const char *query;
        int64_t count;
        struct mw_str id; /* of its first; empty: any */
    } pages[] = {
        {"?limit=1", total < 1 ? total : 1, first_id},
        {"?limit=1&offset=1", total < 2 ? 0 : 1, second_id},
        {"", total < 100 ? total : 100, first_id},
        {"?offset=1000000", 0, MW_STR_NONE},
    };
    for (size_t i = 0; i < MW_COUNT(pages); i++) {
        struct probe_answer answer;
        if (!ask_list(p, use_case, owner, pages[i].query, name, &answer))
            return;
        uint32_t items = mw_node_get(&answer.tape, 0, "items");
        struct mw_str id = mw_node_get_text(&answer.tape, mw_node_at(&answer.tape, items, 0), "id");
        int64_t said = mw_node_int(&answer.tape, mw_node_get(&answer.tape, 0, "total"), -1);
        bool right = mw_node_count(&answer.tape, items) == pages[i].count && said == total &&
                     (pages[i].count == 0 || mw_str_eq(id, pages[i].id));
        (void)probe_judge(p, right, name, "the page and the whole total",
                          probe_say(p, "'%s' gives %u items, total %ld", pages[i].query,
                                    mw_node_count(&answer.tape, items), (long)said));
    }
}
