#include "base/base.h"
#include "base/format.h"

#include <string.h>

struct text_sink {
    char *text;
    size_t len;
    size_t cap; /* room for the terminator is kept */
};

static void put_text(void *sink, const char *bytes, size_t len)
{
    struct text_sink *out = sink;
    size_t room = out->cap - 1 - out->len;
    size_t take = len < room ? len : room;
    memcpy(out->text + out->len, bytes, take);
    out->len += take;
}

static void put_text_z(struct text_sink *out, const char *terminated)
{
    put_text(out, terminated, strlen(terminated));
}

enum mw_rc mw_fail(struct mw_err *err, enum mw_rc rc, int sys_errno, const char *format, ...)
{
    MW_ASSERT(rc != MW_OK);
    if (err == NULL)
        return rc;
    /* The arguments may point into err->text (an error told again with more words), so the text is made aside. */
    char text[MW_ERR_TEXT_MAX];
    struct text_sink out = {text, 0, sizeof(text)};
    va_list args;
    va_start(args, format);
    mw_format(put_text, &out, format, args);
    va_end(args);
    if (sys_errno != 0) {
        const char *words = strerrordesc_np(sys_errno);
        put_text_z(&out, ": ");
        put_text_z(&out, words != NULL ? words : "unknown system error");
    }
    text[out.len] = '\0';
    memcpy(err->text, text, out.len + 1);
    err->rc = rc;
    err->sys_errno = sys_errno;
    return rc;
}

static const struct {
    const char *name;
    int exit_code;
} rc_table[MW_RC_COUNT] = {
    [MW_OK] = {"ok", 0},
    [MW_E_USAGE] = {"usage", 2},
    [MW_E_INPUT] = {"input", 2},
    [MW_E_CORRUPT] = {"corrupt", 65},
    [MW_E_MISSING] = {"missing", 69},
    [MW_E_IO] = {"io", 74},
    [MW_E_FULL] = {"full", 74},
    [MW_E_CONFLICT] = {"conflict", 75},
    [MW_E_DENIED] = {"denied", 77},
    [MW_E_CONFIG] = {"config", 78},
    [MW_E_LIMIT] = {"limit", 4},
    [MW_E_TIMEOUT] = {"timeout", 1},
    [MW_E_FAILED] = {"failed", 1},
    [MW_E_WAITING] = {"waiting", 3},
};

int mw_rc_exit_code(enum mw_rc rc)
{
    MW_ASSERT((unsigned)rc < MW_RC_COUNT);
    return rc_table[rc].exit_code;
}

const char *mw_rc_name(enum mw_rc rc)
{
    MW_ASSERT((unsigned)rc < MW_RC_COUNT);
    return rc_table[rc].name;
}
