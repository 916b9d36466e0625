#include "host/mask.h"
#include "posix/heap.h"

#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

/* Plain; base64 whole; then, with and without the letters that names may hold, what base64 of longer texts makes of it at each of three places. */
#define SHAPES_MAX 9u

struct secret {
    struct secret *next;
    char *name;
    struct mw_buf shapes[SHAPES_MAX]; /* what is looked for; the first is the value itself */
    uint32_t shape_count;
    bool begins[256]; /* whether any form of a shape may begin with this byte */
};

struct mw_mask {
    struct secret *secrets;
};

struct mw_mask *mw_mask_make(void)
{
    return mw_heap_alloc(sizeof(struct mw_mask));
}

void mw_mask_free(struct mw_mask *mask)
{
    struct secret *secret = mask != NULL ? mask->secrets : NULL;
    while (secret != NULL) {
        struct secret *next = secret->next;
        for (uint32_t i = 0; i < secret->shape_count; i++)
            mw_heap_buf_free(&secret->shapes[i]);
        free(secret->name);
        free(secret);
        secret = next;
    }
    free(mask);
}

/* ---- what is looked for ---- */

static void add_shape(struct secret *secret, struct mw_str text)
{
    MW_ASSERT(secret->shape_count < SHAPES_MAX);
    struct mw_buf *shape = &secret->shapes[secret->shape_count];
    for (uint32_t i = 0; i < secret->shape_count; i++)
        if (mw_str_eq(mw_buf_str(&secret->shapes[i]), text))
            return;
    *shape = mw_heap_buf();
    mw_buf_put(shape, text);
    secret->begins[(uint8_t)text.ptr[0]] = true;
    secret->shape_count++;
}

/* Base64 takes three bytes at a time: with so many before it a value is written in another way. The letters that hold bits of what is before or
 * behind it are left out, so that it is found inside longer text; whole: all of its own, as it is written alone, but for the padding. */
static void add_base64(struct secret *secret, struct mw_str value, size_t before, bool whole)
{
    static const size_t shared[] = {0, 2, 3}; /* letters with bits of what is before */
    size_t bits = (before + value.len) * 8;
    struct mw_buf longer = mw_heap_buf();
    for (size_t i = 0; i < before; i++)
        mw_buf_put_c(&longer, '\0');
    mw_buf_put(&longer, value);
    char *text = mw_heap_alloc(BASE64_ENCODE_RAW_LENGTH(longer.len) + 1);
    base64_encode_raw(text, longer.len, (const uint8_t *)longer.ptr);
    struct mw_str shape = {text + shared[before],
                           (whole ? (bits + 5) / 6 : bits / 6) - shared[before]};
    add_shape(secret, shape);
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    add_shape(secret, shape);
    mw_heap_free(text);
    mw_heap_buf_free(&longer);
}

void mw_mask_add(struct mw_mask *mask, struct mw_str name, struct mw_str value)
{
    if (value.len < MW_SECRET_BYTES_MIN)
        return;
    for (const struct secret *known = mask->secrets; known != NULL; known = known->next)
        if (mw_str_is(name, known->name) && mw_str_eq(mw_buf_str(&known->shapes[0]), value))
            return;
    struct secret *secret = mw_heap_alloc(sizeof(*secret));
    secret->name = mw_heap_copy(name);
    add_shape(secret, value);
    add_base64(secret, value, 0, true);
    for (size_t before = 0; before < 3; before++)
        add_base64(secret, value, before, false);
    secret->begins['\\'] = secret->begins['%'] = true;
    secret->begins['+'] = secret->begins['+'] || value.ptr[0] == ' ';
    secret->next = mask->secrets;
    /* Worker threads read the list while the loop adds to it; nothing is ever taken out. */
    __atomic_store_n(&mask->secrets, secret, __ATOMIC_RELEASE);
}

/* ---- the forms in which it is written ---- */

static bool read_hex(struct mw_str text, size_t at, size_t count, uint32_t *ret_value)
{
    uint32_t value = 0;
    for (size_t i = at; i < at + count; i++) {
        int digit = mw_hex_value(i < text.len ? text.ptr[i] : ' ');
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    *ret_value = value;
    return true;
}

/* The escape of JSON that text begins with: how much of it that is, 0: none. */
static size_t read_escape(struct mw_str text, char bytes[4], size_t *ret_count)
{
    static const char marks[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;
    const char *mark = text.len > 1 ? memchr(marks, text.ptr[1], sizeof(marks) - 1) : NULL;
    if (mark != NULL) {
        bytes[0] = meant[mark - marks];
        *ret_count = 1;
        return 2;
    }
    if (text.len < 6 || text.ptr[1] != 'u' || !read_hex(text, 2, 4, &code))
        return 0;
    size_t took = 6;
    if ((code & 0xfc00) == 0xd800 && text.len >= 12 && text.ptr[6] == '\\' && text.ptr[7] == 'u' &&
        read_hex(text, 8, 4, &low) && (low & 0xfc00) == 0xdc00) {
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        took = 12;
    }
    *ret_count = mw_utf8_put(bytes, code);
    return took;
}

/* However a writer of JSON spells it: each character itself, by its short escape or by its number. 0: it is not there. */
static size_t in_json(struct mw_str rest, struct mw_str shape)
{
    size_t at = 0;
    for (size_t done = 0; done < shape.len;) {
        char bytes[4];
        size_t count = 1, took = 1;
        if (at >= rest.len)
            return 0;
        bytes[0] = rest.ptr[at];
        if (bytes[0] == '\\')
            took = read_escape(mw_str_sub(rest, at, rest.len), bytes, &count);
        if (took == 0 || count > shape.len - done || memcmp(shape.ptr + done, bytes, count) != 0)
            return 0;
        at += took;
        done += count;
    }
    return at;
}

/* In an address or a form: whichever of its bytes the writer took for safe. */
static size_t in_url(struct mw_str rest, struct mw_str shape)
{
    size_t at = 0;
    for (size_t done = 0; done < shape.len; done++, at++) {
        uint32_t byte;
        if (at >= rest.len)
            return 0;
        byte = (uint8_t)rest.ptr[at];
        if (byte == '%' && read_hex(rest, at + 1, 2, &byte))
            at += 2;
        else if (byte == '+' && shape.ptr[done] == ' ')
            byte = ' ';
        if (byte != (uint8_t)shape.ptr[done])
            return 0;
    }
    return at;
}

static size_t as_it_is(struct mw_str rest, struct mw_str shape)
{
    return mw_str_starts(rest, shape) ? shape.len : 0;
}

/* The secret whose form begins at this place, the longest of them: one may begin like another. *ret_len: how much of the text it is. */
static const struct secret *secret_at(const struct mw_mask *mask, struct mw_str rest,
                                      size_t *ret_len)
{
    static size_t (*const forms[])(struct mw_str rest, struct mw_str shape) = {as_it_is, in_json,
                                                                               in_url};
    const struct secret *found = NULL;
    const struct secret *secret = __atomic_load_n(&mask->secrets, __ATOMIC_ACQUIRE);
    *ret_len = 0;
    for (; secret != NULL; secret = secret->next)
        for (uint32_t i = 0; i < secret->shape_count && secret->begins[(uint8_t)rest.ptr[0]]; i++)
            for (size_t form = 0; form < MW_COUNT(forms); form++) {
                size_t len = forms[form](rest, mw_buf_str(&secret->shapes[i]));
                if (len <= *ret_len)
                    continue;
                *ret_len = len;
                found = secret;
            }
    return found;
}

bool mw_mask_text(const struct mw_mask *mask, struct mw_str text, struct mw_buf *out)
{
    bool found = false;
    if (__atomic_load_n(&mask->secrets, __ATOMIC_ACQUIRE) == NULL) {
        mw_buf_put(out, text);
        return false;
    }
    for (size_t at = 0; at < text.len;) {
        struct mw_str rest = mw_str_sub(text, at, text.len);
        const struct secret *secret = NULL;
        char bytes[4];
        size_t count, len = 0, from = 0;
        /* An escape goes as a whole, for half of one would be none: "\\npm_12345" has to be JSON also without "npm_12345". */
        size_t step = rest.ptr[0] == '\\' ? read_escape(rest, bytes, &count) : 1;
        step = step > 0 ? step : 1;
        for (; secret == NULL && from < step; from++)
            secret = secret_at(mask, mw_str_sub(rest, from, rest.len), &len);
        if (secret == NULL) {
            mw_buf_put(out, mw_str_sub(rest, 0, step));
            at += step;
            continue;
        }
        mw_buf_printf(out, "[secret %s]", secret->name);
        at += from - 1 + len;
        found = true;
    }
    return found;
}
