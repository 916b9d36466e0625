/* lives.c - a scenario's life under the recorder, the states after it, and the lives that follow a kill or a power cut. */
#include "power.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- recording ---- */

static bool record(const struct options *options, const struct subject *subject, const char *verb,
                   const char *dir, struct effects *ret_log)
{
    char seed[32];
    (void)snprintf(seed, sizeof seed, "%lu", (unsigned long)options->seed);
    bool seeded = strcmp(verb, "recover") != 0;
    const char *argv[] = {options->subject,         verb, subject->name, dir,
                          seeded ? "--seed" : NULL, seed, NULL};
    if (!effects_record((char *const *)argv, dir, ret_log) || ret_log->status != 0) {
        fprintf(stderr, "power_cuts: %s %s cannot be recorded: %s (status %d)\n", verb,
                subject->name, ret_log->error, ret_log->status);
        return false;
    }
    return true;
}

static bool prepare(const struct options *options, const struct subject *subject, const char *dir)
{
    power_clear(dir);
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(dir) != 0)
            _exit(2);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, 1) < 0)
            _exit(2);
        if (subject->prepare != NULL)
            subject->prepare(options->seed);
        _exit(0);
    }
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* What was there before is not cut: the first effect of the run itself. */
static int first_effect(const struct effects *log)
{
    int i = 0;
    while (i < log->count && log->list[i].durable_at < 0)
        i++;
    return i;
}

static void show(const struct effects *log)
{
    static const char *const words[] = {
        [EFFECT_WRITE] = "write",       [EFFECT_SIZE] = "size",     [EFFECT_MODE] = "mode",
        [EFFECT_NAME] = "name",         [EFFECT_UNNAME] = "unname", [EFFECT_RENAME] = "rename",
        [EFFECT_EXCHANGE] = "exchange", [EFFECT_SYNC] = "sync",     [EFFECT_ACK] = "ack"};
    for (int i = 0; i < log->count; i++) {
        const struct effect *effect = &log->list[i];
        printf("%4d %-8s object %d folder %d/%d %s %s offset %lu size %lu durable at %d %.*s\n", i,
               words[effect->kind], effect->object, effect->folder, effect->folder2,
               effect->name != NULL ? effect->name : "", effect->name2 != NULL ? effect->name2 : "",
               (unsigned long)effect->offset, (unsigned long)effect->size,
               effect->durable_at == NEVER ? -2 : effect->durable_at,
               effect->kind == EFFECT_ACK ? (int)effect->size - 1 : 0,
               effect->kind == EFFECT_ACK ? effect->data : "");
    }
}

/* ---- one scenario ---- */

static long everything_kept(const struct choice *choice)
{
    return choice->loose_count <= EXHAUSTIVE_MAX ? (1L << choice->loose_count) - 1 : 1;
}

/* Writes the state that (prefix, n) of a log names; n < 0: with everything in it, as after a kill. */
static bool write_state(const struct effects *log, const struct options *options, int prefix,
                        long n, const char *dir)
{
    struct choice choice;
    struct image image;
    power_clear(dir);
    choice_begin(&choice, log, prefix, options->seed);
    choice_take(&choice, n >= 0 ? n : everything_kept(&choice));
    image_open(&image, log);
    image_build(&image, &choice);
    int root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = root_fd >= 0 && image_write(&image, root_fd);
    if (root_fd >= 0)
        (void)close(root_fd);
    image_close(&image);
    choice_end(&choice);
    return ok;
}

/* The effects of a recovery that followed a kill, not a power cut: what was loose before it still is. */
static void join_lives(const struct effects *first, int prefix, const struct options *options,
                       struct effects *then)
{
    struct choice choice;
    struct image image;
    struct effects joined;
    int *objects = mw_heap_alloc(sizeof *objects * (size_t)then->object_count);
    choice_begin(&choice, first, prefix, options->seed);
    choice_take(&choice, everything_kept(&choice));
    image_open(&image, first);
    image_build(&image, &choice);
    for (int i = 0; i < then->object_count; i++)
        objects[i] = i == 0 ? 0 : -1;
    /* Both list a tree from the root down, so a folder is known before what is in it. */
    for (int i = 0; i < then->count && then->list[i].durable_at < 0; i++)
        for (int e = 0; e < image.count; e++)
            if (image.entries[e].folder == objects[then->list[i].folder] &&
                strcmp(image.entries[e].name, then->list[i].name) == 0)
                objects[then->list[i].object] = image.entries[e].object;
    for (int i = 0; i < then->count && then->list[i].durable_at < 0; i++)
        MW_ASSERT(objects[then->list[i].object] >= 0); /* it is what was written there */
    effects_join(first, prefix, then, objects, &joined);
    effects_free(then);
    *then = joined;
    image_close(&image);
    choice_end(&choice);
    mw_heap_free(objects);
}

/* The life after a kill: a start that recovers, or one that is asked for the same things again. */
static const char *verb_after(long n)
{
    return n == AGAIN_AFTER_A_KILL ? "run" : "recover";
}

/* The next life is recorded, and the power is cut in it too. n < 0: it follows a kill, else the power cut of that number. */
static bool cut_again(const struct sweep *sweep, const char *dir, int prefix, long n)
{
    struct effects log = {0};
    char words[64];
    (void)snprintf(words, sizeof words, "--at %d:%ld", prefix, n);
    struct sweep again = *sweep;
    bool ok = write_state(sweep->log, sweep->options, prefix, n, dir);
    /* A life after a kill is judged as one with the life before it. */
    ok = ok && (n < 0 || power_head_mark(dir, &again.head_before));
    ok = ok && record(sweep->options, sweep->subject, verb_after(n), dir, &log);
    int first_prefix = first_effect(&log);
    if (ok && n < 0) {
        join_lives(sweep->log, prefix, sweep->options, &log);
        first_prefix = prefix;
    }
    if (ok) {
        struct mw_buf acks = power_acks(sweep, prefix);
        again.log = &log;
        again.first_prefix = first_prefix;
        if (n >= 0) /* the joined lives have the acknowledgements of both */
            again.acks_before = mw_buf_str(&acks);
        again.then_of = words;
        again.states = sweep->states / sweep->options->again + 1;
        ok = power_judge_states(&again);
        mw_heap_buf_free(&acks);
    }
    effects_free(&log);
    return ok;
}

static void add_judged(struct result *result, const struct tally *tallies, int jobs, long *counted,
                       double *left_out)
{
    *left_out += tallies[0].left_out;
    for (int i = 0; i < jobs; i++) {
        *counted += tallies[i].judged;
        result->broken += tallies[i].broken;
    }
}

/* Killed between a rename and its sync: exchanges first, then renames in an order that the seed gives. */
static int after_a_rename(const struct sweep *sweep, long k, int otherwise)
{
    const struct effects *log = sweep->log;
    int places[1024], count = 0, exchanges = 0;
    for (int i = sweep->first_prefix; i < log->count && count < 1024; i++) {
        if (log->list[i].kind == EFFECT_EXCHANGE) {
            places[count++] = places[exchanges];
            places[exchanges++] = i + 1;
        } else if (log->list[i].kind == EFFECT_RENAME) {
            places[count++] = i + 1;
        }
    }
    if (k >= count)
        return otherwise;
    if (k < exchanges)
        return places[k];
    uint64_t turn = sweep->options->seed % (uint64_t)(count - exchanges);
    return places[exchanges +
                  (int)((turn + (uint64_t)(k - exchanges)) % (uint64_t)(count - exchanges))];
}

void power_sweep_scenario(struct sweep *sweep, struct result *result)
{
    char dir[128];
    struct effects log = {0};
    const struct options *options = sweep->options;
    (void)snprintf(dir, sizeof dir, "%s/run", sweep->root);
    bool ok = prepare(options, sweep->subject, dir) && power_head_mark(dir, &sweep->head_before) &&
              record(options, sweep->subject, "run", dir, &log);
    if (!ok || options->effects) {
        result->ok = result->ok && ok;
        show(&log);
        effects_free(&log);
        return;
    }
    sweep->log = &log;
    sweep->first_prefix = first_effect(&log);
    sweep->states = options->states;
    result->effects += log.count - sweep->first_prefix;
    ok = power_judge_states(sweep);
    add_judged(result, sweep->tallies, options->jobs, &result->states, &result->left_out);
    uint64_t random = options->seed + 99;
    for (long k = 0; ok && k < options->again; k++) {
        int prefix = sweep->first_prefix +
                     (int)(power_random(&random) % (uint64_t)(log.count - sweep->first_prefix + 1));
        long n = (long)(power_random(&random) & 0xffffff);
        bool killed = k % 4 != 3; /* what is loose then stays loose in the next life */
        if (killed)
            prefix = after_a_rename(sweep, k / 4 * 3 + k % 4, prefix);
        ok = cut_again(sweep, dir, prefix,
                       !killed      ? n
                       : k % 4 == 2 ? AGAIN_AFTER_A_KILL
                                    : AFTER_A_KILL);
        add_judged(result, sweep->tallies, options->jobs, &result->again, &result->again_left_out);
    }
    result->ok = result->ok && ok;
    sweep->log = NULL;
    effects_free(&log);
}

int power_replay(const struct options *options, const struct subject *subject, const char *base)
{
    char dir[96];
    struct effects log = {0}, second = {0};
    (void)snprintf(dir, sizeof dir, "%s/run", base);
    struct sweep sweep = {.options = options, .subject = subject, .log = &log};
    if (!prepare(options, subject, dir) || !power_head_mark(dir, &sweep.head_before) ||
        !record(options, subject, "run", dir, &log))
        return 1;
    const char *to = options->keep != NULL ? options->keep : dir;
    struct mw_buf acks = power_acks(&sweep, options->at_prefix);
    bool ok = write_state(&log, options, options->at_prefix, options->at_n, dir);
    if (ok && options->then_prefix >= 0) {
        ok = options->at_n < 0 || power_head_mark(dir, &sweep.head_before);
        ok = ok && record(options, subject, verb_after(options->at_n), dir, &second);
        sweep.log = &second;
        if (ok && options->at_n < 0) {
            join_lives(&log, options->at_prefix, options, &second);
            mw_buf_reset(&acks);
        }
        struct mw_buf more = power_acks(&sweep, options->then_prefix);
        mw_buf_put(&acks, mw_buf_str(&more));
        mw_heap_buf_free(&more);
        ok = ok && write_state(&second, options, options->then_prefix, options->then_n, to);
    } else if (ok) {
        ok = write_state(&log, options, options->at_prefix, options->at_n, to);
    }
    if (!ok || (options->keep != NULL && printf("the state is in %s\n", to) < 0) || chdir(to) != 0)
        return 2;
    printf("acknowledged:\n%.*s", MW_STR_ARG(mw_buf_str(&acks)));
    fflush(stdout);
    int code = options->keep != NULL ? 0 : power_check(&sweep, mw_buf_str(&acks));
    mw_heap_buf_free(&acks);
    effects_free(&log);
    effects_free(&second);
    return code;
}
