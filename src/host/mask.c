#include "host/mask.h"
#include "base/json.h"
#include "posix/heap.h"

#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

enum form { FORM_PLAIN, FORM_JSON, FORM_URL, FORM_BASE64, FORM_COUNT };

struct secret {
    struct secret *next;
    char *name;
    struct mw_buf forms[FORM_COUNT];
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
        for (int form = 0; form < FORM_COUNT; form++)
            mw_heap_buf_free(&secret->forms[form]);
        free(secret->name);
        free(secret);
        secret = next;
    }
    free(mask);
}

static void put_url(struct mw_buf *buf, struct mw_str value)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = (uint8_t)value.ptr[i];
        bool plain = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        plain = plain || (c >= '0' && c <= '9') || strchr("-_.~", c) != NULL;
        if (plain) {
            mw_buf_put_c(buf, (char)c);
            continue;
        }
        mw_buf_put_c(buf, '%');
        mw_buf_put_c(buf, hex[c >> 4]);
        mw_buf_put_c(buf, hex[c & 15]);
    }
}

/* Without the padding, so that the form is found inside longer text too. */
static void put_base64(struct mw_buf *buf, struct mw_str value)
{
    size_t len = BASE64_ENCODE_RAW_LENGTH(value.len);
    char *text = mw_heap_alloc(len + 1);
    base64_encode_raw(text, value.len, (const uint8_t *)value.ptr);
    while (len > 0 && text[len - 1] == '=')
        len--;
    mw_buf_put(buf, (struct mw_str){text, len});
    free(text);
}

static void put_json(struct mw_buf *buf, struct mw_str value)
{
    struct mw_buf quoted = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &quoted);
    mw_json_str(&json, value);
    mw_buf_put(buf, mw_str_sub(mw_buf_str(&quoted), 1, quoted.len - 2));
    mw_heap_buf_free(&quoted);
}

void mw_mask_add(struct mw_mask *mask, struct mw_str name, struct mw_str value)
{
    if (value.len < MW_SECRET_BYTES_MIN)
        return;
    for (const struct secret *known = mask->secrets; known != NULL; known = known->next)
        if (mw_str_is(name, known->name) && mw_str_eq(mw_buf_str(&known->forms[FORM_PLAIN]), value))
            return;
    struct secret *secret = mw_heap_alloc(sizeof(*secret));
    for (int form = 0; form < FORM_COUNT; form++)
        secret->forms[form] = mw_heap_buf();
    secret->name = mw_heap_copy(name);
    mw_buf_put(&secret->forms[FORM_PLAIN], value);
    put_json(&secret->forms[FORM_JSON], value);
    put_url(&secret->forms[FORM_URL], value);
    put_base64(&secret->forms[FORM_BASE64], value);
    secret->next = mask->secrets;
    /* Worker threads read the list while the loop adds to it; nothing is ever taken out. */
    __atomic_store_n(&mask->secrets, secret, __ATOMIC_RELEASE);
}

/* The secret whose form begins at this place, the longest of them: one may begin like another. *ret_len: how much of the text it is. */
static const struct secret *secret_at(const struct mw_mask *mask, struct mw_str rest,
                                      size_t *ret_len)
{
    const struct secret *found = NULL;
    const struct secret *secret = __atomic_load_n(&mask->secrets, __ATOMIC_ACQUIRE);
    *ret_len = 0;
    for (; secret != NULL; secret = secret->next)
        for (int form = 0; form < FORM_COUNT; form++) {
            struct mw_str shape = mw_buf_str(&secret->forms[form]);
            if (shape.len <= *ret_len || !mw_str_starts(rest, shape))
                continue;
            *ret_len = shape.len;
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
        size_t len;
        const struct secret *secret = secret_at(mask, mw_str_sub(text, at, text.len), &len);
        if (secret == NULL) {
            mw_buf_put_c(out, text.ptr[at++]);
            continue;
        }
        mw_buf_printf(out, "[secret %s]", secret->name);
        at += len;
        found = true;
    }
    return found;
}
