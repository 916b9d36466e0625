/* archive_folder.c - an archive's folder: whose it is, who writes into it, what it holds. */
#include "journal/archive_folder.h"

#include "base/json.h"
#include "journal/lock.h"
#include "journal/reader.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MANIFEST_UNFINISHED "manifest.new"
#define RECORD_ARENA_BYTES (16u << 20) /* for one record of the largest size */

void mw_archive_name(const struct mw_manifest_segment *segment,
                     char ret_name[MW_ARCHIVE_NAME_BYTES])
{
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(segment->first, name);
    (void)snprintf(ret_name, MW_ARCHIVE_NAME_BYTES, "%s%s", name, segment->gzip ? ".gz" : "");
}

struct mw_chain mw_archive_chain_after(const struct mw_manifest_segment *segment)
{
    struct mw_chain chain = {.next_frame = segment->frame + segment->frames,
                             .next_seq = segment->last + 1,
                             .epoch = segment->epoch};
    memcpy(chain.hash, segment->hash, sizeof chain.hash);
    return chain;
}

/* ---- the journal's name ---- */

static enum mw_rc take_id(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    char *id = context;
    struct mw_arena arena;
    struct mw_tape record;
    (void)seq;
    (void)err;
    mw_heap_arena(&arena, RECORD_ARENA_BYTES);
    if (mw_json_parse(&arena, line, &record, NULL) == MW_OK) {
        uint32_t payload = mw_node_get(&record, 0, "payload");
        struct mw_str found = mw_node_get_text(&record, payload, "journalId");
        if (found.len > 0 && found.len <= 16) {
            (void)snprintf(id, 17, "%.*s", MW_STR_ARG(found));
            if (strspn(id, "0123456789abcdef") != found.len)
                id[0] = '\0';
        }
    }
    mw_heap_arena_free(&arena);
    return MW_E_LIMIT; /* one is enough */
}

enum mw_rc mw_archive_journal_id(const char *journal_dir, const struct mw_journal_options *options,
                                 char ret_id[17], struct mw_err *err)
{
    void *reader;
    char id[17] = "";
    struct mw_err why = {.rc = MW_OK};
    enum mw_rc rc = mw_reader_open(journal_dir, options, 1, &reader, err);
    if (rc != MW_OK)
        return rc;
    rc = mw_reader_read(reader, UINT64_MAX, take_id, id, NULL, &why);
    mw_reader_close(reader);
    if (rc == MW_OK)
        return MW_FAIL(err, MW_E_MISSING, "nothing is recorded yet");
    if (why.rc != MW_OK) {
        *err = why;
        return rc;
    }
    if (id[0] == '\0')
        return MW_FAIL(err, MW_E_CORRUPT, "record 1 does not name the journal");
    memcpy(ret_id, id, sizeof id);
    return MW_OK;
}

/* ---- the manifest's file ---- */

static enum mw_rc read_manifest(const struct mw_folder *archive, struct mw_manifest *ret_manifest,
                                struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc =
        mw_file_read_regular(archive->dir_fd, MW_MANIFEST_FILE, MW_MANIFEST_BYTES_MAX, &text, err);
    if (rc == MW_OK)
        rc = mw_manifest_read(mw_buf_str(&text), ret_manifest, err);
    mw_heap_buf_free(&text);
    return rc;
}

enum mw_rc mw_archive_note(const struct mw_folder *archive, const struct mw_manifest *manifest,
                           struct mw_err *err)
{
    const struct mw_journal_sys *sys = archive->sys;
    /* The names that the manifest speaks of come first. */
    if (sys->fsync(archive->dir_fd) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the archive's folder durable");
    int fd = sys->openat(archive->dir_fd, MANIFEST_UNFINISHED,
                         O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "begin the archive's manifest");
    struct mw_buf text = mw_heap_buf();
    mw_manifest_write(manifest, &text);
    enum mw_rc rc =
        mw_folder_write(archive, fd, mw_buf_str(&text), 0, "the archive's manifest", err);
    mw_heap_buf_free(&text);
    if (rc == MW_OK && sys->fsync(fd) != 0)
        rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "make the archive's manifest durable");
    (void)close(fd); /* synced, or failed already */
    if (rc == MW_OK &&
        sys->renameat(archive->dir_fd, MANIFEST_UNFINISHED, archive->dir_fd, MW_MANIFEST_FILE) != 0)
        rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "put the archive's manifest in place");
    if (rc != MW_OK)
        (void)sys->unlinkat(archive->dir_fd, MANIFEST_UNFINISHED, 0); /* gives the space back */
    else if (sys->fsync(archive->dir_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the archive's folder durable");
    return rc;
}

/* ---- the folder ---- */

static enum mw_rc open_folder(struct mw_folder *archive, const char *dir,
                              const struct mw_journal_sys *sys, struct mw_err *err)
{
    int fd = sys->openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : mw_journal_rc_of(errno),
                           "open the archive's folder '%s'", dir);
    *archive = (struct mw_folder){sys, fd, fd};
    return MW_OK;
}

void mw_archive_close(struct mw_folder *archive)
{
    (void)close(archive->dir_fd); /* what was written has been synced */
}

static enum mw_rc make_folder(const struct mw_journal_sys *sys, const char *dir, struct mw_err *err)
{
    if (sys->mkdirat(AT_FDCWD, dir, 0700) == 0 || errno == EEXIST)
        return MW_OK;
    /* The parent must be there: a disk that is not mounted is not replaced by a folder in its place. */
    return MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : mw_journal_rc_of(errno),
                       "make the archive's folder '%s'", dir);
}

/* What stands in a folder that an archive may be begun in: nothing, or what a run left that ended before the manifest was there. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {".", "..", MW_LOCK_FILE, MANIFEST_UNFINISHED, "lost+found"};
    for (size_t i = 0; i < MW_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum mw_rc refuse_strange(const struct mw_folder *archive, const char *dir,
                                 struct mw_err *err)
{
    int fd = openat(archive->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry = NULL;
    if (list == NULL) {
        enum mw_rc rc = MW_FAIL_SYS(err, MW_E_IO, "list '%s'", dir);
        if (fd >= 0)
            (void)close(fd); /* the failure is reported already */
        return rc;
    }
    while ((errno = 0, entry = readdir(list)) != NULL && is_ours(entry->d_name))
        continue;
    enum mw_rc rc = MW_OK;
    if (entry != NULL)
        rc = MW_FAIL(err, MW_E_DENIED,
                     "'%s' holds '%s' and no manifest: it is not the archive of a journal; give a "
                     "folder that is new or empty",
                     dir, entry->d_name);
    else if (errno != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "list '%s'", dir);
    (void)closedir(list); /* was only read */
    return rc;
}

/* *ret_there false: a folder in which an archive may be begun. */
static enum mw_rc load(const struct mw_folder *archive, const char *dir, const char *journal_id,
                       bool *ret_there, struct mw_manifest *ret_manifest, struct mw_err *err)
{
    struct mw_manifest manifest = {.count = 0};
    *ret_there = false;
    enum mw_rc rc = read_manifest(archive, &manifest, err);
    if (rc == MW_E_MISSING) {
        rc = refuse_strange(archive, dir, err);
        /* What is strange there may be the archive that another has begun meanwhile, its manifest first. */
        if (rc != MW_E_DENIED || read_manifest(archive, &manifest, NULL) != MW_OK)
            return rc;
        rc = MW_OK;
    }
    *ret_there = rc == MW_OK;
    if (rc == MW_OK && strcmp(manifest.journal, journal_id) != 0) {
        rc =
            MW_FAIL(err, MW_E_DENIED, "'%s' is the archive of another journal (%s; this one is %s)",
                    dir, manifest.journal, journal_id);
        mw_manifest_free(&manifest);
    }
    if (rc == MW_OK)
        *ret_manifest = manifest;
    return rc;
}

static enum mw_rc take_lock(const struct mw_folder *archive, int *ret_fd, struct mw_err *err)
{
    int fd =
        archive->sys->openat(archive->dir_fd, MW_LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (fd < 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "open the archive's lock");
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *ret_fd = fd;
        return MW_OK;
    }
    enum mw_rc rc = errno == EWOULDBLOCK
                        ? MW_FAIL(err, MW_E_CONFLICT, "another process writes into this archive")
                        : MW_FAIL_SYS(err, MW_E_IO, "lock the archive");
    (void)close(fd); /* nothing was written */
    return rc;
}

/* The manifest first: a folder with segments and no manifest is somebody else's. */
static enum mw_rc begin(const struct mw_folder *archive, const char *journal_id,
                        struct mw_manifest *ret_manifest, struct mw_err *err)
{
    struct mw_manifest manifest = {.count = 0};
    memcpy(manifest.journal, journal_id, sizeof manifest.journal);
    int parent_fd = archive->sys->openat(archive->dir_fd, "..", O_RDONLY | O_DIRECTORY, 0);
    enum mw_rc rc = MW_OK;
    if (parent_fd < 0 || archive->sys->fsync(parent_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the archive's own name durable");
    if (parent_fd >= 0)
        (void)close(parent_fd); /* was only read */
    if (rc == MW_OK)
        rc = mw_archive_note(archive, &manifest, err);
    if (rc == MW_OK)
        *ret_manifest = manifest;
    return rc;
}

enum mw_rc mw_archive_open(struct mw_folder *archive, const char *dir,
                           const struct mw_journal_sys *sys, const char *journal_id,
                           int *ret_lock_fd, struct mw_manifest *ret_manifest, struct mw_err *err)
{
    struct mw_manifest manifest = {.count = 0};
    bool there;
    int lock_fd = -1;
    enum mw_rc rc = make_folder(sys, dir, err);
    if (rc == MW_OK)
        rc = open_folder(archive, dir, sys, err);
    if (rc != MW_OK)
        return rc;
    rc = load(archive, dir, journal_id, &there, &manifest, err);
    mw_manifest_free(&manifest); /* before the lock nothing is written, and nothing counts */
    if (rc == MW_OK)
        rc = take_lock(archive, &lock_fd, err);
    if (rc == MW_OK)
        rc = load(archive, dir, journal_id, &there, &manifest, err);
    if (rc == MW_OK && there)
        (void)sys->unlinkat(archive->dir_fd, MW_ARCHIVE_UNFINISHED, 0); /* of a run that died */
    /* Who put the manifest in place may have been killed before that was durable, and what it names counts as stored from here on. */
    if (rc == MW_OK && there && sys->fsync(archive->dir_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the archive's folder durable");
    if (rc == MW_OK && !there)
        rc = begin(archive, journal_id, &manifest, err);
    if (rc != MW_OK) {
        if (lock_fd >= 0)
            (void)close(lock_fd); /* lets go */
        mw_manifest_free(&manifest);
        mw_archive_close(archive);
        return rc;
    }
    *ret_lock_fd = lock_fd;
    *ret_manifest = manifest;
    return MW_OK;
}

enum mw_rc mw_archive_look(struct mw_folder *archive, const char *dir,
                           const struct mw_journal_sys *sys, struct mw_manifest *ret_manifest,
                           struct mw_err *err)
{
    enum mw_rc rc = open_folder(archive, dir, sys, err);
    if (rc != MW_OK)
        return rc;
    rc = read_manifest(archive, ret_manifest, err);
    if (rc == MW_E_MISSING)
        rc = MW_FAIL(err, MW_E_MISSING, "'%s' holds no " MW_MANIFEST_FILE ": it is not an archive",
                     dir);
    if (rc != MW_OK)
        mw_archive_close(archive);
    return rc;
}
