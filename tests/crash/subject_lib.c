/* subject_lib.c - what the scenarios share: saying, listening to what was said, and the order of a check. */
#include "subject.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct subject *subject_all(size_t *ret_count)
{
    static struct subject all[32];
    size_t count = 0;
    MW_ASSERT(subject_journal_count + subject_promotion_count + subject_upkeep_count +
                  subject_shorten_count <=
              MW_COUNT(all));
    for (size_t i = 0; i < subject_journal_count; i++)
        all[count++] = subject_journal[i];
    for (size_t i = 0; i < subject_promotion_count; i++)
        all[count++] = subject_promotion[i];
    for (size_t i = 0; i < subject_upkeep_count; i++)
        all[count++] = subject_upkeep[i];
    for (size_t i = 0; i < subject_shorten_count; i++)
        all[count++] = subject_shorten[i];
    *ret_count = count;
    return all;
}

const struct subject *subject_find(const char *name)
{
    size_t count;
    const struct subject *all = subject_all(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

static void say_line(const char *word, const char *format, va_list args)
{
    char line[2048];
    int length = snprintf(line, sizeof line, "%s", word);
    length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, args);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length++] = '\n';
    ssize_t wrote = write(STDOUT_FILENO, line, (size_t)length);
    (void)wrote; /* whoever does not listen any more does not need to hear it */
}

void subject_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_line("", format, args);
    va_end(args);
}

void subject_branch(const char *name)
{
    subject_say("branch %s", name);
}

int subject_wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_line("wrong ", format, args);
    va_end(args);
    return SUBJECT_WRONG;
}

int subject_fail(const char *what, enum mw_rc rc, const struct mw_err *err)
{
    subject_say("fail %s %s %s", what, mw_rc_name(rc), err->text);
    return mw_rc_exit_code(rc);
}

bool subject_next_ack(struct mw_str acks, size_t *at, const char *what, char *ret_rest, size_t cap)
{
    char start[64];
    int length = snprintf(start, sizeof start, "ack %s", what);
    while (*at < acks.len) {
        size_t end = mw_str_find(acks, '\n', *at);
        if (end == SIZE_MAX)
            return false; /* a line that was not finished was not said */
        struct mw_str line = mw_str_sub(acks, *at, end - *at);
        *at = end + 1;
        if (line.len < (size_t)length || memcmp(line.ptr, start, (size_t)length) != 0)
            continue;
        if (line.len > (size_t)length && line.ptr[length] != ' ')
            continue;
        struct mw_str rest = mw_str_sub(line, (size_t)length + 1, SIZE_MAX);
        (void)snprintf(ret_rest, cap, "%.*s", (int)rest.len, rest.len > 0 ? rest.ptr : "");
        return true;
    }
    return false;
}

bool subject_last_ack(struct mw_str acks, const char *what, char *ret_rest, size_t cap)
{
    bool found = false;
    for (size_t at = 0; subject_next_ack(acks, &at, what, ret_rest, cap);)
        found = true;
    return found;
}

struct mw_buf subject_all_acks(struct mw_str acks)
{
    struct mw_buf all = mw_heap_buf();
    struct mw_err ignored; /* most scenarios have none */
    if (mw_file_read(AT_FDCWD, SUBJECT_PREPARED, (size_t)1 << 20, &all, &ignored) != MW_OK)
        mw_buf_reset(&all);
    mw_buf_put(&all, acks);
    return all;
}

uint64_t subject_mix(uint64_t seed, uint64_t n)
{
    uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u + n * 0xbf58476d1ce4e5b9u;
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

int subject_check(const struct subject *subject, struct mw_str acks)
{
    char first[65] = "", second[65] = "", third[65] = "";
    int code = subject->recover();
    if (code == 0)
        code = subject->verify(acks, first);
    if (code == 0)
        code = subject->recover();
    if (code == 0)
        code = subject->verify(acks, second);
    if (code == 0 && strcmp(first, second) != 0)
        code = subject_wrong("a second recovery changed the state");
    if (code == 0)
        code = subject->resume(acks);
    if (code == 0)
        code = subject->recover();
    return code == 0 ? subject->verify(acks, third) : code;
}
