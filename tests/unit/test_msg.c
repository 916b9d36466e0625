/* test_msg.c - a record's line reads back to the same record, whatever it holds; what this release does not know is refused (P13). */
#include "msg/fields.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LINE_BYTES (1 << 20)

static char line_memory[LINE_BYTES];
static char again_memory[LINE_BYTES];

static struct mw_arena begin(void)
{
    struct mw_arena arena;
    mw_heap_arena(&arena, (size_t)8 << 20);
    return arena;
}

static struct mw_str write_to(char *memory, const struct mw_event *event)
{
    struct mw_buf buf;
    mw_buf_init(&buf, memory, LINE_BYTES);
    mw_event_write(event, &buf);
    mw_buf_put_c(&buf, '\0');
    buf.len--;
    assert_false(buf.overflowed);
    return mw_buf_str(&buf);
}

#define SET_STR(name) event.name = mw_arena_format(arena, "%s \"\\\n\x01 \xc3\xa4 %s", #name, "end")
#define SET_RAW(name) event.name = MW_STR("{\"a\":[1,-2,3.5e7,true,null,\"x\\n\"],\"b\":{}}")
#define SET_U64(name) event.name = (uint64_t)INT64_MAX
#define SET_I64(name) event.name = INT64_MIN
#define SET_BOOL(name) event.name = true

/* Every field set; the body only when asked, because it stands for all the fields of the payload. */
static struct mw_event full(struct mw_arena *arena, enum mw_event_kind kind, bool body)
{
    struct mw_event event = {.kind = kind, .seq = 77};
    SET_STR(type);
    SET_STR(trace_id);
    SET_STR(session_id);
    SET_STR(component_tag);
    SET_STR(blueprint_id);
    SET_STR(parent_trace_id);
    SET_STR(timestamp);
    SET_STR(message_id);
    SET_STR(causation_id);
    SET_STR(emitted_by);
    SET_STR(target_agent);
    SET_STR(actor);
    SET_STR(request_hash);
    SET_STR(contract_version);
#define MW_FIELD(name, type, place, key) SET_##type(name);
#include "msg/fields.def"
#undef MW_FIELD
    if (!body)
        event.body = MW_STR_NONE;
    return event;
}

static void same_str(struct mw_str a, struct mw_str b, const char *name)
{
    if (!mw_str_eq(a, b))
        fail_msg("%s: '%.*s' became '%.*s'", name, MW_STR_ARG(a), MW_STR_ARG(b));
}

#define SAME_STR(name) same_str(a->name, b->name, #name)
#define SAME_RAW(name) same_str(a->name, b->name, #name)
#define SAME_U64(name) assert_true(a->name == b->name)
#define SAME_I64(name) assert_true(a->name == b->name)
#define SAME_BOOL(name) assert_true(a->name == b->name)

static void same_envelope(const struct mw_event *a, const struct mw_event *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(a->seq == b->seq);
    SAME_STR(type);
    SAME_STR(trace_id);
    SAME_STR(session_id);
    SAME_STR(component_tag);
    SAME_STR(blueprint_id);
    SAME_STR(parent_trace_id);
    SAME_STR(timestamp);
    SAME_STR(message_id);
    SAME_STR(causation_id);
    SAME_STR(emitted_by);
    SAME_STR(target_agent);
    SAME_STR(actor);
    SAME_STR(request_hash);
    SAME_STR(contract_version);
}

static void same_fields(const struct mw_event *a, const struct mw_event *b, bool payload)
{
    enum { ENV, PAYLOAD };
#define MW_FIELD(name, type, place, key)                                                           \
    if (place == ENV ? strcmp(key, "payload") != 0 : payload)                                      \
        SAME_##type(name);
#include "msg/fields.def"
#undef MW_FIELD
}

static void P13_every_kind_with_every_field_reads_back(void **state)
{
    struct mw_arena arena = begin();
    (void)state;
    for (unsigned kind = 0; kind < MW_EVENT_COUNT; kind++)
        for (unsigned body = 0; body < 2; body++) {
            struct mw_err err;
            struct mw_event back;
            mw_arena_reset(&arena);
            struct mw_event event = full(&arena, (enum mw_event_kind)kind, body != 0);
            struct mw_str line = write_to(line_memory, &event);
            enum mw_rc rc = mw_event_read(&arena, line, &back, &err);
            bool open = rc == MW_OK && back.body.len > 0;
            /* A body in a kind whose payload has fields of its own is refused, not half read. */
            if (rc != MW_OK) {
                assert_true(body != 0);
                continue;
            }
            same_envelope(&event, &back);
            same_fields(&event, &back, !open && body == 0);
            if (open && body != 0)
                same_str(event.body, back.body, "body");
            same_str(line, write_to(again_memory, &back), mw_event_info(event.kind)->kind.ptr);
        }
    mw_heap_arena_free(&arena);
}

static void P13_an_empty_record_of_every_kind_reads_back(void **state)
{
    struct mw_arena arena = begin();
    (void)state;
    for (unsigned kind = 0; kind < MW_EVENT_COUNT; kind++) {
        struct mw_err err;
        struct mw_event event = {.kind = (enum mw_event_kind)kind, .seq = 1}, back;
        mw_arena_reset(&arena);
        struct mw_str line = write_to(line_memory, &event);
        if (mw_event_read(&arena, line, &back, &err) != MW_OK)
            fail_msg("%s", err.text);
        same_fields(&event, &back, false);
        same_str(line, write_to(again_memory, &back), mw_event_info(event.kind)->kind.ptr);
    }
    mw_heap_arena_free(&arena);
}

/* An empty text that was set is another thing than none: parent_run_id is there and empty in a run's launch fields. */
static void an_empty_text_is_kept_and_an_unset_one_is_not_written(void **state)
{
    struct mw_arena arena = begin();
    struct mw_event event = {.kind = MW_EVT_RUN_STARTED, .seq = 1, .parent_run_id = MW_STR("")},
                    back;
    struct mw_err err;
    (void)state;
    struct mw_str line = write_to(line_memory, &event);
    assert_non_null(strstr(line_memory, "\"parent_run_id\":\"\""));
    assert_null(strstr(line_memory, "\"run_id\""));
    assert_int_equal(mw_event_read(&arena, line, &back, &err), MW_OK);
    assert_non_null(back.parent_run_id.ptr);
    assert_null(back.run_id.ptr);
    mw_heap_arena_free(&arena);
}

static void P13_what_is_not_known_is_refused(void **state)
{
    static const struct {
        const char *name;
        const char *line;
        const char *words;
    } rows[] = {
        {"unknown kind", "{\"kind\":\"task.teleported\",\"seq\":1,\"payload\":{}}",
         "task.teleported"},
        {"no kind", "{\"seq\":1,\"payload\":{}}", "kind"},
        {"kind is no text", "{\"kind\":7,\"seq\":1,\"payload\":{}}", "kind"},
        {"unknown envelope field",
         "{\"kind\":\"task.ended\",\"seq\":1,\"mood\":\"x\",\"payload\":{}}", "mood"},
        {"unknown payload field", "{\"kind\":\"task.ended\",\"seq\":1,\"payload\":{\"mood\":1}}",
         "mood"},
        {"payload field in the envelope",
         "{\"kind\":\"task.ended\",\"seq\":1,\"elapsedMs\":5,\"payload\":{}}", "elapsedMs"},
        {"envelope field in the payload",
         "{\"kind\":\"task.ended\",\"seq\":1,\"payload\":{\"fence\":5}}", "fence"},
        {"text for a number", "{\"kind\":\"task.ended\",\"seq\":\"1\",\"payload\":{}}", "seq"},
        {"number for a text", "{\"kind\":\"task.ended\",\"seq\":1,\"reason\":1,\"payload\":{}}",
         "reason"},
        {"negative count", "{\"kind\":\"task.ended\",\"seq\":-1,\"payload\":{}}", "seq"},
        {"fraction", "{\"kind\":\"task.ended\",\"seq\":1.5,\"payload\":{}}", "seq"},
        {"number too large", "{\"kind\":\"task.ended\",\"seq\":9223372036854775808,\"payload\":{}}",
         "seq"},
        {"number for yes or no",
         "{\"kind\":\"task.result\",\"seq\":1,\"traceWide\":1,\"payload\":{}}", "traceWide"},
        {"twice the same key", "{\"kind\":\"task.ended\",\"seq\":1,\"seq\":2,\"payload\":{}}",
         "seq"},
        {"no object", "[]", "object"},
        {"payload is no object", "{\"kind\":\"task.ended\",\"seq\":1,\"payload\":[]}", "payload"},
        {"open payload is no object", "{\"kind\":\"task.result\",\"seq\":1,\"payload\":7}",
         "payload"},
        {"cut off", "{\"kind\":\"task.ended\",\"seq\":1", ""},
    };
    struct mw_arena arena = begin();
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {0};
        struct mw_event event = {.seq = 4711};
        mw_arena_reset(&arena);
        if (mw_event_read(&arena, mw_str_of(rows[i].line), &event, &err) == MW_OK)
            fail_msg("%s was read", rows[i].name);
        if (strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: '%s' does not say %s", rows[i].name, err.text, rows[i].words);
        assert_true(event.seq == 4711); /* untouched on failure */
    }
    mw_heap_arena_free(&arena);
}

static void names_of_kinds_requests_and_fields_are_one_of_a_kind(void **state)
{
    static const char *const env_keys[] = {
#define ENV_KEY_ENV(key) key,
#define ENV_KEY_PAYLOAD(key)
#define MW_FIELD(name, type, place, key) ENV_KEY_##place(key)
#include "msg/fields.def"
#undef MW_FIELD
        "kind",
        "seq",
        "type",
        "traceId",
        "sessionId",
        "componentTag",
        "blueprintId",
        "parentTraceId",
        "timestamp",
        "messageId",
        "causationId",
        "emittedBy",
        "targetAgent",
        "actor",
        "requestHash",
        "contract"
    };
    static const char *const payload_keys[] = {
#define PAYLOAD_KEY_PAYLOAD(key) key,
#define PAYLOAD_KEY_ENV(key)
#define MW_FIELD(name, type, place, key) PAYLOAD_KEY_##place(key)
#include "msg/fields.def"
#undef MW_FIELD
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(env_keys); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(env_keys[i], env_keys[j]);
    for (size_t i = 0; i < MW_COUNT(payload_keys); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(payload_keys[i], payload_keys[j]);
    for (unsigned kind = 0; kind < MW_EVENT_COUNT; kind++)
        assert_int_equal(mw_event_by_kind(mw_event_info((enum mw_event_kind)kind)->kind), kind);
    for (unsigned kind = 0; kind < MW_REQUEST_COUNT; kind++)
        assert_int_equal(
            mw_request_by_name(mw_str_of(mw_request_info((enum mw_request_kind)kind)->name)), kind);
    assert_int_equal(mw_event_by_kind(MW_STR("nothing")), MW_EVENT_COUNT);
    assert_int_equal(mw_request_by_name(MW_STR("DoNothing")), MW_REQUEST_COUNT);
}

static void only_the_control_plane_says_the_names_of_fixed_kinds(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < MW_EVENT_COUNT; kind++) {
        const char *type = mw_event_info((enum mw_event_kind)kind)->type.ptr;
        if (strcmp(type, "*") != 0)
            assert_true(mw_type_is_reserved(mw_str_of(type)));
    }
    assert_true(mw_type_is_reserved(MW_STR("ApprovalGranted")));
    assert_true(mw_type_is_reserved(MW_STR("TaskCompleted")));
    assert_true(mw_type_is_reserved(MW_STR("TestsPassed")));
    assert_false(mw_type_is_reserved(MW_STR("HandlerReady")));
    assert_false(mw_type_is_reserved(MW_STR("CalendarReady")));
}

static void MS06_names_are_words_in_pascal_case(void **state)
{
    static const struct {
        const char *name;
        bool well_formed;
    } rows[] = {{"HandlerReady", true},
                {"AbC", true},
                {"Ab", false},
                {"handlerReady", false},
                {"Handler-Ready", false},
                {"Handler Ready", false},
                {"1Handler", false},
                {"Handler2Ready", true},
                {"", false},
                {"Handler_Ready", false},
                {"H\xc3\xa4ndler", false}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        if (mw_type_is_well_formed(mw_str_of(rows[i].name)) != rows[i].well_formed)
            fail_msg("'%s'", rows[i].name);
}

/* ---- the quick reader (msg/quick.c) ---- */

#define GOLDEN_SEGMENT                                                                             \
    MW_SOURCE_DIR "/tests/golden/journals/0.1.0/journal/00000000000000000001.jsonl"

/* The same line with a blank that the quick reader does not know: the whole reader gets it. */
static enum mw_rc read_whole(struct mw_arena *arena, struct mw_str line, struct mw_event *ret_event,
                             struct mw_err *err)
{
    struct mw_str spaced =
        mw_arena_format(arena, "{ %.*s", MW_STR_ARG(mw_str_sub(line, 1, line.len)));
    assert_false(event_read_quick(spaced, ret_event));
    return mw_event_read(arena, spaced, ret_event, err);
}

/* True: the quick reader took it. Then the whole reader takes it too, and both read the same. */
static bool reads_alike(struct mw_arena *arena, struct mw_str line)
{
    struct mw_event quick, whole;
    struct mw_err err = {0};
    mw_arena_reset(arena);
    if (!event_read_quick(line, &quick))
        return false;
    event_fill_implied(&quick);
    if (read_whole(arena, line, &whole, &err) != MW_OK) {
        if (strstr(err.text, "there twice") == NULL) /* in a payload that is kept as text */
            fail_msg("read quickly, but: %s: %.*s", err.text, MW_STR_ARG(line));
        return true;
    }
    (void)write_to(line_memory, &quick);
    (void)write_to(again_memory, &whole);
    assert_string_equal(line_memory, again_memory);
    return true;
}

static void P16_the_quick_reader_reads_what_the_whole_one_reads(void **state)
{
    static char text[LINE_BYTES], line[LINE_BYTES];
    struct mw_arena arena = begin();
    uint64_t random = 88172645463325252u;
    size_t lines = 0, quick = 0, mutants_taken = 0;
    (void)state;
    FILE *file = fopen(GOLDEN_SEGMENT, "r");
    assert_non_null(file);
    while (fgets(text, sizeof text, file) != NULL) {
        struct mw_str whole = mw_str_trim(mw_str_of(text));
        if (mw_str_starts(whole, MW_STR("{\"frame\"")))
            continue;
        lines++;
        quick += reads_alike(&arena, whole) ? 1 : 0;
        for (int i = 0; i < 200; i++) {
            memcpy(line, whole.ptr, whole.len);
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            size_t at = 1 + random % (whole.len - 1), from = 1 + (random >> 20) % (whole.len - 1);
            size_t count = (random >> 40) % 12;
            if (count > whole.len - at)
                count = whole.len - at;
            if (count > whole.len - from)
                count = whole.len - from;
            if (count == 0)
                line[at] = (char)(random >> 50);
            else
                memmove(line + at, whole.ptr + from, count);
            size_t len = (random >> 45) % 8 == 0 ? at : whole.len;
            mutants_taken += reads_alike(&arena, (struct mw_str){line, len}) ? 1 : 0;
        }
    }
    fclose(file);
    assert_true(lines > 50);
    assert_true(quick * 10 > lines * 9); /* else it is of no use */
    assert_true(mutants_taken > 0);
    mw_heap_arena_free(&arena);
}

/* ---- what a line leaves out (msg/implied.c) ---- */

static struct mw_event result_of_a_task(void)
{
    return (struct mw_event){.kind = MW_EVT_TASK_RESULT,
                             .seq = 90,
                             .session_id = MW_STR("svc-a1b2c3-70"),
                             .causation_id = MW_STR("m-a1b2c3-88"),
                             .task_id = MW_STR("t-a1b2c3-80"),
                             .actor = MW_STR("host"),
                             .scope_item = 70,
                             .item = 80,
                             .fence = 88,
                             .trace = 60};
}

static void a_line_leaves_out_what_its_other_members_say_and_is_read_with_it(void **state)
{
    static const char *const left_out[] = {"scopeItem", "item", "fence", "actor"};
    struct mw_arena arena = begin();
    struct mw_err err;
    (void)state;
    struct mw_event event = result_of_a_task(), back;
    struct mw_str line = write_to(line_memory, &event);
    for (size_t i = 0; i < MW_COUNT(left_out); i++)
        assert_null(strstr(line_memory, left_out[i]));
    assert_int_equal(mw_event_read(&arena, line, &back, &err), MW_OK);
    same_envelope(&event, &back);
    same_fields(&event, &back, false);
    /* Other readers and hands write it otherwise: it means the same. */
    struct mw_str spaced =
        mw_arena_format(&arena, "{ %.*s", MW_STR_ARG(mw_str_sub(line, 1, line.len)));
    assert_int_equal(mw_event_read(&arena, spaced, &back, &err), MW_OK);
    same_envelope(&event, &back);
    same_fields(&event, &back, false);
    mw_heap_arena_free(&arena);
}

static void a_line_says_what_its_other_members_would_say_wrongly(void **state)
{
    struct mw_arena arena = begin();
    struct mw_err err;
    (void)state;
    struct mw_event others[4];
    for (size_t i = 0; i < MW_COUNT(others); i++)
        others[i] = result_of_a_task();
    others[0].scope_item = 0;
    others[1].item = 0;
    others[2].fence =
        7; /* a person's answer follows from what the person sent, not from what asked */
    others[3].actor = MW_STR("agent:echo/one");
    for (size_t i = 0; i < MW_COUNT(others); i++) {
        struct mw_event back;
        mw_arena_reset(&arena);
        struct mw_str line = write_to(line_memory, &others[i]);
        assert_int_equal(mw_event_read(&arena, line, &back, &err), MW_OK);
        same_envelope(&others[i], &back);
        same_fields(&others[i], &back, false);
        same_str(line, write_to(again_memory, &back), "written again");
    }
    mw_heap_arena_free(&arena);
}

static void a_name_without_a_number_implies_none(void **state)
{
    static const struct {
        const char *name;
        mw_seq number;
    } rows[] = {{"t-a1b2c3-80", 80},
                {"", 0},
                {"80", 0},
                {"t-", 0},
                {"workspace", 0},
                {"-80", 80},
                {"t-8x", 0},
                {"t-123456789012345678", 123456789012345678},
                {"t-1234567890123456789", 0}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        assert_int_equal(mw_wire_number(mw_str_of(rows[i].name)), rows[i].number);
    assert_int_equal(mw_scope_of_session(MW_STR("s-a1b2c3-80"), 90), 0); /* the trace's own */
    assert_int_equal(mw_scope_of_session(MW_STR("grp-a1b2c3-90"), 90),
                     0); /* opened by this record */
    assert_int_equal(mw_scope_of_session(MW_STR("grp-a1b2c3-80"), 90), 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_leaves_out_what_its_other_members_say_and_is_read_with_it),
        cmocka_unit_test(a_line_says_what_its_other_members_would_say_wrongly),
        cmocka_unit_test(a_name_without_a_number_implies_none),
        cmocka_unit_test(P13_every_kind_with_every_field_reads_back),
        cmocka_unit_test(P13_an_empty_record_of_every_kind_reads_back),
        cmocka_unit_test(an_empty_text_is_kept_and_an_unset_one_is_not_written),
        cmocka_unit_test(P13_what_is_not_known_is_refused),
        cmocka_unit_test(names_of_kinds_requests_and_fields_are_one_of_a_kind),
        cmocka_unit_test(only_the_control_plane_says_the_names_of_fixed_kinds),
        cmocka_unit_test(P16_the_quick_reader_reads_what_the_whole_one_reads),
        cmocka_unit_test(MS06_names_are_words_in_pascal_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
