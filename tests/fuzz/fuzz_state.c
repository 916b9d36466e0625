/*
 * What of a workspace is ours and on the disk, beside the journal: the first byte chooses the file, the rest is what stands in it. Note of a
 * promotion, record of a kept version, the journal's lock, leases, the page of what the host was doing.
 *
 * Whatever it is: it is refused, or read as an independent reader reads it; and where there is a writer, what is written again reads the same.
 */
#include "fuzz.h"
#include "host/leases.h"
#include "host/offline.h"
#include "host/poison.h"
#include "journal/lock.h"
#include "stage/promote_internal.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 16384
#define NOTE MW_PROMOTIONS "/p.json"
#define RECORD MW_VERSIONS "/1.json"
#define LEASES ".millwright/cache/leases"

static char workspace[64];
static int workspace_fd = -1;

/* ---- a build of one name, and a host that says nothing ---- */

const char *__wrap_mw_build_id(void);
const char *__wrap_mw_build_id(void)
{
    return "build";
}

void __wrap_mw_host_log(const struct mw_host *host, const char *level, const char *event,
                        const char *format, ...);
void __wrap_mw_host_log(const struct mw_host *host, const char *level, const char *event,
                        const char *format, ...)
{
    (void)host, (void)level, (void)event, (void)format;
}

/* ---- the workspace ---- */

static void remove_workspace(void)
{
    (void)mw_remove_tree(AT_FDCWD, workspace, NULL);
}

static void make_workspace(void)
{
    static const char *const folders[] = {MW_PROMOTIONS, MW_VERSIONS "/1", ".millwright/cache",
                                          ".millwright/side"};
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(workspace, sizeof workspace, "%s/mw-fuzz-state-XXXXXX", tmp);
    MW_ASSERT(mkdtemp(workspace) != NULL);
    workspace_fd = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < MW_COUNT(folders); i++)
        MW_ASSERT(mw_mkdirs(workspace_fd, folders[i], 0755, NULL) == MW_OK);
    (void)atexit(remove_workspace);
}

static void put_file(const char *path, struct mw_str bytes)
{
    int fd = openat(workspace_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0 && write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
    (void)close(fd);
}

/* ---- the other reader ---- */

static bool text_is(json_t *json, const char *key, const char *text)
{
    const char *there = json_string_value(json_object_get(json, key));
    return there != NULL ? strcmp(there, text) == 0 : text[0] == '\0';
}

static json_t *other_reader(struct mw_str text)
{
    return json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
}

/* ---- a promotion's note ---- */

static void try_note(struct mw_str text)
{
    struct mw_promote_note note, again;
    bool there = false;
    put_file(NOTE, text);
    if (mw_promote_note_read(workspace_fd, "p", &note, &there, NULL) != MW_OK)
        return;
    const struct mw_promoted *promoted = &note.promoted;
    MW_ASSERT(there && mw_sha256_is_hex(promoted->sha256));
    MW_ASSERT(promoted->previous_sha256[0] == '\0' || mw_sha256_is_hex(promoted->previous_sha256));
    json_t *json = other_reader(text);
    if (json != NULL) {
        json_t *number = json_object_get(json, "version");
        MW_ASSERT(text_is(json, "sha256", promoted->sha256));
        MW_ASSERT(note.done == text_is(json, "state", "done"));
        if (json_is_integer(number))
            MW_ASSERT(json_integer_value(number) == (json_int_t)note.number);
        json_decref(json);
    }
    MW_ASSERT(mw_promote_note_write(workspace_fd, "p", "t", &note, NULL) == MW_OK);
    MW_ASSERT(mw_promote_note_read(workspace_fd, "p", &again, &there, NULL) == MW_OK);
    MW_ASSERT(again.done == note.done && again.inode == note.inode && again.number == note.number &&
              again.promoted.edited == promoted->edited &&
              again.promoted.unchanged == promoted->unchanged &&
              again.promoted.previous_version == promoted->previous_version &&
              strcmp(again.promoted.sha256, promoted->sha256) == 0 &&
              strcmp(again.promoted.previous_sha256, promoted->previous_sha256) == 0);
}

/* ---- a kept version's record ---- */

static void try_version(struct mw_str text)
{
    struct mw_version_list list;
    put_file(RECORD, text);
    if (mw_versions_list(workspace_fd, &list, NULL) != MW_OK)
        return;
    MW_ASSERT(list.count == 1 && list.items[0].number == 1);
    const struct mw_version *version = &list.items[0];
    MW_ASSERT(version->sha256[0] == '\0' || mw_sha256_is_hex(version->sha256));
    json_t *json = other_reader(text);
    if (json != NULL) {
        /* What is not said was edited: such a tree is never removed. */
        json_t *edited = json_object_get(json, "edited");
        MW_ASSERT(version->edited == !json_is_false(edited));
        MW_ASSERT(version->sha256[0] == '\0' || text_is(json, "sha256", version->sha256));
        MW_ASSERT(version->promotion[0] == '\0' || text_is(json, "promotion", version->promotion));
        json_decref(json);
    }
    mw_versions_free(&list);
}

/* ---- the lock's line ---- */

static int sync_nothing(int fd)
{
    (void)fd;
    return 0;
}

/* Short inputs stand for the line without its blanks. */
static void try_lock(struct mw_str text)
{
    struct mw_journal_sys sys = mw_journal_sys_real;
    struct mw_err err = {0};
    char line[80], pid[32];
    uint64_t epoch = 0, again = 0;
    int fd = -1, other = -1;
    sys.fdatasync = sys.fsync = sync_nothing;
    mw_autoclose int side =
        openat(workspace_fd, ".millwright/side", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    memset(line, ' ', sizeof line);
    line[sizeof line - 1] = '\n';
    if (text.len > 0 && text.len < sizeof line)
        memcpy(line, text.ptr, text.len);
    put_file(".millwright/side/" MW_LOCK_FILE,
             text.len < sizeof line ? (struct mw_str){line, sizeof line} : text);
    MW_ASSERT(mw_lock_take(&sys, side, &fd, &epoch, NULL) == MW_OK);
    /* The next epoch is one above it, however often. */
    MW_ASSERT(epoch < UINT64_MAX && mw_lock_note(&sys, fd, epoch + 1, NULL) == MW_OK);
    (void)snprintf(pid, sizeof pid, "process %d", (int)getpid());
    MW_ASSERT(mw_lock_take(&sys, side, &other, &again, &err) == MW_E_CONFLICT);
    MW_ASSERT(strstr(err.text, pid) != NULL);
    mw_lock_release(&sys, fd, epoch + 1);
    MW_ASSERT(mw_lock_take(&sys, side, &fd, &again, NULL) == MW_OK && again == epoch + 1);
    mw_lock_release(&sys, fd, again);
}

/* ---- leases ---- */

static void try_leases(struct mw_str text)
{
    struct mw_leases leases = {0}, next = {0};
    uint64_t fences[32] = {0};
    size_t count = text.len / sizeof fences[0];
    put_file(LEASES, text);
    mw_leases_open(&leases, workspace_fd);
    MW_ASSERT(leases.fences != NULL && !mw_leases_was_held(&leases, 0));
    count = count < MW_COUNT(fences) ? count : MW_COUNT(fences);
    if (count > 0)
        memcpy(fences, text.ptr, count * sizeof fences[0]);
    uint32_t first = 0;
    for (size_t i = 0; i < count; i++) {
        MW_ASSERT(fences[i] == 0 || mw_leases_was_held(&leases, fences[i]));
        uint32_t slot = fences[i] != 0 ? mw_leases_note(&leases, fences[i]) : 0;
        MW_ASSERT(fences[i] == 0 || slot > 0);
        first = first == 0 ? slot : first;
    }
    mw_leases_forget(&leases, first); /* the first of them is over */
    mw_leases_open(&next, workspace_fd);
    MW_ASSERT(next.before_count == leases.count);
    (void)munmap(leases.fences, MW_LEASES_MAX * sizeof(uint64_t));
    (void)munmap(next.fences, MW_LEASES_MAX * sizeof(uint64_t));
    mw_heap_free(leases.before);
    mw_heap_free(next.before);
}

/* ---- what the host was doing ---- */

static enum mw_rc no_reader(const char *dir, const struct mw_journal_options *options,
                            uint64_t from_seq, void **ret_reader, struct mw_err *err)
{
    (void)dir, (void)options, (void)from_seq, (void)ret_reader;
    return MW_FAIL(err, MW_E_MISSING, "there is no journal");
}

/* The first byte even: behind the mark of a page of this build. */
static void try_poison(struct mw_str text)
{
    static const struct mw_journal_ops ops = {.name = "none", .reader_open = no_reader};
    static struct mw_host host;
    struct mw_post post = {.request = {.kind = MW_REQ_SUBMIT_INTENT, .item = 7}};
    char page[4096] = "MPOISON1build";
    size_t at = 8 + 64;
    bool marked = text.len > 0 && text.ptr[0] % 2 == 0;
    struct mw_str rest = mw_str_sub(text, 1, sizeof page - at);
    if (marked && rest.len > 0)
        memcpy(page + at, rest.ptr, rest.len);
    put_file(MW_POISON_PATH, marked ? (struct mw_str){page, at + rest.len} : text);
    host = (struct mw_host){.ops = &ops, .workspace = workspace, .workspace_fd = workspace_fd};
    mw_seq looked = mw_poison_look(workspace);
    mw_poison_open(&host);
    MW_ASSERT(mw_poison_record(&host) == 0 || looked == 0 || mw_poison_record(&host) == looked);
    /* A request that goes well is under no suspicion, however often the page names it. */
    for (unsigned i = 0; i < MW_POISON_SUSPECTS_MAX; i++) {
        (void)mw_poison_is_quarantined(&host, &post);
        mw_poison_decides(&host, &post);
        mw_poison_decided(&host);
    }
    MW_ASSERT(!mw_poison_is_quarantined(&host, &post));
    mw_poison_replays(&host, 3);
    mw_poison_replayed(&host);
    mw_poison_replay_over(&host);
    mw_poison_close(&host);
    MW_ASSERT(mw_poison_look(workspace) == 0);
    mw_poison_open(&host); /* nothing was under way: nothing is counted */
    MW_ASSERT(mw_poison_record(&host) == 0 && !mw_poison_is_quarantined(&host, &post));
    mw_poison_close(&host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const files[])(struct mw_str text) = {try_note, try_version, try_lock, try_leases,
                                                        try_poison};
    char *memory;
    if (workspace_fd < 0)
        make_workspace();
    if (size == 0 || size > FILE_BYTES_MAX)
        return 0;
    struct mw_str text = fuzz_rest(data + 1, size - 1, &memory);
    files[data[0] % MW_COUNT(files)](text);
    mw_heap_free(memory);
    return 0;
}
