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
    char *b = mw_mem_alloc(&mem, 104);
    assert_ptr_equal(a, b);
    for (unsigned i = 0; i < 104; i++)
        assert_int_equal(b[i], 0);
    assert_int_equal(mem.used_bytes, 104);
    assert_int_equal(mw_mem_room(&mem), REGION_BYTES - 104);
    mw_mem_free(&mem, NULL, 17);
    mw_mem_free(&mem, b, 104);
    free(mem.region);
}

static void a_block_wastes_at_most_an_eighth(void **state)
{
    (void)state;
    for (size_t size = 1; size < (size_t)1 << 24; size += 1 + size / 97) {
        size_t block = mw_mem_block_bytes(size);
        assert_true(block >= size && block % 8 == 0);
        assert_true(block < size + 8 || block - size <= size / 8);
        assert_int_equal(mw_mem_block_bytes(block), block);
    }
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
        assert_int_equal((uintptr_t)blocks[i].at & 7, 0);
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
    struct mw_str words = MW_STR("what lies at the end of a block");
    uint64_t random = 2;
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        size_t fresh = mem.fresh_at;
        for (unsigned i = 0; i < 1000; i++) {
            size_t size = i % 100 == 99 ? 200000 : 1 + next_random(&random) % 300;
            char *memory = mw_pool_alloc(&pool, &mem, size);
            assert_int_equal((uintptr_t)memory & 7, 0);
            for (size_t b = 0; b < size; b += 61)
                assert_int_equal(memory[b], 0);
            memset(memory, 0xa5, size);
            struct mw_str text = mw_pool_copy(&pool, &mem, mw_str_sub(words, i % 7, i % 23));
            assert_true(mw_str_eq(text, mw_str_sub(words, i % 7, i % 23)));
            assert_true(text.len == 0 || text.ptr >= memory + size ||
                        text.ptr + text.len <= memory);
        }
        assert_true(mem.used_bytes == pool.total_bytes);
        mw_pool_release(&pool, &mem);
        assert_int_equal(mem.used_bytes, 0);
        assert_int_equal(pool.block, 0);
        if (round > 0)
            assert_true(mem.fresh_at - fresh <= (size_t)1 << 20); /* used again, not taken anew */
    }
    struct mw_str copy = mw_pool_copy(&pool, &mem, MW_STR("words"));
    assert_true(mw_str_is(copy, "words"));
    assert_int_equal(mw_pool_copy(&pool, &mem, MW_STR_NONE).len, 0);
    mw_pool_release(&pool, &mem);
    free(mem.region);
}

/* Dense, and some of them alike in their low halves. */
static uint64_t number_of(uint64_t index)
{
    return index % 5 == 0 ? (index % 7 << 32) + index / 10 + 1 : index + ((uint64_t)1 << 40);
}

static void a_shared_text_goes_with_the_last_who_holds_it(void **state)
{
    struct mw_mem mem = begin();
    (void)state;
    struct mw_shared *name = mw_shared_make(&mem, MW_STR("a name that three hold"));
    struct mw_str text = mw_shared_str(name);
    assert_true(mw_str_is(text, "a name that three hold"));
    assert_ptr_equal(mw_shared_of(text), name);
    assert_ptr_equal(mw_shared_hold(name), name);
    assert_ptr_equal(mw_shared_hold(mw_shared_of(text)), name);
    size_t used_bytes = mem.used_bytes;
    mw_shared_drop(&mem, name);
    mw_shared_drop(&mem, name);
    assert_int_equal(mem.used_bytes, used_bytes);
    assert_true(mw_str_is(text, "a name that three hold"));
    mw_shared_drop(&mem, name);
    assert_int_equal(mem.used_bytes, 0);
    /* The empty text is held by nobody. */
    assert_null(mw_shared_make(&mem, MW_STR_NONE));
    assert_null(mw_shared_hold(NULL));
    mw_shared_drop(&mem, mw_shared_of(mw_shared_str(NULL)));
    assert_int_equal(mem.used_bytes, 0);
    free(mem.region);
}

static void a_set_has_what_was_put_into_it(void **state)
{
    struct mw_mem mem = begin();
    struct mw_set set = {0};
    uint64_t random = 6, again = 6;
    (void)state;
    assert_false(mw_set_has(&set, 1));
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t key = next_random(&random);
        assert_false(mw_set_has(&set, key));
        mw_set_add(&set, &mem, key);
        mw_set_add(&set, &mem, key);
    }
    assert_int_equal(set.count, 20000);
    for (unsigned i = 0; i < 20000; i++)
        assert_true(mw_set_has(&set, next_random(&again)));
    mw_mem_free(&mem, set.keys, set.cap * sizeof(*set.keys));
    assert_int_equal(mem.used_bytes, 0); /* what it had before it grew came back */
    free(mem.region);
}

static void a_table_finds_what_is_there_and_nothing_else(void **state)
{
    enum { KEYS = 5000 };
    static bool there[KEYS + 1];
    struct mw_mem mem = begin();
    struct mw_table table = {0};
    uint64_t *things = mw_mem_alloc(&mem, (KEYS + 1) * 8);
    size_t others_bytes = mem.used_bytes;
    uint64_t random = 3;
    uint32_t count = 0;
    (void)state;
    memset(there, 0, sizeof there);
    assert_null(mw_table_get(&table, 1));
    mw_table_remove(&table, 1);
    for (unsigned turn = 0; turn < 300000; turn++) {
        uint64_t index = 1 + next_random(&random) % KEYS, key = number_of(index);
        things[index] = key;
        if (next_random(&random) % 3 > 0) {
            mw_table_put(&table, &mem, &things[index]);
            count += !there[index];
            there[index] = true;
        } else {
            mw_table_remove(&table, key);
            count -= there[index];
            there[index] = false;
        }
        uint64_t other = 1 + next_random(&random) % KEYS;
        assert_ptr_equal(mw_table_get(&table, number_of(other)),
                         there[other] ? &things[other] : NULL);
        assert_int_equal(table.count, count);
    }
    for (uint64_t index = 1; index <= KEYS; index++)
        assert_ptr_equal(mw_table_get(&table, number_of(index)),
                         there[index] ? &things[index] : NULL);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < table.cap; i++) {
        const uint64_t *thing = mw_table_at(&table, i);
        assert_true(thing == NULL || there[thing - things]);
        seen += thing != NULL;
    }
    assert_int_equal(seen, count);
    assert_true((size_t)table.cap * 8 <= (size_t)count * 24);
    assert_null(mw_table_get(&table, 0));
    mw_table_free(&table, &mem);
    assert_int_equal(mem.used_bytes, others_bytes);
    assert_null(mw_table_get(&table, 7));
    free(mem.region);
}

/* What a pool has and does not use is little, however it is filled. */
static void a_pool_wastes_at_most_a_third(void **state)
{
    static const char text[200];
    struct mw_mem mem = begin();
    uint64_t random = 5;
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct mw_pool pool = {0};
        size_t asked = 0, most = 1000 + next_random(&random) % 200000;
        while (asked < most) {
            size_t size = 1 + next_random(&random) % 60;
            (void)mw_pool_copy(&pool, &mem, (struct mw_str){text, size});
            asked += size;
        }
        assert_true(pool.total_bytes < asked + asked / 3 + 200);
        mw_pool_reserve(&pool, &mem, 3000);
        uint32_t total = pool.total_bytes;
        for (unsigned i = 0; i < 300; i++)
            (void)mw_pool_copy(&pool, &mem, MW_STR("ten bytes."));
        assert_int_equal(pool.total_bytes, total);
        mw_pool_release(&pool, &mem);
    }
    assert_int_equal(mem.used_bytes, 0);
    free(mem.region);
}

/* What the tables of a few were given is cut up for the things themselves once there are many. */
static void a_large_block_that_came_back_is_used_before_fresh_memory(void **state)
{
    struct mw_mem mem = begin();
    (void)state;
    char *table = mw_mem_alloc(&mem, 200000);
    mw_mem_free(&mem, table, 200000);
    size_t fresh = mem.fresh_at, taken = 0;
    for (;;) {
        char *block = mw_mem_alloc(&mem, 40);
        if (mem.fresh_at > fresh)
            break;
        assert_true(block >= table && block < table + mw_mem_block_bytes(200000));
        taken += 40;
    }
    assert_int_equal(mem.spare_bytes, 0);
    assert_true(taken > 200000 - 40);
    assert_int_equal(mem.used_bytes, taken + 40);
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
        cmocka_unit_test(a_block_wastes_at_most_an_eighth),
        cmocka_unit_test(a_pool_goes_whole),
        cmocka_unit_test(a_pool_wastes_at_most_a_third),
        cmocka_unit_test(a_large_block_that_came_back_is_used_before_fresh_memory),
        cmocka_unit_test(what_came_back_large_serves_small),
        cmocka_unit_test(a_shared_text_goes_with_the_last_who_holds_it),
        cmocka_unit_test(a_set_has_what_was_put_into_it),
        cmocka_unit_test(a_table_finds_what_is_there_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
