#include "host/leases.h"

#include "posix/heap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEASES_FILE ".millwright/cache/leases"

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* What the host before noted. Since the machine has started anew, what was written last may be missing. */
static void take_before(struct mw_leases *leases, int fd, const char *boot)
{
    struct mw_leases_note *note = mw_heap_alloc(sizeof(*note));
    uint64_t *all = note->fences;
    ssize_t got = pread(fd, note, sizeof(*note), 0);
    for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(*all) && i < MW_LEASES_MAX; i++)
        if (all[i] != 0)
            all[leases->before_count++] = all[i];
    leases->before = all; /* the note begins with them */
    leases->before_was_whole = got == (ssize_t)sizeof(*note) && note->is_whole == 1 &&
                               boot[0] != '\0' && memcmp(note->boot, boot, MW_BOOT_TEXT) == 0;
    qsort(all, leases->before_count, sizeof(*all), by_size);
}

/* In this order: the process may end between any two words. */
static void set_whole(struct mw_leases *leases, bool whole)
{
    if (leases->note != NULL)
        __atomic_store_n(&leases->note->is_whole, whole ? 1 : 0, __ATOMIC_SEQ_CST);
}

/* What this host gives will not be in it. Cut before it says so: that takes no room. */
static void unsay_whole(int fd)
{
    (void)!ftruncate(fd,
                     offsetof(struct mw_leases_note, boot)); /* else there is no more to be done */
}

void mw_leases_open(struct mw_leases *leases, int workspace_fd)
{
    mw_autoclose int fd =
        openat(workspace_fd, LEASES_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    char boot[MW_BOOT_TEXT] = "";
    struct mw_err err;
    if (fd < 0)
        return;
    if (mw_boot_id(boot, &err) != MW_OK)
        memset(boot, 0, sizeof(boot)); /* then nothing is sure */
    take_before(leases, fd, boot);
    /* Its blocks are there before it is emptied and mapped: a full disk costs no lease, and is no death by SIGBUS later. */
    if (posix_fallocate(fd, 0, (off_t)sizeof(struct mw_leases_note)) != 0) {
        unsay_whole(fd);
        return;
    }
    void *mapped =
        mmap(NULL, sizeof(struct mw_leases_note), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        unsay_whole(fd);
        return;
    }
    leases->note = mapped;
    leases->fences = leases->note->fences;
    set_whole(leases, false); /* until those of before are noted again */
    memset(leases->fences, 0, sizeof(leases->note->fences));
    memcpy(leases->note->boot, boot, sizeof(boot));
}

void mw_leases_taken_over(struct mw_leases *leases)
{
    if (leases->note != NULL && !leases->missed)
        set_whole(leases, true);
}

bool mw_leases_was_held(const struct mw_leases *leases, mw_seq fence)
{
    return leases->before_count > 0 && bsearch(&fence, leases->before, leases->before_count,
                                               sizeof(*leases->before), by_size) != NULL;
}

uint32_t mw_leases_note(struct mw_leases *leases, mw_seq fence)
{
    if (leases->fences == NULL || leases->count == MW_LEASES_MAX) {
        leases->missed = true;
        set_whole(leases, false);
        return 0;
    }
    while (leases->fences[leases->at] != 0)
        leases->at = (leases->at + 1) % MW_LEASES_MAX;
    leases->fences[leases->at] = fence;
    leases->count++;
    return leases->at + 1;
}

void mw_leases_forget(struct mw_leases *leases, uint32_t slot)
{
    if (slot == 0)
        return;
    leases->fences[slot - 1] = 0;
    leases->at = slot - 1; /* the same few pages again */
    leases->count--;
}
