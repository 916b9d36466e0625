#include "loop/workflow/memory.h"

#include <string.h>

enum {
#define MW_LIMIT(name, standard, maximum, why) limit_##name = standard,
#include "loop/workflow/limits.def"
#undef MW_LIMIT
};

static const char *const kind_names[MW_MEMORY_KIND_COUNT] = {"learning", "preference", "meta"};

const char *mw_memory_kind_name(enum mw_memory_kind kind)
{
    MW_ASSERT((unsigned)kind < MW_MEMORY_KIND_COUNT);
    return kind_names[kind];
}

/* MW_MEMORY_KIND_COUNT: no such kind. */
static enum mw_memory_kind kind_by_name(struct mw_str name)
{
    unsigned kind = 0;
    while (kind < MW_MEMORY_KIND_COUNT && !mw_str_is(name, kind_names[kind]))
        kind++;
    return (enum mw_memory_kind)kind;
}

static const struct mw_memory_entry *entry_of(const struct mw_memory *memory, mw_seq id)
{
    for (uint32_t i = 0; i < memory->count; i++)
        if (memory->entries[i].id == id)
            return &memory->entries[i];
    return NULL;
}

/* ---- decide ---- */

static void refuse_limit(struct mw_out *out, const char *pointer, const char *name, unsigned limit)
{
    mw_out_refuse(out, MW_E_LIMIT, pointer,
                  mw_arena_format(out->arena, "limit %s (%u) reached", name, limit));
}

static void decide_add(const struct mw_memory *memory, const struct mw_request *request,
                       struct mw_out *out)
{
    const struct mw_tape *body = request->body;
    struct mw_str text = mw_str_trim(mw_node_get_text(body, request->body_node, "text"));
    uint32_t kind = mw_node_get(body, request->body_node, "kind");
    struct mw_str name = kind == MW_NODE_NONE ? MW_STR("learning") : mw_node_str(body, kind);
    if (text.len == 0) {
        mw_out_refuse(out, MW_E_INPUT, "/text", MW_STR("what is to be remembered is a text"));
        return;
    }
    if (kind_by_name(name) == MW_MEMORY_KIND_COUNT) {
        mw_out_refuse(out, MW_E_INPUT, "/kind", MW_STR("kind is learning, preference or meta"));
        return;
    }
    if (text.len > limit_memory_text_bytes_max) {
        refuse_limit(out, "/text", "memory_text_bytes_max", limit_memory_text_bytes_max);
        return;
    }
    if (memory->count >= limit_memory_entries_max) {
        refuse_limit(out, "", "memory_entries_max", limit_memory_entries_max);
        return;
    }
    if (memory->text_bytes + text.len > limit_memory_bytes_max) {
        refuse_limit(out, "/text", "memory_bytes_max", limit_memory_bytes_max);
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_MEMORY_ADDED);
    event->memory_kind = name;
    event->memory_text = text;
}

static void decide_remove(const struct mw_memory *memory, const struct mw_request *request,
                          struct mw_out *out)
{
    const struct mw_tape *body = request->body;
    uint32_t node = mw_node_get(body, request->body_node, "id");
    struct mw_str text = mw_node_str(body, node);
    uint64_t id = 0;
    /* A number, or a number as a text. */
    if (text.len == 0)
        id = (uint64_t)mw_node_int(body, node, 0);
    else if (!mw_str_to_u64(text, &id))
        id = 0;
    const struct mw_memory_entry *entry = id != 0 ? entry_of(memory, id) : NULL;
    if (entry == NULL) {
        mw_out_refuse(out, MW_E_MISSING, "/id", MW_STR("nothing with that id is remembered"));
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_MEMORY_REMOVED);
    event->memory_id = id;
}

void mw_memory_decide(const struct mw_memory *memory, const struct mw_request *request,
                      struct mw_out *out)
{
    if (request->kind == MW_REQ_ADD_MEMORY)
        decide_add(memory, request, out);
    else
        decide_remove(memory, request, out);
}

/* ---- apply ---- */

static void grow(struct mw_world *world, struct mw_memory *memory)
{
    uint32_t cap = memory->cap > 0 ? memory->cap * 2 : 8;
    struct mw_memory_entry *entries = mw_mem_alloc(&world->mem, cap * sizeof(*entries));
    if (memory->count > 0)
        memcpy(entries, memory->entries, memory->count * sizeof(*entries));
    if (memory->cap > 0)
        mw_mem_free(&world->mem, memory->entries, memory->cap * sizeof(*entries));
    memory->entries = entries;
    memory->cap = cap;
}

static void apply_added(struct mw_world *world, struct mw_memory *memory,
                        const struct mw_event *event)
{
    if (memory->count == memory->cap)
        grow(world, memory);
    char *copy = mw_mem_alloc(&world->mem, event->memory_text.len);
    memcpy(copy, event->memory_text.ptr, event->memory_text.len);
    memory->entries[memory->count++] =
        (struct mw_memory_entry){.id = event->seq,
                                 .text = {copy, event->memory_text.len},
                                 .kind = (uint8_t)kind_by_name(event->memory_kind)};
    memory->text_bytes += event->memory_text.len;
}

static void apply_removed(struct mw_world *world, struct mw_memory *memory,
                          const struct mw_event *event)
{
    uint32_t at = 0;
    while (at < memory->count && memory->entries[at].id != event->memory_id)
        at++;
    MW_ASSERT(at < memory->count); /* the decide looked */
    struct mw_str text = memory->entries[at].text;
    memory->text_bytes -= text.len;
    mw_mem_free(&world->mem, (void *)(uintptr_t)text.ptr, text.len);
    for (memory->count--; at < memory->count; at++)
        memory->entries[at] = memory->entries[at + 1];
}

void mw_memory_apply(struct mw_world *world, struct mw_memory *memory, const struct mw_event *event)
{
    if (event->kind == MW_EVT_MEMORY_ADDED)
        apply_added(world, memory, event);
    else
        apply_removed(world, memory, event);
}

void mw_memory_dump(const struct mw_memory *memory, struct mw_buf *buf)
{
    for (uint32_t i = 0; i < memory->count; i++)
        mw_buf_printf(buf, "memory %lu %s %.*s\n", (unsigned long)memory->entries[i].id,
                      mw_memory_kind_name((enum mw_memory_kind)memory->entries[i].kind),
                      MW_STR_ARG(memory->entries[i].text));
}
