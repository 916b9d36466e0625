/* effects.c - the log itself: what is in it, what is durable when, one life after the other. */
#include "recorder.h"

#include <stdlib.h>
#include <string.h>

void *effects_grown(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL)
        abort();
    return memory;
}

struct effect *effects_add(struct effects *log, enum effect_kind kind)
{
    if (log->count == log->cap) {
        log->cap = log->cap == 0 ? 1024 : log->cap * 2;
        log->list = effects_grown(log->list, (size_t)log->cap * sizeof *log->list);
    }
    struct effect *effect = &log->list[log->count++];
    *effect = (struct effect){.kind = kind,
                              .object = NOBODY,
                              .object2 = NOBODY,
                              .folder = NOBODY,
                              .folder2 = NOBODY,
                              .durable_at = NEVER,
                              .other_durable_at = NEVER};
    return effect;
}

int effects_add_object(struct effects *log, enum object_kind kind, const struct stat *info)
{
    if (log->object_count == log->object_cap) {
        log->object_cap = log->object_cap == 0 ? 256 : log->object_cap * 2;
        log->objects = effects_grown(log->objects, (size_t)log->object_cap * sizeof *log->objects);
    }
    log->objects[log->object_count] =
        (struct object){.kind = kind, .mode = info->st_mode & 07777, .inode = info->st_ino};
    return log->object_count++;
}

/* ---- durability ---- */

static bool in_folder(const struct effect *effect)
{
    return effect->kind == EFFECT_NAME || effect->kind == EFFECT_UNNAME ||
           effect->kind == EFFECT_RENAME || effect->kind == EFFECT_EXCHANGE;
}

static void cover(struct effect *effect, const struct effect *sync, int at)
{
    int folder = effect->kind == EFFECT_RENAME ? effect->folder2 : effect->folder;
    if (in_folder(effect)) {
        if (folder == sync->object && effect->durable_at == NEVER)
            effect->durable_at = at;
        if (effect->folder == sync->object && effect->other_durable_at == NEVER)
            effect->other_durable_at = at;
        return;
    }
    bool covers = effect->kind == EFFECT_WRITE || effect->kind == EFFECT_SIZE ||
                  (effect->kind == EFFECT_MODE && !sync->data_only);
    if (covers && effect->object == sync->object && effect->durable_at == NEVER)
        effect->durable_at = at;
}

void effects_settle(struct effects *log)
{
    for (int i = 0; i < log->count; i++)
        if (log->list[i].durable_at >= 0) /* not of what was there before */
            log->list[i].durable_at = log->list[i].other_durable_at = NEVER;
    for (int i = 0; i < log->count; i++)
        if (log->list[i].kind == EFFECT_SYNC)
            for (int before = 0; before < log->list[i].from; before++)
                cover(&log->list[before], &log->list[i], i);
}

static char *copy_of(const char *bytes, size_t size)
{
    char *copy = bytes != NULL ? effects_grown(NULL, size + 1) : NULL;
    if (copy != NULL)
        memcpy(copy, bytes, size);
    return copy;
}

static void add_copy(struct effects *log, const struct effect *effect)
{
    if (log->count == log->cap) {
        log->cap = log->cap == 0 ? 1024 : log->cap * 2;
        log->list = effects_grown(log->list, (size_t)log->cap * sizeof *log->list);
    }
    struct effect *copy = &log->list[log->count++];
    *copy = *effect;
    copy->name = effect->name != NULL ? strdup(effect->name) : NULL;
    copy->name2 = effect->name2 != NULL ? strdup(effect->name2) : NULL;
    copy->data = copy_of(effect->data, effect->size);
}

static int mapped(const int *map, int object)
{
    return object == NOBODY ? NOBODY : map[object];
}

void effects_join(const struct effects *first, int prefix, const struct effects *then,
                  const int *objects, struct effects *ret_log)
{
    struct effects log = {0};
    int *map = effects_grown(NULL, (size_t)then->object_count * sizeof *map);
    log.object_cap = first->object_count + then->object_count;
    log.objects = effects_grown(NULL, (size_t)log.object_cap * sizeof *log.objects);
    for (int i = 0; i < first->object_count; i++) {
        log.objects[i] = first->objects[i];
        log.objects[i].data = copy_of(first->objects[i].data, first->objects[i].size);
    }
    log.object_count = first->object_count;
    for (int i = 0; i < then->object_count; i++) {
        map[i] = objects[i];
        if (map[i] != NOBODY) {
            log.objects[map[i]].inode_later = then->objects[i].inode;
            continue;
        }
        map[i] = log.object_count++;
        log.objects[map[i]] = then->objects[i];
        log.objects[map[i]].data = copy_of(then->objects[i].data, then->objects[i].size);
    }
    for (int i = 0; i < prefix; i++)
        add_copy(&log, &first->list[i]);
    int before = 0;
    while (before < then->count && then->list[before].durable_at < 0)
        before++;
    for (int i = before; i < then->count; i++) {
        struct effect effect = then->list[i];
        effect.object = mapped(map, effect.object);
        effect.object2 = mapped(map, effect.object2);
        effect.folder = mapped(map, effect.folder);
        effect.folder2 = mapped(map, effect.folder2);
        effect.from += prefix - before;
        add_copy(&log, &effect);
    }
    free(map);
    effects_settle(&log);
    *ret_log = log;
}

void effects_free(struct effects *log)
{
    for (int i = 0; i < log->count; i++) {
        free(log->list[i].name);
        free(log->list[i].name2);
        free(log->list[i].data);
    }
    for (int i = 0; i < log->object_count; i++)
        free(log->objects[i].data);
    free(log->list);
    free(log->objects);
    *log = (struct effects){0};
}
