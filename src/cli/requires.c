#include "cli/requires.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "author/author.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

#define FILE_BYTES_MAX (1u << 20)
#define WORDS_MAX 8

int mw_version_cmp(struct mw_str a, struct mw_str b)
{
    size_t at = 0, bt = 0;
    while (at < a.len || bt < b.len) {
        uint64_t left = 0, right = 0;
        for (; at < a.len && a.ptr[at] >= '0' && a.ptr[at] <= '9'; at++)
            left = left * 10 + (uint64_t)(a.ptr[at] - '0');
        for (; bt < b.len && b.ptr[bt] >= '0' && b.ptr[bt] <= '9'; bt++)
            right = right * 10 + (uint64_t)(b.ptr[bt] - '0');
        if (left != right)
            return left < right ? -1 : 1;
        at += at < a.len;
        bt += bt < b.len;
    }
    return 0;
}

/* The first thing in the output that looks like a version: digits with dots. */
static struct mw_str version_in(struct mw_arena *arena, struct mw_str text)
{
    size_t from = 0;
    while (from < text.len && (text.ptr[from] < '0' || text.ptr[from] > '9'))
        from++;
    size_t end = from;
    while (end < text.len &&
           ((text.ptr[end] >= '0' && text.ptr[end] <= '9') || text.ptr[end] == '.'))
        end++;
    return mw_arena_copy(arena, mw_str_sub(text, from, end - from));
}

/* What the command says on standard output; false when there is no such program or it does not answer in time. */
static bool output_of(char *const *words, char *text, size_t size, size_t *ret_len)
{
    posix_spawn_file_actions_t files;
    int fds[2], status = 0;
    pid_t pid;
    extern char **environ;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    (void)posix_spawn_file_actions_init(
        &files); /* fails only for memory, and then posix_spawnp does */
    (void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&files, fds[1], 1);
    (void)posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(&pid, words[0], &files, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)close(fds[1]); /* the child has its own */
    int64_t until_ns = mw_now_monotonic_ns() + (int64_t)MW_REQUIRES_MS * 1000000;
    bool ended = false;
    *ret_len = 0;
    while (failed == 0 && !ended) {
        struct pollfd entry = {.fd = fds[0], .events = POLLIN};
        int64_t left_ms = (until_ns - mw_now_monotonic_ns()) / 1000000;
        if (left_ms <= 0 || poll(&entry, 1, (int)left_ms) == 0)
            break;
        ssize_t got = read(fds[0], text + *ret_len, size - *ret_len);
        if (got < 0 && errno == EINTR)
            continue;
        ended = got <= 0 || *ret_len + (size_t)got == size;
        *ret_len += got > 0 ? (size_t)got : 0;
    }
    (void)close(fds[0]); /* all was read that is wanted */
    if (failed != 0)
        return false;
    if (!ended)
        (void)kill(pid, SIGKILL); /* ours, and not collected yet */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void probe(struct mw_cli *cli, const struct mw_tape *tape, uint32_t row,
                  struct mw_requirement *item)
{
    char *words[WORDS_MAX + 1] = {NULL};
    char text[512];
    size_t count = 0, len = 0;
    uint32_t check = mw_node_get(tape, row, "check");
    item->program = mw_node_get_text(tape, row, "program");
    item->wanted = mw_node_get_text(tape, row, "version");
    item->install = mw_node_get_text(tape, row, "install");
    if (mw_node_type(tape, check) == MW_NODE_ARRAY)
        for (uint32_t i = mw_node_first(tape, check); i != MW_NODE_NONE && count < WORDS_MAX;
             i = mw_node_after(tape, check, i))
            words[count++] =
                (char *)(uintptr_t)mw_arena_copy(&cli->arena, mw_node_str(tape, i)).ptr;
    if (count > 0 && output_of(words, text, sizeof(text), &len))
        item->found = version_in(&cli->arena, (struct mw_str){text, len});
    item->met = item->found.len > 0 && mw_version_cmp(item->found, item->wanted) >= 0;
}

enum mw_rc mw_requires_probe(struct mw_cli *cli, const char *factory, const char *stack,
                             const struct mw_requirement **ret_items, uint32_t *ret_count,
                             struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    struct mw_tape tape;
    mw_autofree char *path = mw_heap_format("%s/stacks/%s/stack.yaml", factory, stack);
    enum mw_rc rc = mw_file_read(AT_FDCWD, path, FILE_BYTES_MAX, &text, err);
    struct mw_str copy = mw_arena_copy(&cli->arena, mw_buf_str(&text));
    mw_heap_buf_free(&text);
    if (rc == MW_OK)
        rc = mw_author_read(&cli->arena, mw_str_of(path), copy, &tape, err);
    if (rc != MW_OK)
        return MW_FAIL(err, MW_E_CONFIG, "the stack '%s' cannot be read", stack);
    uint32_t rows = mw_node_get(&tape, 0, "requires"), count = 0;
    uint32_t most = mw_node_type(&tape, rows) == MW_NODE_ARRAY ? mw_node_count(&tape, rows) : 0;
    struct mw_requirement *items = mw_arena_array(&cli->arena, struct mw_requirement, most + 1);
    for (uint32_t i = most > 0 ? mw_node_first(&tape, rows) : MW_NODE_NONE; i != MW_NODE_NONE;
         i = mw_node_after(&tape, rows, i))
        probe(cli, &tape, i, &items[count++]);
    *ret_items = items;
    *ret_count = count;
    return MW_OK;
}

enum mw_rc mw_requires_check(struct mw_cli *cli, struct mw_err *err)
{
    const struct mw_requirement *items;
    uint32_t count = 0;
    const char *factory = mw_cli_factory(cli);
    if (factory == NULL)
        return MW_FAIL(err, MW_E_MISSING,
                       "the factory folder is not beside the program; set "
                       "MILLWRIGHT_FACTORY");
    enum mw_rc rc = mw_requires_probe(cli, factory, "node", &items, &count, err);
    if (rc != MW_OK)
        return rc;
    for (uint32_t i = 0; i < count; i++)
        if (!items[i].met)
            return MW_FAIL(err, MW_E_MISSING,
                           "the plan needs %.*s, at least version %.*s: found %.*s. Install it "
                           "with: %.*s",
                           MW_STR_ARG(items[i].program), MW_STR_ARG(items[i].wanted),
                           MW_STR_ARG(items[i].found.len > 0 ? items[i].found : MW_STR("none")),
                           MW_STR_ARG(items[i].install));
    return MW_OK;
}
