#include "stage/fold.h"

#include "posix/heap.h"
#include "posix/library.h"
#include <pthread.h>
#include <stdio.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/uvernum.h>

/* Linked at start-up, ICU's 30 MB of tables and the C++ library would cost every command; one workspace in a hundred has such names. */
static struct {
    const UNormalizer2 *nfkc_casefold;
    int32_t (*normalize)(const UNormalizer2 *, const UChar *, int32_t, UChar *, int32_t,
                         UErrorCode *);
    UChar *(*from_utf8)(UChar *, int32_t, int32_t *, const char *, int32_t, UErrorCode *);
    char *(*to_utf8)(char *, int32_t, int32_t *, const UChar *, int32_t, UErrorCode *);
} icu;
static pthread_once_t icu_once = PTHREAD_ONCE_INIT;

#define TEXT(x) TEXT_OF(x)
#define TEXT_OF(x) #x

static void icu_load(void)
{
    static const UNormalizer2 *(*instance)(UErrorCode *);
    /* ICU's macros put its version behind each name; the text of the macro is the symbol. */
    static const struct mw_library_function functions[] = {
        {TEXT(unorm2_getNFKCCasefoldInstance), &instance},
        {TEXT(unorm2_normalize), &icu.normalize},
        {TEXT(u_strFromUTF8), &icu.from_utf8},
        {TEXT(u_strToUTF8), &icu.to_utf8}};
    if (!mw_library_load("libicuuc.so." U_ICU_VERSION_SHORT, functions, MW_COUNT(functions)))
        return;
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *found = instance(&status);
    if (U_SUCCESS(status))
        icu.nfkc_casefold = found;
}

static enum mw_rc fold_unicode(struct mw_str name, struct mw_buf *buf, struct mw_err *err)
{
    (void)pthread_once(&icu_once, icu_load); /* cannot fail with a valid control */
    if (icu.nfkc_casefold == NULL)
        return MW_FAIL(err, MW_E_MISSING,
                       "'%.*s' needs libicuuc.so." U_ICU_VERSION_SHORT
                       " to tell whether it collides with another name",
                       MW_STR_ARG(name));
    /* One UTF-8 byte gives at most one UTF-16 unit; NFKC grows a unit at most 18-fold. */
    int32_t room = (int32_t)(name.len * 18 + 16);
    mw_autofree UChar *wide = mw_heap_alloc(sizeof(UChar) * (name.len + 1));
    mw_autofree UChar *folded = mw_heap_alloc(sizeof(UChar) * (size_t)room);
    mw_autofree char *narrow = mw_heap_alloc((size_t)room * 3);
    UErrorCode status = U_ZERO_ERROR;
    int32_t wide_count = 0, narrow_count = 0;
    icu.from_utf8(wide, (int32_t)name.len + 1, &wide_count, name.ptr, (int32_t)name.len, &status);
    int32_t folded_count =
        icu.normalize(icu.nfkc_casefold, wide, wide_count, folded, room, &status);
    icu.to_utf8(narrow, room * 3, &narrow_count, folded, folded_count, &status);
    if (U_FAILURE(status))
        return MW_FAIL(err, MW_E_INPUT, "'%.*s' cannot be normalised", MW_STR_ARG(name));
    mw_buf_put(buf, (struct mw_str){narrow, (size_t)narrow_count});
    return MW_OK;
}

enum mw_rc mw_fold_name(struct mw_str name, struct mw_buf *buf, struct mw_err *err)
{
    bool ascii = true;
    for (size_t i = 0; i < name.len && ascii; i++)
        ascii = (unsigned char)name.ptr[i] < 0x80;
    if (!ascii && !mw_utf8_valid(name, NULL))
        return MW_FAIL(err, MW_E_INPUT, "a name is not UTF-8");
    if (!ascii)
        return fold_unicode(name, buf, err);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        mw_buf_put_c(buf, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
    return MW_OK;
}
