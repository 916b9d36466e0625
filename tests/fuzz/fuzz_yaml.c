/* YAML: whatever is accepted is a sound tape within its limits, has a place on every node, and survives being written as JSON. */
#include <stdlib.h>
#include <string.h>

#include "author/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_SIZE ((size_t)64 << 20)
#define TEXT_MAX 65536

static void check_tape(const struct mw_tape *tape)
{
    MW_ASSERT(tape->count > 0 && tape->count <= MW_YAML_NODES_MAX);
    MW_ASSERT(tape->nodes[0].next == tape->count);
    for (uint32_t i = 0; i < tape->count; i++) {
        const struct mw_node *node = &tape->nodes[i];
        uint32_t count = 0;
        MW_ASSERT(node->line > 0 && node->column > 0);
        MW_ASSERT(node->next > i && node->next <= tape->count);
        for (uint32_t c = mw_node_first(tape, i); c != MW_NODE_NONE; c = mw_node_after(tape, i, c))
            count++;
        MW_ASSERT(count == node->count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *memory;
    static char *output;
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_tape again;
    struct mw_buf buf;
    struct mw_json json;
    if (memory == NULL) {
        memory = aligned_alloc(16, MEMORY_SIZE);
        output = malloc(MEMORY_SIZE);
    }
    if (size > TEXT_MAX)
        return 0;
    mw_arena_init(&arena, memory, MEMORY_SIZE);
    if (mw_yaml_parse(&arena, (struct mw_str){(const char *)data, size}, &tape, NULL) != MW_OK) {
        MW_ASSERT(arena.used_bytes == 0);
        return 0;
    }
    check_tape(&tape);
    mw_buf_init(&buf, output, MEMORY_SIZE);
    mw_json_init(&json, &buf);
    mw_json_node(&json, &tape, 0);
    if (buf.overflowed)
        return 0;
    enum mw_rc rc = mw_json_parse(&arena, mw_buf_str(&buf), &again, NULL);
    MW_ASSERT(rc == MW_OK || (rc == MW_E_LIMIT && arena.exhausted));
    if (rc == MW_OK)
        MW_ASSERT(mw_node_equal(&tape, 0, &again, 0));
    return 0;
}
