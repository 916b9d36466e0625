#include "builtin/blueprint_keys.h"

#include <string.h>

static struct mw_str squeezed(const struct mw_import *imp, struct mw_str key)
{
    char *out = mw_arena_array(imp->inf->arena, char, key.len + 1);
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < key.len; i++) {
        char c = key.ptr[i];
        if (c != '_' && c != '-')
            out[len++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return (struct mw_str){out, len};
}

struct mw_str mw_keys_at(const struct mw_import *imp, struct mw_str at, struct mw_str key)
{
    struct mw_str shown = mw_name_clip(key, 80);
    while (shown.len > 0 && shown.len < key.len && ((uint8_t)key.ptr[shown.len] & 0xC0) == 0x80)
        shown.len--;
    struct mw_str escaped = shown;
    for (size_t i = 0; i < escaped.len; i++)
        if (escaped.ptr[i] == '~' || escaped.ptr[i] == '/') {
            escaped = mw_arena_format(imp->inf->arena, "%.*s%s%.*s", (int)i, escaped.ptr,
                                      escaped.ptr[i] == '~' ? "~0" : "~1",
                                      (int)(escaped.len - i - 1), escaped.ptr + i + 1);
            i++;
        }
    return mw_arena_format(imp->inf->arena, "%.*s/%.*s", MW_STR_ARG(at), MW_STR_ARG(escaped));
}

struct mw_str mw_keys_index(const struct mw_import *imp, struct mw_str at, uint32_t index)
{
    return mw_arena_format(imp->inf->arena, "%.*s/%u", MW_STR_ARG(at), index);
}

bool mw_keys_absent(const struct mw_import *imp, uint32_t node)
{
    return mw_node_is_null(imp->tape, node);
}

static struct mw_str found(const struct mw_import *imp, uint32_t node)
{
    static const char *const names[] = {"null",       "false",    "true",   "the number",
                                        "the number", "the text", "a list", "an object"};
    enum mw_node_type type = mw_node_type(imp->tape, node);
    if (node == MW_NODE_NONE)
        return MW_STR("nothing");
    if (type == MW_NODE_STRING || type == MW_NODE_INTEGER || type == MW_NODE_NUMBER)
        return mw_arena_format(imp->inf->arena, "%s '%.*s'", names[type],
                               MW_STR_ARG(mw_name_clip(imp->tape->nodes[node].text, 80)));
    return mw_str_of(names[type]);
}

enum mw_rc mw_keys_wrong(const struct mw_import *imp, uint32_t node, struct mw_str at,
                         const char *right)
{
    struct mw_str what = found(imp, node);
    return MW_FAIL(imp->err, MW_E_INPUT, "%.*s: found %.*s; %s",
                   MW_STR_ARG(at.len > 0 ? at : MW_STR("/")), MW_STR_ARG(what), right);
}

enum mw_rc mw_keys_text(const struct mw_import *imp, uint32_t node, struct mw_str at,
                        const char *right, struct mw_str *ret_text)
{
    struct mw_str text = mw_str_trim(mw_node_str(imp->tape, node));
    if (mw_node_type(imp->tape, node) != MW_NODE_STRING || text.len == 0)
        return mw_keys_wrong(imp, node, at, right);
    *ret_text = text;
    return MW_OK;
}

static enum mw_rc unknown_key(const struct mw_import *imp, struct mw_str at, struct mw_str key,
                              const struct mw_key *keys, uint32_t count)
{
    struct mw_str list = MW_STR_NONE, where = mw_keys_at(imp, at, key);
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].slot != last)
            list = mw_arena_format(imp->inf->arena, "%.*s%s%s", MW_STR_ARG(list),
                                   i == 0 ? "" : ", ", keys[i].spelling);
        last = keys[i].slot;
    }
    return MW_FAIL(imp->err, MW_E_INPUT, "%.*s: found a key that nobody knows; known are %.*s",
                   MW_STR_ARG(where), MW_STR_ARG(list));
}

enum mw_rc mw_keys_read(const struct mw_import *imp, uint32_t object, struct mw_str at,
                        const struct mw_key *keys, uint32_t key_count, uint32_t *slots,
                        uint32_t slot_count)
{
    const struct mw_tape *t = imp->tape;
    for (uint32_t i = 0; i < slot_count; i++)
        slots[i] = MW_NODE_NONE;
    if (mw_node_type(t, object) != MW_NODE_OBJECT)
        return mw_keys_wrong(imp, object, at, "an object is needed");
    for (uint32_t i = mw_node_first(t, object); i != MW_NODE_NONE;
         i = mw_node_after(t, object, i)) {
        struct mw_str key = mw_node_str(t, i), plain = squeezed(imp, key);
        uint32_t slot = UINT32_MAX;
        for (uint32_t k = 0; k < key_count; k++)
            if (mw_str_is(plain, keys[k].spelling))
                slot = keys[k].slot;
        if (slot == UINT32_MAX)
            return unknown_key(imp, at, key, keys, key_count);
        MW_ASSERT(slot < slot_count);
        if (slots[slot] != MW_NODE_NONE) {
            struct mw_str where = mw_keys_at(imp, at, key), other = mw_node_str(t, slots[slot] - 1);
            return MW_FAIL(imp->err, MW_E_INPUT,
                           "%.*s: found beside '%.*s', which says the same; keep one",
                           MW_STR_ARG(where), MW_STR_ARG(other));
        }
        slots[slot] = i + 1;
    }
    return MW_OK;
}
