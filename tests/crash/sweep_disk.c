/*
 * sweep_disk.c - an fdatasync that really fails (P02): ext4 on a loop device whose file lies on a tmpfs that fills up. The file system gives
 * space that its disk does not have, so writes succeed and the sync tells. Then restarts: on the same page cache, and after a new mount, which
 * shows what is on the disk. Where the machine does not let us mount, it says skipped and why.
 */
#include "sweep.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 3
#define SKIPPED 3 /* exit code of a round's process */
#define READ_ONLY                                                                                  \
    77 /* a file system that took itself out of service is reported as what it is (P10) */
#define SMALL "size=4m"
#define LARGE "size=96m"

struct disk {
    char backing[128], image[160], mounted[128], folder[160], acks_path[128], said_path[128];
    const char *journal_option; /* of ext4: with or without its own journal */
    int acks_fd;
};

static const struct subject *append;
static struct mw_str heard;

static int job_fill(void *context)
{
    (void)context;
    return subject_append_until_it_fails(5);
}
static int job_append(void *context)
{
    (void)context;
    return append->run(6);
}
static int job_check(void *context)
{
    (void)context;
    return subject_check(append, heard);
}

MW_PRINTF(2, 3)
static int command(const struct disk *disk, const char *format, ...)
{
    char words[1024], line[1300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    (void)snprintf(line, sizeof line, "{ %s; } >'%s' 2>&1", words, disk->said_path);
    return system(line);
}

static const char *said_by_command(const struct disk *disk, char ret_line[200])
{
    FILE *file = fopen(disk->said_path, "re");
    ret_line[0] = '\0';
    if (file != NULL) {
        if (fgets(ret_line, 200, file) == NULL)
            ret_line[0] = '\0';
        (void)fclose(file); /* was only read */
    }
    ret_line[strcspn(ret_line, "\n")] = '\0';
    return ret_line;
}

static int skip_round(const struct disk *disk, const char *what)
{
    char line[200];
    printf("skipped: P02 a real failed fdatasync: %s: %s\n", what,
           disk != NULL ? said_by_command(disk, line) : strerror(errno));
    return SKIPPED;
}

/*
 * One page a request: a loop device tells of a write that its file refuses, but of one that it takes in part some kernels say that all of it
 * was written, and a disk that lies is not what this is about. The device goes with its mount.
 */
static bool mount_image(const struct disk *disk)
{
    return command(disk,
                   "loop=$(losetup -f --show '%s') && echo 4 >/sys/block/\"${loop##*/}\"/queue/"
                   "max_sectors_kb; mount \"$loop\" '%s'; code=$?; losetup -d \"$loop\"; test "
                   "$code = 0",
                   disk->image, disk->mounted) == 0;
}

/* Everything acknowledged so far is there. */
static int check(const struct disk *disk, const char *when)
{
    struct mw_buf acks = mw_heap_buf();
    struct mw_err err;
    MW_ASSERT(mw_file_read(AT_FDCWD, disk->acks_path, (size_t)64 << 20, &acks, &err) == MW_OK);
    heard = mw_buf_str(&acks);
    int status = plain_run(disk->folder, disk->acks_fd, job_check, NULL);
    if (status != 0) {
        struct mw_buf said = mw_heap_buf();
        MW_ASSERT(mw_file_read(AT_FDCWD, disk->acks_path, (size_t)64 << 20, &said, &err) == MW_OK);
        struct mw_str after = mw_str_sub(mw_buf_str(&said), acks.len, 300);
        printf("    %s: ended with %d: %.*s\n", when, status, (int)after.len, after.ptr);
        mw_heap_buf_free(&said);
    }
    mw_heap_buf_free(&acks);
    return status != 0;
}

/* The answer of a life that met the failed sync: 74, and the word is io. */
static int fill(const struct disk *disk, long *ret_acknowledged)
{
    struct mw_buf said = mw_heap_buf();
    struct mw_err err;
    int status = plain_run(disk->folder, disk->acks_fd, job_fill, NULL);
    MW_ASSERT(mw_file_read(AT_FDCWD, disk->acks_path, (size_t)64 << 20, &said, &err) == MW_OK);
    struct mw_str text = mw_buf_str(&said);
    char rest[200] = "";
    bool told = memmem(text.ptr, text.len, "make a frame of the journal durable", 35) != NULL;
    *ret_acknowledged =
        subject_last_ack(text, "append", rest, sizeof rest) ? strtol(rest, NULL, 10) : 0;
    mw_heap_buf_free(&said);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 74 && told)
        return 0;
    printf("    the writer ended with %d, not with a failed sync and exit 74\n", status);
    return 1;
}

static int round_of(struct disk *disk, int number, const char *base)
{
    static const char *const ways[ROUNDS] = {
        "restarted on the same page cache when there was room again, then mounted anew",
        "restarted while the disk was full, then mounted anew",
        "mounted anew at once",
    };
    long acknowledged = 0;
    (void)snprintf(disk->backing, sizeof disk->backing, "%s/backing", base);
    (void)snprintf(disk->image, sizeof disk->image, "%s/disk", disk->backing);
    (void)snprintf(disk->mounted, sizeof disk->mounted, "%s/mounted", base);
    (void)snprintf(disk->folder, sizeof disk->folder, "%s/w", disk->mounted);
    (void)snprintf(disk->acks_path, sizeof disk->acks_path, "%s/disk.acks", base);
    (void)snprintf(disk->said_path, sizeof disk->said_path, "%s/disk.said", base);
    place_make(disk->backing);
    place_make(disk->mounted);
    disk->acks_fd = open(disk->acks_path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    MW_ASSERT(disk->acks_fd >= 0);
    /* In a mount namespace of its own: whatever happens, nothing stays mounted. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return skip_round(NULL, "no mount namespace");
    if (mount("none", disk->backing, "tmpfs", 0, SMALL) != 0)
        return skip_round(NULL, "no tmpfs");
    if (command(disk, "truncate -s 64m '%s' && mkfs.ext4 -q -b 4096 -O %s '%s'", disk->image,
                disk->journal_option, disk->image) != 0)
        return skip_round(disk, "mkfs.ext4");
    if (!mount_image(disk))
        return skip_round(disk, "a loop device");
    MW_ASSERT(mkdir(disk->folder, 0755) == 0);
    char side[200];
    (void)snprintf(side, sizeof side, "%s/.millwright", disk->folder);
    MW_ASSERT(mkdir(side, 0700) == 0);
    int faults = fill(disk, &acknowledged);
    if (number == 1) {
        /* With no room the recovery may fail, clearly, or succeed; what is acknowledged after it counts like anything else. */
        int status = plain_run(disk->folder, disk->acks_fd, job_append, NULL);
        if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 74 &&
                                   WEXITSTATUS(status) != READ_ONLY)) {
            printf("    a restart on a full disk ended with %d\n", status);
            faults++;
        }
    }
    if (mount("none", disk->backing, "tmpfs", MS_REMOUNT, LARGE) != 0)
        return skip_round(NULL, "remount of tmpfs");
    if (number == 0 && plain_run(disk->folder, disk->acks_fd, job_append, NULL) != 0) {
        /* A file system that went read-only when its disk failed may say so. */
        printf("    (a restart with room again did not get further on this mount)\n");
    }
    if (umount(disk->mounted) != 0 ||
        command(disk, "fsck.ext4 -p '%s'; test $? -le 1", disk->image) != 0 || !mount_image(disk)) {
        char line[200];
        printf("    the disk cannot be mounted again: %s\n", said_by_command(disk, line));
        faults++;
    } else {
        faults += check(disk, "after a new mount");
        faults += umount(disk->mounted) != 0;
    }
    printf("%s P02: a real fdatasync failed after %ld records (ext4 with %s), %s: nothing "
           "acknowledged is missing\n",
           faults == 0 ? "ok" : "not ok", acknowledged, disk->journal_option, ways[number]);
    return faults > 0;
}

int sweep_disk(const char *base, bool night)
{
    static const char *const options[] = {"^has_journal", "has_journal"};
    static const char title[] = "real failed fdatasync";
    long rounds = 0;
    int faults = 0;
    append = subject_find("append");
    (void)fflush(stdout);
    for (size_t option = 0; option < MW_COUNT(options); option++)
        for (int number = 0; number < ROUNDS; number++) {
            pid_t pid = fork();
            MW_ASSERT(pid >= 0);
            if (pid == 0) {
                struct disk disk = {.journal_option = options[option]};
                int code = round_of(&disk, number, base);
                (void)fflush(stdout);
                _exit(code);
            }
            int status;
            MW_ASSERT(waitpid(pid, &status, 0) == pid);
            if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
                table_summary_line(title, rounds, faults, "",
                                   "skipped: no file system of its own can be mounted here");
                return night || faults > 0; /* a night tries everything */
            }
            rounds++;
            if (!WIFEXITED(status))
                printf("not ok P02: the round of a failing disk ended by signal %d\n",
                       WTERMSIG(status));
            faults += status != 0;
        }
    table_summary_line(title, rounds, faults, "ext4 on a loop device that has no room", NULL);
    return faults > 0;
}
