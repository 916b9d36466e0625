#include "base/json.h"
#include "host/mask.h"
#include "posix/heap.h"

#include <nettle/base64.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check(struct mw_mask *mask, const char *text, const char *wanted)
{
    struct mw_buf out = mw_heap_buf();
    (void)mw_mask_text(mask, mw_str_of(text), &out);
    mw_buf_put_c(&out, '\0');
    assert_string_equal(out.ptr, wanted);
    mw_heap_buf_free(&out);
}

static void masks_every_form(void **state)
{
    struct mw_mask *mask = mw_mask_make();
    (void)state;
    mw_mask_add(mask, MW_STR("TOKEN"), MW_STR("pa\"ss w/rd!9"));
    check(mask, "plain pa\"ss w/rd!9.", "plain [secret TOKEN].");
    check(mask, "{\"a\":\"pa\\\"ss w/rd!9\"}", "{\"a\":\"[secret TOKEN]\"}");
    check(mask, "x=pa%22ss%20w%2Frd%219&y", "x=[secret TOKEN]&y");
    check(mask, "Basic cGEic3Mgdy9yZCE5", "Basic [secret TOKEN]");
    check(mask, "nothing here", "nothing here");
    mw_mask_free(mask);
}

/* What one writer leaves as it is another one escapes, and both are right. */
static void masks_however_a_writer_spells_it(void **state)
{
    static const char *const spelled[] = {
        "p\xc3\xa4ss+w/rd&\"\xf0\x9f\x94\x91 9",                  /* itself */
        "p\xc3\xa4ss+w/rd&\\\"\xf0\x9f\x94\x91 9",                /* JSON, as little as can be */
        "p\\u00e4ss+w/rd&\\\"\\ud83d\\udd11 9",                   /* in ASCII */
        "p\\u00E4ss\\u002Bw\\/rd\\u0026\\u0022\\uD83D\\uDD11 9",  /* for pages */
        "p%C3%A4ss%2Bw%2Frd%26%22%F0%9F%94%91%209",               /* an address */
        "p%c3%a4ss%2bw%2frd%26%22%f0%9f%94%91%209",               /* in small letters */
        "p%C3%A4ss%2Bw/rd%26%22%F0%9F%94%91+9",                   /* a form, '/' for safe */
        "%70%C3%A4%73%73%2B%77%2F%72%64%26%22%F0%9F%94%91%20%39", /* everything */
    };
    static const char *const others[] = {
        "p\\u00e5ss+w/rd&\\\"\\ud83d\\udd11 9", "p\\u00e4ss+w/rd&\\\"\\ud83d\\udd12 9",
        "p\\u00e4ss+w/rd&\\\"\\ud83d 9",        "p\\u00zzss+w/rd&\\\"\\ud83d\\udd11 9",
        "p\\xe4ss+w/rd&\\\"\\ud83d\\udd11 9",   "p%C3%A5ss%2Bw%2Frd%26%22%F0%9F%94%91%209",
        "p%C3%A4ss w/rd%26%22%F0%9F%94%91%209", "p%C3%A4ss%2Bw%2Grd%26%22%F0%9F%94%91%209"};
    struct mw_mask *mask = mw_mask_make();
    (void)state;
    mw_mask_add(mask, MW_STR("T"), mw_str_of(spelled[0]));
    for (size_t i = 0; i < MW_COUNT(spelled); i++) {
        struct mw_buf text = mw_heap_buf();
        mw_buf_printf(&text, "{\"said\":\"%s\"}", spelled[i]);
        mw_buf_put_c(&text, '\0');
        check(mask, text.ptr, "{\"said\":\"[secret T]\"}");
        /* Cut anywhere it is not the secret, and nothing behind its end is read. */
        for (size_t len = 0; len < strlen(spelled[i]); len++) {
            char *cut = mw_heap_copy((struct mw_str){spelled[i], len});
            check(mask, cut, cut);
            mw_heap_free(cut);
        }
        mw_heap_buf_free(&text);
    }
    for (size_t i = 0; i < MW_COUNT(others); i++)
        check(mask, others[i], others[i]);
    mw_mask_free(mask);
}

/* Whatever stands before it: half an escape is none, and a text that was JSON is JSON without the secret. */
static void what_is_left_is_json(void **state)
{
    static const char firsts[] = "\"\\/bfnrtu0aF";
    struct mw_arena arena;
    (void)state;
    mw_heap_arena(&arena, (size_t)1 << 20);
    for (size_t i = 0; firsts[i] != '\0'; i++) {
        static const char *const before[] = {"",       "\\\\",   "\\\"",         "\\n",
                                             "\\u00e", "\\u00",  "\\u0",         "\\u",
                                             "\\",     "\\\\\\", "\\ud83d\\udd", "x\\u00e4"};
        struct mw_mask *mask = mw_mask_make();
        char value[16];
        unsigned masked = 0;
        (void)snprintf(value, sizeof value, "%c0e4-abcdef", firsts[i]);
        mw_mask_add(mask, MW_STR("T"), mw_str_of(value));
        for (size_t n = 0; n < MW_COUNT(before); n++) {
            struct mw_buf text = mw_heap_buf(), out = mw_heap_buf();
            struct mw_tape tape;
            mw_buf_printf(&text, "{\"a\":\"%s%s\"}", before[n], value);
            mw_arena_reset(&arena);
            bool was = mw_json_parse(&arena, mw_buf_str(&text), &tape, NULL) == MW_OK;
            bool found = mw_mask_text(mask, mw_buf_str(&text), &out);
            mw_arena_reset(&arena);
            if (was && mw_json_parse(&arena, mw_buf_str(&out), &tape, NULL) != MW_OK)
                fail_msg("'%.*s' becomes '%.*s'", MW_STR_ARG(mw_buf_str(&text)),
                         MW_STR_ARG(mw_buf_str(&out)));
            assert_null(memmem(out.ptr, out.len, value, strlen(value)));
            masked += found;
            mw_heap_buf_free(&text);
            mw_heap_buf_free(&out);
        }
        assert_int_equal(masked, MW_COUNT(before)); /* more rather than less */
        mw_mask_free(mask);
    }
    mw_heap_arena_free(&arena);
}

/* As in `Authorization: Basic`, where a name stands before it: wherever it lies amid others, none of its own letters are left. */
static void masks_base64_of_what_holds_it(void **state)
{
    static const char *const values[] = {"hunter2-hunter2", "hunter2-hunter22",
                                         "hunter2?>?~~\xff\xfe"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(values); i++)
        for (size_t before = 0; before < 7; before++)
            for (size_t behind = 0; behind < 4; behind++) {
                struct mw_mask *mask = mw_mask_make();
                struct mw_buf plain = mw_heap_buf(), out = mw_heap_buf();
                char text[128] = "", kept[128];
                mw_mask_add(mask, MW_STR("T"), mw_str_of(values[i]));
                mw_buf_printf(&plain, "%.*s%s%.*s", (int)before, "user:1:", values[i], (int)behind,
                              "\xfd\xbf\xff\xff");
                base64_encode_raw(text, plain.len, (const uint8_t *)plain.ptr);
                for (int address = 0; address < 2; address++) {
                    mw_buf_reset(&out);
                    if (!mw_mask_text(mask, mw_str_of(text), &out))
                        fail_msg("'%s' (%zu before, %zu behind) is kept", text, before, behind);
                    /* Of what is left the letters of other bytes, and those that they share with it. */
                    (void)snprintf(kept, sizeof kept, "%.*s", MW_STR_ARG(mw_buf_str(&out)));
                    size_t left = strlen(kept) - strlen("[secret T]");
                    assert_true(left <= (before * 4 + 2) / 3 + (behind * 4 + 2) / 3 + 4);
                    for (char *at = text; *at != '\0'; at++)
                        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
                }
                mw_heap_buf_free(&plain);
                mw_heap_buf_free(&out);
                mw_mask_free(mask);
            }
}

static void leaves_short_values_alone(void **state)
{
    struct mw_mask *mask = mw_mask_make();
    (void)state;
    mw_mask_add(mask, MW_STR("SHORT"), MW_STR("abc"));
    check(mask, "abc", "abc");
    mw_mask_free(mask);
}

static void masks_each_of_many(void **state)
{
    struct mw_mask *mask = mw_mask_make();
    (void)state;
    mw_mask_add(mask, MW_STR("FIRST"), MW_STR("first-secret"));
    mw_mask_add(mask, MW_STR("SECOND"), MW_STR("second-secret"));
    mw_mask_add(mask, MW_STR("FIRST"), MW_STR("first-secret"));
    mw_mask_add(mask, MW_STR("FIRST"), MW_STR("changed-secret"));
    check(mask, "first-secret second-secret changed-secret first-secret",
          "[secret FIRST] [secret SECOND] [secret FIRST] [secret FIRST]");
    check(mask, "first-secrefirst-secretsecond-secret", "first-secre[secret FIRST][secret SECOND]");
    mw_mask_free(mask);
}

/* In whichever order they come: of the longer one nothing is left over. */
static void masks_one_that_begins_like_another(void **state)
{
    static const char *const values[] = {"password", "password-12345"};
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        struct mw_mask *mask = mw_mask_make();
        mw_mask_add(mask, MW_STR("A"), mw_str_of(values[first]));
        mw_mask_add(mask, MW_STR("B"), mw_str_of(values[1 - first]));
        check(mask, "x password-12345 y", first == 0 ? "x [secret B] y" : "x [secret A] y");
        check(mask, "x password-1234 y",
              first == 0 ? "x [secret A]-1234 y" : "x [secret B]-1234 y");
        mw_mask_free(mask);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_every_form),
        cmocka_unit_test(masks_however_a_writer_spells_it),
        cmocka_unit_test(what_is_left_is_json),
        cmocka_unit_test(masks_base64_of_what_holds_it),
        cmocka_unit_test(leaves_short_values_alone),
        cmocka_unit_test(masks_each_of_many),
        cmocka_unit_test(masks_one_that_begins_like_another),
    };
    return cmocka_run_group_tests_name("P19 secrets are masked at ingress", tests, NULL, NULL);
}
