#include "builtin/probe_internal.h"

#include "posix/heap.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES_MAX 1024u /* it stands in addresses; what is longer is no record to go on with */

static bool scalar_equal(const struct mw_node *a, const struct mw_node *b);
static struct mw_str check_own_keys(struct probe *p, struct mw_str before,
                                    const struct mw_tape *old, bool may_touch,
                                    const struct mw_tape *tape, uint32_t node);
static struct mw_str shown(struct probe *p, const struct mw_tape *tape, uint32_t node);

bool probe_json_equal(const struct mw_tape *a, uint32_t a_node, const struct mw_tape *b,
                      uint32_t b_node)
{
    const struct mw_node *left = &a->nodes[a_node];
    const struct mw_node *right = &b->nodes[b_node];
    bool a_number = left->type == MW_NODE_INTEGER || left->type == MW_NODE_NUMBER;
    bool b_number = right->type == MW_NODE_INTEGER || right->type == MW_NODE_NUMBER;
    if (a_number && b_number) /* 1e3 and 1000 are one value */
        return scalar_equal(left, right);
    if (left->type != right->type || left->count != right->count)
        return false;
    if (left->type == MW_NODE_STRING)
        return mw_str_eq(left->text, right->text);
    if (left->type == MW_NODE_ARRAY) {
        uint32_t j = mw_node_first(b, b_node);
        for (uint32_t i = mw_node_first(a, a_node); i != MW_NODE_NONE;
             i = mw_node_after(a, a_node, i), j = mw_node_after(b, b_node, j))
            if (!probe_json_equal(a, i, b, j))
                return false;
    }
    if (left->type == MW_NODE_OBJECT) {
        for (uint32_t i = mw_node_first(a, a_node); i != MW_NODE_NONE;
             i = mw_node_after(a, a_node, i)) {
            uint32_t other = mw_node_get_str(b, b_node, a->nodes[i].text);
            if (other == MW_NODE_NONE || !probe_json_equal(a, i + 1, b, other))
                return false;
        }
    }
    return true;
}

static bool scalar_equal(const struct mw_node *a, const struct mw_node *b)
{
    char left[512];
    char right[512];
    if (a->type == MW_NODE_INTEGER && b->type == MW_NODE_INTEGER)
        return a->integer == b->integer;
    if (a->text.len >= sizeof left || b->text.len >= sizeof right)
        return false;
    memcpy(left, a->text.ptr, a->text.len);
    left[a->text.len] = '\0';
    memcpy(right, b->text.ptr, b->text.len);
    right[b->text.len] = '\0';
    double x = strtod(left, NULL);
    double y = strtod(right, NULL);
    return !(x < y) && !(x > y);
}

static const struct probe_change *find_change(const struct probe_change *changes, uint32_t count,
                                              struct mw_str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (mw_str_eq(changes[i].name, name))
            return &changes[i];
    return NULL;
}

static bool is_own_key(struct mw_str name)
{
    return mw_str_is(name, "id") || mw_str_is(name, "createdAt") || mw_str_is(name, "updatedAt");
}

struct mw_str probe_difference(struct probe *p, struct mw_str before,
                               const struct probe_change *changes, uint32_t change_count,
                               bool may_touch, const struct mw_tape *tape, uint32_t node)
{
    struct mw_tape old = {0};
    struct mw_tape want;
    if (node == MW_NODE_NONE || tape->count == 0 || mw_node_type(tape, node) != MW_NODE_OBJECT)
        return MW_STR("the answer is no JSON object");
    if (before.len > 0 && mw_json_parse(&p->scratch, before, &old, NULL) != MW_OK)
        return MW_STR("the record before could not be read");
    struct mw_str wrong = check_own_keys(p, before, &old, may_touch, tape, node);
    if (wrong.ptr != NULL)
        return wrong;
    for (uint32_t i = mw_node_first(tape, node); i != MW_NODE_NONE;
         i = mw_node_after(tape, node, i)) {
        struct mw_str name = tape->nodes[i].text;
        const struct probe_change *change = find_change(changes, change_count, name);
        uint32_t was = old.count > 0 ? mw_node_get_str(&old, 0, name) : MW_NODE_NONE;
        if (is_own_key(name))
            continue;
        if (change != NULL && change->json.ptr == NULL)
            return probe_say(p, "%.*s should be absent and is %.*s", MW_STR_ARG(name),
                             MW_STR_ARG(shown(p, tape, i + 1)));
        if (change == NULL && was == MW_NODE_NONE)
            return probe_say(p, "%.*s appeared: %.*s", MW_STR_ARG(name),
                             MW_STR_ARG(shown(p, tape, i + 1)));
        const struct mw_tape *wanted = &old;
        if (change != NULL) {
            if (mw_json_parse(&p->scratch, change->json, &want, NULL) != MW_OK)
                return MW_STR("the wanted value could not be read");
            wanted = &want;
            was = 0;
        }
        if (!probe_json_equal(wanted, was, tape, i + 1))
            return probe_say(p, "%.*s is %.*s, not %.*s", MW_STR_ARG(name),
                             MW_STR_ARG(shown(p, tape, i + 1)), MW_STR_ARG(shown(p, wanted, was)));
    }
    for (uint32_t i = 0; i < change_count; i++)
        if (changes[i].json.ptr != NULL &&
            mw_node_get_str(tape, node, changes[i].name) == MW_NODE_NONE)
            return probe_say(p, "%.*s is missing", MW_STR_ARG(changes[i].name));
    for (uint32_t i = old.count > 0 ? mw_node_first(&old, 0) : MW_NODE_NONE; i != MW_NODE_NONE;
         i = mw_node_after(&old, 0, i))
        if (find_change(changes, change_count, old.nodes[i].text) == NULL &&
            mw_node_get_str(tape, node, old.nodes[i].text) == MW_NODE_NONE)
            return probe_say(p, "%.*s vanished", MW_STR_ARG(old.nodes[i].text));
    return MW_STR_NONE;
}

/* id, createdAt and updatedAt. */
static struct mw_str check_own_keys(struct probe *p, struct mw_str before,
                                    const struct mw_tape *old, bool may_touch,
                                    const struct mw_tape *tape, uint32_t node)
{
    struct mw_str id = mw_node_get_text(tape, node, "id");
    struct mw_str created = mw_node_get_text(tape, node, "createdAt");
    struct mw_str updated = mw_node_get_text(tape, node, "updatedAt");
    int64_t created_us;
    int64_t updated_us;
    int64_t was_us = 0;
    if (!probe_is_uuid(id))
        return probe_say(p, "id '%.*s' is no UUID", MW_STR_ARG(id));
    if (!probe_time_us(created, &created_us))
        return probe_say(p, "createdAt '%.*s' is no RFC 3339 UTC time", MW_STR_ARG(created));
    if (!probe_time_us(updated, &updated_us))
        return probe_say(p, "updatedAt '%.*s' is no RFC 3339 UTC time", MW_STR_ARG(updated));
    if (before.len == 0)
        return MW_STR_NONE;
    if (!mw_str_eq(id, mw_node_get_text(old, 0, "id")))
        return probe_say(p, "id changed to '%.*s'", MW_STR_ARG(id));
    if (!mw_str_eq(created, mw_node_get_text(old, 0, "createdAt")))
        return probe_say(p, "createdAt changed to '%.*s'", MW_STR_ARG(created));
    struct mw_str was = mw_node_get_text(old, 0, "updatedAt");
    (void)probe_time_us(was, &was_us); /* it was a time when it was kept */
    if (!may_touch && updated_us != was_us)
        return probe_say(p, "updatedAt changed from '%.*s' to '%.*s'", MW_STR_ARG(was),
                         MW_STR_ARG(updated));
    if (updated_us < was_us)
        return probe_say(p, "updatedAt went back from '%.*s' to '%.*s'", MW_STR_ARG(was),
                         MW_STR_ARG(updated));
    return MW_STR_NONE;
}

static struct mw_str shown(struct probe *p, const struct mw_tape *tape, uint32_t node)
{
    struct mw_str json = probe_node_json(&p->scratch, tape, node);
    if (json.len <= 60)
        return json;
    size_t cut = 60; /* between characters */
    while (cut > 0 && ((unsigned char)json.ptr[cut] & 0xc0) == 0x80)
        cut--;
    return probe_say(p, "%.*s… (%zu bytes)", (int)cut, json.ptr, json.len);
}

static bool digits(struct mw_str text, size_t from, size_t count, int64_t *ret_value)
{
    int64_t value = 0;
    if (from + count > text.len)
        return false;
    for (size_t i = from; i < from + count; i++) {
        if (!isdigit((unsigned char)text.ptr[i]))
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *ret_value = value;
    return true;
}

bool probe_time_us(struct mw_str text, int64_t *ret_us)
{
    int64_t year, month, day, hour, minute, second, micros = 0;
    if (!digits(text, 0, 4, &year) || !digits(text, 5, 2, &month) || !digits(text, 8, 2, &day) ||
        !digits(text, 11, 2, &hour) || !digits(text, 14, 2, &minute) ||
        !digits(text, 17, 2, &second) || text.ptr[4] != '-' || text.ptr[7] != '-' ||
        (text.ptr[10] != 'T' && text.ptr[10] != 't') || text.ptr[13] != ':' || text.ptr[16] != ':')
        return false;
    size_t at = 19;
    if (at < text.len && text.ptr[at] == '.') {
        int64_t unit = 100000;
        size_t first = ++at;
        for (; at < text.len && isdigit((unsigned char)text.ptr[at]); at++, unit /= 10)
            micros += (text.ptr[at] - '0') * unit;
        if (at == first)
            return false;
    }
    struct mw_str zone = mw_str_sub(text, at, text.len);
    if (!mw_str_is(zone, "Z") && !mw_str_is(zone, "+00:00"))
        return false;
    /* Days of the civil calendar, counted from March. */
    int64_t y = year - (month <= 2);
    int64_t era_year = y % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days =
        y / 400 * 146097 + era_year * 365 + era_year / 4 - era_year / 100 + day_of_year - 719468;
    *ret_us = ((days * 24 + hour) * 60 + minute) * 60000000 + second * 1000000 + micros;
    return month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour < 24 && minute < 60;
}

bool probe_is_uuid(struct mw_str text)
{
    if (text.len != 36)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.ptr[i] != '-' : !isxdigit((unsigned char)text.ptr[i]))
            return false;
    }
    return true;
}

uint32_t probe_record_add(struct probe *p, uint32_t entity, uint32_t owner,
                          const struct mw_tape *tape, uint32_t node, bool vague)
{
    struct mw_str id = node == MW_NODE_NONE ? MW_STR_NONE : mw_node_get_text(tape, node, "id");
    if (id.len == 0 || id.len > ID_BYTES_MAX || p->record_count == PROBE_RECORDS_MAX)
        return PROBE_NONE;
    p->records[p->record_count] = (struct probe_record){.entity = entity,
                                                        .owner = owner,
                                                        .id = mw_arena_copy(&p->keep, id),
                                                        .last = PROBE_NONE,
                                                        .vague = vague};
    probe_record_update(p, p->record_count, tape, node);
    return p->record_count++;
}

void probe_record_update(struct probe *p, uint32_t record, const struct mw_tape *tape,
                         uint32_t node)
{
    struct probe_record *kept = &p->records[record];
    struct mw_str json = tape->nodes[node].text; /* a container's text is its source */
    mw_heap_free((void *)(uintptr_t)kept->json.ptr);
    kept->json = (struct mw_str){mw_heap_copy(json), json.len};
    kept->changed_ns = mw_now_monotonic_ns();
}
