/* The parts of the judge that can be wrong by themselves: tokens, values, comparisons, runner output, children. */
#include "builtin/check_internal.h"
#include "builtin/probe_internal.h"
#include "posix/heap.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct mw_arena arena;

static int set_up(void **state)
{
    (void)state;
    mw_heap_arena(&arena, (size_t)64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mw_heap_arena_free(&arena);
    return 0;
}

/* ------------------------------------------------------------------ tokens */

static size_t unbase64url(struct mw_str text, uint8_t *ret_bytes)
{
    uint32_t group = 0;
    size_t bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const char *at = strchr(alphabet, text.ptr[i]);
        assert_non_null(at);
        group = group << 6 | (uint32_t)(at - alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            ret_bytes[len++] = (uint8_t)(group >> bits);
        }
    }
    return len;
}

static struct mw_str signed_part(struct mw_str token, struct mw_str *ret_signature)
{
    size_t dot = mw_str_find(token, '.', mw_str_find(token, '.', 0) + 1);
    *ret_signature = mw_str_sub(token, dot + 1, token.len);
    return mw_str_sub(token, 0, dot);
}

static void tokens_carry_their_header_and_an_hmac_of_both_parts(void **state)
{
    (void)state;
    struct mw_jwt_key key;
    struct mw_str token;
    struct mw_str signature;
    struct mw_err err;
    uint8_t want[64];
    uint8_t have[512];
    unsigned want_len = 0;
    assert_int_equal(mw_jwt_key_make(&arena, MW_JWT_HS256, &key, &err), MW_OK);
    assert_int_equal(mw_jwt_mint(&arena, "HS256", &key, MW_STR("{\"sub\":\"a\"}"), &token, &err),
                     MW_OK);
    struct mw_str input = signed_part(token, &signature);
    assert_non_null(HMAC(EVP_sha256(), key.secret.ptr, (int)key.secret.len,
                         (const uint8_t *)input.ptr, input.len, want, &want_len));
    assert_int_equal(unbase64url(signature, have), want_len);
    assert_memory_equal(have, want, want_len);
    size_t head_len = unbase64url(mw_str_sub(token, 0, mw_str_find(token, '.', 0)), have);
    have[head_len] = '\0';
    assert_string_equal((char *)have, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
}

static void tokens_of_key_pairs_verify_with_the_public_half(void **state)
{
    (void)state;
    static const enum mw_jwt_algorithm both[] = {MW_JWT_RS256, MW_JWT_ES256};
    for (size_t i = 0; i < 2; i++) {
        struct mw_jwt_key key;
        struct mw_str token;
        struct mw_str signature;
        struct mw_str pem;
        struct mw_err err;
        uint8_t bytes[512];
        uint8_t der[600];
        assert_int_equal(mw_jwt_key_make(&arena, both[i], &key, &err), MW_OK);
        assert_int_equal(mw_jwt_mint(&arena, mw_jwt_algorithm_name(both[i]), &key,
                                     MW_STR("{\"sub\":\"a\"}"), &token, &err),
                         MW_OK);
        struct mw_str input = signed_part(token, &signature);
        size_t len = unbase64url(signature, bytes);
        if (both[i] == MW_JWT_ES256) {
            assert_int_equal(len, 64);
            ECDSA_SIG *pair = ECDSA_SIG_new();
            ECDSA_SIG_set0(pair, BN_bin2bn(bytes, 32, NULL), BN_bin2bn(bytes + 32, 32, NULL));
            uint8_t *cursor = der;
            len = (size_t)i2d_ECDSA_SIG(pair, &cursor);
            memcpy(bytes, der, len);
            ECDSA_SIG_free(pair);
        }
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key.pair), 1);
        assert_int_equal(
            EVP_DigestVerify(context, bytes, len, (const uint8_t *)input.ptr, input.len), 1);
        bytes[10] ^= 1;
        assert_int_not_equal(
            EVP_DigestVerify(context, bytes, len, (const uint8_t *)input.ptr, input.len), 1);
        EVP_MD_CTX_free(context);
        assert_int_equal(mw_jwt_key_public_pem(&arena, &key, &pem, &err), MW_OK);
        assert_true(mw_str_starts(pem, MW_STR("-----BEGIN PUBLIC KEY-----")));
        /* As a workspace keeps it, and reads it again another day. */
        struct mw_jwt_key again = {.algorithm = both[i]};
        struct mw_str kept, pem_again;
        assert_int_equal(mw_jwt_key_private_pem(&arena, &key, &kept, &err), MW_OK);
        assert_false(mw_jwt_key_read_pem(pem, &again)); /* the public half is no key to sign with */
        assert_true(mw_jwt_key_read_pem(kept, &again));
        assert_int_equal(mw_jwt_key_public_pem(&arena, &again, &pem_again, &err), MW_OK);
        assert_true(mw_str_eq(pem, pem_again));
        mw_jwt_key_free(&again);
        mw_jwt_key_free(&key);
    }
}

static struct mw_str pem_of(EVP_PKEY *pair, const char *password)
{
    char *bytes = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(
                         bio, pair, password[0] != '\0' ? EVP_aes_128_cbc() : NULL,
                         (const unsigned char *)password, (int)strlen(password), NULL, NULL),
                     1);
    size_t len = (size_t)BIO_get_mem_data(bio, &bytes);
    struct mw_str pem = mw_arena_copy(&arena, (struct mw_str){bytes, len});
    BIO_free(bio);
    return pem;
}

static void a_key_behind_a_password_is_none_and_nobody_is_asked_for_it(void **state)
{
    int answers[2], status;
    (void)state;
    EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    struct mw_str pem = pem_of(pair, "pass");
    EVP_PKEY_free(pair);
    assert_int_equal(pipe(answers), 0);
    assert_int_equal(write(answers[1], "pass\n", 5), 5);
    pid_t child = fork();
    if (child == 0) { /* without a terminal, stdin would be asked: and there the answer is */
        struct mw_jwt_key key = {.algorithm = MW_JWT_ES256};
        (void)setsid();
        (void)dup2(answers[0], STDIN_FILENO);
        _exit(mw_jwt_key_read_pem(pem, &key) ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(answers[0]);
    close(answers[1]);
}

static void a_key_of_another_curve_signs_nothing(void **state)
{
    (void)state;
    struct mw_jwt_key key = {.algorithm = MW_JWT_ES256};
    struct mw_str token = MW_STR_NONE;
    struct mw_err err = {0};
    EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
    assert_true(mw_jwt_key_read_pem(pem_of(pair, ""), &key));
    EVP_PKEY_free(pair);
    assert_int_equal(mw_jwt_mint(&arena, "ES256", &key, MW_STR("{}"), &token, &err), MW_E_FAILED);
    assert_int_equal(token.len, 0);
    mw_jwt_key_free(&key);
}

static void a_token_of_algorithm_none_ends_with_its_dot(void **state)
{
    (void)state;
    struct mw_jwt_key key = {.algorithm = MW_JWT_NONE};
    struct mw_str token;
    assert_int_equal(mw_jwt_mint(&arena, "none", &key, MW_STR("{}"), &token, NULL), MW_OK);
    assert_true(mw_str_ends(token, MW_STR(".e30.")));
}

/* ------------------------------------------------------------------ values */

static const char design_text[] =
    "{\"serviceName\":\"S\",\"slug\":\"s\",\"storage\":\"File\",\"auth\":false,\"jwt\":null,"
    "\"entities\":[{\"name\":\"Thing\",\"plural\":\"things\",\"fields\":["
    "{\"name\":\"code\",\"type\":\"string\",\"required\":true,\"min\":2,\"max\":5},"
    "{\"name\":\"count\",\"type\":\"integer\",\"required\":false,\"min\":-3,\"max\":9},"
    "{\"name\":\"share\",\"type\":\"number\",\"required\":false,\"min\":0.5},"
    "{\"name\":\"dueDate\",\"type\":\"date\",\"required\":false},"
    "{\"name\":\"mail\",\"type\":\"email\",\"required\":false},"
    "{\"name\":\"kind\",\"type\":\"enum\",\"required\":false,\"values\":[\"a\",\"b\"],\"default\":"
    "\"a\"},"
    "{\"name\":\"other\",\"type\":\"reference\",\"required\":true,\"entity\":\"Egg\"}]},"
    "{\"name\":\"Egg\",\"plural\":\"eggs\",\"fields\":["
    "{\"name\":\"thing\",\"type\":\"reference\",\"required\":true,\"entity\":\"Thing\"}]},"
    "{\"name\":\"Free\",\"plural\":\"frees\",\"fields\":["
    "{\"name\":\"ghost\",\"type\":\"reference\",\"required\":true,\"entity\":\"Ghost\"}]},"
    "{\"name\":\"Ghost\",\"plural\":\"ghosts\",\"fields\":[]}],"
    "\"use_cases\":[{\"name\":\"CreateThing\",\"entity\":\"Thing\",\"effect\":\"create\"},"
    "{\"name\":\"CreateEgg\",\"entity\":\"Egg\",\"effect\":\"create\"},"
    "{\"name\":\"CreateFree\",\"entity\":\"Free\",\"effect\":\"create\"},"
    "{\"name\":\"BreakThing\",\"entity\":\"Thing\",\"effect\":\"set\",\"action\":\"break\",\"set\":"
    "{\"count\":1}}]}";

struct fixture {
    struct probe p;
    struct mw_tape tape;
    struct mw_probe_options options;
    struct mw_probe_report report;
};

static struct fixture *read_design(const char *text)
{
    struct fixture *fixture = mw_heap_alloc(sizeof *fixture);
    struct mw_err err = {0};
    assert_int_equal(mw_json_parse(&arena, mw_str_of(text), &fixture->tape, &err), MW_OK);
    fixture->options = (struct mw_probe_options){.tape = &fixture->tape, .design = 0};
    fixture->p.options = &fixture->options;
    fixture->p.report = &fixture->report;
    fixture->p.when = "";
    mw_heap_arena(&fixture->p.keep, (size_t)64 << 20);
    mw_heap_arena(&fixture->p.scratch, (size_t)64 << 20);
    assert_int_equal(probe_design_read(&fixture->p, &err), MW_OK);
    return fixture;
}

static void drop_design(struct fixture *fixture)
{
    mw_heap_arena_free(&fixture->p.keep);
    mw_heap_arena_free(&fixture->p.scratch);
    mw_probe_report_free(&fixture->report);
    mw_heap_free(fixture);
}

static bool has_value(const struct probe_values *values, const char *json)
{
    for (uint32_t i = 0; i < values->count; i++)
        if (mw_str_is(values->items[i].json, json))
            return true;
    return false;
}

static void values_stand_on_both_sides_of_every_bound(void **state)
{
    (void)state;
    static const struct {
        uint32_t field;
        bool good;
        const char *json;
    } rows[] = {
        {0, true, "\"mm\""},
        {0, true, "\"MMMMM\""},
        {0, false, "\"m\""},
        {0, false, "\"MMMMMM\""},
        {0, true,
         "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\""},
        {0, false, "7"},
        {0, false, "[]"},
        {0, false, "{}"},
        {0, false, "true"},
        {1, true, "-3"},
        {1, true, "9"},
        {1, false, "-4"},
        {1, false, "10"},
        {1, false, "-2.5"},
        {1, false, "\"5\""},
        {2, true, "0.5"},
        {2, false, "-0.5"},
        {3, true, "\"2024-02-29\""},
        {3, false, "\"2023-02-29\""},
        {3, false, "\"2024-02-30\""},
        {4, true, "\"a@b.co\""},
        {4, false, "\"a@b\""},
        {5, true, "\"a\""},
        {5, true, "\"b\""},
        {5, false, "\"mwprobe-unlisted\""},
    };
    struct fixture *fixture = read_design(design_text);
    struct probe_values *values = mw_heap_alloc(sizeof *values);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const struct probe_field *field = &fixture->p.entities[0].fields[rows[i].field];
        (rows[i].good ? probe_values_good : probe_values_bad)(&fixture->p, field, 0, values);
        if (!has_value(values, rows[i].json))
            fail_msg("%.*s: %s is not among the %s values", MW_STR_ARG(field->name), rows[i].json,
                     rows[i].good ? "good" : "bad");
        (rows[i].good ? probe_values_bad : probe_values_good)(&fixture->p, field, 0, values);
        assert_false(has_value(values, rows[i].json));
    }
    mw_heap_free(values);
    drop_design(fixture);
}

static void long_emails_are_254_and_255_characters(void **state)
{
    (void)state;
    struct fixture *fixture = read_design(design_text);
    struct probe_values *values = mw_heap_alloc(sizeof *values);
    const struct probe_field *field = &fixture->p.entities[0].fields[4];
    probe_values_good(&fixture->p, field, 0, values);
    assert_int_equal(values->items[values->count - 1].json.len, 254 + 2);
    probe_values_bad(&fixture->p, field, 0, values);
    assert_int_equal(values->items[values->count - 1].json.len, 255 + 2);
    mw_heap_free(values);
    drop_design(fixture);
}

static void circles_of_required_references_are_found(void **state)
{
    (void)state;
    struct fixture *fixture = read_design(design_text);
    assert_false(fixture->p.entities[0].creatable);
    assert_false(fixture->p.entities[1].creatable);
    assert_true(fixture->p.entities[2].creatable); /* nobody creates a Ghost: any id will do */
    assert_false(fixture->p.entities[3].creatable);
    drop_design(fixture);
}

static void paths_follow_the_contract_when_the_design_has_none(void **state)
{
    (void)state;
    struct fixture *fixture = read_design(design_text);
    assert_true(mw_str_is(fixture->p.use_cases[0].path, "/things"));
    assert_true(mw_str_is(fixture->p.use_cases[3].path, "/things/{id}/break"));
    assert_true(mw_str_is(fixture->p.use_cases[3].method, "POST"));
    assert_true(mw_str_is(probe_words(&arena, MW_STR("dueDate")), "due date"));
    drop_design(fixture);
}

/* As large as a blueprint may be: each field of the most is assigned, by each use case of the most. */
static void a_design_is_read_up_to_the_limits_of_a_blueprint(void **state)
{
    struct mw_buf text = mw_heap_buf(), list = mw_heap_buf();
    (void)state;
    mw_buf_put(&text, MW_STR("{\"serviceName\":\"S\",\"slug\":\"s\",\"storage\":\"File\",\"auth\":"
                             "false,\"entities\":[{\"name\":\"Thing\",\"plural\":\"things\","
                             "\"fields\":["));
    for (unsigned i = 0; i < MW_BP_FIELDS_MAX; i++) {
        char field[100], name[16];
        snprintf(field, sizeof field, "%s{\"name\":\"f%u\",\"type\":\"string\",\"required\":false}",
                 i > 0 ? "," : "", i);
        snprintf(name, sizeof name, "%s\"f%u\"", i > 0 ? "," : "", i);
        mw_buf_put(&text, mw_str_of(field));
        mw_buf_put(&list, mw_str_of(name));
    }
    mw_buf_put(&text, MW_STR("]}],\"use_cases\":["));
    for (unsigned i = 0; i < MW_BP_CASES_MAX; i++) {
        char head[120];
        snprintf(head, sizeof head,
                 "%s{\"name\":\"AssignThing%u\",\"entity\":\"Thing\",\"effect\":\"assign\","
                 "\"action\":\"a%u\",\"fields\":[",
                 i > 0 ? "," : "", i, i);
        mw_buf_put(&text, mw_str_of(head));
        mw_buf_put(&text, mw_buf_str(&list));
        mw_buf_put(&text, MW_STR("]}"));
    }
    mw_buf_put(&text, MW_STR("]}"));
    mw_buf_put_c(&text, '\0');
    struct fixture *fixture = read_design(text.ptr);
    assert_int_equal(fixture->p.use_case_count, MW_BP_CASES_MAX);
    struct mw_str body = probe_body_for(&fixture->p, &fixture->p.use_cases[MW_BP_CASES_MAX - 1], 0);
    assert_non_null(memmem(body.ptr, body.len, "\"f127\":", 7));
    drop_design(fixture);
    mw_heap_buf_free(&text);
    mw_heap_buf_free(&list);
}

/* ------------------------------------------------------------------ comparisons */

#define BASE                                                                                       \
    "\"id\":\"3b241101-e2bb-4255-8caf-4136c566a962\",\"createdAt\":\"2026-01-01T00:00:00.000Z\","
#define RECORD(updated, rest) "{" BASE "\"updatedAt\":\"2026-01-01T00:00:0" updated "Z\"" rest "}"

static void a_record_may_change_only_as_it_was_asked_to(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *before;
        const char *after;
        const char *field; /* NULL: no change was asked for */
        const char *value; /* NULL: it goes away */
        bool right;
    } rows[] = {
        {"nothing", RECORD("1", ",\"a\":1"), RECORD("1", ",\"a\":1"), NULL, NULL, true},
        {"other order", RECORD("1", ",\"a\":1,\"b\":2"), RECORD("1", ",\"b\":2,\"a\":1.0"), NULL,
         NULL, true},
        {"asked", RECORD("1", ",\"a\":1"), RECORD("2", ",\"a\":5"), "a", "5", true},
        {"added", RECORD("1", ""), RECORD("1", ",\"a\":5"), "a", "5", true},
        {"cleared", RECORD("1", ",\"a\":1"), RECORD("2", ""), "a", NULL, true},
        {"null is not absent", RECORD("1", ",\"a\":1"), RECORD("2", ",\"a\":null"), "a", NULL,
         false},
        {"not done", RECORD("1", ",\"a\":1"), RECORD("2", ",\"a\":1"), "a", "5", false},
        {"missing", RECORD("1", ",\"a\":1"), RECORD("2", ""), "a", "5", false},
        {"a second one", RECORD("1", ",\"a\":1,\"b\":2"), RECORD("2", ",\"a\":5,\"b\":3"), "a", "5",
         false},
        {"vanished", RECORD("1", ",\"a\":1,\"b\":2"), RECORD("2", ",\"a\":5"), "a", "5", false},
        {"appeared", RECORD("1", ",\"a\":1"), RECORD("2", ",\"a\":5,\"b\":3"), "a", "5", false},
        {"touched", RECORD("1", ""), RECORD("2", ""), NULL, NULL, false},
        {"back in time", RECORD("2", ",\"a\":1"), RECORD("1", ",\"a\":5"), "a", "5", false},
        {"string for number", RECORD("1", ""), RECORD("1", ",\"a\":\"5\""), "a", "5", false},
        {"an array", RECORD("1", ""), "[]", NULL, NULL, false},
        {"other id", RECORD("1", ""),
         "{\"id\":\"3b241101-e2bb-4255-8caf-4136c566a963\",\"createdAt\":\"2026-01-01T00:00:00."
         "000Z\","
         "\"updatedAt\":\"2026-01-01T00:00:01Z\"}",
         NULL, NULL, false},
    };
    struct fixture *fixture = read_design(design_text);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_tape tape;
        struct probe_change change = {mw_str_of(rows[i].field), mw_str_of(rows[i].value)};
        if (rows[i].value == NULL)
            change.json = MW_STR_NONE;
        assert_int_equal(mw_json_parse(&arena, mw_str_of(rows[i].after), &tape, NULL), MW_OK);
        struct mw_str difference =
            probe_difference(&fixture->p, mw_str_of(rows[i].before), &change,
                             rows[i].field != NULL ? 1 : 0, rows[i].field != NULL, &tape, 0);
        if ((difference.ptr == NULL) != rows[i].right)
            fail_msg("%s: '%.*s'", rows[i].name, MW_STR_ARG(difference));
    }
    drop_design(fixture);
}

static void times_are_rfc_3339_and_utc(void **state)
{
    (void)state;
    int64_t a;
    int64_t b;
    assert_true(probe_time_us(MW_STR("1970-01-01T00:00:00Z"), &a));
    assert_int_equal(a, 0);
    assert_true(probe_time_us(MW_STR("2024-02-29T12:00:00.5Z"), &a));
    assert_int_equal(a, 1709208000500000);
    assert_true(probe_time_us(MW_STR("2024-02-29T12:00:00Z"), &b));
    assert_true(a > b); /* though '.' sorts before 'Z' */
    assert_false(probe_time_us(MW_STR("2024-02-29T12:00:00+02:00"), &a));
    assert_false(probe_time_us(MW_STR("2024-02-29"), &a));
    assert_false(probe_time_us(MW_STR("1709208000"), &a));
}

static void openapi_is_searched_by_method_and_path_whatever_its_parameters_are_called(void **state)
{
    (void)state;
    struct mw_tape tape;
    assert_int_equal(mw_json_parse(&arena,
                                   MW_STR("{\"paths\":{\"/things/{thingId}/break\":{\"post\":{}},"
                                          "\"/things\":{\"get\":{}}}}"),
                                   &tape, NULL),
                     MW_OK);
    assert_true(mw_probe_openapi_has(&tape, 0, MW_STR("POST"), MW_STR("/things/{id}/break")));
    assert_true(mw_probe_openapi_has(&tape, 0, MW_STR("GET"), MW_STR("/things")));
    assert_false(mw_probe_openapi_has(&tape, 0, MW_STR("POST"), MW_STR("/things")));
    assert_false(mw_probe_openapi_has(&tape, 0, MW_STR("GET"), MW_STR("/things/{id}")));
    assert_false(mw_probe_openapi_has(&tape, 0, MW_STR("POST"), MW_STR("/things/{id}/breaks")));
}

/* ------------------------------------------------------------------ runner output */

static void hear(struct check_tests *tests, const char *form, const char *text)
{
    struct mw_str all = mw_str_of(text);
    size_t end;
    memset(tests, 0, sizeof *tests);
    for (size_t from = 0; (end = mw_str_find(all, '\n', from)) != SIZE_MAX; from = end + 1)
        check_tests_line(tests, mw_str_of(form), mw_str_sub(all, from, end - from));
    check_tests_end(tests);
}

static void tap_of_node_is_counted_and_inner_failures_are_named(void **state)
{
    (void)state;
    struct check_tests tests;
    hear(
        &tests, "",
        "TAP version 13\n# Subtest: /x/a.test.js\n    # Subtest: adds\n    ok 1 - adds\n"
        "    # Subtest: group\n        not ok 1 - inner breaks\n          ---\n          ...\n"
        "        ok 2 - inner works\n    not ok 2 - group\n    not ok 3 - outer breaks\n"
        "    not ok 4 - later # TODO some day\nnot ok 1 - /x/a.test.js\n1..1\n# tests 6\n# pass 3\n"
        "# fail 2\n# cancelled 0\n# skipped 1\n# start of coverage report\n"
        "# file | line % | branch % | funcs % | uncovered lines\n"
        "# all files | 92.99 | 80.00 | 100.00 |\n# end of coverage report\n");
    assert_int_equal(tests.passed, 3);
    assert_int_equal(tests.failed, 2);
    assert_int_equal(tests.skipped, 1);
    assert_string_equal(tests.coverage, "92%");
    assert_int_equal(tests.name_count, 2);
    assert_true(mw_str_is(tests.names[0], "inner breaks"));
    assert_true(mw_str_is(tests.names[1], "outer breaks"));
    check_tests_free(&tests);
}

static void tap_without_a_summary_is_counted_by_line(void **state)
{
    (void)state;
    struct check_tests tests;
    hear(&tests, "tap", "1..3\nok 1 - a\nnot ok 2 - b\nok 3\n");
    assert_int_equal(tests.passed, 2);
    assert_int_equal(tests.failed, 1);
    assert_string_equal(tests.coverage, "unknown");
    check_tests_free(&tests);
}

static void spec_output_of_node_is_understood(void **state)
{
    (void)state;
    struct check_tests tests;
    hear(&tests, "",
         "\xe2\x9c\x94 adds (0.4ms)\n\xe2\x9c\x96 breaks (two ways) (1.5ms)\n"
         "\xe2\x84\xb9 tests 2\n\xe2\x84\xb9 pass 1\n\xe2\x84\xb9 fail 1\n\xe2\x84\xb9 skipped 0\n"
         "\xe2\x84\xb9 all files | 100.00 | 66.67 | 50.00 | \n"
         "\xe2\x9c\x96 failing tests:\n\n\xe2\x9c\x96 breaks (two ways) (1.5ms)\n");
    assert_int_equal(tests.passed, 1);
    assert_int_equal(tests.failed, 1);
    assert_string_equal(tests.coverage, "100%");
    assert_int_equal(tests.name_count, 1);
    assert_true(mw_str_is(tests.names[0], "breaks (two ways)"));
    check_tests_free(&tests);
}

/* ------------------------------------------------------------------ children */

static const char *shell(const char *text, const char *words[4])
{
    words[0] = "sh";
    words[1] = "-c";
    words[2] = text;
    words[3] = NULL;
    return text;
}

static void a_service_that_listens_is_killed_with_all_it_started(void **state)
{
    (void)state;
    const char *words[4];
    struct mw_service service;
    struct mw_err err = {0};
    struct mw_command command = {.words = words};
    (void)shell("setsid sh -c 'echo \"{\\\"event\\\":\\\"listening\\\",\\\"port\\\":4711,"
                "\\\"pid\\\":$$}\"; exec sleep 1000' & wait",
                words);
    assert_int_equal(mw_service_start(&service, &command, 10000, &err), MW_OK);
    assert_int_equal(service.port, 4711);
    assert_true(service.first_line_listens);
    char *pid_text = strstr(service.out.ptr, "\"pid\":");
    assert_non_null(pid_text);
    pid_t grandchild = (pid_t)strtol(pid_text + 6, NULL, 10);
    assert_int_equal(kill(grandchild, 0), 0);
    mw_service_kill(&service);
    assert_int_equal(service.left_count, 1); /* it left the group, and was found all the same */
    assert_int_equal(kill(grandchild, 0), -1);
    mw_service_free(&service);
}

static void a_service_that_never_listens_is_given_up(void **state)
{
    (void)state;
    const char *words[4];
    struct mw_service service;
    struct mw_err err = {0};
    struct mw_command command = {.words = words};
    (void)shell("echo hello; exec sleep 1000", words);
    assert_int_equal(mw_service_start(&service, &command, 100, &err), MW_E_TIMEOUT);
    assert_int_equal(service.pid, 0);
    mw_service_free(&service);
    (void)shell("echo no key >&2; exit 3", words);
    assert_int_equal(mw_service_start(&service, &command, 10000, &err), MW_E_FAILED);
    assert_non_null(strstr(err.text, "ended with 3 before it listened: no key"));
    mw_service_free(&service);
}

static void count_line(void *user, struct mw_str line)
{
    uint32_t *count = user;
    *count += line.len > 0;
}

/* There is always something to read of it, and no time at which there is nothing. */
static void what_writes_without_end_is_cut_at_its_time(void **state)
{
    (void)state;
    const char *words[] = {"yes", NULL};
    struct mw_service service;
    struct mw_command_result result;
    struct mw_err err = {0};
    uint32_t lines = 0;
    struct mw_command command = {.words = words};
    alarm(60); /* SIGALRM ends the test that would not end */
    assert_int_equal(mw_service_start(&service, &command, 100, &err), MW_E_TIMEOUT);
    mw_service_free(&service);
    assert_int_equal(mw_service_start_refused(&service, &command, 100, &err), MW_E_TIMEOUT);
    mw_service_free(&service);
    assert_int_equal(mw_command_run(&command, 100, count_line, &lines, &result, &err), MW_OK);
    assert_true(result.timed_out);
    mw_command_result_free(&result);
    alarm(0);
}

static void a_missing_program_is_not_a_failed_one(void **state)
{
    (void)state;
    const char *words[2] = {"mwprobe-no-such-program", NULL};
    struct mw_service service;
    struct mw_err err = {0};
    struct mw_command command = {.words = words};
    assert_int_equal(mw_service_start(&service, &command, 1000, &err), MW_E_MISSING);
    mw_service_free(&service);
}

static void a_command_is_heard_to_its_end_and_cut_at_its_time(void **state)
{
    (void)state;
    const char *words[4];
    struct mw_command_result result;
    struct mw_err err = {0};
    uint32_t lines = 0;
    struct mw_command command = {.words = words};
    (void)shell("seq 1 50000; echo last >&2; exit 7", words);
    assert_int_equal(mw_command_run(&command, 20000, count_line, &lines, &result, &err), MW_OK);
    assert_int_equal(result.exit, 7);
    assert_int_equal(lines, 50001);
    assert_int_equal(result.tail.len, MW_COMMAND_TAIL_MAX);
    assert_true(mw_str_ends(mw_buf_str(&result.tail), MW_STR("50000\nlast\n")));
    mw_command_result_free(&result);
    (void)shell("exec sleep 1000", words);
    assert_int_equal(mw_command_run(&command, 100, count_line, &lines, &result, &err), MW_OK);
    assert_true(result.timed_out);
    assert_int_equal(result.exit, 128 + SIGKILL);
    mw_command_result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_carry_their_header_and_an_hmac_of_both_parts),
        cmocka_unit_test(tokens_of_key_pairs_verify_with_the_public_half),
        cmocka_unit_test(a_key_behind_a_password_is_none_and_nobody_is_asked_for_it),
        cmocka_unit_test(a_key_of_another_curve_signs_nothing),
        cmocka_unit_test(a_token_of_algorithm_none_ends_with_its_dot),
        cmocka_unit_test(values_stand_on_both_sides_of_every_bound),
        cmocka_unit_test(long_emails_are_254_and_255_characters),
        cmocka_unit_test(circles_of_required_references_are_found),
        cmocka_unit_test(paths_follow_the_contract_when_the_design_has_none),
        cmocka_unit_test(a_design_is_read_up_to_the_limits_of_a_blueprint),
        cmocka_unit_test(a_record_may_change_only_as_it_was_asked_to),
        cmocka_unit_test(times_are_rfc_3339_and_utc),
        cmocka_unit_test(openapi_is_searched_by_method_and_path_whatever_its_parameters_are_called),
        cmocka_unit_test(tap_of_node_is_counted_and_inner_failures_are_named),
        cmocka_unit_test(tap_without_a_summary_is_counted_by_line),
        cmocka_unit_test(spec_output_of_node_is_understood),
        cmocka_unit_test(a_service_that_listens_is_killed_with_all_it_started),
        cmocka_unit_test(a_service_that_never_listens_is_given_up),
        cmocka_unit_test(what_writes_without_end_is_cut_at_its_time),
        cmocka_unit_test(a_missing_program_is_not_a_failed_one),
        cmocka_unit_test(a_command_is_heard_to_its_end_and_cut_at_its_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
