#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/render.h"
#include "posix/file.h"
#include "posix/heap.h"

#define ARENA_BYTES (1024UL * 1024 * 1024) /* reserved, not touched */
#define NEAR_ENOUGH 3
#define USAGE_BYTES 8192

static const struct mw_option *find_option(const struct mw_option *options, const char *name,
                                           size_t len, size_t *ret_index);

/* ---- words ---- */

const struct mw_command *mw_command_find(int count, char *const *words, int *ret_words)
{
    const struct mw_command *best = NULL;
    *ret_words = 0;
    for (size_t i = 0; i < mw_command_count; i++) {
        const char *name = mw_commands[i].name;
        const char *space = strchr(name, ' ');
        size_t first = space != NULL ? (size_t)(space - name) : strlen(name);
        int takes = space != NULL ? 2 : 1;
        if (count < takes || strlen(words[0]) != first || memcmp(words[0], name, first) != 0 ||
            (space != NULL && strcmp(words[1], space + 1) != 0) || takes < *ret_words)
            continue;
        best = &mw_commands[i];
        *ret_words = takes;
    }
    return best;
}

/* Edits (insert, remove, replace, swap of neighbours) between two short words; 99 when one is long. */
static int distance(const char *a, const char *b)
{
    enum { WORD_MAX = 32 };
    int rows[3][WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return 99;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= a_len; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i - 1) % 3], *twice = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= b_len; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                twice[j - 2] + 1 < best)
                best = twice[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *mw_command_suggest(const char *word)
{
    const char *best = NULL;
    int nearest = NEAR_ENOUGH;
    for (size_t i = 0; i < mw_command_count; i++) {
        char first[32] = "";
        const char *name = mw_commands[i].name;
        size_t len = strcspn(name, " ");
        memcpy(first, name, len < sizeof(first) - 1 ? len : sizeof(first) - 1);
        /* Both "plan show" and its first word are what somebody may have meant. */
        int near = distance(word, strchr(word, ' ') != NULL ? name : first);
        if (near < nearest && near < (int)strlen(word)) {
            nearest = near;
            best = name;
        }
    }
    return best;
}

static const struct mw_option *find_option(const struct mw_option *options, const char *name,
                                           size_t len, size_t *ret_index)
{
    for (size_t i = 0; options != NULL && options[i].name != NULL; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0) {
            *ret_index = i;
            return &options[i];
        }
    return NULL;
}

static const char *suggest_option(const struct mw_option *options, const char *word)
{
    const char *best = NULL;
    int nearest = NEAR_ENOUGH;
    for (size_t i = 0; options != NULL && options[i].name != NULL; i++)
        if (distance(word, options[i].name) < nearest) {
            nearest = distance(word, options[i].name);
            best = options[i].name;
        }
    return best;
}

static void set_general(struct mw_cli *cli, const char *name, const char *value)
{
    if (strcmp(name, "workspace") == 0)
        cli->workspace_flag = value;
    else if (strcmp(name, "json") == 0)
        cli->json = true;
    else if (strcmp(name, "verbose") == 0)
        cli->verbose = true;
    else
        cli->help = true;
}

static enum mw_rc unknown_option(const struct mw_cli *cli, const char *word, struct mw_err *err)
{
    const char *near = suggest_option(mw_general_options, word + 2);
    const char *own = cli->command != NULL ? suggest_option(cli->command->options, word + 2) : NULL;
    near = own != NULL ? own : near;
    if (near != NULL)
        return MW_FAIL(err, MW_E_USAGE, "unknown option '%s'; did you mean --%s?", word, near);
    return MW_FAIL(err, MW_E_USAGE, "unknown option '%s'", word);
}

/* One option; *at moves over what it took. */
static enum mw_rc take_option(struct mw_cli *cli, int count, char *const *words, int *at,
                              struct mw_err *err)
{
    const char *word = words[*at], *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name), index = 0;
    /* A command's own option comes first: `answer --json FILE` takes a file, everywhere else --json is a flag. */
    const struct mw_option *own =
        cli->command != NULL ? find_option(cli->command->options, name, len, &index) : NULL;
    const struct mw_option *option =
        own != NULL ? own : find_option(mw_general_options, name, len, &index);
    if (option == NULL)
        return unknown_option(cli, word, err);
    const char *value = "";
    if (option->value != NULL && equals != NULL) {
        value = equals + 1;
    } else if (option->value != NULL) {
        if (*at + 1 >= count)
            return MW_FAIL(err, MW_E_USAGE, "--%s wants %s", option->name, option->value);
        value = words[++*at];
    } else if (equals != NULL) {
        return MW_FAIL(err, MW_E_USAGE, "--%s takes no value", option->name);
    }
    if (own == NULL) {
        set_general(cli, option->name, value);
        return MW_OK;
    }
    if (cli->values[index] != NULL)
        return MW_FAIL(err, MW_E_USAGE, "--%s is given twice", option->name);
    cli->values[index] = value;
    return MW_OK;
}

enum mw_rc mw_cli_parse(struct mw_cli *cli, int count, char *const *words, struct mw_err *err)
{
    const struct mw_command *command = cli->command;
    bool only_words = false;
    for (int i = 0; i < count; i++) {
        const char *word = words[i];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        if (!only_words && (strcmp(word, "-h") == 0)) {
            cli->help = true;
            continue;
        }
        if (!only_words && word[0] == '-' && word[1] == '-') {
            enum mw_rc rc = take_option(cli, count, words, &i, err);
            if (rc != MW_OK)
                return rc;
            continue;
        }
        if (!only_words && word[0] == '-' && word[1] != '\0')
            return MW_FAIL(err, MW_E_USAGE, "unknown option '%s'", word);
        if (cli->arg_count >= command->arg_max)
            return MW_FAIL(err, MW_E_USAGE, "'%s' is one word too many for `millwright %s`", word,
                           command->name);
        cli->args[cli->arg_count++] = word;
    }
    if (!cli->help && cli->arg_count < command->arg_min)
        return MW_FAIL(err, MW_E_USAGE, "`millwright %s` wants %s", command->name, command->args);
    return MW_OK;
}

const char *mw_cli_value(const struct mw_cli *cli, const char *option)
{
    size_t index = 0;
    const struct mw_option *known =
        find_option(cli->command->options, option, strlen(option), &index);
    MW_ASSERT(known != NULL);
    return cli->values[index];
}

bool mw_cli_has(const struct mw_cli *cli, const char *option)
{
    return mw_cli_value(cli, option) != NULL;
}

/* ---- talking ---- */

/* A word that was given, a file's name, what an agent said: nothing in it that a terminal obeys, but its lines stay lines. */
static void say_error(const char *text)
{
    struct mw_buf out = mw_heap_buf();
    mw_buf_put_z(&out, "millwright: ");
    mw_put_safe_lines(&out, mw_str_of(text));
    mw_buf_put_c(&out, '\n');
    (void)fwrite(out.ptr, 1, out.len, stderr); /* nobody to tell when it fails */
    mw_heap_buf_free(&out);
}

int mw_cli_fail(const struct mw_cli *cli, const struct mw_err *err)
{
    (void)cli;
    say_error(err->text);
    return mw_rc_exit_code(err->rc);
}

int mw_cli_usage(const struct mw_cli *cli, const char *format, ...)
{
    va_list args;
    char text[USAGE_BYTES]; /* what is longer is cut */
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    say_error(text);
    if (cli->command != NULL)
        mw_help_usage(stderr, cli->command);
    return mw_rc_exit_code(MW_E_USAGE);
}

/* Why the data did not arrive; said once, at the end. A reader that left has seen enough and is no error. */
static int put_errno;

bool mw_cli_put(struct mw_str text)
{
    errno = 0;
    bool written = fflush(stdout) == 0 && mw_write_all(STDOUT_FILENO, text, NULL) == MW_OK;
    if (!written && errno != EPIPE)
        put_errno = errno != 0 ? errno : EIO;
    return written;
}

bool mw_cli_put_line(struct mw_str text)
{
    bool ends = text.len > 0 && text.ptr[text.len - 1] == '\n';
    return mw_cli_put(text) && (ends || mw_cli_put(MW_STR("\n")));
}

/* ---- dispatch ---- */

static int unknown_word(const struct mw_cli *cli, int count, char *const *words)
{
    size_t first = strlen(words[0]);
    bool has_family = false;
    for (size_t i = 0; i < mw_command_count; i++)
        has_family = has_family || (strncmp(mw_commands[i].name, words[0], first) == 0 &&
                                    mw_commands[i].name[first] == ' ');
    if (has_family) {
        mw_autofree char *text =
            count > 1 ? mw_heap_format("'%s %s' is not a command", words[0], words[1])
                      : mw_heap_format("'%s' wants one more word", words[0]);
        say_error(text);
        for (size_t i = 0; i < mw_command_count; i++)
            if (strncmp(mw_commands[i].name, words[0], first) == 0 &&
                mw_commands[i].name[first] == ' ')
                mw_help_usage(stderr, &mw_commands[i]);
        return mw_rc_exit_code(MW_E_USAGE);
    }
    const char *near = mw_command_suggest(words[0]);
    if (near != NULL)
        return mw_cli_usage(cli, "'%s' is not a command; did you mean `millwright %s`?", words[0],
                            near);
    return mw_cli_usage(cli, "'%s' is not a command; `millwright help` lists them", words[0]);
}

static int dispatch(struct mw_cli *cli, int count, char *const *words)
{
    struct mw_err err = {0};
    int at = 0, taken = 0;
    for (; at < count && words[at][0] == '-' && words[at][1] == '-' && words[at][2] != '\0'; at++) {
        if (strcmp(words[at], "--version") == 0)
            return mw_cmd_version(cli);
        if (take_option(cli, count, words, &at, &err) != MW_OK)
            return mw_cli_usage(cli, "%s", err.text);
    }
    if (at == count || strcmp(words[at], "-h") == 0) {
        int code = mw_cmd_help(cli);
        return cli->help || at < count ? code : mw_rc_exit_code(MW_E_USAGE);
    }
    cli->command = mw_command_find(count - at, words + at, &taken);
    if (cli->command == NULL)
        return unknown_word(cli, count - at, words + at);
    if (mw_cli_parse(cli, count - at - taken, words + at + taken, &err) != MW_OK)
        return mw_cli_usage(cli, "%s", err.text);
    if (cli->help) {
        cli->args[0] = cli->command->name;
        cli->arg_count = 1;
        return mw_cmd_help(cli);
    }
    return cli->command->run(cli);
}

/* A closed standard stream would lend its number to a socket or a lock file, and our words would go in there. What stands in refuses them. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return; /* without /dev/null nothing can be held */
}

int mw_cli_main(int argc, char **argv, const struct mw_cli_ports *ports)
{
    struct mw_cli cli = {.ports = ports};
    hold_standard_streams();
    /* A reader that leaves (`| head`) ends the talking, never the work: that is the host's. */
    (void)signal(SIGPIPE, SIG_IGN);
    mw_heap_arena(&cli.arena, ARENA_BYTES);
    int code = dispatch(&cli, argc > 0 ? argc - 1 : 0, argv + 1);
    errno = 0;
    if (fflush(stdout) != 0 && errno != EPIPE)
        put_errno = errno != 0 ? errno : EIO;
    if (put_errno != 0 && code == 0) {
        (void)fprintf(stderr, "millwright: write standard output: %s\n", strerror(put_errno));
        code = mw_rc_exit_code(MW_E_IO);
    }
    mw_heap_arena_free(&cli.arena);
    mw_heap_free(cli.workspace);
    return code;
}
