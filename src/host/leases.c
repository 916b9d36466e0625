#include "host/leases.h"

#include "posix/heap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEASES_FILE ".millwright/cache/leases"
#define LEASES_BYTES (MW_LEASES_MAX * sizeof(uint64_t))

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* What the host before noted. */
static void take_before(struct mw_leases *leases, int fd)
{
    uint64_t *all = mw_heap_alloc(LEASES_BYTES);
    ssize_t got = pread(fd, all, LEASES_BYTES, 0);
    for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(uint64_t); i++)
        if (all[i] != 0)
            all[leases->before_count++] = all[i];
    leases->before = all;
    qsort(all, leases->before_count, sizeof(*all), by_size);
}

void mw_leases_open(struct mw_leases *leases, int workspace_fd)
{
    mw_autoclose int fd =
        openat(workspace_fd, LEASES_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    take_before(leases, fd);
    /* Its blocks are there before it is emptied and mapped: a full disk costs no lease, and is no death by SIGBUS later. */
    if (posix_fallocate(fd, 0, (off_t)LEASES_BYTES) != 0)
        return;
    void *mapped = mmap(NULL, LEASES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return;
    leases->fences = mapped;
    memset(mapped, 0, LEASES_BYTES);
}

bool mw_leases_was_held(const struct mw_leases *leases, mw_seq fence)
{
    return leases->before_count > 0 && bsearch(&fence, leases->before, leases->before_count,
                                               sizeof(*leases->before), by_size) != NULL;
}

uint32_t mw_leases_note(struct mw_leases *leases, mw_seq fence)
{
    if (leases->fences == NULL || leases->count == MW_LEASES_MAX)
        return 0;
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
