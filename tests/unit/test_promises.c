/*
 * test_promises.c - P21 P22: `verify --promises` says of each promise what it found: that it holds where it does, and that it does not on a disk that
 * keeps no modes, or loses bodies that were said to be there.
 */
#include "own_folder.h"
#include "port/promises.h"
#include "stage/blob.h"

#include <sys/stat.h>

/* ---- a disk, by the linker (test_promises.wraps) ---- */

static bool loses_modes, loses_bodies;

int __real_fstat(int fd, struct stat *info);
int __wrap_fstat(int fd, struct stat *info);
int __wrap_fstat(int fd, struct stat *info)
{
    int rc = __real_fstat(fd, info);
    if (rc == 0 && loses_modes && S_ISREG(info->st_mode))
        info->st_mode |= 0044;
    return rc;
}

enum mw_rc __real_mw_blob_put(const struct mw_blobs *blobs, struct mw_str bytes,
                              char ret_sha256[MW_SHA256_HEX], struct mw_err *err);
enum mw_rc __wrap_mw_blob_put(const struct mw_blobs *blobs, struct mw_str bytes,
                              char ret_sha256[MW_SHA256_HEX], struct mw_err *err);
enum mw_rc __wrap_mw_blob_put(const struct mw_blobs *blobs, struct mw_str bytes,
                              char ret_sha256[MW_SHA256_HEX], struct mw_err *err)
{
    if (!loses_bodies)
        return __real_mw_blob_put(blobs, bytes, ret_sha256, err);
    mw_sha256_hex(bytes, ret_sha256);
    return MW_OK;
}

/* ---- what is found ---- */

struct found {
    const char *broken; /* the one that does not hold; "": both do */
    const char *words;
    uint32_t told;
};

/* Of these two: what a checker or a loaded machine makes of the others is theirs. */
static void look(void *context, const struct mw_promise_finding *finding)
{
    struct found *found = context;
    if (strcmp(finding->id, "P21") != 0 && strcmp(finding->id, "P22") != 0)
        return;
    bool is_broken = strcmp(finding->id, found->broken) == 0;
    found->told++;
    if (finding->verdict != (is_broken ? MW_PROMISE_BROKEN : MW_PROMISE_HOLDS) ||
        (is_broken && strstr(finding->detail, found->words) == NULL))
        fail_msg("%s: %d, %s", finding->id, (int)finding->verdict, finding->detail);
}

static void p21_p22_what_does_not_hold_here_is_said(void **state)
{
    static const struct {
        bool loses_modes, loses_bodies;
        const char *broken, *words;
    } rows[] = {{false, false, "", ""},
                {true, false, "P21", "comes back as 644"},
                {false, true, "P22", "are not there"}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct found found = {.broken = rows[i].broken, .words = rows[i].words};
        struct mw_err err = {0};
        loses_modes = rows[i].loses_modes;
        loses_bodies = rows[i].loses_bodies;
        enum mw_rc rc = mw_promises_check(own_folder, look, &found, &err);
        loses_modes = loses_bodies = false;
        if (rc != MW_OK)
            fail_msg("%s", err.text);
        assert_int_equal(found.told, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(p21_p22_what_does_not_hold_here_is_said, enter_own_folder,
                                        leave_own_folder),
    };
    return cmocka_run_group_tests_name("test_promises", tests, NULL, NULL);
}
