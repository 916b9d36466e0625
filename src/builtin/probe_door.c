#include "builtin/probe_internal.h"

#include <string.h>
#include <time.h>

/* The second one is chosen to break whoever builds a path or a query out of it. */
static const char *const subjects[] = {"mwprobe-alice", "auth0|b\xc3\xb6"
                                                        "b/../mwprobe \xe2\x82\xac"};

#define TOKENS_MAX 48

struct bad_token {
    const char *label;
    const char *header; /* the Authorization header; "": none */
};

static uint32_t make_bad_tokens(struct probe *p, struct bad_token ret_tokens[TOKENS_MAX]);
static void check_door(struct probe *p, uint32_t index, const struct bad_token *tokens,
                       uint32_t count);
static void check_others(struct probe *p, uint32_t index);

/* Claims with replaced or left out parts: text as in JSON, NULL keeps the good one, "" leaves it out. */
struct claims {
    const char *sub, *aud, *exp, *nbf, *iss;
};

static struct mw_str claims_of(struct probe *p, const struct claims *claims)
{
    char memory[2048];
    struct mw_buf buf;
    long now = (long)time(NULL);
    struct mw_str names[5] = {MW_STR("sub"), MW_STR("aud"), MW_STR("exp"), MW_STR("nbf"),
                              MW_STR("iss")};
    struct mw_str values[5] = {mw_str_of(claims->sub), mw_str_of(claims->aud),
                               mw_str_of(claims->exp), mw_str_of(claims->nbf),
                               mw_str_of(claims->iss)};
    if (claims->sub == NULL)
        values[0] = probe_quote(&p->keep, mw_str_of(subjects[0]));
    if (claims->aud == NULL)
        values[1] = probe_quote(&p->keep, p->slug);
    if (claims->exp == NULL)
        values[2] = mw_arena_format(&p->keep, "%ld", now + 3600);
    if (claims->iss == NULL)
        values[4] = MW_STR("\"mwprobe-issuer\"");
    mw_buf_init(&buf, memory, sizeof memory);
    mw_buf_printf(&buf, "{\"iat\":%ld", now);
    for (size_t i = 0; i < MW_COUNT(names); i++)
        if (values[i].len > 0)
            mw_buf_printf(&buf, ",\"%.*s\":%.*s", MW_STR_ARG(names[i]), MW_STR_ARG(values[i]));
    mw_buf_put_c(&buf, '}');
    return mw_arena_copy(&p->keep, mw_buf_str(&buf));
}

struct mw_str probe_claims(struct probe *p, uint32_t owner)
{
    struct mw_str sub = probe_quote(&p->keep, mw_str_of(subjects[owner]));
    sub = mw_arena_copy(&p->keep, sub);
    return claims_of(p, &(struct claims){.sub = sub.ptr});
}

struct mw_str probe_token(struct probe *p, const char *header_algorithm,
                          const struct mw_jwt_key *key, struct mw_str claims)
{
    struct mw_str token;
    struct mw_err err;
    if (mw_jwt_mint(&p->keep, header_algorithm, key, claims, &token, &err) != MW_OK)
        return MW_STR("unsigned"); /* as refused as any bad token */
    return token;
}

static const char *bearer(struct probe *p, struct mw_str token)
{
    return mw_arena_format(&p->keep, "Bearer %.*s", MW_STR_ARG(token)).ptr;
}

static const char *bearer_with(struct probe *p, const struct claims *claims)
{
    return bearer(
        p, probe_token(p, mw_jwt_algorithm_name(p->algorithm), &p->key, claims_of(p, claims)));
}

void probe_door(struct probe *p)
{
    struct bad_token tokens[TOKENS_MAX];
    if (!p->auth) {
        struct probe_ask ask = {.method = "GET", .path = MW_STR("/health"), .owner = PROBE_NONE};
        (void)probe_expect(p, MW_STR("service: needs no token without auth"), &ask, 200, NULL);
        return;
    }
    uint32_t count = make_bad_tokens(p, tokens);
    for (uint32_t i = 0; i < p->use_case_count && !p->stopped; i++)
        check_door(p, i, tokens, count);
    for (uint32_t i = 0; i < p->use_case_count && !p->stopped; i++)
        if (mw_str_find(p->use_cases[i].path, '{', 0) != SIZE_MAX)
            check_others(p, i);
}

static uint32_t make_confused(struct probe *p, struct bad_token *ret_tokens)
{
    static const char *const nones[] = {"none", "None", "NONE"};
    struct mw_jwt_key unsigned_key = {.algorithm = MW_JWT_NONE};
    struct mw_str claims = probe_claims(p, 0);
    uint32_t count = 0;
    const char *name = mw_jwt_algorithm_name(p->algorithm);
    for (size_t i = 0; i < MW_COUNT(nones); i++)
        ret_tokens[count++] =
            (struct bad_token){"a token of algorithm none",
                               bearer(p, probe_token(p, nones[i], &unsigned_key, claims))};
    ret_tokens[count++] = (struct bad_token){"a token of algorithm none with a good signature",
                                             bearer(p, probe_token(p, "none", &p->key, claims))};
    ret_tokens[count++] = (struct bad_token){
        "a token without its signature", bearer(p, probe_token(p, name, &unsigned_key, claims))};
    if (p->algorithm != MW_JWT_RS256)
        ret_tokens[count++] =
            (struct bad_token){"a token signed by RS256 with a strange key",
                               bearer(p, probe_token(p, "RS256", &p->rsa_key, claims))};
    if (p->public_pem.len > 0) {
        struct mw_jwt_key confused = {.algorithm = MW_JWT_HS256, .secret = p->public_pem};
        ret_tokens[count++] =
            (struct bad_token){"a token signed by HS256 with the public key as its secret",
                               bearer(p, probe_token(p, "HS256", &confused, claims))};
    } else {
        struct mw_jwt_key longer = p->key;
        longer.algorithm = p->algorithm == MW_JWT_HS512 ? MW_JWT_HS384 : MW_JWT_HS512;
        ret_tokens[count++] = (struct bad_token){
            "a token of another algorithm with the right secret",
            bearer(p, probe_token(p, mw_jwt_algorithm_name(longer.algorithm), &longer, claims))};
    }
    return count;
}

static uint32_t make_bad_tokens(struct probe *p, struct bad_token ret_tokens[TOKENS_MAX])
{
    const char *name = mw_jwt_algorithm_name(p->algorithm);
    long now = (long)time(NULL);
    struct mw_str past = mw_arena_format(&p->keep, "%ld", now - 60);
    struct mw_str future = mw_arena_format(&p->keep, "%ld", now + 600);
    struct mw_str quoted = mw_arena_format(&p->keep, "\"%ld\"", now + 3600);
    struct mw_str good = probe_token(p, name, &p->key, probe_claims(p, 0));
    struct mw_str other = probe_token(p, name, &p->key, probe_claims(p, 1));
    size_t good_dot = mw_str_find(good, '.', mw_str_find(good, '.', 0) + 1);
    size_t other_dot = mw_str_find(other, '.', mw_str_find(other, '.', 0) + 1);
    struct mw_str swapped = mw_str_sub(good, good_dot, good.len);
    const struct {
        const char *label;
        struct claims claims;
    } claimed[] = {
        {"an expired token", {.exp = past.ptr}},
        {"a token without exp", {.exp = ""}},
        {"a token whose exp is a string", {.exp = quoted.ptr}},
        {"a token that is not yet good", {.nbf = future.ptr}},
        {"a token for another audience", {.aud = "\"somebody-else\""}},
        {"a token for other audiences", {.aud = "[\"somebody\",\"else\"]"}},
        {"a token without an audience", {.aud = ""}},
        {"a token without a sub", {.sub = ""}},
        {"a token with an empty sub", {.sub = "\"\""}},
        {"a token whose sub is a number", {.sub = "7"}},
    };
    ret_tokens[0] = (struct bad_token){"no token", ""};
    uint32_t count = 1 + make_confused(p, ret_tokens + 1);
    ret_tokens[count++] = (struct bad_token){"garbage as token", "Bearer garbage"};
    ret_tokens[count++] = (struct bad_token){"three pieces of garbage", "Bearer e30.e30.e30"};
    ret_tokens[count++] = (struct bad_token){"an empty token", "Bearer"};
    ret_tokens[count++] =
        (struct bad_token){"a good token under another scheme",
                           mw_arena_format(&p->keep, "Basic %.*s", MW_STR_ARG(good)).ptr};
    ret_tokens[count++] =
        (struct bad_token){"a token signed with another key",
                           bearer(p, probe_token(p, name, &p->other_key, probe_claims(p, 0)))};
    ret_tokens[count++] = (struct bad_token){
        "a token with another one's signature",
        mw_arena_format(&p->keep, "Bearer %.*s%.*s", (int)other_dot, other.ptr, MW_STR_ARG(swapped))
            .ptr};
    for (size_t i = 0; i < MW_COUNT(claimed); i++)
        ret_tokens[count++] =
            (struct bad_token){claimed[i].label, bearer_with(p, &claimed[i].claims)};
    MW_ASSERT(count <= TOKENS_MAX);
    return count;
}

/* A record that may be lost; PROBE_NONE when the path has none. */
static uint32_t victim_for(struct probe *p, const struct probe_use_case *use_case)
{
    if (mw_str_find(use_case->path, '{', 0) == SIZE_MAX)
        return PROBE_NONE;
    return probe_fresh(p, use_case->entity, 0, "a token's check");
}

static void check_door(struct probe *p, uint32_t index, const struct bad_token *tokens,
                       uint32_t count)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    mw_arena_reset(&p->scratch);
    uint32_t victim = victim_for(p, use_case);
    struct mw_str id = victim == PROBE_NONE ? MW_STR("3b241101-e2bb-4255-8caf-4136c566a962")
                                            : p->records[victim].id;
    struct mw_str method = mw_arena_copy(&p->scratch, use_case->method);
    struct probe_ask ask = {.method = method.ptr,
                            .path = probe_path(p, use_case, id),
                            .owner = 0,
                            .body = probe_body_for(p, use_case, 0)};
    for (uint32_t i = 0; i < count && !p->stopped; i++) {
        struct probe_answer answer = {0};
        struct mw_str name =
            probe_say(p, "%.*s: %s is refused", MW_STR_ARG(use_case->name), tokens[i].label);
        ask.authorization = tokens[i].header;
        if (probe_expect(p, name, &ask, 401, &answer))
            (void)probe_judge(p, strncmp(answer.challenge, "Bearer", 6) == 0, name,
                              "WWW-Authenticate: Bearer", mw_str_of(answer.challenge));
        else if (victim != PROBE_NONE && answer.status < 300)
            p->records[victim].vague = true;
    }
    if (victim != PROBE_NONE)
        (void)probe_read_back(
            p, victim,
            probe_say(p, "%.*s: refused tokens changed nothing", MW_STR_ARG(use_case->name)));
    if (use_case->effect != PROBE_LIST)
        return;
    struct mw_str both = mw_arena_format(&p->keep, "[\"other\",\"%.*s\"]", MW_STR_ARG(p->slug));
    ask.authorization = bearer_with(p, &(struct claims){.aud = both.ptr, .nbf = "1000"});
    (void)probe_expect(
        p,
        probe_say(p, "%.*s: a token for several audiences is accepted", MW_STR_ARG(use_case->name)),
        &ask, 200, NULL);
}

static void check_others(struct probe *p, uint32_t index)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    mw_arena_reset(&p->scratch);
    uint32_t victim = victim_for(p, use_case);
    if (victim == PROBE_NONE)
        return;
    struct probe_answer answer = {0};
    struct mw_str method = mw_arena_copy(&p->scratch, use_case->method);
    struct probe_ask ask = {.method = method.ptr,
                            .path = probe_path(p, use_case, p->records[victim].id),
                            .owner = 1,
                            .body = probe_body_for(p, use_case, 1)};
    struct mw_str name =
        probe_say(p, "%.*s: another user's record is refused", MW_STR_ARG(use_case->name));
    if (!probe_expect(p, name, &ask, 403, &answer) && answer.status < 300)
        p->records[victim].vague = true;
    if (ask.body.ptr != NULL) {
        ask.body = MW_STR("{\"mwprobeUnknown\":1}");
        (void)probe_expect(p,
                           probe_say(p, "%.*s: 403 comes before the fields are looked at",
                                     MW_STR_ARG(use_case->name)),
                           &ask, 403, NULL);
    }
    (void)probe_read_back(
        p, victim, probe_say(p, "%.*s: another user changed nothing", MW_STR_ARG(use_case->name)));
}

void probe_door_issuer(struct probe *p)
{
    if (!p->auth || p->use_case_count == 0)
        return;
    mw_arena_reset(&p->scratch);
    const struct probe_use_case *use_case = &p->use_cases[0];
    struct mw_str method = mw_arena_copy(&p->scratch, use_case->method);
    struct probe_ask ask = {
        .method = method.ptr,
        .path = probe_path(p, use_case, MW_STR("3b241101-e2bb-4255-8caf-4136c566a962")),
        .body = probe_body_for(p, use_case, 0)};
    ask.authorization = bearer_with(p, &(struct claims){.iss = "\"somebody-else\""});
    (void)probe_expect(p, MW_STR("service: with JWT_ISSUER another issuer's token is refused"),
                       &ask, 401, NULL);
    ask.authorization = bearer_with(p, &(struct claims){.iss = ""});
    (void)probe_expect(p, MW_STR("service: with JWT_ISSUER a token without issuer is refused"),
                       &ask, 401, NULL);
}
