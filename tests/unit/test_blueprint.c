/*
 * Understanding, held by the corpus in tests/corpus/prompts: every case is a prompt or a blueprint with the answers given so far, and what
 * must come out: a subset of the payload, the field of the question, or the beginning of the refusal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "builtin/builtin.h"
#include "builtin/infer.h"
#include "posix/file.h"
#include "posix/heap.h"

#define ARENA_BYTES (64UL * 1024 * 1024)

static const char *const corpus[] = {"seed",    "use_cases",  "fields", "questions",
                                     "hostile", "blueprints", "lists"};

struct outcome {
    struct mw_builtin b;
    struct mw_err err;
    enum mw_rc rc;
    struct mw_str event;
    struct mw_tape payload;
};

/* One block for all cases: it is reset, not returned. */
static struct mw_arena shared_arena;

static void open_arena(struct mw_arena *arena)
{
    if (shared_arena.memory == NULL)
        mw_heap_arena(&shared_arena, ARENA_BYTES);
    mw_arena_reset(&shared_arena);
    *arena = shared_arena;
}

static void close_outcome(struct outcome *o)
{
    mw_heap_buf_free(&o->b.answer);
    shared_arena.used_bytes = o->b.arena.used_bytes; /* so that reset clears what was used */
}

static void run_task(struct outcome *o, struct mw_str task)
{
    memset(o, 0, sizeof(*o));
    open_arena(&o->b.arena);
    o->b.answer = mw_heap_buf();
    o->b.factory = MW_STR(MW_SOURCE_DIR "/factory");
    struct mw_str text = mw_arena_copy(&o->b.arena, task);
    o->rc = mw_json_parse(&o->b.arena, text, &o->b.task, &o->err);
    if (o->rc != MW_OK)
        return;
    o->b.payload = mw_node_get(&o->b.task, 0, "payload");
    o->b.context = mw_node_get(&o->b.task, 0, "context");
    o->b.task_type = mw_node_get_text(&o->b.task, 0, "taskType");
    o->rc = mw_builtin_blueprint(&o->b, &o->event, &o->err);
    if (o->rc != MW_OK)
        return;
    struct mw_err bad = {0};
    assert_int_equal(mw_json_parse(&o->b.arena, mw_buf_str(&o->b.answer), &o->payload, &bad),
                     MW_OK);
}

static struct mw_buf task_of(const struct mw_tape *t, uint32_t c)
{
    struct mw_buf text = mw_heap_buf();
    struct mw_json json;
    uint32_t prompt = mw_node_get(t, c, "prompt");
    mw_json_init(&json, &text);
    mw_json_object(&json);
    mw_json_kstr(&json, "taskType",
                 prompt != MW_NODE_NONE ? MW_STR("GenerateVisionBlueprint")
                                        : MW_STR("ImportBlueprint"));
    mw_json_kobject(&json, "payload");
    if (prompt != MW_NODE_NONE)
        mw_json_knode(&json, "prompt", t, prompt);
    else
        mw_json_knode(&json, "blueprint", t, mw_node_get(t, c, "blueprint"));
    mw_json_object_end(&json);
    mw_json_kobject(&json, "context");
    if (mw_node_get(t, c, "answers") != MW_NODE_NONE)
        mw_json_knode(&json, "ClarificationAnswered", t, mw_node_get(t, c, "answers"));
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    return text;
}

/* Objects: every wanted member; lists: the same items; all else equal. */
static bool holds(const struct mw_tape *want, uint32_t w, const struct mw_tape *have, uint32_t h)
{
    enum mw_node_type type = mw_node_type(want, w);
    if (h == MW_NODE_NONE || mw_node_type(have, h) != type)
        return false;
    if (type != MW_NODE_OBJECT && type != MW_NODE_ARRAY)
        return mw_node_equal(want, w, have, h);
    if (type == MW_NODE_ARRAY && mw_node_count(want, w) != mw_node_count(have, h))
        return false;
    uint32_t k = mw_node_first(have, h);
    for (uint32_t i = mw_node_first(want, w); i != MW_NODE_NONE; i = mw_node_after(want, w, i)) {
        bool ok = type == MW_NODE_OBJECT
                      ? holds(want, i + 1, have, mw_node_get_str(have, h, mw_node_str(want, i)))
                      : holds(want, i, have, k);
        if (!ok)
            return false;
        k = type == MW_NODE_ARRAY ? mw_node_after(have, h, k) : k;
    }
    return true;
}

static bool says(struct mw_str text, struct mw_str word)
{
    for (size_t i = 0; i + word.len <= text.len; i++)
        if (mw_str_eq(mw_str_sub(text, i, word.len), word))
            return true;
    return false;
}

static bool listed(const struct outcome *o, const char *key, const char *member, struct mw_str word)
{
    const struct mw_tape *t = &o->payload;
    uint32_t list = mw_node_get(t, 0, key);
    for (uint32_t i = mw_node_first(t, list); i != MW_NODE_NONE; i = mw_node_after(t, list, i)) {
        struct mw_str text = member != NULL ? mw_node_get_text(t, i, member) : mw_node_str(t, i);
        if (member != NULL
                ? says(text, word)
                : mw_str_eq(mw_name_fold(&shared_arena, text), mw_name_fold(&shared_arena, word)))
            return true;
    }
    return false;
}

/* Every word that means something is either named by an entry or listed as not understood. */
static bool is_honest(const struct outcome *o, struct mw_str prompt, struct mw_str *ret_word)
{
    struct mw_words words;
    struct mw_err err = {0};
    struct mw_arena arena = o->b.arena;
    assert_int_equal(mw_words_load(&arena, o->b.factory, &words, &err), MW_OK);
    struct mw_toks toks = mw_tokens(&arena, prompt);
    struct mw_infer inf = {.words = &words, .arena = &arena};
    shared_arena = arena;
    for (uint32_t i = 0; i < toks.count; i++) {
        *ret_word = toks.at[i].text;
        if (mw_infer_is_left(&inf, &toks.at[i]) && !listed(o, "understood", "why", *ret_word) &&
            !listed(o, "notUnderstood", NULL, *ret_word))
            return false;
    }
    return true;
}

static bool case_holds(const struct mw_tape *t, uint32_t c, struct outcome *o)
{
    uint32_t expect = mw_node_get(t, c, "expect");
    struct mw_str question = mw_node_get_text(t, c, "question");
    struct mw_str error = mw_node_get_text(t, c, "error"), word = MW_STR_NONE;
    if (error.len > 0)
        return o->rc == MW_E_INPUT && mw_str_starts(mw_str_of(o->err.text), error);
    if (o->rc != MW_OK)
        return false;
    if (question.len > 0)
        return mw_str_is(o->event, "ClarificationNeeded") &&
               mw_str_eq(mw_node_get_text(&o->payload, 0, "field"), question) &&
               mw_node_get_text(&o->payload, 0, "question").len > 0 &&
               mw_node_get_text(&o->payload, 0, "reason").len > 0 &&
               mw_node_count(&o->payload, mw_node_get(&o->payload, 0, "options")) > 0;
    if (!mw_str_is(o->event, "StrategicBlueprintGenerated") || !holds(t, expect, &o->payload, 0))
        return false;
    struct mw_str prompt = mw_node_get_text(t, c, "prompt");
    if (prompt.len > 0 && !is_honest(o, prompt, &word)) {
        print_error("  '%.*s' is neither understood nor listed\n", MW_STR_ARG(word));
        return false;
    }
    return true;
}

typedef void each_case(const struct mw_tape *t, uint32_t c, uint32_t *ret_wrong);

static uint32_t for_all(each_case *work, uint32_t *ret_wrong)
{
    uint32_t count = 0;
    for (size_t f = 0; f < MW_COUNT(corpus); f++) {
        char path[512];
        struct mw_buf text = mw_heap_buf();
        struct mw_arena arena;
        struct mw_tape tape;
        struct mw_err err = {0};
        (void)snprintf(path, sizeof(path), "%s/tests/corpus/prompts/%s.json", MW_SOURCE_DIR,
                       corpus[f]);
        mw_heap_arena(&arena, 16UL * 1024 * 1024);
        assert_int_equal(mw_file_read(AT_FDCWD, path, 1 << 24, &text, &err), MW_OK);
        assert_int_equal(mw_json_parse(&arena, mw_buf_str(&text), &tape, &err), MW_OK);
        for (uint32_t c = mw_node_first(&tape, 0); c != MW_NODE_NONE;
             c = mw_node_after(&tape, 0, c), count++)
            work(&tape, c, ret_wrong);
        mw_heap_arena_free(&arena);
        mw_heap_buf_free(&text);
    }
    return count;
}

static void check_case(const struct mw_tape *t, uint32_t c, uint32_t *ret_wrong)
{
    struct outcome o;
    struct mw_buf task = task_of(t, c);
    run_task(&o, mw_buf_str(&task));
    if (!case_holds(t, c, &o)) {
        struct mw_str name = mw_node_get_text(t, c, "name"), got = mw_buf_str(&o.b.answer);
        print_error("%.*s: got %.*s %.*s %s\n", MW_STR_ARG(name), MW_STR_ARG(o.event),
                    MW_STR_ARG(mw_str_sub(got, 0, 2000)), o.err.text);
        *ret_wrong += 1;
    }
    close_outcome(&o);
    mw_heap_buf_free(&task);
}

static void the_corpus_is_understood_as_written(void **state)
{
    uint32_t wrong = 0;
    (void)state;
    assert_true(for_all(check_case, &wrong) >= 60);
    assert_int_equal(wrong, 0);
}

/* --- importing a normalised blueprint gives the same bytes --- */

static struct mw_str blueprint_bytes(const struct outcome *o)
{
    uint32_t node = mw_node_get(&o->payload, 0, "blueprint");
    return node == MW_NODE_NONE ? MW_STR_NONE : o->payload.nodes[node].text;
}

static void check_again(const struct mw_tape *t, uint32_t c, uint32_t *ret_wrong)
{
    struct outcome o, again;
    struct mw_buf task = task_of(t, c), second = mw_heap_buf(), first = mw_heap_buf();
    run_task(&o, mw_buf_str(&task));
    if (o.rc == MW_OK)
        mw_buf_put(&first, blueprint_bytes(&o));
    close_outcome(&o);
    if (first.len > 0) {
        mw_buf_printf(&second, "{\"taskType\":\"ImportBlueprint\",\"payload\":{\"blueprint\":");
        mw_buf_put(&second, mw_buf_str(&first));
        mw_buf_printf(&second, "}}");
        run_task(&again, mw_buf_str(&second));
        if (again.rc != MW_OK || !mw_str_eq(mw_buf_str(&first), blueprint_bytes(&again))) {
            print_error("%.*s: %s\n", MW_STR_ARG(mw_node_get_text(t, c, "name")), again.err.text);
            *ret_wrong += 1;
        }
        close_outcome(&again);
    }
    mw_heap_buf_free(&task);
    mw_heap_buf_free(&first);
    mw_heap_buf_free(&second);
}

static void a_normalised_blueprint_imports_to_the_same_bytes(void **state)
{
    uint32_t wrong = 0;
    (void)state;
    (void)for_all(check_again, &wrong);
    assert_int_equal(wrong, 0);
}

/* --- mutation: whatever comes in, an answer or a refusal comes out --- */

static uint64_t random_state;

static uint32_t next_random(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state % below);
}

static const char *const splices[] = {
    "(",      ")",       "|",     ",",        " and ",   " or ",  ": ", "..", " can ",
    " with ", " has a ", "\\n- ", "\xC3\xA4", "service", " not ", "9",  "-",  " belongs to a "};

/* Changes letters inside; quotes and backslashes stay away so that most of it is still JSON. */
static void mutate(struct mw_buf *task)
{
    for (uint32_t n = 1 + next_random(6); n > 0 && task->len > 80; n--) {
        uint32_t at = 60 + next_random((uint32_t)task->len - 70);
        uint32_t kind = next_random(4), len = 1 + next_random(12);
        if (kind == 0 && at + len < task->len) {
            memmove(task->ptr + at, task->ptr + at + len, task->len - at - len);
            task->len -= len;
        } else if (kind == 1) {
            task->ptr[at] = (char)(' ' + next_random(94));
        } else {
            struct mw_str add = mw_str_of(splices[next_random(MW_COUNT(splices))]);
            for (size_t i = 0; i < add.len; i++)
                mw_buf_put_c(task, ' ');
            memmove(task->ptr + at + add.len, task->ptr + at, task->len - at - add.len);
            memcpy(task->ptr + at, add.ptr, add.len);
        }
    }
}

static void mutate_case(const struct mw_tape *t, uint32_t c, uint32_t *ret_wrong)
{
    if (t->nodes[c].text.len > 8000)
        return;
    for (int round = 0; round < 12; round++) {
        struct outcome o;
        struct mw_buf task = task_of(t, c);
        mutate(&task);
        run_task(&o, mw_buf_str(&task));
        bool refused = o.rc != MW_OK && o.err.text[0] != 0;
        if (o.rc == MW_OK ? o.event.len == 0 : !refused)
            *ret_wrong += 1;
        close_outcome(&o);
        mw_heap_buf_free(&task);
    }
}

static void no_mutation_of_the_corpus_crashes(void **state)
{
    uint32_t wrong = 0;
    uint64_t seed = 0x9E3779B97F4A7C15u;
    (void)state;
    print_message("seed %llx\n", (unsigned long long)seed);
    random_state = seed;
    (void)for_all(mutate_case, &wrong);
    assert_int_equal(wrong, 0);
}

/* --- sizes and bytes --- */

static enum mw_rc run_long(const char *part, size_t bytes, struct mw_str *ret_event)
{
    struct outcome o;
    struct mw_buf task = mw_heap_buf();
    mw_buf_printf(&task, "{\"taskType\":\"GenerateVisionBlueprint\",\"payload\":{\"prompt\":\"");
    size_t start = task.len;
    while (task.len - start + strlen(part) <= bytes)
        mw_buf_put_z(&task, part);
    while (task.len - start < bytes)
        mw_buf_put_c(&task, 'x');
    mw_buf_printf(&task, "\"}}");
    run_task(&o, mw_buf_str(&task));
    *ret_event = mw_str_is(o.event, "StrategicBlueprintGenerated") ? MW_STR("made")
                 : o.event.len > 0                                 ? MW_STR("asked")
                                                                   : MW_STR("refused");
    enum mw_rc rc = o.rc;
    close_outcome(&o);
    mw_heap_buf_free(&task);
    return rc;
}

static void a_prompt_of_64_kib_is_read_and_a_longer_one_refused(void **state)
{
    struct mw_str event = MW_STR_NONE;
    (void)state;
    assert_int_equal(run_long("todo app with title and due date. ", 65536, &event), MW_OK);
    assert_true(mw_str_is(event, "made"));
    assert_int_equal(run_long("todo app ", 65537, &event), MW_E_INPUT);
    assert_int_equal(run_long("nonsense, (", 65536, &event), MW_OK);
    assert_true(mw_str_is(event, "asked"));
    (void)run_long("users can zap a b c and ", 60000, &event);
    (void)run_long("with a, b, c and d (", 60000, &event);
}

static void nul_and_bad_utf8_are_refused(void **state)
{
    struct outcome o;
    (void)state;
    run_task(&o, MW_STR("{\"payload\":{\"prompt\":\"todo \\u0000 app\"}}"));
    assert_int_equal(o.rc, MW_E_INPUT);
    close_outcome(&o);
    run_task(&o, MW_STR("{\"payload\":{\"prompt\":\"todo \xff app\"}}"));
    assert_int_equal(o.rc, MW_E_INPUT);
    close_outcome(&o);
    run_task(&o, MW_STR("{\"payload\":{\"prompt\":7}}"));
    assert_int_equal(o.rc, MW_E_INPUT);
    close_outcome(&o);
}

static void the_wish_for_a_name_is_kept(void **state)
{
    struct outcome o;
    (void)state;
    run_task(&o, MW_STR("{\"payload\":{\"prompt\":\"todo app\",\"name\":\"Müllers Liste\"}}"));
    assert_int_equal(o.rc, MW_OK);
    uint32_t slug = mw_node_pointer(&o.payload, 0, MW_STR("/blueprint/slug"));
    assert_true(mw_str_is(mw_node_str(&o.payload, slug), "muellers-liste"));
    close_outcome(&o);
}

static void an_assumption_is_listed(void **state)
{
    struct outcome o;
    (void)state;
    run_task(&o, MW_STR("{\"payload\":{\"prompt\":\"todo app\"}}"));
    assert_int_equal(o.rc, MW_OK);
    assert_true(listed(&o, "assumed", "field", MW_STR("storage")));
    assert_true(listed(&o, "assumed", "field", MW_STR("auth")));
    assert_true(listed(&o, "assumed", "why", MW_STR("nouns.yaml: todo")));
    close_outcome(&o);
}

/* Every row of the noun table: its fields can be read and its use cases derived. */
static void every_known_noun_becomes_a_service(void **state)
{
    struct mw_arena arena;
    struct mw_words words;
    struct mw_err err = {0};
    (void)state;
    mw_heap_arena(&arena, 16UL * 1024 * 1024);
    assert_int_equal(mw_words_load(&arena, MW_STR(MW_SOURCE_DIR "/factory"), &words, &err), MW_OK);
    const struct mw_tape *t = &words.nouns;
    uint32_t map = mw_node_get(t, 0, "nouns");
    for (uint32_t i = mw_node_first(t, map); i != MW_NODE_NONE; i = mw_node_after(t, map, i)) {
        struct outcome o;
        char *task = mw_heap_format("{\"payload\":{\"prompt\":\"a %.*s service\"}}",
                                    MW_STR_ARG(mw_node_str(t, i)));
        run_task(&o, mw_str_of(task));
        uint32_t fields =
            mw_node_pointer(&o.payload, 0, MW_STR("/blueprint/services/0/entities/0/fields"));
        uint32_t made = mw_node_get(&o.payload, 0, "capabilities");
        bool same =
            mw_node_count(&o.payload, made) ==
                mw_node_count(t, mw_node_get(t, i + 1, "use_cases")) &&
            mw_node_count(&o.payload, fields) == mw_node_count(t, mw_node_get(t, i + 1, "fields"));
        if (!same)
            print_error("%s: %s %.*s\n", task, o.err.text, MW_STR_ARG(mw_buf_str(&o.b.answer)));
        assert_true(same);
        close_outcome(&o);
        mw_heap_free(task);
    }
    mw_heap_arena_free(&arena);
}

static int free_arena(void **state)
{
    (void)state;
    if (shared_arena.memory != NULL)
        mw_heap_arena_free(&shared_arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_is_understood_as_written),
        cmocka_unit_test(a_normalised_blueprint_imports_to_the_same_bytes),
        cmocka_unit_test(no_mutation_of_the_corpus_crashes),
        cmocka_unit_test(a_prompt_of_64_kib_is_read_and_a_longer_one_refused),
        cmocka_unit_test(nul_and_bad_utf8_are_refused),
        cmocka_unit_test(the_wish_for_a_name_is_kept),
        cmocka_unit_test(an_assumption_is_listed),
        cmocka_unit_test(every_known_noun_becomes_a_service),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}
