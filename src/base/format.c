#include "base/format.h"

#include <string.h>

struct spec {
    bool zero;
    int width;
    int precision; /* -1: not given */
    int longs;     /* 0 int, 1 long, 2 long long, 3 size_t */
};

static const char *read_spec(const char *at, struct spec *spec, va_list *args);
static void put_number(mw_format_put *put, void *sink, const struct spec *spec, uint64_t magnitude,
                       bool negative, unsigned base);
static uint64_t next_unsigned(const struct spec *spec, va_list *args);
static int64_t next_signed(const struct spec *spec, va_list *args);
static void put_one(mw_format_put *put, void *sink, char conversion, const struct spec *spec,
                    va_list *args);

void mw_format(mw_format_put *put, void *sink, const char *format, va_list caller_args)
{
    va_list args;
    va_copy(args, caller_args);
    for (const char *at = format; *at != '\0';) {
        const char *percent = strchr(at, '%');
        size_t plain = percent != NULL ? (size_t)(percent - at) : strlen(at);
        if (plain > 0)
            put(sink, at, plain);
        if (percent == NULL)
            break;
        struct spec spec = {.precision = -1};
        at = read_spec(percent + 1, &spec, &args);
        put_one(put, sink, *at, &spec, &args);
        at++;
    }
    va_end(args);
}

static void put_one(mw_format_put *put, void *sink, char conversion, const struct spec *spec,
                    va_list *args)
{
    switch (conversion) {
    case '%':
        put(sink, "%", 1);
        return;
    case 'c': {
        char c = (char)va_arg(*args, int);
        put(sink, &c, 1);
        return;
    }
    case 's': {
        const char *text = va_arg(*args, const char *);
        text = text != NULL ? text : "(null)";
        size_t len = spec->precision >= 0 ? strnlen(text, (size_t)spec->precision) : strlen(text);
        put(sink, text, len);
        return;
    }
    case 'd':
    case 'i': {
        int64_t value = next_signed(spec, args);
        uint64_t magnitude = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
        put_number(put, sink, spec, magnitude, value < 0, 10);
        return;
    }
    case 'u':
        put_number(put, sink, spec, next_unsigned(spec, args), false, 10);
        return;
    case 'x':
        put_number(put, sink, spec, next_unsigned(spec, args), false, 16);
        return;
    default:
        MW_UNREACHABLE("a conversion that format.h does not know");
    }
}

static const char *read_spec(const char *at, struct spec *spec, va_list *args)
{
    if (*at == '0') {
        spec->zero = true;
        at++;
    }
    for (; *at >= '0' && *at <= '9'; at++)
        spec->width = spec->width * 10 + (*at - '0');
    if (*at == '.') {
        at++;
        if (*at == '*') {
            spec->precision = va_arg(*args, int);
            at++;
        } else {
            spec->precision = 0;
            for (; *at >= '0' && *at <= '9'; at++)
                spec->precision = spec->precision * 10 + (*at - '0');
        }
    }
    for (; *at == 'l'; at++)
        spec->longs++;
    if (*at == 'z') {
        spec->longs = 3;
        at++;
    }
    return at;
}

static uint64_t next_unsigned(const struct spec *spec, va_list *args)
{
    switch (spec->longs) {
    case 0:
        return va_arg(*args, unsigned int);
    case 1:
        return va_arg(*args, unsigned long);
    case 2:
        return va_arg(*args, unsigned long long);
    default:
        return va_arg(*args, size_t);
    }
}

static int64_t next_signed(const struct spec *spec, va_list *args)
{
    switch (spec->longs) {
    case 0:
        return va_arg(*args, int);
    case 1:
        return va_arg(*args, long);
    case 2:
        return va_arg(*args, long long);
    default:
        return (int64_t)va_arg(*args, size_t);
    }
}

static void put_number(mw_format_put *put, void *sink, const struct spec *spec, uint64_t magnitude,
                       bool negative, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[magnitude % base];
        magnitude /= base;
    } while (magnitude != 0);
    int count = (int)(sizeof(digits) - at) + (negative ? 1 : 0);
    if (negative && spec->zero)
        put(sink, "-", 1);
    for (; count < spec->width; count++)
        put(sink, spec->zero ? "0" : " ", 1);
    if (negative && !spec->zero)
        put(sink, "-", 1);
    put(sink, digits + at, sizeof(digits) - at);
}
