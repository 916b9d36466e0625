#include "author/author.h"
#include "defs/rules.h"
#include "host/definitions.h"
#include "host/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Definitions and documents by the hash of their bytes. A catalogue is kept on the disk as one JSON file of all its files' texts, so that
 * a trace that pinned it can go on after factory/ was edited.
 */

#define DEFINITION_FILE_MAX ((size_t)1 << 20)
#define CATALOGUE_ARENA_BYTES ((size_t)64 << 20)

static const char *const kinds[] = {"workflows", "journeys", "plans", "coordinators",
                                    "policies",  "rules",    "agents"};

/* Even a small one takes its pages. */
static size_t memory_of(const struct mw_pin *pin)
{
    return pin->arena.used_bytes + sizeof(*pin) + 4096;
}

static struct mw_pin **slot_of(struct mw_pins *pins, struct mw_str sha256)
{
    MW_ASSERT(sha256.len == MW_SHA256_HEX - 1);
    uint64_t first;
    memcpy(&first, sha256.ptr, sizeof(first)); /* digits of a hash: any of them spread well */
    return &pins->slots[(first * 0x9e3779b97f4a7c15u) >> 56];
}

static void unlink_use(struct mw_pins *pins, const struct mw_pin *pin)
{
    *(pin->newer != NULL ? &pin->newer->older : &pins->newest) = pin->older;
    *(pin->older != NULL ? &pin->older->newer : &pins->oldest) = pin->newer;
}

static void link_newest(struct mw_pins *pins, struct mw_pin *pin)
{
    pin->newer = NULL;
    pin->older = pins->newest;
    *(pins->newest != NULL ? &pins->newest->newer : &pins->oldest) = pin;
    pins->newest = pin;
}

static struct mw_pin *find(struct mw_host *host, struct mw_str sha256)
{
    struct mw_pins *pins = &host->pins;
    struct mw_pin *pin = *slot_of(pins, sha256);
    while (pin != NULL && memcmp(pin->sha256, sha256.ptr, MW_SHA256_HEX - 1) != 0)
        pin = pin->beside;
    if (pin != NULL && pin != pins->newest) {
        unlink_use(pins, pin);
        link_newest(pins, pin);
    }
    return pin;
}

static struct mw_pin *add(struct mw_host *host, const char *sha256, size_t arena_bytes)
{
    struct mw_pin *pin = mw_heap_alloc(sizeof(*pin));
    struct mw_pin **slot = slot_of(&host->pins, mw_str_of(sha256));
    memcpy(pin->sha256, sha256, MW_SHA256_HEX);
    mw_heap_arena(&pin->arena, arena_bytes);
    pin->beside = *slot;
    *slot = pin;
    link_newest(&host->pins, pin);
    return pin;
}

static void drop(struct mw_host *host, struct mw_pin *pin)
{
    struct mw_pin **at = slot_of(&host->pins, mw_str_of(pin->sha256));
    while (*at != pin)
        at = &(*at)->beside;
    *at = pin->beside;
    unlink_use(&host->pins, pin);
    mw_heap_arena_free(&pin->arena);
    free(pin);
}

/* Between steps: nobody but the one who asks holds what he was given. */
void mw_pins_trim(struct mw_host *host)
{
    struct mw_pins *pins = &host->pins;
    for (struct mw_pin *pin = pins->oldest;
         pin != NULL && (pins->document_bytes > MW_PINNED_BYTES ||
                         pins->catalogue_count > MW_PINNED_CATALOGUES);) {
        struct mw_pin *newer = pin->newer;
        if (pin->catalogue != NULL && pins->catalogue_count > MW_PINNED_CATALOGUES) {
            pins->catalogue_count--;
            drop(host, pin);
        } else if (pin->catalogue == NULL && pins->document_bytes > MW_PINNED_BYTES) {
            pins->document_bytes -= memory_of(pin);
            drop(host, pin);
        }
        pin = newer;
    }
}

/* {"files":[{"path","text"}…]} → a checked catalogue, in the pin's arena. */
static enum mw_rc fill_catalogue(struct mw_pin *pin, struct mw_str bundle, struct mw_err *err)
{
    struct mw_str text = mw_arena_copy(&pin->arena, bundle);
    enum mw_rc rc = mw_json_parse(&pin->arena, text, &pin->tape, err);
    uint32_t list = rc == MW_OK ? mw_node_get(&pin->tape, 0, "files") : MW_NODE_NONE;
    uint32_t count = rc == MW_OK ? mw_node_count(&pin->tape, list) : 0;
    struct mw_definition_file *files =
        mw_arena_array(&pin->arena, struct mw_definition_file, count + 1);
    uint32_t at = mw_node_first(&pin->tape, list);
    for (uint32_t i = 0; rc == MW_OK && i < count; i++, at = mw_node_after(&pin->tape, list, at)) {
        struct mw_str source = mw_node_get_text(&pin->tape, at, "text");
        files[i].path = mw_node_get_text(&pin->tape, at, "path");
        if (mw_rules_is_text(source))
            files[i].text = source;
        else
            rc = mw_author_read(&pin->arena, files[i].path, source, &files[i].tape, err);
    }
    if (rc == MW_OK)
        rc = mw_catalogue_load(&pin->arena, files, count, mw_str_of(pin->sha256), &pin->catalogue,
                               err);
    return rc;
}

static enum mw_rc load_catalogue(struct mw_host *host, struct mw_str bundle, const char *sha256,
                                 struct mw_pin **ret_pin, struct mw_err *err)
{
    struct mw_pin *pin = add(host, sha256, CATALOGUE_ARENA_BYTES);
    enum mw_rc rc = fill_catalogue(pin, bundle, err);
    if (rc != MW_OK) {
        drop(host, pin);
        return rc;
    }
    host->pins.catalogue_count++;
    *ret_pin = pin;
    return MW_OK;
}

const struct mw_catalogue *mw_pins_catalogue(void *self, struct mw_str sha256)
{
    struct mw_host *host = self;
    struct mw_pin *pin = sha256.len == MW_SHA256_HEX - 1 ? find(host, sha256) : NULL;
    if (pin != NULL || sha256.len != MW_SHA256_HEX - 1)
        return pin != NULL ? pin->catalogue : NULL;
    char path[160], name[MW_SHA256_HEX];
    struct mw_buf buf = mw_heap_buf();
    struct mw_err err = {0};
    memcpy(name, sha256.ptr, sha256.len);
    name[sha256.len] = '\0';
    snprintf(path, sizeof(path), ".millwright/defs/%s.json", name);
    enum mw_rc rc = mw_file_read_regular(host->workspace_fd, path, (size_t)256 << 20, &buf, &err);
    if (rc == MW_OK) {
        char found[MW_SHA256_HEX];
        mw_sha256_hex(mw_buf_str(&buf), found);
        if (strcmp(found, name) != 0)
            rc =
                MW_FAIL(&err, MW_E_CORRUPT, "'%s' is damaged: its bytes have hash %s", path, found);
    }
    if (rc == MW_OK)
        rc = load_catalogue(host, mw_buf_str(&buf), name, &pin, &err);
    if (rc != MW_OK)
        mw_host_log(host, "error", "definitions.missing", "%s", err.text);
    mw_heap_buf_free(&buf);
    return rc == MW_OK ? pin->catalogue : NULL;
}

static struct mw_pin *pin_document(struct mw_host *host, struct mw_str text, const char *sha256)
{
    struct mw_pin *pin = add(host, sha256, text.len * 40 + 65536);
    struct mw_str copy = mw_arena_copy(&pin->arena, text);
    if (mw_json_parse(&pin->arena, copy, &pin->tape, NULL) == MW_OK) {
        host->pins.document_bytes += memory_of(pin);
        return pin;
    }
    drop(host, pin);
    return NULL;
}

const struct mw_tape *mw_pins_document(void *self, struct mw_str sha256)
{
    struct mw_host *host = self;
    struct mw_pin *pin = sha256.len == MW_SHA256_HEX - 1 ? find(host, sha256) : NULL;
    if (pin != NULL || sha256.len != MW_SHA256_HEX - 1 || !host->blobs_open)
        return pin != NULL ? &pin->tape : NULL;
    char name[MW_SHA256_HEX];
    struct mw_buf buf = mw_heap_buf();
    struct mw_err err = {0};
    memcpy(name, sha256.ptr, sha256.len);
    name[sha256.len] = '\0';
    if (mw_blob_get(&host->blobs, name, MW_BLOB_BYTES_MAX, &buf, &err) == MW_OK)
        pin = pin_document(host, mw_buf_str(&buf), name);
    else
        mw_host_log(host, "error", "document.missing", "%s", err.text);
    mw_heap_buf_free(&buf);
    return pin != NULL ? &pin->tape : NULL;
}

enum mw_rc mw_pins_keep_document(struct mw_host *host, struct mw_str text,
                                 char ret_sha256[MW_SHA256_HEX], struct mw_err *err)
{
    enum mw_rc rc = mw_blob_put(&host->blobs, text, ret_sha256, err);
    if (rc != MW_OK || find(host, mw_str_of(ret_sha256)) != NULL)
        return rc;
    if (pin_document(host, text, ret_sha256) == NULL)
        return MW_FAIL(err, MW_E_INPUT, "a document that is not JSON");
    return MW_OK;
}

/* ---- reading factory/ ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_definition(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && mw_author_knows(mw_str_of(entry->d_name));
}

static enum mw_rc add_folder(const char *root, const char *kind, struct mw_json *json,
                             struct mw_err *err)
{
    struct dirent **entries = NULL;
    mw_autofree char *folder = mw_heap_format("%s/%s", root, kind);
    int count = scandir(folder, &entries, is_definition, by_name);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR)
        return MW_FAIL_SYS(err, MW_E_IO, "list the definitions in '%s'", folder);
    enum mw_rc rc = MW_OK;
    for (int i = 0; i < count; i++) {
        mw_autofree char *path = mw_heap_format("%s/%s", folder, entries[i]->d_name);
        mw_autofree char *shown = mw_heap_format("%s/%s", kind, entries[i]->d_name);
        struct mw_buf text = mw_heap_buf();
        if (rc == MW_OK)
            rc = mw_file_read_regular(AT_FDCWD, path, DEFINITION_FILE_MAX, &text, err);
        if (rc == MW_OK && !mw_utf8_valid(mw_buf_str(&text), NULL))
            rc = MW_FAIL(err, MW_E_CONFIG, "%s: not UTF-8", path);
        if (rc == MW_OK) {
            mw_json_object(json);
            mw_json_kstr(json, "path", mw_str_of(shown));
            mw_json_kstr(json, "text", mw_buf_str(&text));
            mw_json_object_end(json);
        }
        mw_heap_buf_free(&text);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* Every file under the factory folder, then what the workspace brings of its own. */
static enum mw_rc read_all(const char *factory, const char *workspace, struct mw_buf *bundle,
                           struct mw_err *err)
{
    struct mw_json json;
    enum mw_rc rc = MW_OK;
    mw_json_init(&json, bundle);
    mw_json_object(&json);
    mw_json_karray(&json, "files");
    for (size_t i = 0; rc == MW_OK && i < MW_COUNT(kinds); i++)
        rc = add_folder(factory, kinds[i], &json, err);
    for (size_t i = 0; rc == MW_OK && workspace != NULL && i < MW_COUNT(kinds); i++)
        rc = add_folder(workspace, kinds[i], &json, err);
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    return rc;
}

enum mw_rc mw_host_check_definitions(const char *factory, const char *workspace, struct mw_err *err)
{
    struct mw_buf bundle = mw_heap_buf();
    struct mw_pin pin = {0};
    mw_heap_arena(&pin.arena, CATALOGUE_ARENA_BYTES);
    enum mw_rc rc = read_all(factory, workspace, &bundle, err);
    mw_sha256_hex(mw_buf_str(&bundle), pin.sha256);
    if (rc == MW_OK)
        rc = fill_catalogue(&pin, mw_buf_str(&bundle), err);
    mw_heap_arena_free(&pin.arena);
    mw_heap_buf_free(&bundle);
    return rc;
}

enum mw_rc mw_pins_load_factory(struct mw_host *host, char ret_sha256[MW_SHA256_HEX],
                                struct mw_err *err)
{
    const char *const roots[] = {host->factory, host->workspace};
    mw_watch_begin(&host->definitions_watch, roots, MW_COUNT(roots), kinds, MW_COUNT(kinds));
    struct mw_buf bundle = mw_heap_buf();
    struct mw_pin *pin = NULL;
    char path[160];
    enum mw_rc rc = read_all(host->factory, host->workspace, &bundle, err);
    if (rc == MW_OK) {
        mw_sha256_hex(mw_buf_str(&bundle), ret_sha256);
        pin = find(host, mw_str_of(ret_sha256));
        if (pin == NULL)
            rc = load_catalogue(host, mw_buf_str(&bundle), ret_sha256, &pin, err);
    }
    snprintf(path, sizeof(path), ".millwright/defs/%s.json", rc == MW_OK ? ret_sha256 : "");
    if (rc == MW_OK && !mw_exists(host->workspace_fd, path))
        rc = mw_file_replace(host->workspace_fd, path, mw_buf_str(&bundle), 0600, err);
    else if (rc == MW_OK) /* who put it there may have been killed before its name was durable */
        rc = mw_fsync_dir(host->workspace_fd, ".millwright/defs", err);
    mw_heap_buf_free(&bundle);
    return rc;
}

/* ---- agents ---- */

/* The file was registered with these very words. What somebody said since, by hand, stands until the file is changed: that it is removed, or
 * another. */
static bool is_known(const struct mw_host *host, struct mw_str id, struct mw_str body)
{
    const struct mw_agent *agent = mw_work_agent(&host->core.work, id);
    static const size_t before = sizeof("{\"agent\":") - 1;
    return agent != NULL && body.len > before + 1 &&
           agent->told_hash == mw_str_hash(mw_str_sub(body, before, body.len - before - 1));
}

struct telling {
    struct mw_host *host;
    char *path;
};

/* Nobody else asked for it: what it waits for in vain is found in the log. */
static void on_told(void *user, const struct mw_host_answer *answer)
{
    struct telling *telling = user;
    if (answer->rc != MW_OK)
        mw_host_log(telling->host, "error", "agent.refused", "%s: %s", telling->path, answer->text);
    free(telling->path);
    free(telling);
}

/* What somebody wrote into a file may be no JSON without the secret in it. */
static enum mw_rc tell_agent(struct mw_host *host, const char *path, struct mw_str body,
                             struct mw_err *err)
{
    struct mw_err why = {0};
    struct mw_post *post =
        mw_post_make(host, MW_REQ_REGISTER_AGENT, body, MW_STR_NONE, MW_STR("host"), &why);
    if (post == NULL)
        return MW_FAIL(err, MW_E_CONFIG, "%s: it cannot be recorded: %s", path, why.text);
    struct telling *telling = mw_heap_alloc(sizeof(*telling));
    *telling = (struct telling){host, mw_heap_copy(mw_str_of(path))};
    mw_host_post(host, post, on_told, telling);
    return MW_OK;
}

static void register_file(struct mw_host *host, const char *path)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err = {0};
    struct mw_buf text = mw_heap_buf(), body = mw_heap_buf();
    struct mw_json json;
    mw_heap_arena(&arena, (size_t)8 << 20);
    enum mw_rc rc = mw_file_read_regular(AT_FDCWD, path, DEFINITION_FILE_MAX, &text, &err);
    if (rc == MW_OK)
        rc = mw_author_read(&arena, mw_str_of(path), mw_buf_str(&text), &tape, &err);
    if (rc == MW_OK) {
        mw_json_init(&json, &body);
        mw_json_object(&json);
        mw_json_knode(&json, "agent", &tape, 0);
        mw_json_object_end(&json);
        if (!is_known(host, mw_node_get_text(&tape, 0, "agent_id"), mw_buf_str(&body)))
            rc = tell_agent(host, path, mw_buf_str(&body), &err);
    }
    if (rc != MW_OK)
        mw_host_log(host, "error", "agent.refused", "%s", err.text);
    mw_heap_buf_free(&text);
    mw_heap_buf_free(&body);
    mw_heap_arena_free(&arena);
}

void mw_pins_register_agents(struct mw_host *host)
{
    const char *const roots[] = {host->factory, host->workspace};
    for (size_t i = 0; i < MW_COUNT(roots); i++) {
        struct dirent **entries = NULL;
        mw_autofree char *folder = mw_heap_format("%s/agents", roots[i]);
        int count = scandir(folder, &entries, is_definition, by_name);
        for (int n = 0; n < count; n++) {
            mw_autofree char *path = mw_heap_format("%s/%s", folder, entries[n]->d_name);
            register_file(host, path);
            free(entries[n]);
        }
        free(entries);
    }
}

enum mw_rc mw_pins_refresh(struct mw_host *host, struct mw_err *err)
{
    char sha256[MW_SHA256_HEX];
    if (host->definitions_sha256[0] != '\0' && mw_watch_is_quiet(&host->definitions_watch))
        return MW_OK;
    host->definitions_sha256[0] = '\0';
    enum mw_rc rc = mw_pins_load_factory(host, sha256, err);
    if (rc != MW_OK)
        return rc;
    mw_autofree char *told = mw_heap_format("{\"sha256\":\"%s\"}", sha256);
    mw_host_tell(host, MW_REQ_LOAD_DEFINITION, 0, 0, mw_str_of(told));
    mw_pins_register_agents(host);
    memcpy(host->definitions_sha256, sha256, sizeof(sha256));
    return MW_OK;
}
