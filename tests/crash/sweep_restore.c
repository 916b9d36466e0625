/*
 * sweep_restore.c - a promotion that was cut off between its note and its end, and whose folder was then copied back from a backup (P12, P23):
 * no inode is what the note says, so the bytes tell; and somebody may have edited what stands there. The recovery itself says by which branch it
 * went and whether that was the right one (subject_promotion.c).
 */
#include "sweep.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTE ".millwright/promotions/p9.json"
#define DAY_STRIDE 16

/* What somebody did to the copy. */
enum change {
    AS_IT_WAS,
    APP_EDITED,
    BESIDE_EDITED,
    BOTH_EDITED,
    BESIDE_LOST,
    APP_EDITED_BESIDE_LOST,
    NOTE_DAMAGED,
    CHANGES
};
static const char *const change_words[CHANGES] = {
    "as it was",        "the app edited", "the copy beside it edited",
    "both edited",      "the copy lost",  "the app edited and the copy lost",
    "the note damaged",
};

static const struct subject *promote;
static struct mw_str heard;

static int job_prepare(void *context)
{
    (void)context;
    promote->prepare(1);
    return 0;
}
static int job_run(void *context)
{
    (void)context;
    return promote->run(1);
}
static int job_recover(void *context)
{
    (void)context;
    return promote->recover();
}
static int job_check(void *context)
{
    (void)context;
    return subject_check(promote, heard);
}

struct restore {
    char template[128], cut[128], dir[128];
    int out_fd;
    long points, faults, kinds[CHANGES];
};

static bool holds(const char *dir, const char *name, const char *words)
{
    char path[256];
    struct mw_buf text = mw_heap_buf();
    struct mw_err err;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    bool found = mw_file_read(AT_FDCWD, path, (size_t)1 << 20, &text, &err) == MW_OK &&
                 memmem(text.ptr, text.len, words, strlen(words)) != NULL;
    mw_heap_buf_free(&text);
    return found;
}

static void cut_at(struct restore *restore, long at)
{
    struct traced traced = {.strikes = {{.kind = STRIKE_KILL, .at = at}}};
    place_copy(restore->template, restore->cut);
    trace_run(&traced, restore->cut, restore->out_fd, job_run, NULL);
}

static bool is_noted(struct restore *restore, long at)
{
    cut_at(restore, at);
    return holds(restore->cut, NOTE, "{");
}

static bool is_done(struct restore *restore, long at)
{
    cut_at(restore, at);
    return holds(restore->cut, NOTE, "\"done\"");
}

/* The first stop at which it is true, of 1 to `stops`. */
static long first_stop(struct restore *restore, long stops, bool (*is)(struct restore *, long))
{
    long from = 1, to = stops;
    while (from < to) {
        long middle = from + (to - from) / 2;
        if (is(restore, middle))
            to = middle;
        else
            from = middle + 1;
    }
    return from;
}

static void edit(const char *dir, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s/app.json", dir, name);
    if (access(path, F_OK) != 0)
        return;
    MW_ASSERT(chmod(path, 0644) == 0);
    mw_autoclose int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    MW_ASSERT(fd >= 0 && write(fd, "mine\n", 5) == 5);
}

static void change(const char *dir, enum change change)
{
    char path[256];
    if (change == APP_EDITED || change == BOTH_EDITED || change == APP_EDITED_BESIDE_LOST)
        edit(dir, "app");
    if (change == BESIDE_EDITED || change == BOTH_EDITED)
        edit(dir, ".millwright-p9");
    (void)snprintf(path, sizeof path, "%s/.millwright-p9", dir);
    if ((change == BESIDE_LOST || change == APP_EDITED_BESIDE_LOST) && access(path, F_OK) == 0)
        place_remove(path);
    (void)snprintf(path, sizeof path, "%s/" NOTE, dir);
    MW_ASSERT(change != NOTE_DAMAGED || truncate(path, 9) == 0);
}

/* A recovery, which never changes the tree that stands, or a refusal that touches nothing; and once more the same. */
static bool recovers(struct restore *restore)
{
    char app[160];
    (void)snprintf(app, sizeof app, "%s/app", restore->dir);
    uint64_t stands = place_image(app);
    uint64_t before = place_image(restore->dir);
    int first = plain_run(restore->dir, restore->out_fd, job_recover, NULL);
    uint64_t between = place_image(restore->dir);
    int second = plain_run(restore->dir, restore->out_fd, job_recover, NULL);
    bool refused =
        WIFEXITED(first) && WEXITSTATUS(first) != 0 && WEXITSTATUS(first) != SUBJECT_WRONG;
    return WIFEXITED(first) && WEXITSTATUS(first) != SUBJECT_WRONG && second == first &&
           place_image(app) == stands && place_image(restore->dir) == between &&
           (!refused || between == before);
}

static void try_changes(struct restore *restore, long at)
{
    for (int i = 0; i < CHANGES; i++) {
        place_copy(restore->cut, restore->dir);
        change(restore->dir, (enum change)i);
        bool held = i == AS_IT_WAS ? plain_run(restore->dir, restore->out_fd, job_check, NULL) == 0
                                   : recovers(restore);
        restore->points++;
        restore->faults += !held;
        if (!held)
            printf("    cut off at stop %ld, restored, %s: it is not recovered, or something was "
                   "touched\n",
                   at, change_words[i]);
    }
}

int sweep_restored(const char *base, int out_fd, bool night)
{
    struct restore restore = {.out_fd = out_fd};
    struct traced undisturbed = {.strikes = {{.kind = STRIKE_KILL}}};
    promote = subject_find("promote");
    (void)snprintf(restore.template, sizeof restore.template, "%s/restore.template", base);
    (void)snprintf(restore.cut, sizeof restore.cut, "%s/restore.cut", base);
    (void)snprintf(restore.dir, sizeof restore.dir, "%s/restore", base);
    place_make(restore.template);
    MW_ASSERT(plain_run(restore.template, out_fd, job_prepare, NULL) == 0);
    place_copy(restore.template, restore.cut);
    trace_run(&undisturbed, restore.cut, out_fd, job_run, NULL);
    long stops = undisturbed.strikes[0].seen;
    long from = first_stop(&restore, stops, is_noted);
    long to = first_stop(&restore, stops, is_done);
    for (long at = from; at < to; at += night ? 1 : DAY_STRIDE) {
        cut_at(&restore, at);
        try_changes(&restore, at);
    }
    printf("%s P12 P23: a promotion cut off between its note and its end, restored from a backup, "
           "as it was and changed by somebody: it ends one way, or is refused and nothing is "
           "touched (%ld points, stops %ld to %ld)\n",
           restore.faults == 0 && restore.points > 0 ? "ok" : "not ok", restore.points, from, to);
    table_summary_line("restored promotions", restore.points, restore.faults,
                       "cut off, copied back from a backup, and edited", NULL);
    return restore.faults > 0 || restore.points == 0;
}
