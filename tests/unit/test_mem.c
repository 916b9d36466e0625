/* test_mem.c - the core's memory: what is given back is used again, pools go whole, tables find everything whatever was removed. */
#include "base/mem.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REGION_BYTES ((size_t)64 << 20)

static struct mw_mem begin(void)
{
    struct mw_mem mem;
    mw_mem_init(&mem, aligned_alloc(64, REGION_BYTES), REGION_BYTES);
    return mem;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return z ^ (z >> 27);
}

static void a_block_that_was_given_back_is_the_next_of_its_size(void **state)
{
    struct mw_mem mem = begin();
    (void)state;
    char *a = mw_mem_alloc(&mem, 100);
    memset(a, 0xff, 100);
    mw_mem_free(&mem, a, 100);
    assert_int_equal(mem.used_bytes, 0);
    char *b = mw_mem_alloc(&mem, 128);
    assert_ptr_equal(a, b);
    for (unsigned i = 0; i < 128; i++)
        assert_int_equal(b[i], 0);
    assert_int_equal(mem.used_bytes, 128);
    assert_int_equal(mw_mem_room(&mem), REGION_BYTES - 128);
    mw_mem_free(&mem, NULL, 17);
    mw_mem_free(&mem, b, 128);
    free(mem.region);
}

static void blocks_never_overlap_and_are_aligned(void **state)
{
    enum { BLOCKS = 2000 };
    static struct {
        unsigned char *at;
        size_t size;
        unsigned char mark;
    } blocks[BLOCKS];
    struct mw_mem mem = begin();
    uint64_t random = 1;
    (void)state;
    memset(blocks, 0, sizeof blocks);
    for (unsigned turn = 0; turn < 100000; turn++) {
        unsigned i = (unsigned)(next_random(&random) % BLOCKS);
        if (blocks[i].at != NULL) {
            assert_int_equal(blocks[i].at[0], blocks[i].mark);
            assert_int_equal(blocks[i].at[blocks[i].size - 1], blocks[i].mark);
            mw_mem_free(&mem, blocks[i].at, blocks[i].size);
            blocks[i].at = NULL;
            continue;
        }
        blocks[i].size = 1 + next_random(&random) % 5000;
        blocks[i].mark = (unsigned char)(turn | 1);
        blocks[i].at = mw_mem_alloc(&mem, blocks[i].size);
        assert_int_equal((uintptr_t)blocks[i].at & 63, 0);
        memset(blocks[i].at, blocks[i].mark, blocks[i].size);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        if (blocks[i].at != NULL)
            mw_mem_free(&mem, blocks[i].at, blocks[i].size);
    assert_int_equal(mem.used_bytes, 0);
    free(mem.region);
}

static void a_pool_goes_whole(void **state)
{
    struct mw_mem mem = begin();
    struct mw_pool pool = {0};
    uint64_t random = 2;
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        size_t fresh = mem.fresh_at;
        for (unsigned i = 0; i < 1000; i++) {
            size_t size = i % 100 == 99 ? 200000 : 1 + next_random(&random) % 300;
            char *memory = mw_pool_alloc(&pool, &mem, size);
            assert_int_equal((uintptr_t)memory & 15, 0);
            for (size_t b = 0; b < size; b += 61)
                assert_int_equal(memory[b], 0);
            memset(memory, 0xa5, size);
        }
        assert_true(mem.used_bytes == pool.total_bytes);
        mw_pool_release(&pool, &mem);
        assert_int_equal(mem.used_bytes, 0);
        assert_null(pool.blocks);
        if (round > 0)
            assert_true(mem.fresh_at - fresh <= (size_t)1 << 20); /* used again, not taken anew */
    }
    struct mw_str copy = mw_pool_copy(&pool, &mem, MW_STR("words"));
    assert_true(mw_str_is(copy, "words"));
    assert_int_equal(mw_pool_copy(&pool, &mem, MW_STR_NONE).len, 0);
    mw_pool_release(&pool, &mem);
    free(mem.region);
}

static void a_table_finds_what_is_there_and_nothing_else(void **state)
{
    enum { KEYS = 5000 };
    static char there[KEYS + 1];
    struct mw_mem mem = begin();
    struct mw_table table = {0};
    uint64_t random = 3;
    uint32_t count = 0;
    (void)state;
    memset(there, 0, sizeof there);
    assert_null(mw_table_get(&table, 1));
    mw_table_remove(&table, 1);
    for (unsigned turn = 0; turn < 300000; turn++) {
        uint64_t key = 1 + next_random(&random) % KEYS;
        if (next_random(&random) % 3 > 0) {
            mw_table_put(&table, &mem, key, &there[key]);
            count += there[key] == 0;
            there[key] = 1;
        } else {
            mw_table_remove(&table, key);
            count -= there[key] == 1;
            there[key] = 0;
        }
        uint64_t other = 1 + next_random(&random) % KEYS;
        assert_ptr_equal(mw_table_get(&table, other), there[other] ? &there[other] : NULL);
        assert_int_equal(table.count, count);
    }
    for (uint64_t key = 1; key <= KEYS; key++)
        assert_ptr_equal(mw_table_get(&table, key), there[key] ? &there[key] : NULL);
    assert_null(mw_table_get(&table, 0));
    mw_table_free(&table, &mem);
    assert_int_equal(mem.used_bytes, 0);
    assert_null(mw_table_get(&table, 7));
    free(mem.region);
}

/* P09: what one large trace had is there for many small ones afterwards; else the ceiling would stay reached for ever. */
static void what_came_back_large_serves_small(void **state)
{
    struct mw_mem mem = begin();
    struct mw_pool pool = {0};
    (void)state;
    while (mw_mem_room(&mem) > (size_t)1 << 20)
        (void)mw_pool_alloc(&pool, &mem, 60000);
    assert_true(mw_mem_room(&mem) <= (size_t)1 << 20);
    mw_pool_release(&pool, &mem);
    assert_true(mw_mem_room(&mem) > REGION_BYTES - ((size_t)4 << 20));
    size_t count = 0;
    while (mw_mem_room(&mem) > (size_t)1 << 20) {
        char *block = mw_mem_alloc(&mem, 3000);
        for (unsigned i = 0; i < 3000; i += 100)
            assert_int_equal(block[i], 0);
        memset(block, 0x5a, 3000);
        count++;
    }
    assert_true(count > (REGION_BYTES - ((size_t)8 << 20)) / 4096);
    assert_true(mem.used_bytes <= REGION_BYTES);
    free(mem.region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_was_given_back_is_the_next_of_its_size),
        cmocka_unit_test(blocks_never_overlap_and_are_aligned),
        cmocka_unit_test(a_pool_goes_whole),
        cmocka_unit_test(what_came_back_large_serves_small),
        cmocka_unit_test(a_table_finds_what_is_there_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
