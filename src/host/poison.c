#include "host/poison.h"
#include "host/offline.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC 0x314e4f53494f504dull /* "MPOISON1" */

enum doing { DOING_NOTHING, DOING_DECIDE, DOING_REPLAY };

/* The request is known again after a restart: what a caller says by its body, what the world answers by the ask that it answers. */
struct identity {
    uint64_t item;
    uint64_t fence;
    uint32_t kind;
    char body_hash[MW_SHA256_HEX]; /* empty: an answer to an ask */
};

struct suspect {
    struct identity who;
    uint32_t deaths; /* 0: free */
};

/* As it lies in the file; its maker is the only reader but for mw_poison_look. */
struct page {
    uint64_t magic;
    char build[64]; /* a death of one build says nothing about another */
    uint32_t doing;
    uint32_t record_deaths;
    uint64_t record;      /* being replayed, or the one before died of */
    uint64_t record_hash; /* of its line when it was first suspected */
    struct identity deciding;
    struct suspect suspects[MW_POISON_SUSPECTS_MAX];
};

struct mw_poison {
    struct page *page; /* mapped */
    uint32_t suspect_count;
    mw_seq read_only_for;
    mw_seq last_seq; /* of the journal, when nothing is replayed */
};

static struct page *map_page(struct mw_host *host)
{
    void *memory = MAP_FAILED;
    mw_autoclose int fd =
        openat(host->workspace_fd, MW_POISON_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    /* Blocks that are there: a full disk would otherwise end the process by SIGBUS at the first note. */
    if (fd >= 0 && posix_fallocate(fd, 0, sizeof(struct page)) == 0)
        memory = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        memory = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MW_ASSERT(memory != MAP_FAILED);
    return memory;
}

static struct identity identity_of(const struct mw_post *post)
{
    struct identity who = {.kind = (uint32_t)post->request.kind,
                           .item = post->request.item,
                           .fence = post->request.fence};
    if (who.fence == 0)
        memcpy(who.body_hash, post->body_hash, sizeof(who.body_hash));
    return who;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return a->kind == b->kind && a->item == b->item && a->fence == b->fence &&
           memcmp(a->body_hash, b->body_hash, sizeof(a->body_hash)) == 0;
}

static struct suspect *find(const struct mw_poison *poison, const struct identity *who)
{
    for (uint32_t i = 0; i < MW_POISON_SUSPECTS_MAX; i++)
        if (poison->page->suspects[i].deaths > 0 && is_same(&poison->page->suspects[i].who, who))
            return &poison->page->suspects[i];
    return NULL;
}

static void count_request(struct mw_host *host)
{
    struct page *page = host->poison->page;
    struct suspect *suspect = find(host->poison, &page->deciding);
    for (uint32_t i = 0; suspect == NULL && i < MW_POISON_SUSPECTS_MAX; i++)
        if (page->suspects[i].deaths == 0)
            suspect = &page->suspects[i];
    if (suspect == NULL) {
        suspect = &page->suspects[0];
        for (uint32_t i = 1; i < MW_POISON_SUSPECTS_MAX; i++)
            if (page->suspects[i].deaths < suspect->deaths)
                suspect = &page->suspects[i];
        suspect->deaths = 0;
    }
    suspect->who = page->deciding;
    suspect->deaths++;
    const char *name = suspect->who.kind < MW_REQUEST_COUNT
                           ? mw_request_info((enum mw_request_kind)suspect->who.kind)->name
                           : "unknown";
    mw_host_log(host, "error",
                suspect->deaths >= MW_POISON_REQUEST_DEATHS ? "request.quarantined"
                                                            : "request.suspected",
                "%s (ask %lu) was being decided when the host ended, %u times now", name,
                (unsigned long)suspect->who.fence, suspect->deaths);
}

struct line {
    mw_seq wanted;
    mw_seq last;
    uint64_t hash; /* 0: it is not there */
};

static enum mw_rc take_line(void *context, uint64_t seq, struct mw_str text, struct mw_err *err)
{
    struct line *line = context;
    (void)err; /* looking cannot fail */
    line->last = seq;
    if (seq == line->wanted)
        line->hash = mw_str_hash(text);
    return MW_OK;
}

/* The record's line, and the last record there is; what cannot be read is not there. */
static struct line read_line(const struct mw_host *host, mw_seq seq)
{
    struct line line = {.wanted = seq};
    struct mw_err err;
    void *reader;
    uint64_t next;
    mw_autofree char *folder = mw_heap_format("%s/.millwright/journal", host->workspace);
    mw_autofree char *side = mw_heap_format("%s/.millwright", host->workspace);
    struct mw_journal_options options = {.side_dir = side};
    if (host->ops->reader_open(folder, &options, seq, &reader, &err) != MW_OK)
        return line;
    (void)host->ops->reader_read(reader, UINT64_MAX, take_line, &line, &next, &err); /* as above */
    host->ops->reader_close(reader);
    return line;
}

/* page->record is what the host before replayed when it ended; record_deaths counts its deaths before that. */
static void count_record(struct mw_host *host)
{
    struct page *page = host->poison->page;
    uint64_t hash = read_line(host, page->record).hash;
    if (page->record_deaths == 0 || hash != page->record_hash)
        page->record_deaths = 0;
    page->record_hash = hash;
    page->record_deaths++;
    mw_host_log(host, "error", "record.suspected",
                "record %lu was being replayed when the host ended, %u times now",
                (unsigned long)page->record, page->record_deaths);
}

void mw_poison_open(struct mw_host *host)
{
    struct mw_poison *poison = mw_heap_alloc(sizeof(*poison));
    struct page *page = map_page(host);
    char build[sizeof(page->build)] = "";
    poison->page = page;
    host->poison = poison;
    memcpy(build, mw_build_id(), strnlen(mw_build_id(), sizeof(build) - 1));
    if (page->magic != MAGIC || memcmp(page->build, build, sizeof(build)) != 0) {
        memset(page, 0, sizeof(*page));
        memcpy(page->build, build, sizeof(build));
        page->magic = MAGIC;
    }
    uint32_t doing = page->doing;
    page->doing = DOING_NOTHING;
    if (doing == DOING_DECIDE)
        count_request(host);
    if (doing == DOING_REPLAY)
        count_record(host);
    for (uint32_t i = 0; i < MW_POISON_SUSPECTS_MAX; i++)
        poison->suspect_count += page->suspects[i].deaths > 0;
    if (page->record_deaths >= MW_POISON_RECORD_DEATHS) {
        struct line line = read_line(host, page->record);
        if (line.hash == page->record_hash) {
            poison->read_only_for = page->record;
            poison->last_seq = line.last;
        } else {
            page->record_deaths = 0; /* it was mended */
        }
    }
}

void mw_poison_close(struct mw_host *host)
{
    if (host->poison == NULL)
        return;
    (void)munmap(host->poison->page, sizeof(*host->poison->page));
    mw_heap_free(host->poison);
    host->poison = NULL;
}

/* What is noted has to be whole before the note counts, whatever the compiler would like better. */
static void note(struct page *page, enum doing doing)
{
    __atomic_store_n(&page->doing, (uint32_t)doing, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void mw_poison_decides(struct mw_host *host, const struct mw_post *post)
{
    if (host->poison == NULL)
        return;
    host->poison->page->deciding = identity_of(post);
    note(host->poison->page, DOING_DECIDE);
}

void mw_poison_decided(struct mw_host *host)
{
    if (host->poison == NULL)
        return;
    note(host->poison->page, DOING_NOTHING);
    if (host->poison->suspect_count == 0)
        return;
    struct suspect *suspect = find(host->poison, &host->poison->page->deciding);
    if (suspect != NULL) { /* it went well: the host had died of something else */
        suspect->deaths = 0;
        host->poison->suspect_count--;
    }
}

void mw_poison_replays(struct mw_host *host, mw_seq seq)
{
    struct page *page = host->poison != NULL ? host->poison->page : NULL;
    if (page == NULL)
        return;
    if (page->record_deaths > 0 && seq > page->record)
        page->record_deaths = 0; /* past the suspect: it was not the record's doing */
    if (page->record_deaths == 0 || seq == page->record)
        page->record = seq;
    note(page, page->record == seq ? DOING_REPLAY : DOING_NOTHING);
}

void mw_poison_replayed(struct mw_host *host)
{
    if (host->poison != NULL)
        note(host->poison->page, DOING_NOTHING);
}

void mw_poison_replay_over(struct mw_host *host)
{
    if (host->poison != NULL)
        host->poison->page->record_deaths = 0;
}

bool mw_poison_is_quarantined(const struct mw_host *host, const struct mw_post *post)
{
    if (host->poison == NULL || host->poison->suspect_count == 0)
        return false;
    struct identity who = identity_of(post);
    const struct suspect *suspect = find(host->poison, &who);
    return suspect != NULL && suspect->deaths >= MW_POISON_REQUEST_DEATHS;
}

mw_seq mw_poison_last_seq(const struct mw_host *host)
{
    return host->poison->last_seq;
}

mw_seq mw_poison_record(const struct mw_host *host)
{
    return host->poison != NULL ? host->poison->read_only_for : 0;
}

uint64_t mw_poison_look(const char *workspace)
{
    struct page page = {.magic = 0};
    mw_autofree char *path = mw_heap_format("%s/" MW_POISON_PATH, workspace);
    mw_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || read(fd, &page, sizeof(page)) != (ssize_t)sizeof(page) || page.magic != MAGIC)
        return 0;
    return page.record_deaths >= MW_POISON_RECORD_DEATHS &&
                   strncmp(page.build, mw_build_id(), sizeof(page.build)) == 0
               ? page.record
               : 0;
}
