/*
 * view_story.h - a small teller of journals for the tests of views: records made from structs, in the order in which the core says them.
 *
 * TELL(story, KIND, .field = …) appends one record and gives its number; what scenes are made of is in view_scenes.h.
 * Time is a count: one second a record. Bodies are kept by their hash.
 */
#ifndef VIEW_STORY_H
#define VIEW_STORY_H

#include "defs/catalogue.h"
#include "posix/file.h"
#include "posix/heap.h"
#include "view/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STORY_RECORDS_MAX 4096
#define STORY_BLOBS_MAX 512

struct story {
    struct mw_buf lines;
    size_t starts[STORY_RECORDS_MAX + 1];
    uint32_t count;
    struct {
        char sha256[MW_SHA256_HEX];
        char *text;
    } blobs[STORY_BLOBS_MAX];
    uint32_t blob_count;
    struct mw_arena arena;
    /* of the trace that is told about */
    mw_seq trace, journey, run;
    struct mw_str trace_id, session_id, blueprint_id, build_id;
    uint32_t builds;
    uint64_t versions;
    bool ends_with_result; /* else, as 0.1.0 wrote it, a task's end has a record of its own */
};

#define TELL(story, KIND, ...)                                                                     \
    story_tell((story), &(struct mw_event){.kind = MW_EVT_##KIND, __VA_ARGS__})
/* Of the trace; of an item of it that is its own scope; of its build. */
#define TELL_TRACE(story, KIND, ...) TELL(story, KIND, .trace = (story)->trace, __VA_ARGS__)
#define TELL_ITEM(story, KIND, which, ...)                                                         \
    TELL_TRACE(story, KIND, .item = (which), .scope_item = (which), __VA_ARGS__)
#define TELL_BUILD(story, KIND, ...)                                                               \
    TELL_ITEM(story, KIND, (story)->journey, .build_id = (story)->build_id, __VA_ARGS__)
#define FORMAT(story, ...) mw_arena_format(&(story)->arena, __VA_ARGS__)

static inline void story_open(struct story *story)
{
    memset(story, 0, sizeof(*story));
    story->lines = mw_heap_buf();
    mw_heap_arena(&story->arena, 64u << 20);
}

static inline void story_close(struct story *story)
{
    mw_heap_buf_free(&story->lines);
    mw_heap_arena_free(&story->arena);
    for (uint32_t i = 0; i < story->blob_count; i++)
        mw_heap_free(story->blobs[i].text);
}

static inline mw_seq story_next(const struct story *story)
{
    return story->count + 1;
}

static inline struct mw_str story_id(struct story *story, const char *prefix, mw_seq seq)
{
    return FORMAT(story, "%s-ab12cd-%lu", prefix, (unsigned long)seq);
}

static inline mw_seq story_tell(struct story *story, struct mw_event *event)
{
    const struct mw_event_info *info = mw_event_info(event->kind);
    assert_true(story->count < STORY_RECORDS_MAX);
    event->seq = story_next(story);
    if (event->type.len == 0)
        event->type = info->type;
    if (event->trace_id.len == 0)
        event->trace_id = event->trace != 0 ? story->trace_id : MW_STR("workspace");
    if (event->session_id.len == 0)
        event->session_id = event->trace != 0 && story->session_id.len > 0 ? story->session_id
                                                                           : MW_STR("workspace");
    if (event->blueprint_id.len == 0 && event->trace != 0)
        event->blueprint_id = story->blueprint_id;
    if (event->component_tag.len == 0)
        event->component_tag = FORMAT(story, "%s:%s", info->component.ptr, "Said");
    if (event->item != 0 && event->task_id.len == 0 && info->owner == MW_ROOM_WORK &&
        event->task_type.len > 0)
        event->task_id = story_id(story, "t", event->item);
    unsigned long seconds = (unsigned long)event->seq;
    event->timestamp = FORMAT(story, "2026-03-01T%02lu:%02lu:%02lu.000000Z", seconds / 3600,
                              seconds / 60 % 60, seconds % 60);
    event->message_id = story_id(story, "m", event->seq);
    if (info->form == MW_FORM_EVENT)
        event->emitted_by = info->component;
    story->starts[story->count++] = story->lines.len;
    mw_event_write(event, &story->lines);
    story->starts[story->count] = story->lines.len;
    return event->seq;
}

static inline struct mw_str story_line(const struct story *story, uint32_t index)
{
    size_t from = story->starts[index];
    return (struct mw_str){story->lines.ptr + from, story->starts[index + 1] - from - 1};
}

/* A body is kept; its hash. */
static inline struct mw_str story_blob(struct story *story, struct mw_str text)
{
    assert_true(story->blob_count < STORY_BLOBS_MAX);
    mw_sha256_hex(text, story->blobs[story->blob_count].sha256);
    story->blobs[story->blob_count].text = mw_heap_copy(text);
    return mw_str_of(story->blobs[story->blob_count++].sha256);
}

/* ---- the source of a view ---- */

static inline enum mw_rc story_each(void *self,
                                    enum mw_rc (*on_record)(void *, const struct mw_event *,
                                                            struct mw_str, struct mw_err *),
                                    void *context, struct mw_err *err)
{
    const struct story *story = self;
    struct mw_arena arena;
    enum mw_rc rc = MW_OK;
    mw_heap_arena(&arena, 16u << 20);
    for (uint32_t i = 0; i < story->count && rc == MW_OK; i++) {
        struct mw_event event;
        /* A copy, so that a view that keeps what it was lent reads garbage here and not by luck. */
        char *line = mw_heap_copy(story_line(story, i));
        struct mw_str text = {line, strlen(line)};
        mw_arena_reset(&arena);
        rc = mw_event_read(&arena, text, &event, err);
        if (rc == MW_OK)
            rc = on_record(context, &event, text, err);
        memset(line, '#', text.len);
        mw_heap_free(line);
        memset(arena.memory, '#', arena.used_bytes);
    }
    mw_heap_arena_free(&arena);
    return rc;
}

static inline enum mw_rc story_get_blob(void *self, struct mw_arena *arena, struct mw_str sha256,
                                        struct mw_str *ret_bytes, struct mw_err *err)
{
    const struct story *story = self;
    for (uint32_t i = 0; i < story->blob_count; i++)
        if (mw_str_is(sha256, story->blobs[i].sha256)) {
            *ret_bytes = mw_arena_copy(arena, mw_str_of(story->blobs[i].text));
            return MW_OK;
        }
    return MW_FAIL(err, MW_E_MISSING, "no body %.*s", MW_STR_ARG(sha256));
}

/* Asks "name key=value key=value"; the answer's text lies in out. */
static inline enum mw_rc story_ask_within(const struct story *story, const char *question,
                                          size_t arena_bytes, struct mw_buf *out,
                                          struct mw_err *err)
{
    struct mw_view_source source = {(void *)(uintptr_t)story, story_each, story_get_blob};
    struct mw_view_query query = {0};
    struct mw_arena arena;
    struct mw_str rest = mw_str_of(question);
    while (rest.len > 0) {
        size_t end = mw_str_find(rest, ' ', 0);
        struct mw_str word = mw_str_sub(rest, 0, end == SIZE_MAX ? rest.len : end);
        rest = end == SIZE_MAX ? MW_STR_NONE : mw_str_sub(rest, end + 1, SIZE_MAX);
        size_t equals = mw_str_find(word, '=', 0);
        if (query.name.len == 0) {
            query.name = word;
            continue;
        }
        query.keys[query.count] = mw_str_sub(word, 0, equals);
        query.values[query.count++] = mw_str_sub(word, equals + 1, SIZE_MAX);
    }
    mw_heap_arena(&arena, arena_bytes);
    enum mw_rc rc = mw_view_run(&arena, &query, &source, out, err);
    mw_heap_arena_free(&arena);
    return rc;
}

static inline enum mw_rc story_ask(const struct story *story, const char *question,
                                   struct mw_buf *out, struct mw_err *err)
{
    return story_ask_within(story, question, 64u << 20, out, err);
}

#endif
