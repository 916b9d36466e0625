#include "cli/app_run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin/jwt.h"
#include "cli/link.h"
#include "posix/file.h"
#include "posix/heap.h"

#define KEY_BYTES_MAX 65536u
#define TOKEN_SECONDS (12 * 3600)

/* The key lies in the data folder, so that tokens of yesterday's `up` still open today's. First line: its algorithm. */

static struct mw_str algorithm_of_blueprint(struct mw_app *app)
{
    struct mw_tape tape;
    struct mw_cli_arg args[] = {{"build", app->build}, {"name", "blueprint"}};
    if (app->build == NULL ||
        mw_link_view_tape(app->cli, "document", args, 2, &tape, NULL) != MW_OK)
        return MW_STR_NONE;
    uint32_t root = mw_node_get(&tape, 0, "blueprint");
    uint32_t services = mw_node_get(&tape, root != MW_NODE_NONE ? root : 0, "services");
    for (uint32_t i = mw_node_type(&tape, services) == MW_NODE_ARRAY
                          ? mw_node_first(&tape, services)
                          : MW_NODE_NONE;
         i != MW_NODE_NONE; i = mw_node_after(&tape, services, i)) {
        struct mw_str name = mw_node_get_text(&tape, mw_node_get(&tape, i, "auth"), "algorithm");
        if (name.len > 0)
            return name;
    }
    return MW_STR_NONE;
}

static enum mw_rc choose_algorithm(struct mw_app *app, enum mw_jwt_algorithm *ret_algorithm,
                                   struct mw_err *err)
{
    const char *given = getenv("JWT_ALGORITHM");
    struct mw_str name =
        given != NULL && *given != '\0' ? mw_str_of(given) : algorithm_of_blueprint(app);
    enum mw_jwt_algorithm algorithm;
    if (name.len == 0)
        name = MW_STR("HS256");
    if (!mw_jwt_algorithm_of(name, &algorithm) ||
        (algorithm != MW_JWT_HS256 && algorithm != MW_JWT_RS256 && algorithm != MW_JWT_ES256))
        return MW_FAIL(err, MW_E_CONFIG, "JWT_ALGORITHM is HS256, RS256 or ES256, not '%.*s'",
                       MW_STR_ARG(name));
    *ret_algorithm = algorithm;
    app->algorithm = mw_jwt_algorithm_name(algorithm);
    return MW_OK;
}

/* The key as it is kept: its algorithm, then a secret or a private key. False: there is none of this algorithm. */
static bool load(struct mw_app *app, const char *path, struct mw_jwt_key *key)
{
    struct mw_buf text = mw_heap_buf();
    bool loaded = false;
    if (mw_file_read_regular(AT_FDCWD, path, KEY_BYTES_MAX, &text, NULL) == MW_OK) {
        struct mw_str whole = mw_buf_str(&text);
        size_t end = mw_str_find(whole, '\n', 0);
        struct mw_str body = mw_str_sub(whole, end == SIZE_MAX ? whole.len : end + 1, whole.len);
        if (end != SIZE_MAX && mw_str_is(mw_str_sub(whole, 0, end), app->algorithm)) {
            key->secret = mw_arena_copy(&app->cli->arena, mw_str_trim(body));
            loaded = key->algorithm == MW_JWT_HS256 ? key->secret.len >= 32
                                                    : mw_jwt_key_read_pem(body, key);
        }
    }
    mw_heap_buf_free(&text);
    return loaded;
}

static enum mw_rc save(const struct mw_app *app, const char *path, const struct mw_jwt_key *key,
                       struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = MW_OK;
    mw_buf_printf(&text, "%s\n", app->algorithm);
    if (key->pair != NULL) {
        struct mw_str pem = MW_STR_NONE;
        rc = mw_jwt_key_private_pem(&app->cli->arena, key, &pem, err);
        mw_buf_put(&text, pem);
    } else {
        mw_buf_put(&text, key->secret);
        mw_buf_put_c(&text, '\n');
    }
    if (rc == MW_OK)
        rc = mw_file_replace(AT_FDCWD, path, mw_buf_str(&text), 0600, err);
    mw_heap_buf_free(&text);
    return rc;
}

static enum mw_rc mint(struct mw_app *app, const struct mw_jwt_key *key, struct mw_err *err)
{
    struct mw_buf claims = mw_heap_buf();
    struct mw_json json;
    int64_t now = mw_now_unix_us() / 1000000;
    mw_json_init(&json, &claims);
    mw_json_object(&json);
    mw_json_kstr(&json, "sub", MW_STR("developer"));
    mw_json_karray(&json, "aud");
    for (uint32_t i = 0; i < app->service_count; i++)
        mw_json_str(&json, app->services[i].slug);
    mw_json_array_end(&json);
    mw_json_ki64(&json, "iat", now);
    mw_json_ki64(&json, "exp", now + TOKEN_SECONDS);
    mw_json_object_end(&json);
    enum mw_rc rc =
        mw_jwt_mint(&app->cli->arena, app->algorithm, key, mw_buf_str(&claims), &app->token, err);
    mw_heap_buf_free(&claims);
    return rc;
}

enum mw_rc mw_app_key(struct mw_app *app, struct mw_err *err)
{
    struct mw_jwt_key key = {.algorithm = MW_JWT_HS256};
    mw_autofree char *path = mw_heap_format("%s/development.key", app->data);
    enum mw_rc rc = choose_algorithm(app, &key.algorithm, err);
    if (rc == MW_OK)
        rc = mw_mkdirs(AT_FDCWD, app->data, 0700, err);
    if (rc == MW_OK && !load(app, path, &key)) {
        rc = mw_jwt_key_make(&app->cli->arena, key.algorithm, &key, err);
        if (rc == MW_OK)
            rc = save(app, path, &key, err);
    }
    if (rc == MW_OK && key.pair != NULL)
        rc = mw_jwt_key_public_pem(&app->cli->arena, &key, &app->secret, err);
    else if (rc == MW_OK)
        app->secret = key.secret;
    if (rc == MW_OK)
        rc = mint(app, &key, err);
    mw_jwt_key_free(&key);
    return rc;
}
