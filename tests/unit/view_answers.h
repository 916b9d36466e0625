/* view_answers.h - questions to the views of a story, and what is wanted of the answers. */
#ifndef VIEW_ANSWERS_H
#define VIEW_ANSWERS_H

#include "view_scenes.h"

struct answer {
    struct mw_arena arena;
    struct mw_buf text;
    struct mw_tape tape;
    struct mw_err err;
    enum mw_rc rc;
};

static inline struct answer ask(const struct story *story, const char *question)
{
    struct answer answer = {.text = mw_heap_buf()};
    mw_heap_arena(&answer.arena, 64u << 20);
    answer.rc = story_ask(story, question, &answer.text, &answer.err);
    if (answer.rc == MW_OK)
        assert_int_equal(
            mw_json_parse(&answer.arena, mw_buf_str(&answer.text), &answer.tape, &answer.err),
            MW_OK);
    else
        assert_int_equal(answer.text.len, 0); /* untouched on failure */
    return answer;
}

static inline void done(struct answer *answer)
{
    mw_heap_buf_free(&answer->text);
    mw_heap_arena_free(&answer->arena);
}

static inline uint32_t at(const struct answer *answer, const char *pointer)
{
    if (answer->rc != MW_OK)
        fail_msg("%s", answer->err.text);
    return mw_node_pointer(&answer->tape, 0, mw_str_of(pointer));
}

static inline void assert_text(const struct answer *answer, const char *pointer, const char *wanted)
{
    struct mw_str got = mw_node_str(&answer->tape, at(answer, pointer));
    if (!mw_str_is(got, wanted))
        fail_msg("%s is '%.*s', not '%s', in %.*s", pointer, MW_STR_ARG(got), wanted,
                 MW_STR_ARG(mw_buf_str(&answer->text)));
}

static inline void assert_number(const struct answer *answer, const char *pointer, int64_t wanted)
{
    assert_int_equal(mw_node_int(&answer->tape, at(answer, pointer), -1), wanted);
}

static inline void assert_count(const struct answer *answer, const char *pointer, uint32_t wanted)
{
    assert_int_equal(mw_node_count(&answer->tape, at(answer, pointer)), wanted);
}

static inline void assert_refused(const struct story *story, const char *question, enum mw_rc rc,
                                  const char *words)
{
    struct answer answer = ask(story, question);
    assert_int_equal(answer.rc, rc);
    if (strstr(answer.err.text, words) == NULL)
        fail_msg("%s says '%s', without '%s'", question, answer.err.text, words);
    done(&answer);
}

static struct story everything;

static inline int open_everything(void **state)
{
    (void)state;
    story_open(&everything);
    story_everything(&everything);
    return 0;
}

static inline int close_everything(void **state)
{
    (void)state;
    story_close(&everything);
    return 0;
}

#endif
