#include "cli/read.h"
#include "cli/render.h"

/* `why` in a dozen lines: prompt, blueprint, task, agent with scores, tests, acceptance, promotion. --verbose and --json show all of it. */

#define WORDS_MAX 6

struct story {
    struct mw_buf *out;
    const struct mw_tape *tape;
    bool color;
};

static struct mw_str text_at(const struct story *story, uint32_t object, const char *key)
{
    return mw_node_get_text(story->tape, object, key);
}

static long number_at(const struct story *story, uint32_t object, const char *key)
{
    return (long)mw_node_int(story->tape, mw_node_get(story->tape, object, key), 0);
}

static void head(struct story *story, const char *word)
{
    mw_buf_put_z(story->out, mw_color(story->color, MW_DIM));
    mw_buf_put_z(story->out, word);
    mw_buf_put_z(story->out, mw_color(story->color, MW_PLAIN));
    for (size_t i = mw_text_columns(mw_str_of(word)); i < 11; i++)
        mw_buf_put_c(story->out, ' ');
}

static void put_place(struct story *story)
{
    uint32_t line = mw_node_get(story->tape, 0, "line");
    uint32_t build = mw_node_get(story->tape, 0, "build");
    bool promoted = mw_node_bool(story->tape, mw_node_get(story->tape, build, "promoted"), false);
    mw_buf_put_z(story->out, mw_color(story->color, MW_BOLD));
    mw_put_safe(story->out, text_at(story, 0, "path"));
    if (mw_node_type(story->tape, line) == MW_NODE_OBJECT)
        mw_buf_printf(story->out, ":%ld", number_at(story, line, "number"));
    mw_buf_put_z(story->out, mw_color(story->color, MW_PLAIN));
    mw_buf_put_z(story->out, "  ");
    mw_put_cut(story->out, mw_str_trim(text_at(story, line, "text")), 100);
    mw_buf_put_c(story->out, '\n');
    head(story, "build");
    mw_buf_printf(story->out, "%.*s, version %ld, %.*s%s\n",
                  MW_STR_ARG(text_at(story, build, "build_id")), number_at(story, build, "version"),
                  MW_STR_ARG(text_at(story, build, "state")), promoted ? ", promoted" : "");
}

static void put_intent(struct story *story)
{
    uint32_t intent = mw_node_get(story->tape, 0, "intent");
    struct mw_str prompt = text_at(story, intent, "prompt");
    head(story, "asked");
    mw_put_cut(story->out, prompt.len > 0 ? prompt : MW_STR("a blueprint file"), 300);
    mw_buf_put_z(story->out, "\n           by ");
    mw_put_safe(story->out, text_at(story, intent, "actor"));
    mw_buf_put_z(story->out, ", ");
    mw_put_safe(story->out, text_at(story, intent, "at"));
    mw_buf_put_c(story->out, '\n');
}

static void put_field(struct story *story)
{
    uint32_t blueprint = mw_node_get(story->tape, 0, "blueprint");
    uint32_t words = mw_node_get(story->tape, blueprint, "words"), count = 0;
    struct mw_str field = text_at(story, blueprint, "field");
    head(story, "blueprint");
    mw_put_safe(story->out, field.len > 0 ? field : MW_STR("the whole of it"));
    mw_buf_put_c(story->out, '\n');
    if (mw_node_type(story->tape, words) != MW_NODE_ARRAY)
        return;
    for (uint32_t i = mw_node_first(story->tape, words); i != MW_NODE_NONE && count < WORDS_MAX;
         i = mw_node_after(story->tape, words, i), count++) {
        uint32_t value = mw_node_get(story->tape, i, "value");
        mw_buf_put_z(story->out, "           ");
        mw_put_safe(story->out, text_at(story, i, "how"));
        mw_buf_put_c(story->out, ' ');
        mw_put_safe(story->out, text_at(story, i, "field"));
        if (mw_node_type(story->tape, value) == MW_NODE_STRING) {
            mw_buf_put_z(story->out, " = ");
            mw_put_cut(story->out, mw_node_str(story->tape, value), 60);
        }
        mw_buf_put_z(story->out, "  (");
        mw_put_cut(story->out, text_at(story, i, "why"), 80);
        mw_buf_put_z(story->out, ")\n");
    }
    if (mw_node_count(story->tape, words) > WORDS_MAX)
        mw_buf_printf(story->out, "           … and %u more: --verbose\n",
                      mw_node_count(story->tape, words) - WORDS_MAX);
}

static void put_scores(struct story *story, uint32_t routing)
{
    uint32_t rows = mw_node_get(story->tape, routing, "candidates");
    bool any = false;
    if (mw_node_type(story->tape, rows) != MW_NODE_ARRAY)
        return;
    for (uint32_t i = mw_node_first(story->tape, rows); i != MW_NODE_NONE;
         i = mw_node_after(story->tape, rows, i)) {
        mw_buf_put_z(story->out, any ? ", " : "           scores: ");
        mw_put_safe(story->out, text_at(story, i, "agentId"));
        mw_buf_printf(story->out, " %ld", number_at(story, i, "score"));
        any = true;
    }
    if (any)
        mw_buf_put_c(story->out, '\n');
}

static void put_task(struct story *story)
{
    uint32_t task = mw_node_get(story->tape, 0, "task");
    uint32_t attempts = mw_node_get(story->tape, task, "attempts");
    if (mw_node_type(story->tape, task) != MW_NODE_OBJECT)
        return;
    head(story, "task");
    mw_buf_printf(story->out, "%.*s %.*s\n", MW_STR_ARG(text_at(story, task, "taskId")),
                  MW_STR_ARG(text_at(story, task, "taskType")));
    if (mw_node_type(story->tape, attempts) != MW_NODE_ARRAY)
        return;
    for (uint32_t i = mw_node_first(story->tape, attempts); i != MW_NODE_NONE;
         i = mw_node_after(story->tape, attempts, i)) {
        head(story, "agent");
        mw_buf_printf(story->out, "%.*s, attempt %ld, %.*s in %ld ms\n",
                      MW_STR_ARG(text_at(story, i, "agentId")), number_at(story, i, "attempt"),
                      MW_STR_ARG(text_at(story, i, "outcome")), number_at(story, i, "duration_ms"));
        put_scores(story, mw_node_get(story->tape, i, "routing"));
        struct mw_str rationale = text_at(story, i, "rationale");
        if (rationale.len > 0) {
            mw_buf_put_z(story->out, "           ");
            mw_put_cut(story->out, rationale, 200);
            mw_buf_put_c(story->out, '\n');
        }
    }
}

static void put_tests(struct story *story)
{
    uint32_t rows = mw_node_get(story->tape, 0, "tests");
    if (mw_node_type(story->tape, rows) != MW_NODE_ARRAY)
        return;
    for (uint32_t i = mw_node_first(story->tape, rows); i != MW_NODE_NONE;
         i = mw_node_after(story->tape, rows, i)) {
        uint32_t suites = mw_node_get(story->tape, i, "suites");
        head(story, "tests");
        mw_put_safe(story->out, text_at(story, i, "service"));
        mw_buf_put_c(story->out, ' ');
        mw_put_safe(story->out, text_at(story, i, "result"));
        for (uint32_t s = mw_node_type(story->tape, suites) == MW_NODE_ARRAY
                              ? mw_node_first(story->tape, suites)
                              : MW_NODE_NONE;
             s != MW_NODE_NONE; s = mw_node_after(story->tape, suites, s)) {
            mw_buf_put_z(story->out, " · ");
            mw_put_safe(story->out, text_at(story, s, "name"));
            mw_buf_printf(story->out, " exit %ld, %ld passed, %ld failed",
                          number_at(story, s, "exit"), number_at(story, s, "passed"),
                          number_at(story, s, "failed"));
        }
        mw_buf_put_c(story->out, '\n');
    }
}

static void put_decisions(struct story *story)
{
    uint32_t rows = mw_node_get(story->tape, 0, "decisions");
    if (mw_node_type(story->tape, rows) != MW_NODE_ARRAY)
        return;
    for (uint32_t i = mw_node_first(story->tape, rows); i != MW_NODE_NONE;
         i = mw_node_after(story->tape, rows, i)) {
        struct mw_str target = text_at(story, i, "target");
        bool failed = mw_str_is(text_at(story, i, "outcome"), "failed");
        mw_buf_printf(story->out, "%s%.*s by ", failed ? "not " : "",
                      MW_STR_ARG(text_at(story, i, "decision")));
        mw_put_safe(story->out, text_at(story, i, "actor"));
        mw_buf_printf(story->out, ", %.*s%s", MW_STR_ARG(text_at(story, i, "at")),
                      target.len > 0 ? ", to " : "");
        mw_put_safe(story->out, target);
        if (failed) {
            mw_buf_put_z(story->out, ": ");
            mw_put_safe(story->out, text_at(story, i, "why"));
        }
        mw_buf_put_c(story->out, '\n');
    }
}

void mw_why_text(struct mw_buf *out, const struct mw_tape *tape, bool color)
{
    struct story story = {out, tape, color};
    put_place(&story);
    put_intent(&story);
    put_field(&story);
    put_task(&story);
    put_tests(&story);
    put_decisions(&story);
}
