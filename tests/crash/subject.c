/*
 * subject.c - the scenarios of subject.h as a program, for harnesses that watch a process from outside.
 *
 *   crash_subject list                                   the scenarios and the promises that they prove
 *   crash_subject prepare SCENARIO DIR [--seed N]        what stands before it; run does it by itself in an empty folder
 *   crash_subject run SCENARIO DIR [--seed N]
 *   crash_subject recover SCENARIO DIR                   one recovery, not judged: a harness may disturb it too
 *   crash_subject check SCENARIO DIR ACKS_FILE           recovers, judges, recovers, goes on
 */
#include "subject.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_empty(void)
{
    DIR *list = opendir(".");
    bool empty = true;
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        empty = empty && entry->d_name[0] == '.' && strlen(entry->d_name) < 3 &&
                strspn(entry->d_name, ".") == strlen(entry->d_name);
    if (list != NULL)
        (void)closedir(list); /* only read from */
    return empty;
}

static int usage(void)
{
    fprintf(stderr, "crash_subject list | prepare|run SCENARIO DIR [--seed N] | recover SCENARIO "
                    "DIR | check SCENARIO DIR ACKS_FILE\n");
    return 2;
}

static int check(const struct subject *subject, int start_fd, const char *acks_file)
{
    struct mw_buf acks = mw_heap_buf();
    struct mw_err err = {0};
    if (mw_file_read(start_fd, acks_file, (size_t)16 << 20, &acks, &err) != MW_OK) {
        fprintf(stderr, "crash_subject: %s\n", err.text);
        return 2;
    }
    int code = subject_check(subject, mw_buf_str(&acks));
    mw_heap_buf_free(&acks);
    return code;
}

int main(int count, char **words)
{
    size_t subject_count;
    const struct subject *all = subject_all(&subject_count);
    if (count == 2 && strcmp(words[1], "list") == 0) {
        for (size_t i = 0; i < subject_count; i++)
            printf("%s %s\n", all[i].name, all[i].proves);
        return 0;
    }
    const struct subject *subject = count >= 4 ? subject_find(words[2]) : NULL;
    if (subject == NULL)
        return usage();
    uint64_t seed =
        count == 6 && strcmp(words[4], "--seed") == 0 ? strtoull(words[5], NULL, 10) : 1;
    (void)signal(SIGXFSZ, SIG_IGN); /* as the host does */
    mw_autoclose int start_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (chdir(words[3]) != 0) {
        fprintf(stderr, "crash_subject: '%s' is not a folder\n", words[3]);
        return 2;
    }
    if (strcmp(words[1], "recover") == 0)
        return subject->recover();
    if (strcmp(words[1], "check") == 0 && count == 5)
        return check(subject, start_fd, words[4]);
    if (strcmp(words[1], "prepare") != 0 && strcmp(words[1], "run") != 0)
        return usage();
    if (subject->prepare != NULL && is_empty())
        subject->prepare(seed);
    return strcmp(words[1], "run") == 0 ? subject->run(seed) : 0;
}
