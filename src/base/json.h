/*
 * json.h - JSON (RFC 8259) and whatever else reads into the same shape: a tape of nodes with positions; and a writer.
 *
 * Reading: zero-copy. A tape is an array of nodes in document order: an array's items follow it, an object's members follow it as key node,
 * value node, key node, value node. node->next is the index after the whole subtree. Strings point into the source text unless they held
 * escapes; then the unescaped copy lies in the arena. Numbers keep their text; integers that fit int64 are converted. No floating point.
 * Refused, with position: duplicate keys, invalid UTF-8, lone surrogates, NUL in strings, depth over MW_JSON_DEPTH_MAX, anything RFC 8259
 * does not allow. YAML (author/yaml.h) makes the same tape.
 *
 * Writing: appends to a mw_buf; commas are its business. Overflow is the buf's sticky flag.
 */
#ifndef MW_JSON_H
#define MW_JSON_H

#include "base/arena.h"
#include "base/buf.h"

#define MW_JSON_DEPTH_MAX 64
/* Of what is made of parts that may be as deep as that: the record around it, and a dead letter around that, can be read again. */
#define MW_JSON_MADE_DEPTH_MAX 60

enum mw_node_type {
    MW_NODE_NULL,
    MW_NODE_FALSE,
    MW_NODE_TRUE,
    MW_NODE_INTEGER, /* fits int64: `integer` is set */
    MW_NODE_NUMBER,  /* any other number: `text` has it */
    MW_NODE_STRING,
    MW_NODE_ARRAY,
    MW_NODE_OBJECT
};

struct mw_node {
    uint8_t type;    /* enum mw_node_type */
    uint32_t count;  /* items of an array, members of an object */
    uint32_t next;   /* index of the node after this subtree */
    uint32_t line;   /* 1-based; 0 when not known */
    uint32_t column; /* 1-based, in bytes */
    struct mw_str
        text; /* borrowed (source) or arena: string value; number as written; containers: their source text (JSON only) */
    int64_t integer;
};

/* A whole document. Node 0 is the root. */
struct mw_tape {
    const struct mw_node *nodes; /* arena */
    uint32_t count;
};

/* Parses exactly one JSON text. On failure err says "line L, column C: what; what would be right". */
MW_MUST enum mw_rc mw_json_parse(struct mw_arena *arena, struct mw_str text,
                                 struct mw_tape *ret_tape, struct mw_err *err);

/*
 * Where the value that begins at `from` ends, without a tape of it. 0: it is not well-formed, deeper than MW_JSON_DEPTH_MAX, or has a \u
 * escape: ask mw_json_parse. Keys that are there twice are not looked for.
 */
size_t mw_json_skip(struct mw_str text, size_t from);
/* A well-formed text has more containers inside each other than these. */
bool mw_json_is_deeper(struct mw_str text, uint32_t levels);

/* Reading. Every function takes the index of a node; MW_NODE_NONE goes through all of them as "absent". */
#define MW_NODE_NONE UINT32_MAX
enum mw_node_type mw_node_type(const struct mw_tape *tape,
                               uint32_t node); /* absent reads as NULL */
uint32_t mw_node_get_str(const struct mw_tape *tape, uint32_t object, struct mw_str key);
static inline uint32_t mw_node_get(const struct mw_tape *tape, uint32_t object, const char *key)
{
    return mw_node_get_str(tape, object, mw_str_of(key));
}
uint32_t mw_node_at(const struct mw_tape *tape, uint32_t array, uint32_t index);
/* JSON pointer (RFC 6901) such as "/a/0/b"; "" is the node itself. */
uint32_t mw_node_pointer(const struct mw_tape *tape, uint32_t node, struct mw_str pointer);
/* Iterate: for (i = mw_node_first(t, n); i != MW_NODE_NONE; i = mw_node_after(t, n, i)). In an object i is the key's node, the value is i + 1. */
uint32_t mw_node_first(const struct mw_tape *tape, uint32_t container);
uint32_t mw_node_after(const struct mw_tape *tape, uint32_t container, uint32_t child);
uint32_t mw_node_count(const struct mw_tape *tape, uint32_t container);
struct mw_str mw_node_str(const struct mw_tape *tape, uint32_t node); /* empty unless a string */
int64_t mw_node_int(const struct mw_tape *tape, uint32_t node, int64_t otherwise);
bool mw_node_bool(const struct mw_tape *tape, uint32_t node, bool otherwise);
bool mw_node_is_null(const struct mw_tape *tape, uint32_t node); /* absent or null */
struct mw_str mw_node_get_text(const struct mw_tape *tape, uint32_t object,
                               const char *key); /* string member or empty */
bool mw_node_equal(const struct mw_tape *a, uint32_t a_node, const struct mw_tape *b,
                   uint32_t b_node);
/* Numbers as written in JSON, by value and exactly: <0 0 >0. 1, 1.0 and 10e-1 are the same. */
int mw_number_cmp(struct mw_str a, struct mw_str b);
/* The whole part (towards zero); false when it does not fit. *ret_exact (may be NULL): there was nothing behind the point. */
bool mw_number_to_i64(struct mw_str number, int64_t *ret_value, bool *ret_exact);

struct mw_json {
    struct mw_buf *buf; /* borrowed */
    bool comma;         /* the next value wants a comma before it */
};

void mw_json_init(struct mw_json *json, struct mw_buf *buf);
void mw_json_object(struct mw_json *json);     /* { */
void mw_json_object_end(struct mw_json *json); /* } */
void mw_json_array(struct mw_json *json);
void mw_json_array_end(struct mw_json *json);
void mw_json_key(struct mw_json *json, struct mw_str key);
/* The same for `,"key":` as it stands on the wire behind another member, which nobody has to look through again. */
void mw_json_key_written(struct mw_json *json, struct mw_str written);
void mw_json_str(struct mw_json *json,
                 struct mw_str value); /* a value; escapes what must be escaped */
void mw_json_i64(struct mw_json *json, int64_t value);
void mw_json_u64(struct mw_json *json, uint64_t value);
void mw_json_bool(struct mw_json *json, bool value);
void mw_json_null(struct mw_json *json);
void mw_json_raw(struct mw_json *json,
                 struct mw_str json_text); /* verbatim; the caller vouches for it */
void mw_json_node(struct mw_json *json, const struct mw_tape *tape,
                  uint32_t node); /* compact copy; absent writes null */
/* Key and value in one go; here, so that of a key that is a constant nothing is counted when it runs. */
static inline void mw_json_kstr(struct mw_json *json, const char *key, struct mw_str value)
{
    mw_json_key(json, mw_str_of(key));
    mw_json_str(json, value);
}
static inline void mw_json_ki64(struct mw_json *json, const char *key, int64_t value)
{
    mw_json_key(json, mw_str_of(key));
    mw_json_i64(json, value);
}
static inline void mw_json_ku64(struct mw_json *json, const char *key, uint64_t value)
{
    mw_json_key(json, mw_str_of(key));
    mw_json_u64(json, value);
}
static inline void mw_json_kbool(struct mw_json *json, const char *key, bool value)
{
    mw_json_key(json, mw_str_of(key));
    mw_json_bool(json, value);
}
static inline void mw_json_knode(struct mw_json *json, const char *key, const struct mw_tape *tape,
                                 uint32_t node)
{
    mw_json_key(json, mw_str_of(key));
    mw_json_node(json, tape, node);
}
static inline void mw_json_kraw(struct mw_json *json, const char *key, struct mw_str json_text)
{
    mw_json_key(json, mw_str_of(key));
    mw_json_raw(json, json_text);
}
static inline void mw_json_kobject(struct mw_json *json, const char *key)
{
    mw_json_key(json, mw_str_of(key));
    mw_json_object(json);
}
static inline void mw_json_karray(struct mw_json *json, const char *key)
{
    mw_json_key(json, mw_str_of(key));
    mw_json_array(json);
}

#endif
