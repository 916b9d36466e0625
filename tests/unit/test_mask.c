#include "host/mask.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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
        cmocka_unit_test(leaves_short_values_alone),
        cmocka_unit_test(masks_each_of_many),
        cmocka_unit_test(masks_one_that_begins_like_another),
    };
    return cmocka_run_group_tests_name("P19 secrets are masked at ingress", tests, NULL, NULL);
}
