/* A command line: words parted by NUL. A command is found or one is proposed; its options and arguments are read or refused with a reason. */
#include "cli/command.h"
#include "fuzz.h"

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX + 1];
    int count = 0, taken = 0;
    char *memory = mw_heap_alloc(size + 1);
    struct mw_err err = {.rc = MW_OK};
    if (size > 0)
        memcpy(memory, data, size);
    for (size_t at = 0; at < size && count < WORDS_MAX; at += strlen(memory + at) + 1)
        words[count++] = memory + at;
    words[count] = NULL;
    const struct mw_command *command = mw_command_find(count, words, &taken);
    MW_ASSERT((command == NULL) == (taken == 0) && taken <= count);
    if (count > 0)
        (void)mw_command_suggest(words[0]);
    if (command != NULL) {
        struct mw_cli cli = {.command = command};
        mw_heap_arena(&cli.arena, 1 << 16);
        enum mw_rc rc = mw_cli_parse(&cli, count - taken, words + taken, &err);
        MW_ASSERT(rc == MW_OK || (rc == MW_E_USAGE && err.text[0] != '\0'));
        if (rc == MW_OK && !cli.help)
            MW_ASSERT(cli.arg_count >= command->arg_min && cli.arg_count <= command->arg_max);
        mw_heap_arena_free(&cli.arena);
    }
    mw_heap_free(memory);
    return 0;
}
