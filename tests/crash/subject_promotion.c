/*
 * subject_promotion.c - promotion and rollback as scenarios: the first, a further one beside data, back to a kept version, edits carried over or
 * put aside. P12: the root is the old tree or the new one, whole. P23: the user's things are what they were.
 */
#include "subject.h"

#include "posix/heap.h"
#include "stage/promote_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID "p9"
#define TARGET "app"
#define BESIDE ".millwright-" ID
#define KEEP 1u

const char *const subject_promote_branches[] = {
    "promote.nothing_to_recover",
    "promote.half_copy_removed",
    "promote.back",
    "promote.forward_and_kept",
    "promote.forward_kept_already",
    "promote.forward_nothing_to_keep",
    "promote.done_twice",
    "promote.record_without_version",
    "promote.pruning_unfinished",
    "promote.half_note_removed",
    "promote.restored_forward_by_digest",
    "promote.restored_back_by_digest",
    "promote.restored_forward_by_kept_version",
    "promote.restored_back_copy_lost",
    "promote.refused_both_changed",
    "promote.refused_damaged_note",
    NULL,
};

enum way { FIRST, FURTHER, ROLLBACK, ADOPT, DISCARD };

/* ---- the workspace ---- */

static void put_text(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    MW_ASSERT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* A small tree, another one for each seed and version; a file of one version is not in the next. */
static void put_tree(const char *folder, uint64_t seed, uint64_t version)
{
    char path[256], text[300];
    struct mw_err err;
    (void)snprintf(path, sizeof path, "%s/src/deep", folder);
    MW_ASSERT(mw_mkdirs(AT_FDCWD, path, 0755, &err) == MW_OK);
    uint64_t files = 1 + subject_mix(seed, version) % 3;
    for (uint64_t i = 0; i < files; i++) {
        (void)snprintf(path, sizeof path, "%s/src/deep/f%" PRIu64 "-%" PRIu64, folder, version, i);
        (void)snprintf(text, sizeof text, "%" PRIu64 "\n%.*s\n", subject_mix(seed, i),
                       (int)(subject_mix(seed, version + i) % 200),
                       "................................................................"
                       "................................................................"
                       "................................................................"
                       "................");
        put_text(path, text);
    }
    (void)snprintf(path, sizeof path, "%s/app.json", folder);
    (void)snprintf(text, sizeof text, "{\"version\":%" PRIu64 "}\n", version);
    put_text(path, text);
    (void)snprintf(path, sizeof path, "%s/src/same.js", folder);
    put_text(path, "always the same\n");
}

static void digest_of(const char *folder, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_err err;
    struct mw_tree tree;
    struct mw_tree_scan observe = {.observe = true};
    ret_sha256[0] = '\0';
    if (mw_tree_scan(AT_FDCWD, folder, &observe, &tree, &err) != MW_OK)
        return;
    if (tree.count > 0)
        mw_tree_digest(&tree, ret_sha256);
    mw_tree_free(&tree);
}

static enum mw_rc promote_with(const char *id, const char *source, const char *sha256,
                               const char *expected, enum mw_promote_edits_mode edits,
                               struct mw_promoted *ret_promoted, struct mw_err *err)
{
    mw_autoclose int workspace_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (workspace_fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open the workspace");
    const struct mw_promote promote = {.workspace_fd = workspace_fd,
                                       .id = id,
                                       .source = source,
                                       .source_sha256 = sha256,
                                       .target = TARGET,
                                       .expected = &expected,
                                       .expected_count = expected != NULL,
                                       .edits = edits,
                                       .keep_versions = KEEP};
    return mw_promote_run(&promote, ret_promoted, err);
}

/* The way, the old tree's digest, the new one's, where the new one comes from: read back by the processes that come after. */
struct story {
    int way;
    char before[MW_SHA256_HEX];
    char after[MW_SHA256_HEX];
    char source[64];
    char source_sha256[MW_SHA256_HEX];
    char expected[MW_SHA256_HEX];
};

static void write_story(const struct story *story)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%d %s %s %s %s %s\n", story->way,
                   story->before[0] != '\0' ? story->before : "-", story->after, story->source,
                   story->source_sha256, story->expected[0] != '\0' ? story->expected : "-");
    put_text("story", text);
}

static struct story read_story(void)
{
    struct story story = {0};
    FILE *file = fopen("story", "re");
    if (file == NULL ||
        fscanf(file, "%d %64s %64s %63s %64s %64s", &story.way, story.before, story.after,
               story.source, story.source_sha256, story.expected) != 6) {
        subject_say("fail story io"); /* where every call fails once, this one does too */
        _exit(mw_rc_exit_code(MW_E_IO));
    }
    (void)fclose(file); /* was only read */
    if (story.before[0] == '-')
        story.before[0] = '\0';
    if (story.expected[0] == '-')
        story.expected[0] = '\0';
    return story;
}

static void prepare_way(enum way way, uint64_t seed)
{
    char t0[MW_SHA256_HEX], t1[MW_SHA256_HEX], t2[MW_SHA256_HEX];
    struct mw_err err = {0};
    struct mw_promoted promoted;
    struct story story = {.way = (int)way, .source = "t2"};
    put_tree("t0", seed, 0);
    put_tree("t1", seed, 1);
    put_tree("t2", seed, 2);
    digest_of("t0", t0);
    digest_of("t1", t1);
    digest_of("t2", t2);
    MW_ASSERT(mw_mkdirs(AT_FDCWD, "data/notes", 0755, &err) == MW_OK);
    MW_ASSERT(mw_mkdirs(AT_FDCWD, ".millwright", 0755, &err) == MW_OK);
    put_text("data/notes/records", "precious\n");
    memcpy(story.after, t2, sizeof t2);
    memcpy(story.source_sha256, t2, sizeof t2);
    if (way != FIRST) {
        MW_ASSERT(promote_with("p0", "t0", t0, NULL, MW_EDITS_REFUSE, &promoted, &err) == MW_OK);
        MW_ASSERT(promote_with("p1", "t1", t1, t0, MW_EDITS_REFUSE, &promoted, &err) == MW_OK);
        memcpy(story.before, t1, sizeof t1);
        memcpy(story.expected, t1, sizeof t1);
    }
    if (way == ROLLBACK) {
        MW_ASSERT(promote_with("p2", "t2", t2, t1, MW_EDITS_REFUSE, &promoted, &err) == MW_OK);
        memcpy(story.before, t2, sizeof t2);
        memcpy(story.expected, t2, sizeof t2);
        memcpy(story.after, t1, sizeof t1);
        memcpy(story.source_sha256, t1, sizeof t1);
        mw_version_path(promoted.previous_version, story.source);
    }
    if (way == ADOPT || way == DISCARD) {
        put_text(TARGET "/src/same.js", "mine\n");
        put_text(TARGET "/mine", "mine\n");
        digest_of(TARGET, story.before);
    }
    if (way == ADOPT) {
        put_tree("adopted", seed, 2);
        put_text("adopted/src/same.js", "mine\n");
        put_text("adopted/mine", "mine\n");
        digest_of("adopted", story.after);
        MW_ASSERT(mw_remove_tree(AT_FDCWD, "adopted", &err) == MW_OK);
    }
    write_story(&story);
}

static void prepare_first(uint64_t seed)
{
    prepare_way(FIRST, seed);
}
static void prepare_further(uint64_t seed)
{
    prepare_way(FURTHER, seed);
}
static void prepare_rollback(uint64_t seed)
{
    prepare_way(ROLLBACK, seed);
}
static void prepare_adopt(uint64_t seed)
{
    prepare_way(ADOPT, seed);
}
static void prepare_discard(uint64_t seed)
{
    prepare_way(DISCARD, seed);
}

/* ---- the scenario ---- */

static enum mw_rc promote(const struct story *story, struct mw_promoted *ret_promoted,
                          struct mw_err *err)
{
    return promote_with(ID, story->source, story->source_sha256,
                        story->expected[0] != '\0' ? story->expected : NULL,
                        story->way == ADOPT     ? MW_EDITS_ADOPT
                        : story->way == DISCARD ? MW_EDITS_DISCARD
                                                : MW_EDITS_REFUSE,
                        ret_promoted, err);
}

static int run_promote(uint64_t seed)
{
    (void)seed; /* it is in the trees */
    struct story story = read_story();
    struct mw_err err = {0};
    struct mw_promoted promoted;
    enum mw_rc rc = promote(&story, &promoted, &err);
    if (rc != MW_OK)
        return subject_fail("promote", rc, &err);
    subject_say("ack promote " ID " %s", promoted.sha256);
    return 0;
}

/* ---- recovery ---- */

static bool folder_holds(const char *folder, const char *start, const char *part)
{
    DIR *list = opendir(folder);
    bool found = false;
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        found = found || (strncmp(entry->d_name, start, strlen(start)) == 0 &&
                          strstr(entry->d_name, part) != NULL);
    if (list != NULL)
        (void)closedir(list); /* only read from */
    return found;
}

static bool version_is_missing(void)
{
    for (uint32_t number = 1; number < 8; number++) {
        char folder[MW_VERSION_PATH_MAX], record[MW_VERSION_PATH_MAX + 8];
        mw_version_path(number, folder);
        (void)snprintf(record, sizeof record, "%s.json", folder);
        if (access(record, F_OK) == 0 && access(folder, F_OK) != 0)
            return true;
    }
    return false;
}

static bool is_inode(const char *path, uint64_t inode)
{
    struct stat st;
    /* One that cannot be looked at may be it: then nothing is said. */
    return lstat(path, &st) == 0 ? st.st_ino == inode : errno != ENOENT;
}

/*
 * A backup that was restored has no inode that the note names: then only bytes tell where the new tree stands. The branch that has to be taken,
 * from what is seen before the recovery; NULL: an inode tells.
 */
static const char *branch_of_restored(const struct mw_promote_note *note)
{
    char sha256[MW_SHA256_HEX], kept[MW_VERSION_PATH_MAX];
    if (note->done || is_inode(TARGET, note->inode) || is_inode(BESIDE, note->inode))
        return NULL;
    digest_of(TARGET, sha256);
    if (strcmp(sha256, note->promoted.sha256) == 0)
        return "promote.restored_forward_by_digest";
    digest_of(BESIDE, sha256);
    if (strcmp(sha256, note->promoted.sha256) == 0)
        return "promote.restored_back_by_digest";
    mw_version_path(note->number, kept);
    return access(BESIDE, F_OK) == 0 ? "promote.refused_both_changed"
           : note->number != 0 && access(kept, F_OK) == 0
               ? "promote.restored_forward_by_kept_version"
               : "promote.restored_back_copy_lost";
}

/* -1: no recovery got to its end yet. */
static int last_outcome = -1;

static int recover_promotion(void)
{
    struct mw_err err = {0};
    struct mw_promote_note note = {0};
    struct mw_promoted promoted;
    enum mw_promote_outcome outcome;
    bool noted = false;
    mw_autoclose int workspace_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (workspace_fd < 0)
        return subject_fail("recover", MW_FAIL_SYS(&err, MW_E_IO, "open the workspace"), &err);
    bool beside = folder_holds(".", ".millwright-", "");
    bool half_note = folder_holds(MW_PROMOTIONS, ID ".json.", ".tmp");
    bool record_only = version_is_missing();
    bool pruning = access(MW_VERSIONS "/.pruned", F_OK) == 0;
    enum mw_rc rc = mw_promote_note_read(workspace_fd, ID, &note, &noted, &err);
    if (rc == MW_E_CORRUPT || rc == MW_E_INPUT)
        subject_branch("promote.refused_damaged_note");
    const char *restored = rc == MW_OK && noted ? branch_of_restored(&note) : NULL;
    if (rc == MW_OK)
        rc = mw_promote_recover(workspace_fd, ID, TARGET, &outcome, &promoted, &err);
    if (restored != NULL && (rc == MW_OK || rc == MW_E_CONFLICT)) {
        bool refused = strstr(restored, "refused") != NULL;
        subject_branch(restored);
        if (refused != (rc == MW_E_CONFLICT))
            return subject_wrong("P12: what should be '%s' ends with %s", restored, mw_rc_name(rc));
        if (!refused && (strstr(restored, "forward") != NULL) != (outcome == MW_PROMOTE_FORWARD))
            return subject_wrong("P12: what should be '%s' went the other way", restored);
    }
    if (rc != MW_OK)
        return subject_fail("recover", rc, &err);
    last_outcome = (int)outcome;
    subject_branch(!noted && !beside            ? "promote.nothing_to_recover"
                   : !noted                     ? "promote.half_copy_removed"
                   : note.done                  ? "promote.done_twice"
                   : outcome == MW_PROMOTE_BACK ? "promote.back"
                   : beside                     ? "promote.forward_and_kept"
                   : note.number != 0           ? "promote.forward_kept_already"
                                                : "promote.forward_nothing_to_keep");
    if (record_only)
        subject_branch("promote.record_without_version");
    if (pruning)
        subject_branch("promote.pruning_unfinished");
    if (half_note && !folder_holds(MW_PROMOTIONS, ID ".json.", ".tmp"))
        subject_branch("promote.half_note_removed");
    return 0;
}

/* ---- what has to hold ---- */

static int check_versions(const struct story *story, bool is_new, struct mw_sha256 *state)
{
    struct mw_version_list list;
    struct mw_err err = {0};
    mw_autoclose int workspace_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mw_versions_list(workspace_fd, &list, &err) != MW_OK)
        return subject_wrong("P12: the kept versions cannot be read: %s", err.text);
    uint32_t mine = 0;
    bool old_is_kept = false;
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < list.count; i++) {
        char path[MW_VERSION_PATH_MAX], found[MW_SHA256_HEX];
        const struct mw_version *version = &list.items[i];
        mw_version_path(version->number, path);
        digest_of(path, found);
        if (strcmp(found, version->sha256) != 0)
            code = subject_wrong("P12: kept version %u is not the tree that was kept",
                                 version->number);
        if (strcmp(version->promotion, ID) == 0) {
            mine++;
            old_is_kept = strcmp(version->sha256, story->before) == 0 &&
                          version->edited == (story->way == ADOPT || story->way == DISCARD);
        }
        mw_sha256_add(state, mw_str_of(path));
        mw_sha256_add(state, mw_str_of(version->sha256));
    }
    if (code == 0 && mine > 1)
        code = subject_wrong("P12: one promotion kept %u versions", mine);
    if (code == 0 && mine > 0 && !is_new)
        code = subject_wrong("P12: the old tree stands and is kept as a version, too");
    if (code == 0 && is_new && story->before[0] != '\0' && !old_is_kept)
        code = subject_wrong("P12: the new tree stands and the old one is not kept");
    mw_versions_free(&list);
    return code;
}

static int verify_promotion(struct mw_str acks, char ret_state[65])
{
    struct story story = read_story();
    char found[MW_SHA256_HEX], source[MW_SHA256_HEX], rest[256];
    struct mw_buf text = mw_heap_buf();
    struct mw_err err;
    uint8_t digest[32];
    struct mw_sha256 state;
    digest_of(TARGET, found);
    bool is_new = strcmp(found, story.after) == 0;
    if (!is_new && strcmp(found, story.before) != 0)
        return subject_wrong("P12: the root is neither the old tree nor the new one");
    if (subject_last_ack(acks, "promote", rest, sizeof rest) && !is_new)
        return subject_wrong("P12: the promotion was acknowledged and the old tree stands");
    if (last_outcome >= 0 && is_new != (last_outcome == MW_PROMOTE_FORWARD))
        return subject_wrong("P12: the %s tree stands and recovery says the other",
                             is_new ? "new" : "old");
    if (folder_holds(".", ".millwright-", ""))
        return subject_wrong("P12: something is left beside the root");
    if (folder_holds(MW_PROMOTIONS, ID ".json.", ".tmp"))
        return subject_wrong("P12: half a note is left");
    bool data = mw_file_read(AT_FDCWD, "data/notes/records", 100, &text, &err) == MW_OK &&
                mw_str_is(mw_buf_str(&text), "precious\n");
    mw_heap_buf_free(&text);
    if (!data)
        return subject_wrong("P23: the app's data is not what it was");
    digest_of("t2", source);
    if (story.way != ROLLBACK && strcmp(source, story.source_sha256) != 0)
        return subject_wrong("P23: the staged tree was changed");
    mw_sha256_begin(&state);
    mw_sha256_add(&state, mw_str_of(found));
    int code = check_versions(&story, is_new, &state);
    mw_sha256_end(&state, digest);
    mw_hex(digest, sizeof digest, ret_state);
    return code;
}

/* The same request once more: it happens now, or is told again; either way once. */
static int resume_promotion(struct mw_str acks)
{
    struct story story = read_story();
    struct mw_err err = {0};
    struct mw_promoted promoted;
    (void)acks;
    if (promote(&story, &promoted, &err) != MW_OK)
        return subject_wrong("P12: after a recovery the same promotion fails: %s", err.text);
    if (strcmp(promoted.sha256, story.after) != 0 ||
        strcmp(promoted.previous_sha256, story.before) != 0)
        return subject_wrong("P12: the same promotion is told otherwise the second time");
    last_outcome = MW_PROMOTE_FORWARD;
    return 0;
}

const struct subject subject_promotion[] = {
    {"promote_first", "P12", prepare_first, run_promote, recover_promotion, verify_promotion,
     resume_promotion, false},
    {"promote", "P12 P23", prepare_further, run_promote, recover_promotion, verify_promotion,
     resume_promotion, true},
    {"rollback", "P12", prepare_rollback, run_promote, recover_promotion, verify_promotion,
     resume_promotion, true},
    {"promote_adopt", "P12 P23", prepare_adopt, run_promote, recover_promotion, verify_promotion,
     resume_promotion, true},
    {"promote_discard", "P12 P23", prepare_discard, run_promote, recover_promotion,
     verify_promotion, resume_promotion, true},
};
const size_t subject_promotion_count = MW_COUNT(subject_promotion);
