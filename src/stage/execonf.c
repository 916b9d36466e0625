#include "stage/execonf.h"

#include "base/json.h"
#include "posix/heap.h"
#include <string.h>

#define PACKAGE_BYTES_MAX ((size_t)4 << 20)
#define NAMES_IN_MESSAGE 8

/* Patterns are in lower case; one without '/' is the file's name in any folder. */
static const struct {
    const char *pattern;
    const char *why;
} listed[] = {
    {".mcp.json", "coding agents start the servers it names"},
    {"mcp.json", "coding agents start the servers it names"},
    {"claude.md", "coding agents obey it"},
    {"claude.local.md", "coding agents obey it"},
    {"agents.md", "coding agents obey it"},
    {"gemini.md", "coding agents obey it"},
    {"copilot-instructions.md", "coding agents obey it"},
    {".cursorrules", "coding agents obey it"},
    {".windsurfrules", "coding agents obey it"},
    {".clinerules", "coding agents obey it"},
    {".aider.conf.yml", "coding agents run its commands"},
    {"opencode.json", "coding agents run its commands"},
    {"opencode.jsonc", "coding agents run its commands"},
    {"**/.claude/**", "coding agents run its hooks and commands"},
    {"**/.codex/**", "coding agents run its commands"},
    {"**/.cursor/**", "coding agents obey it"},
    {"**/.gemini/**", "coding agents run its commands"},
    {"**/.opencode/**", "coding agents run its commands"},
    {"**/.aider/**", "coding agents obey it"},
    {"**/.clinerules/**", "coding agents obey it"},
    {".npmrc", "npm obeys it at every call"},
    {".yarnrc", "yarn runs what it names"},
    {".yarnrc.yml", "yarn runs its plugins"},
    {"**/.yarn/**", "yarn runs its plugins"},
    {".pnpmfile.cjs", "pnpm runs it at install"},
    {".pnp.cjs", "node runs it before the program"},
    {"pnpm-workspace.yaml", "pnpm obeys it at every call"},
    {"bunfig.toml", "bun runs what it preloads"},
    {"binding.gyp", "npm builds it at install"},
    {"**/.vscode/tasks.json", "the editor runs its tasks when the folder is opened"},
    {"**/.vscode/launch.json", "the editor runs its programs"},
    {"**/.vscode/settings.json", "the editor runs the programs it names"},
    {"**/.vscode/mcp.json", "the editor starts the servers it names"},
    {"*.code-workspace", "the editor runs its tasks"},
    {"**/.idea/**", "the editor runs its configurations"},
    {"**/.zed/**", "the editor runs its tasks"},
    {".lvimrc", "vim runs it"},
    {".exrc", "vim runs it"},
    {".nvimrc", "vim runs it"},
    {".vimrc", "vim runs it"},
    {".nvim.lua", "vim runs it"},
    {".dir-locals.el", "emacs runs it"},
    {".gdbinit", "gdb runs it"},
    {".lldbinit", "lldb runs it"},
    {"**/.devcontainer/**", "the editor builds and runs it"},
    {".devcontainer.json", "the editor builds and runs it"},
    {".envrc", "direnv runs it when the folder is entered"},
    {"mise.toml", "mise runs its hooks when the folder is entered"},
    {".mise.toml", "mise runs its hooks when the folder is entered"},
    {".bashrc", "a shell runs it"},
    {".bash_profile", "a shell runs it"},
    {".profile", "a shell runs it"},
    {".zshrc", "a shell runs it"},
    {".zshenv", "a shell runs it"},
    {".gitattributes", "git runs the filters it names"},
    {".gitmodules", "git fetches from what it names"},
    {".gitconfig", "git runs the programs it names"},
    {"**/.githooks/**", "git runs it"},
    {"**/githooks/**", "git runs it"},
    {"**/hooks/pre-commit", "git runs it"},
    {"**/hooks/post-checkout", "git runs it"},
    {"**/.husky/**", "git runs it"},
    {".huskyrc*", "git runs it"},
    {"lefthook.yml", "git runs it"},
    {".lefthook.yml", "git runs it"},
    {".pre-commit-config.yaml", "git runs it"},
    {"**/.github/workflows/**", "the CI runs it"},
    {"**/.github/actions/**", "the CI runs it"},
    {"**/.gitea/workflows/**", "the CI runs it"},
    {"**/.forgejo/workflows/**", "the CI runs it"},
    {"**/.circleci/**", "the CI runs it"},
    {"**/.buildkite/**", "the CI runs it"},
    {"**/.woodpecker/**", "the CI runs it"},
    {".gitlab-ci.yml", "the CI runs it"},
    {".gitlab-ci.yaml", "the CI runs it"},
    {".travis.yml", "the CI runs it"},
    {".drone.yml", "the CI runs it"},
    {".woodpecker.yml", "the CI runs it"},
    {".cirrus.yml", "the CI runs it"},
    {"appveyor.yml", "the CI runs it"},
    {"azure-pipelines.yml", "the CI runs it"},
    {"azure-pipelines.yaml", "the CI runs it"},
    {"bitbucket-pipelines.yml", "the CI runs it"},
    {"cloudbuild.yaml", "the CI runs it"},
    {"buildspec.yml", "the CI runs it"},
    {"jenkinsfile", "the CI runs it"},
    {"sitecustomize.py", "python runs it at every start"},
    {"usercustomize.py", "python runs it at every start"},
    {"conftest.py", "pytest runs it before any test"},
    {"setup.py", "pip runs it at install"},
    {"*.pth", "python runs its lines at every start"},
    {"build.rs", "cargo runs it at build"},
    {"**/.cargo/config", "cargo runs the programs it names"},
    {"**/.cargo/config.toml", "cargo runs the programs it names"},
    {"directory.build.props", "msbuild runs it at every build"},
    {"directory.build.targets", "msbuild runs it at every build"},
    {"**/.mvn/**", "maven runs it at every build"},
};

/* Scripts that npm and its like run without being asked for them by name. */
static const char *const lifecycle[] = {
    "preinstall",   "install",   "postinstall",   "prepublish",   "prepublishOnly",
    "preprepare",   "prepare",   "postprepare",   "prepack",      "postpack",
    "preuninstall", "uninstall", "postuninstall", "dependencies", "pnpm:devPreinstall",
};

static bool package_runs_itself(struct mw_str content);

const char *mw_execonf_why(struct mw_str path, struct mw_str content)
{
    mw_autofree char *lower = mw_heap_copy(path);
    size_t name_at = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] - 'A' + 'a');
        if (lower[i] == '/')
            name_at = i + 1;
    }
    struct mw_str whole = {lower, path.len};
    struct mw_str name = mw_str_sub(whole, name_at, path.len - name_at);
    for (size_t i = 0; i < MW_COUNT(listed); i++) {
        struct mw_str pattern = mw_str_of(listed[i].pattern);
        bool by_name = mw_str_find(pattern, '/', 0) == SIZE_MAX;
        if (mw_glob_match(pattern, by_name ? name : whole))
            return listed[i].why;
    }
    if (mw_str_is(name, "package.json") && (content.ptr == NULL || package_runs_itself(content)))
        return "npm runs its scripts at install";
    return NULL;
}

/* What cannot be read as JSON here may be read by a laxer reader there. */
static bool package_runs_itself(struct mw_str content)
{
    struct mw_arena arena;
    struct mw_tape tape;
    mw_heap_arena(&arena, content.len * 64 + 65536);
    bool runs = mw_json_parse(&arena, content, &tape, NULL) != MW_OK ||
                mw_node_type(&tape, 0) != MW_NODE_OBJECT;
    uint32_t scripts = runs ? MW_NODE_NONE : mw_node_get(&tape, 0, "scripts");
    for (size_t i = 0; i < MW_COUNT(lifecycle) && scripts != MW_NODE_NONE && !runs; i++)
        runs = mw_node_get(&tape, scripts, lifecycle[i]) != MW_NODE_NONE;
    mw_heap_arena_free(&arena);
    return runs;
}

static enum mw_rc read_package(const struct mw_tree_file *file, const struct mw_tree_source *source,
                               struct mw_buf *body, struct mw_err *err)
{
    bool over = source->overlay != NULL && mw_tree_find(source->overlay, file->path) != NULL;
    if (!over && source->blobs != NULL)
        return mw_blob_get(source->blobs, file->sha256, PACKAGE_BYTES_MAX, body, err);
    return mw_file_read_beneath(over ? source->overlay_fd : source->folder_fd, file->path.ptr,
                                PACKAGE_BYTES_MAX, body, err);
}

enum mw_rc mw_execonf_find(const struct mw_tree *tree, const struct mw_tree *base,
                           const struct mw_tree_source *source, struct mw_execonf_list *ret_list,
                           struct mw_err *err)
{
    struct mw_execonf_list list = {.items = mw_heap_alloc(sizeof(*list.items) * (tree->count + 1))};
    enum mw_rc rc = MW_OK;
    for (uint32_t i = 0; i < tree->count && rc == MW_OK; i++) {
        const struct mw_tree_file *file = &tree->files[i];
        const struct mw_tree_file *known = base != NULL ? mw_tree_find(base, file->path) : NULL;
        const char *why = mw_execonf_why(file->path, MW_STR_NONE);
        if (why == NULL || (known != NULL && strcmp(known->sha256, file->sha256) == 0))
            continue;
        struct mw_buf body = mw_heap_buf();
        if (mw_execonf_why(file->path, MW_STR("{}")) == NULL) { /* only its content can tell */
            rc = read_package(file, source, &body, err);
            why = rc == MW_OK
                      ? mw_execonf_why(file->path, body.len > 0 ? mw_buf_str(&body) : MW_STR(""))
                      : NULL;
        }
        mw_heap_buf_free(&body);
        if (why != NULL)
            list.items[list.count++] = (struct mw_execonf){file->path, file->sha256, why};
    }
    if (rc == MW_OK)
        *ret_list = list;
    else
        mw_execonf_free(&list);
    return rc;
}

void mw_execonf_free(struct mw_execonf_list *list)
{
    mw_heap_free(list->items);
    *list = (struct mw_execonf_list){0};
}

void mw_execonf_digest(const struct mw_execonf_list *list, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_buf text = mw_heap_buf();
    for (uint32_t i = 0; i < list->count; i++)
        mw_buf_printf(&text, "%s %.*s\n", list->items[i].sha256, MW_STR_ARG(list->items[i].path));
    mw_sha256_hex(mw_buf_str(&text), ret_sha256);
    mw_heap_buf_free(&text);
}

enum mw_rc mw_execonf_review(const struct mw_execonf_list *list, const char *approved,
                             struct mw_err *err)
{
    char sha256[MW_SHA256_HEX];
    mw_execonf_digest(list, sha256);
    if (list->count == 0 || strcmp(approved, sha256) == 0)
        return MW_OK;
    struct mw_buf names = mw_heap_buf();
    for (uint32_t i = 0; i < list->count && i < NAMES_IN_MESSAGE; i++)
        mw_buf_printf(&names, "%s%.*s (%s)", i > 0 ? ", " : "", MW_STR_ARG(list->items[i].path),
                      list->items[i].why);
    enum mw_rc rc =
        MW_FAIL(err, MW_E_DENIED,
                "tools run or obey %u new or changed file%s without being asked; look at %s, then: "
                "millwright promote --approve-config %s: %.*s",
                list->count, list->count == 1 ? "" : "s", list->count == 1 ? "it" : "them", sha256,
                MW_STR_ARG(mw_buf_str(&names)));
    mw_heap_buf_free(&names);
    return rc;
}

enum mw_rc mw_execonf_check(const struct mw_execonf_list *list, const struct mw_tree *approved,
                            struct mw_err *err)
{
    struct mw_buf names = mw_heap_buf();
    uint32_t missing_count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct mw_tree_file *file = mw_tree_find(approved, list->items[i].path);
        if (file != NULL && strcmp(file->sha256, list->items[i].sha256) == 0)
            continue;
        if (missing_count++ < NAMES_IN_MESSAGE)
            mw_buf_printf(&names, "%s%.*s (%s)", names.len > 0 ? ", " : "",
                          MW_STR_ARG(list->items[i].path), list->items[i].why);
    }
    enum mw_rc rc = MW_OK;
    if (missing_count > 0)
        rc = MW_FAIL(err, MW_E_WAITING, "a person has to approve %u of these exact files: %.*s",
                     missing_count, MW_STR_ARG(mw_buf_str(&names)));
    mw_heap_buf_free(&names);
    return rc;
}
