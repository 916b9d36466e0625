#include "stage/promote_internal.h"

#include "base/json.h"
#include "posix/heap.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTE_BYTES_MAX 65536

/* Of one note: whether it is done, has this target, and says what was put there. */
static bool says(int notes_fd, const char *name, const char *wanted,
                 char ret_sha256[MW_SHA256_HEX]);

/* What cannot be read says nothing; what stands in the target is somebody's edit then. */
bool mw_promote_last(int workspace_fd, const char *target, char ret_sha256[MW_SHA256_HEX])
{
    char wanted[PATH_MAX], found[MW_SHA256_HEX];
    uint64_t newest = 0;
    if (target[0] != '/' || realpath(target, wanted) == NULL)
        return false;
    int fd = openat(workspace_fd, MW_PROMOTIONS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *entry = list != NULL ? readdir(list) : NULL; entry != NULL;
         entry = readdir(list)) {
        /* p{number of the intent's record}.json */
        struct mw_str name = mw_str_of(entry->d_name);
        uint64_t number;
        if (mw_str_starts(name, MW_STR("p")) && mw_str_ends(name, MW_STR(".json")) &&
            mw_str_to_u64(mw_str_sub(name, 1, name.len - 6), &number) && number > newest &&
            says(fd, entry->d_name, wanted, found)) {
            memcpy(ret_sha256, found, sizeof(found));
            newest = number;
        }
    }
    if (list != NULL)
        (void)closedir(list); /* only read from */
    else
        mw_autoclose_fd(&fd);
    return newest > 0;
}

static bool is_folder(const struct mw_str path, const char *wanted)
{
    char found[PATH_MAX];
    mw_autofree char *text = mw_heap_copy(path);
    return strcmp(text, wanted) == 0 ||
           (text[0] == '/' && realpath(text, found) != NULL && strcmp(found, wanted) == 0);
}

static bool says(int notes_fd, const char *name, const char *wanted, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_buf text = mw_heap_buf();
    bool said = false;
    mw_heap_arena(&arena, (size_t)8 << 20);
    if (mw_file_read_regular(notes_fd, name, NOTE_BYTES_MAX, &text, NULL) == MW_OK &&
        mw_json_parse(&arena, mw_buf_str(&text), &tape, NULL) == MW_OK) {
        struct mw_str sha256 = mw_node_get_text(&tape, 0, "source_sha256");
        /* A note from before it stood there: what it put there was all of it the version when nothing was adopted. */
        if (sha256.len == 0 && !mw_node_bool(&tape, mw_node_get(&tape, 0, "edited"), true))
            sha256 = mw_node_get_text(&tape, 0, "sha256");
        said = mw_str_is(mw_node_get_text(&tape, 0, "state"), "done") &&
               sha256.len == MW_SHA256_HEX - 1 &&
               is_folder(mw_node_get_text(&tape, 0, "target"), wanted);
        if (said) {
            memcpy(ret_sha256, sha256.ptr, sha256.len);
            ret_sha256[sha256.len] = '\0';
            said = mw_sha256_is_hex(ret_sha256);
        }
    }
    mw_heap_arena_free(&arena);
    mw_heap_buf_free(&text);
    return said;
}
