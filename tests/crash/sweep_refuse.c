/* sweep_refuse.c - damage that a start must refuse, naming the place, without writing a byte (P03, P04, P13). */
#include "sweep.h"

#include "journal/files.h"
#include "journal/head.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER ".millwright/journal"
#define SEGMENTS_MAX 64

static const struct subject *rotate;

static int job_run(void *context)
{
    (void)context;
    return rotate->run(3);
}
static int job_prepare(void *context)
{
    (void)context;
    rotate->prepare(3);
    return 0;
}
static int job_recover(void *context)
{
    (void)context;
    return rotate->recover();
}

/* The segments' paths beneath dir, in order. */
static size_t segments_of(const char *dir, char ret_paths[SEGMENTS_MAX][192])
{
    char folder[128];
    struct dirent **entries;
    size_t found = 0;
    (void)snprintf(folder, sizeof folder, "%s/" FOLDER, dir);
    int count = scandir(folder, &entries, NULL, alphasort);
    MW_ASSERT(count >= 0);
    for (int i = 0; i < count; i++) {
        if (strlen(entries[i]->d_name) == 26 && found < SEGMENTS_MAX)
            (void)snprintf(ret_paths[found++], 192, "%s/%.26s", folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return found;
}

static size_t size_of(const char *path)
{
    struct stat st;
    MW_ASSERT(stat(path, &st) == 0);
    return (size_t)st.st_size;
}

static void flip(const char *path, size_t offset)
{
    char byte;
    mw_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
    MW_ASSERT(fd >= 0 && pread(fd, &byte, 1, (off_t)offset) == 1);
    byte ^= 1;
    MW_ASSERT(pwrite(fd, &byte, 1, (off_t)offset) == 1);
}

/* A refusal with that exit code and those words, and every byte as it was. */
static bool is_refused(const char *dir, int out_fd, int wanted_exit, const char *words,
                       const char *branch)
{
    char said[1024] = "";
    uint64_t before = place_image(dir);
    off_t from = lseek(out_fd, 0, SEEK_END);
    int status = plain_run(dir, out_fd, job_recover, NULL);
    ssize_t got = pread(out_fd, said, sizeof said - 1, from);
    said[got > 0 ? got : 0] = '\0';
    bool refused = WIFEXITED(status) && WEXITSTATUS(status) == wanted_exit;
    if (!refused)
        printf("    %s: ended with %d, not exit %d\n", branch, status, wanted_exit);
    else if (strstr(said, words) == NULL)
        printf("    %s: not because '%s': %s\n", branch, words, said);
    else if (place_image(dir) != before)
        printf("    %s: refused, but something was written\n", branch);
    refused = refused && strstr(said, words) != NULL;
    char line[96];
    int length = snprintf(line, sizeof line, "branch %s\n", branch);
    if (refused && write(out_fd, line, (size_t)length) != length)
        return false;
    return refused && place_image(dir) == before;
}

/* The head names the record that it named, and another frame. */
static void change_head_hash(const char *dir)
{
    char path[160], lines[2 * MW_HEAD_LINE_BYTES];
    struct mw_head head = {0};
    enum mw_journal_head state;
    struct mw_err err;
    (void)snprintf(path, sizeof path, "%s/.millwright", dir);
    mw_autoclose int side_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MW_ASSERT(side_fd >= 0 &&
              mw_head_read(&mw_journal_sys_real, side_fd, &head, &state, &err) == MW_OK);
    head.hash[7] ^= 1;
    mw_head_write(&head, lines);
    mw_head_write(&head, lines + MW_HEAD_LINE_BYTES);
    mw_autoclose int fd = openat(side_fd, MW_HEAD_FILE, O_WRONLY | O_CLOEXEC);
    MW_ASSERT(fd >= 0 && pwrite(fd, lines, sizeof lines, 0) == (ssize_t)sizeof lines);
}

/* A process that has the journal open; it ends when the pipe does. */
static bool is_refused_while_held(const char *dir, int out_fd)
{
    int said[2], ends[2];
    char byte;
    MW_ASSERT(pipe2(said, O_CLOEXEC) == 0 && pipe2(ends, O_CLOEXEC) == 0);
    pid_t holder = fork();
    MW_ASSERT(holder >= 0);
    if (holder == 0) {
        const struct mw_journal_options options = {.side_dir = ".millwright"};
        struct mw_journal_opened opened;
        struct mw_err err;
        void *journal;
        (void)close(ends[1]); /* the other process's */
        if (chdir(dir) != 0 ||
            mw_journal_files.open(FOLDER, &options, &journal, &opened, &err) != MW_OK)
            _exit(1);
        _exit(write(said[1], "x", 1) != 1 || read(ends[0], &byte, 1) != 0);
    }
    (void)close(said[1]); /* the holder's */
    bool held = read(said[0], &byte, 1) == 1;
    bool refused = held && is_refused(dir, out_fd, 75, "the journal is held by process",
                                      "journal.refused_held_by_another");
    (void)close(ends[1]); /* lets it end */
    (void)close(ends[0]); /* the holder's */
    (void)close(said[0]); /* was only read */
    int status;
    MW_ASSERT(waitpid(holder, &status, 0) == holder);
    return refused && status == 0;
}

/* What no frame's own checksum tells: segments that are missing or empty, a committed frame that ends early, another frame than the head's. */
static long refuse_shapes(const char *template, const char *dir, int out_fd, size_t segments)
{
    char mine[SEGMENTS_MAX][192];
    long faults = 0;
    place_copy(template, dir);
    change_head_hash(dir);
    faults += !is_refused(dir, out_fd, 65, "not the frame that the head file says",
                          "journal.refused_another_frame_than_the_head");
    for (size_t i = 0; i + 1 < segments; i++) {
        place_copy(template, dir);
        (void)segments_of(dir, mine);
        MW_ASSERT(unlink(mine[i]) == 0);
        faults += !is_refused(dir, out_fd, 65, "a segment before this one is missing",
                              "journal.refused_segment_missing");
        place_copy(template, dir);
        MW_ASSERT(truncate(mine[i], 0) == 0);
        faults += !is_refused(dir, out_fd, 65, "an empty segment before the last one",
                              "journal.refused_empty_segment_before_the_last");
    }
    place_copy(template, dir);
    (void)segments_of(dir, mine);
    (void)snprintf(mine[0] + strlen(dir) + strlen("/" FOLDER "/"), 16, "notes.jsonl");
    mw_autoclose int foreign = open(mine[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MW_ASSERT(foreign >= 0);
    faults += !is_refused(dir, out_fd, 65, "is not the name of a segment",
                          "journal.refused_name_of_no_segment");
    place_copy(template, dir);
    faults += !is_refused_while_held(dir, out_fd);
    place_copy(template, dir);
    (void)segments_of(dir, mine);
    const char *last = mine[segments - 1];
    MW_ASSERT(truncate(last, (off_t)size_of(last) - 1) == 0);
    faults += !is_refused(dir, out_fd, 65, "the file ends inside a frame",
                          "journal.refused_committed_frame_torn");
    return faults;
}

int sweep_refusals(const char *base, int out_fd)
{
    char template[128], dir[128], paths[SEGMENTS_MAX][192];
    long flips = 0, cuts = 0, faults = 0;
    rotate = subject_find("rotate");
    (void)snprintf(template, sizeof template, "%s/refuse.template", base);
    (void)snprintf(dir, sizeof dir, "%s/refuse", base);
    place_make(template);
    MW_ASSERT(plain_run(template, out_fd, job_prepare, NULL) == 0);
    MW_ASSERT(plain_run(template, out_fd, job_run, NULL) == 0);
    size_t segments = segments_of(template, paths);
    MW_ASSERT(segments > 2);
    /* A bit in any segment but the last; in the last, what the head says was committed. */
    for (size_t i = 0; i < segments; i++)
        for (size_t at = 0; at < size_of(paths[i]); at += 61) {
            char mine[SEGMENTS_MAX][192];
            place_copy(template, dir);
            (void)segments_of(dir, mine);
            flip(mine[i], at);
            faults += !is_refused(dir, out_fd, 65, "", "journal.refused_earlier_frame_damaged");
            flips++;
        }
    /* Whole segments gone from the end: every checksum fits, only the head knows. */
    for (size_t kept = 1; kept < segments; kept++) {
        char mine[SEGMENTS_MAX][192];
        place_copy(template, dir);
        (void)segments_of(dir, mine);
        for (size_t i = kept; i < segments; i++)
            MW_ASSERT(unlink(mine[i]) == 0);
        faults += !is_refused(dir, out_fd, 65, "", "journal.refused_cut_before_the_head");
        cuts++;
    }
    long shape_faults = refuse_shapes(template, dir, out_fd, segments);
    char mine[SEGMENTS_MAX][192];
    place_copy(template, dir);
    (void)segments_of(dir, mine);
    struct mw_buf bytes = mw_heap_buf();
    struct mw_err err;
    MW_ASSERT(mw_file_read(AT_FDCWD, mine[0], (size_t)1 << 20, &bytes, &err) == MW_OK);
    char *format = memmem(bytes.ptr, bytes.len, "\"format\":1", 10);
    MW_ASSERT(format != NULL);
    format[9] = '9';
    mw_autoclose int fd = open(mine[0], O_WRONLY | O_TRUNC | O_CLOEXEC);
    MW_ASSERT(fd >= 0 && mw_write_all(fd, mw_buf_str(&bytes), &err) == MW_OK);
    mw_heap_buf_free(&bytes);
    long newer_faults = !is_refused(dir, out_fd, 78, "", "journal.refused_newer_format");
    printf("%s P03: a flipped bit of a committed frame is refused, nothing is written (%ld)\n",
           faults == 0 ? "ok" : "not ok", flips);
    printf("%s P04: a journal that was cut at a frame's border is refused (%ld)\n",
           faults == 0 ? "ok" : "not ok", cuts);
    printf("%s P03 P04: a segment that is missing or empty, a committed frame that ends early, "
           "another frame than the head's, a file of another name, another writer: each is refused "
           "by its name, nothing is written\n",
           shape_faults == 0 ? "ok" : "not ok");
    printf("%s P13: a newer format is refused, nothing is written\n",
           newer_faults == 0 ? "ok" : "not ok");
    return faults + shape_faults + newer_faults > 0;
}
