#include "builtin/blueprint_import.h"

#include "builtin/blueprint_keys.h"

enum {
    T_SCHEMA,
    T_NAME,
    T_SERVICE_NAME,
    T_SLUG,
    T_SERVICES,
    T_CASES,
    T_ENTITIES,
    T_STORAGE,
    T_AUTH,
    T_GATEWAY,
    T_INFRA,
    T_FRONTEND,
    T_SPA,
    T_MOBILE,
    T_PLATFORM,
    T_CI,
    T_DEPLOY,
    T_TESTS,
    T_APPROVAL,
    T_FEATURES,
    T_MONITORING,
    T_AUTOSCALE,
    T_DOMAIN,
    T_COUNT
};

static const struct mw_key top_keys[] = {
    {"schema", T_SCHEMA},
    {"name", T_NAME},
    {"servicename", T_SERVICE_NAME},
    {"slug", T_SLUG},
    {"services", T_SERVICES},
    {"modules", T_SERVICES},
    {"usecases", T_CASES},
    {"capabilities", T_CASES},
    {"entities", T_ENTITIES},
    {"storage", T_STORAGE},
    {"database", T_STORAGE},
    {"auth", T_AUTH},
    {"authentication", T_AUTH},
    {"gateway", T_GATEWAY},
    {"infrastructure", T_INFRA},
    {"infra", T_INFRA},
    {"frontend", T_FRONTEND},
    {"spa", T_SPA},
    {"mobile", T_MOBILE},
    {"platform", T_PLATFORM},
    {"ci", T_CI},
    {"autodeploy", T_DEPLOY},
    {"testscope", T_TESTS},
    {"approvalrequired", T_APPROVAL},
    {"features", T_FEATURES},
    {"monitoring", T_MONITORING},
    {"autoscale", T_AUTOSCALE},
    {"domain", T_DOMAIN},
};

enum { S_NAME, S_SLUG, S_DOMAIN, S_STORAGE, S_AUTH, S_FEATURES, S_ENTITIES, S_CASES, S_COUNT };

static const struct mw_key service_keys[] = {
    {"name", S_NAME},         {"servicename", S_NAME},    {"slug", S_SLUG},
    {"domain", S_DOMAIN},     {"storage", S_STORAGE},     {"database", S_STORAGE},
    {"auth", S_AUTH},         {"authentication", S_AUTH}, {"features", S_FEATURES},
    {"entities", S_ENTITIES}, {"usecases", S_CASES},      {"capabilities", S_CASES},
};

struct loading {
    struct mw_import imp;
    uint32_t top[T_COUNT];
    struct mw_str algorithm, storage; /* of the top */
    bool auth_given, storage_given;
};

static struct mw_str at_key(const struct loading *l, struct mw_str at, const char *key)
{
    return mw_keys_at(&l->imp, at, mw_str_of(key));
}

/* --- what cannot be built yet --- */

/* A switch: false and null are fine, true is a question. */
static enum mw_rc read_switch(struct loading *l, uint32_t node, struct mw_str at, const char *field,
                              const char *what)
{
    enum mw_node_type type = mw_node_type(l->imp.tape, node);
    if (mw_keys_absent(&l->imp, node) || type == MW_NODE_FALSE)
        return MW_OK;
    if (type != MW_NODE_TRUE)
        return mw_keys_wrong(&l->imp, node, at, "true or false is needed");
    if (mw_infer_drop(l->imp.inf, mw_str_of(field), mw_str_of(what), at))
        mw_infer_note(
            l->imp.inf, false, NULL, field, MW_STR("false"),
            mw_arena_format(l->imp.inf->arena, "%.*s; answered: leave it out", MW_STR_ARG(at)));
    return MW_OK;
}

static enum mw_rc read_frontend(struct loading *l)
{
    enum { SPA, MOBILE, PLATFORM, COUNT };
    static const struct mw_key keys[] = {{"spa", SPA}, {"mobile", MOBILE}, {"platform", PLATFORM}};
    uint32_t slots[COUNT] = {MW_NODE_NONE, MW_NODE_NONE, MW_NODE_NONE}, node = l->top[T_FRONTEND];
    struct mw_str at = MW_STR("/frontend");
    enum mw_rc rc = MW_OK;
    if (mw_node_type(l->imp.tape, node) == MW_NODE_OBJECT)
        rc = mw_keys_read(&l->imp, node, at, keys, MW_COUNT(keys), slots, COUNT);
    else
        rc = read_switch(l, node, at, "frontend.spa", "a web frontend");
    const uint32_t spas[] = {slots[SPA], l->top[T_SPA]},
                   mobiles[] = {slots[MOBILE], l->top[T_MOBILE]},
                   platforms[] = {slots[PLATFORM], l->top[T_PLATFORM]};
    for (size_t i = 0; i < 2 && rc == MW_OK; i++) {
        struct mw_str base = i == 0 ? at : MW_STR_NONE;
        rc = read_switch(l, spas[i], at_key(l, base, "spa"), "frontend.spa", "a web frontend");
        if (rc == MW_OK)
            rc = read_switch(l, mobiles[i], at_key(l, base, "mobile"), "frontend.mobile",
                             "a mobile app");
        if (rc == MW_OK && !mw_keys_absent(&l->imp, platforms[i])) {
            struct mw_str said = MW_STR_NONE;
            rc = mw_keys_text(&l->imp, platforms[i], at_key(l, base, "platform"),
                              "a platform's name or null is needed", &said);
            if (rc == MW_OK)
                (void)mw_infer_drop(l->imp.inf, MW_STR("platform"), MW_STR("a mobile app"),
                                    said); /* it has no place in the blueprint either way */
        }
    }
    return rc;
}

static enum mw_rc read_gateway(struct loading *l, uint32_t *ret_auth)
{
    enum { ENABLED, AUTH, COUNT };
    static const struct mw_key keys[] = {{"enabled", ENABLED}, {"auth", AUTH}};
    uint32_t slots[COUNT], node = l->top[T_GATEWAY];
    *ret_auth = MW_NODE_NONE;
    if (mw_node_type(l->imp.tape, node) != MW_NODE_OBJECT)
        return read_switch(l, node, MW_STR("/gateway"), "gateway.enabled", "an API gateway");
    enum mw_rc rc =
        mw_keys_read(&l->imp, node, MW_STR("/gateway"), keys, MW_COUNT(keys), slots, COUNT);
    if (rc == MW_OK)
        rc = read_switch(l, slots[ENABLED], MW_STR("/gateway/enabled"), "gateway.enabled",
                         "an API gateway");
    *ret_auth = rc == MW_OK ? slots[AUTH] : MW_NODE_NONE;
    return rc;
}

static enum mw_rc read_infrastructure(struct loading *l)
{
    enum { PROVISION, OTHER, CLOUD, REGION, STRATEGY, COUNT };
    static const struct mw_key keys[] = {{"provision", PROVISION},
                                         {"services", OTHER},
                                         {"cloud", CLOUD},
                                         {"region", REGION},
                                         {"strategy", STRATEGY}};
    uint32_t slots[COUNT], node = l->top[T_INFRA];
    if (mw_node_type(l->imp.tape, node) != MW_NODE_OBJECT)
        return read_switch(l, node, MW_STR("/infrastructure"), "infrastructure.provision",
                           "cloud infrastructure");
    enum mw_rc rc =
        mw_keys_read(&l->imp, node, MW_STR("/infrastructure"), keys, MW_COUNT(keys), slots, COUNT);
    if (rc != MW_OK)
        return rc;
    return read_switch(l, slots[PROVISION], MW_STR("/infrastructure/provision"),
                       "infrastructure.provision", "cloud infrastructure");
}

static enum mw_rc read_features(struct loading *l, uint32_t node, struct mw_str at)
{
    const struct mw_tape *t = l->imp.tape;
    struct mw_str all = MW_STR_NONE;
    if (mw_keys_absent(&l->imp, node))
        return MW_OK;
    if (mw_node_type(t, node) != MW_NODE_ARRAY)
        return mw_keys_wrong(&l->imp, node, at, "a list of names is needed");
    for (uint32_t i = mw_node_first(t, node), k = 0; i != MW_NODE_NONE;
         i = mw_node_after(t, node, i), k++) {
        struct mw_str name = MW_STR_NONE;
        enum mw_rc rc = mw_keys_text(&l->imp, i, mw_keys_index(&l->imp, at, k),
                                     "a feature's name is needed", &name);
        if (rc != MW_OK)
            return rc;
        all = mw_arena_format(l->imp.inf->arena, "%.*s%s%.*s", MW_STR_ARG(all), k == 0 ? "" : ", ",
                              MW_STR_ARG(mw_name_clip(name, 60)));
    }
    if (all.len > 0 && mw_infer_drop(l->imp.inf, MW_STR("features"), all, at))
        mw_infer_note(
            l->imp.inf, false, NULL, "features", MW_STR("[]"),
            mw_arena_format(l->imp.inf->arena, "%.*s; answered: leave it out", MW_STR_ARG(at)));
    return MW_OK;
}

static enum mw_rc read_tests(struct loading *l)
{
    const struct mw_tape *t = l->imp.tape;
    uint32_t node = l->top[T_TESTS];
    struct mw_str scope = MW_STR("[");
    bool first = true;
    l->imp.inf->bp->test_scope = MW_STR("[\"Unit\",\"Integration\"]");
    if (mw_keys_absent(&l->imp, node))
        return MW_OK;
    if (mw_node_type(t, node) != MW_NODE_ARRAY)
        return mw_keys_wrong(&l->imp, node, MW_STR("/testScope"),
                             "a list of Unit, Integration, E2E is needed");
    for (uint32_t i = mw_node_first(t, node), k = 0; i != MW_NODE_NONE;
         i = mw_node_after(t, node, i), k++) {
        struct mw_str low = mw_name_fold(l->imp.inf->arena, mw_node_str(t, i));
        const char *name = mw_str_is(low, "unit")          ? "Unit"
                           : mw_str_is(low, "integration") ? "Integration"
                           : mw_str_is(low, "e2e")         ? "E2E"
                                                           : NULL;
        if (name == NULL)
            return mw_keys_wrong(&l->imp, i, mw_keys_index(&l->imp, MW_STR("/testScope"), k),
                                 "Unit, Integration or E2E is needed");
        scope = mw_arena_format(l->imp.inf->arena, "%.*s%s\"%s\"", MW_STR_ARG(scope),
                                first ? "" : ",", name);
        first = false;
    }
    l->imp.inf->bp->test_scope = mw_arena_format(l->imp.inf->arena, "%.*s]", MW_STR_ARG(scope));
    return MW_OK;
}

/* --- storage and authentication --- */

static enum mw_rc read_auth(struct loading *l, uint32_t node, struct mw_str at,
                            struct mw_str *ret_algorithm)
{
    enum { STRATEGY, PROVIDER, ALGORITHM, COUNT };
    static const struct mw_key keys[] = {{"strategy", STRATEGY},
                                         {"type", STRATEGY},
                                         {"provider", PROVIDER},
                                         {"algorithm", ALGORITHM}};
    uint32_t slots[COUNT] = {MW_NODE_NONE, MW_NODE_NONE, MW_NODE_NONE};
    enum mw_node_type type = mw_node_type(l->imp.tape, node);
    struct mw_str said = MW_STR_NONE, algorithm = MW_STR_NONE, provider = MW_STR_NONE;
    *ret_algorithm = MW_STR_NONE;
    if (type == MW_NODE_NULL || type == MW_NODE_FALSE)
        return MW_OK;
    enum mw_rc rc = MW_OK;
    uint32_t strategy = node;
    if (type == MW_NODE_OBJECT) {
        rc = mw_keys_read(&l->imp, node, at, keys, MW_COUNT(keys), slots, COUNT);
        strategy = slots[STRATEGY];
        at = at_key(l, at, "strategy");
    }
    if (rc == MW_OK && type == MW_NODE_TRUE)
        said = MW_STR("JWT");
    else if (rc == MW_OK)
        rc = mw_keys_text(&l->imp, strategy, at, "JWT, false or {\"strategy\": \"JWT\"} is needed",
                          &said);
    if (rc == MW_OK && !mw_keys_absent(&l->imp, slots[PROVIDER]))
        rc = mw_keys_text(&l->imp, slots[PROVIDER], at, "a provider's name or null is needed",
                          &provider);
    if (rc != MW_OK)
        return rc;
    if (type == MW_NODE_TRUE)
        mw_infer_note(l->imp.inf, true, NULL, "auth", MW_STR("\"JWT\""),
                      MW_STR("technologies.yaml: authentication of no named kind is JWT"));
    if (provider.len > 0 && mw_str_is(said, "JWT"))
        said =
            provider; /* tokens of somebody else are another matter than our own check of a signature */
    if (!mw_infer_auth(l->imp.inf, said, MW_STR("auth"), ret_algorithm))
        return MW_OK; /* asked */
    if (mw_keys_absent(&l->imp, slots[ALGORITHM]) || ret_algorithm->len == 0)
        return MW_OK;
    algorithm = mw_node_str(l->imp.tape, slots[ALGORITHM]);
    if (!mw_str_is(algorithm, "HS256") && !mw_str_is(algorithm, "RS256") &&
        !mw_str_is(algorithm, "ES256"))
        return mw_keys_wrong(&l->imp, slots[ALGORITHM], at, "HS256, RS256 or ES256 is needed");
    *ret_algorithm = algorithm;
    return MW_OK;
}

static enum mw_rc read_storage(struct loading *l, uint32_t node, struct mw_str at,
                               struct mw_str *ret_storage)
{
    struct mw_str said = MW_STR_NONE;
    enum mw_rc rc =
        mw_keys_absent(&l->imp, node)
            ? MW_OK
            : mw_keys_text(&l->imp, node, at, "MongoDB, File or Memory is needed", &said);
    if (rc == MW_OK)
        (void)mw_infer_storage(l->imp.inf, said, MW_STR("storage"), ret_storage); /* false: asked */
    return rc;
}

static enum mw_rc read_top_auth(struct loading *l, uint32_t gateway_auth)
{
    uint32_t node = l->top[T_AUTH];
    struct mw_str at = MW_STR("/auth");
    if (node == MW_NODE_NONE && gateway_auth != MW_NODE_NONE) {
        node = gateway_auth;
        at = MW_STR("/gateway/auth");
    }
    l->auth_given = node != MW_NODE_NONE;
    return read_auth(l, node, at, &l->algorithm);
}

/* --- services --- */

static enum mw_rc add_service(struct loading *l, struct mw_str name, struct mw_str at,
                              struct mw_bp_service **ret_service)
{
    struct mw_infer *inf = l->imp.inf;
    struct mw_str base = mw_bp_base(inf->arena, name);
    if (!mw_name_is_pascal(mw_name_pascal(inf->arena, base)))
        return MW_FAIL(l->imp.err, MW_E_INPUT,
                       "%.*s: '%.*s' gives no usable name; letters and digits, starting with a "
                       "letter, at most %d",
                       MW_STR_ARG(at), MW_STR_ARG(mw_name_clip(name, 80)), MW_NAME_MAX);
    if (mw_bp_service_of(inf->bp, name) != NULL)
        return MW_FAIL(l->imp.err, MW_E_INPUT,
                       "%.*s: found the service '%.*s' twice; names have to differ", MW_STR_ARG(at),
                       MW_STR_ARG(mw_name_clip(name, 80)));
    *ret_service = mw_bp_add_service(inf->bp, base);
    if (*ret_service == NULL)
        return MW_FAIL(l->imp.err, MW_E_LIMIT, "the blueprint needs more memory than a task has");
    mw_infer_note(inf, false, *ret_service, NULL, mw_infer_quote(inf, (*ret_service)->name), at);
    return MW_OK;
}

static bool noun_is_known(struct mw_infer *inf, const struct mw_bp_service *service)
{
    struct mw_str name = MW_STR_NONE,
                  noun = mw_infer_noun(inf, mw_bp_base(inf->arena, service->name));
    return mw_words_noun(inf->words, mw_words_singular(inf->words, noun), &name) != MW_NODE_NONE;
}

static void add_own_entity(struct mw_infer *inf, struct mw_bp_service *service)
{
    struct mw_bp_entity *entity = mw_infer_main_entity(inf, service);
    if (entity == NULL || entity->fields != NULL)
        return;
    mw_infer_note(inf, true, entity, NULL, mw_infer_quote(inf, entity->name),
                  MW_STR("the service's own name"));
    mw_infer_default_fields(inf, service, entity);
}

/* Does a use case stand there that names no record ("Send")? Then the service's own noun is meant. */
static bool has_bare_case(struct loading *l, uint32_t cases)
{
    const struct mw_tape *t = l->imp.tape;
    if (mw_node_type(t, cases) != MW_NODE_ARRAY || mw_node_count(t, cases) == 0)
        return true;
    for (uint32_t i = mw_node_first(t, cases); i != MW_NODE_NONE; i = mw_node_after(t, cases, i))
        if (mw_str_find(mw_name_words(l->imp.inf->arena, mw_node_str(t, i)), ' ', 0) == SIZE_MAX)
            return true;
    return false;
}

static enum mw_rc fill_service(struct loading *l, struct mw_bp_service *service, uint32_t entities,
                               uint32_t cases, bool cases_given, struct mw_str at)
{
    struct mw_infer *inf = l->imp.inf;
    enum mw_rc rc = MW_OK;
    inf->entities_closed = !mw_keys_absent(&l->imp, entities);
    if (inf->entities_closed)
        rc = mw_import_entities(&l->imp, service, entities, at_key(l, at, "entities"));
    else if (noun_is_known(inf, service) || has_bare_case(l, cases))
        add_own_entity(inf, service);
    if (rc == MW_OK && !mw_keys_absent(&l->imp, cases))
        rc = mw_import_cases(&l->imp, service, cases, at_key(l, at, "use_cases"));
    inf->entities_closed = false;
    if (rc != MW_OK || cases_given || inf->asked)
        return rc;
    for (struct mw_bp_entity *e = service->entities; e != NULL; e = e->next)
        mw_infer_default_cases(inf, service, e, false);
    return MW_OK;
}

static enum mw_rc service_words(struct loading *l, struct mw_bp_service *service, uint32_t slug,
                                uint32_t domain, struct mw_str at)
{
    if (!mw_keys_absent(&l->imp, slug)) {
        service->slug = mw_node_str(l->imp.tape, slug);
        if (!mw_name_is_slug(service->slug))
            return mw_keys_wrong(&l->imp, slug, at_key(l, at, "slug"),
                                 "small letters, digits and single '-' are needed");
    }
    if (mw_keys_absent(&l->imp, domain))
        return MW_OK;
    if (!mw_name_is_pascal(mw_node_str(l->imp.tape, domain)))
        return mw_keys_wrong(&l->imp, domain, at_key(l, at, "domain"),
                             "a name such as Notifications is needed");
    service->domain = mw_node_str(l->imp.tape, domain);
    return MW_OK;
}

static enum mw_rc one_service(struct loading *l, struct mw_str name, uint32_t node,
                              struct mw_str at)
{
    uint32_t slots[S_COUNT];
    enum mw_node_type type = mw_node_type(l->imp.tape, node);
    struct mw_bp_service *service = NULL;
    enum mw_rc rc = MW_OK;
    for (uint32_t i = 0; i < S_COUNT; i++)
        slots[i] = MW_NODE_NONE;
    if (type == MW_NODE_OBJECT)
        rc = mw_keys_read(&l->imp, node, at, service_keys, MW_COUNT(service_keys), slots, S_COUNT);
    else if (name.len == 0 && type == MW_NODE_STRING)
        slots[S_NAME] = node;
    else if (name.len == 0 || type != MW_NODE_NULL)
        return mw_keys_wrong(&l->imp, node, at, "a service is a name or an object with name");
    if (rc == MW_OK && (name.len == 0 || slots[S_NAME] != MW_NODE_NONE))
        rc = mw_keys_text(&l->imp, slots[S_NAME],
                          type == MW_NODE_OBJECT ? at_key(l, at, "name") : at,
                          "the service's name is needed", &name);
    if (rc == MW_OK)
        rc = add_service(l, name, at, &service);
    if (rc == MW_OK)
        rc = service_words(l, service, slots[S_SLUG], slots[S_DOMAIN], at);
    if (rc == MW_OK)
        rc = read_features(l, slots[S_FEATURES], at_key(l, at, "features"));
    if (rc != MW_OK)
        return rc;
    service->algorithm = l->algorithm;
    if (slots[S_AUTH] != MW_NODE_NONE) {
        l->auth_given = true;
        rc = read_auth(l, slots[S_AUTH], at_key(l, at, "auth"), &service->algorithm);
    }
    service->storage = l->storage;
    if (rc == MW_OK && (slots[S_STORAGE] != MW_NODE_NONE || !l->storage_given))
        rc = read_storage(l, slots[S_STORAGE], at_key(l, at, "storage"), &service->storage);
    bool given = slots[S_CASES] != MW_NODE_NONE || l->top[T_CASES] != MW_NODE_NONE;
    return rc != MW_OK ? rc
                       : fill_service(l, service, slots[S_ENTITIES], slots[S_CASES], given, at);
}

static enum mw_rc read_services(struct loading *l)
{
    const struct mw_tape *t = l->imp.tape;
    uint32_t node = l->top[T_SERVICES], index = 0;
    bool map = mw_node_type(t, node) == MW_NODE_OBJECT;
    if (!map && mw_node_type(t, node) != MW_NODE_ARRAY)
        return mw_keys_wrong(&l->imp, node, MW_STR("/services"),
                             "services are a list of names or objects");
    if (mw_node_count(t, node) > MW_BP_SERVICES_MAX)
        return MW_FAIL(l->imp.err, MW_E_INPUT,
                       "/services: %u services; a blueprint has at most %d (services)",
                       mw_node_count(t, node), MW_BP_SERVICES_MAX);
    for (uint32_t i = mw_node_first(t, node); i != MW_NODE_NONE;
         i = mw_node_after(t, node, i), index++) {
        struct mw_str at = map ? mw_keys_at(&l->imp, MW_STR("/services"), mw_node_str(t, i))
                               : mw_keys_index(&l->imp, MW_STR("/services"), index);
        enum mw_rc rc = one_service(l, map ? mw_node_str(t, i) : MW_STR_NONE, map ? i + 1 : i, at);
        if (rc != MW_OK)
            return rc;
    }
    if (!mw_keys_absent(&l->imp, l->top[T_ENTITIES])) {
        if (l->imp.inf->bp->service_count != 1)
            return mw_keys_wrong(&l->imp, l->top[T_ENTITIES], MW_STR("/entities"),
                                 "write them inside the service that has them");
        struct mw_bp_service *only = l->imp.inf->bp->services;
        if (only->entities != NULL &&
            only->case_count == 0) { /* the entity that was only assumed gives way */
            only->entities = NULL;
            only->entity_count = 0;
        }
        enum mw_rc rc = mw_import_entities(&l->imp, only, l->top[T_ENTITIES], MW_STR("/entities"));
        if (rc != MW_OK)
            return rc;
    }
    if (mw_keys_absent(&l->imp, l->top[T_CASES]))
        return MW_OK;
    return mw_import_cases(&l->imp, NULL, l->top[T_CASES], MW_STR("/use_cases"));
}

/* The template form: the object itself is the one service. */
static enum mw_rc read_single(struct loading *l)
{
    struct mw_str name = MW_STR_NONE;
    struct mw_bp_service *service = NULL;
    bool own = l->top[T_SERVICE_NAME] != MW_NODE_NONE;
    uint32_t node = own ? l->top[T_SERVICE_NAME] : l->top[T_NAME];
    enum mw_rc rc = mw_keys_text(&l->imp, node, own ? MW_STR("/serviceName") : MW_STR("/name"),
                                 "the service's name, or services, is needed", &name);
    if (rc == MW_OK)
        rc = add_service(l, name, MW_STR("/name"), &service);
    if (rc == MW_OK)
        rc = service_words(l, service, l->top[T_SLUG], l->top[T_DOMAIN], MW_STR_NONE);
    if (rc != MW_OK)
        return rc;
    service->storage = l->storage;
    service->algorithm = l->algorithm;
    return fill_service(l, service, l->top[T_ENTITIES], l->top[T_CASES],
                        l->top[T_CASES] != MW_NODE_NONE, MW_STR_NONE);
}

/* --- the whole --- */

static enum mw_rc read_flags(struct loading *l, uint32_t *ret_gateway_auth)
{
    const struct {
        uint32_t slot;
        const char *at, *field, *what;
    } switches[] = {
        {T_CI, "/ci", "ci", "a CI pipeline"},
        {T_DEPLOY, "/autoDeploy", "autoDeploy", "automatic deployment"},
        {T_APPROVAL, "/approvalRequired", "approvalRequired", "an approval step before release"},
        {T_MONITORING, "/monitoring", "monitoring", "monitoring or tracing"},
        {T_AUTOSCALE, "/autoscale", "autoscale", "automatic scaling"}};
    enum mw_rc rc = read_frontend(l);
    if (rc == MW_OK)
        rc = read_gateway(l, ret_gateway_auth);
    if (rc == MW_OK)
        rc = read_infrastructure(l);
    for (size_t i = 0; i < MW_COUNT(switches) && rc == MW_OK; i++)
        rc = read_switch(l, l->top[switches[i].slot], mw_str_of(switches[i].at), switches[i].field,
                         switches[i].what);
    if (rc == MW_OK)
        rc = read_features(l, l->top[T_FEATURES], MW_STR("/features"));
    return rc == MW_OK ? read_tests(l) : rc;
}

static enum mw_rc read_name(struct loading *l, struct mw_str wish)
{
    struct mw_bp *bp = l->imp.inf->bp;
    bool services = l->top[T_SERVICES] != MW_NODE_NONE || l->top[T_SERVICE_NAME] != MW_NODE_NONE;
    if (bp->services == NULL)
        return MW_FAIL(l->imp.err, MW_E_INPUT,
                       "/services: found nothing; name at least one service");
    bp->name = mw_name_pascal(bp->arena, mw_bp_base(bp->arena, bp->services->name));
    bool derived = wish.len == 0 && (!services || l->top[T_NAME] == MW_NODE_NONE);
    enum mw_rc rc = MW_OK;
    if (wish.len > 0)
        bp->name = wish;
    else if (!derived)
        rc = mw_keys_text(&l->imp, l->top[T_NAME], MW_STR("/name"), "the product's name is needed",
                          &bp->name);
    bp->slug = mw_name_slug(bp->arena, bp->name);
    if (derived)
        mw_infer_note(l->imp.inf, true, NULL, "name", mw_infer_quote(l->imp.inf, bp->name),
                      MW_STR("called after its first service"));
    if (rc == MW_OK && wish.len == 0 && !mw_keys_absent(&l->imp, l->top[T_SLUG])) {
        bp->slug = mw_node_str(l->imp.tape, l->top[T_SLUG]);
        if (!mw_name_is_slug(bp->slug))
            return mw_keys_wrong(&l->imp, l->top[T_SLUG], MW_STR("/slug"),
                                 "small letters, digits and single '-' are needed");
    }
    return rc;
}

enum mw_rc mw_blueprint_import(struct mw_infer *inf, const struct mw_tape *tape, uint32_t blueprint,
                               struct mw_str name_wish, struct mw_err *err)
{
    struct loading l = {.imp = {.inf = inf, .tape = tape, .err = err}};
    uint32_t gateway_auth = MW_NODE_NONE;
    enum mw_rc rc =
        mw_keys_read(&l.imp, blueprint, MW_STR_NONE, top_keys, MW_COUNT(top_keys), l.top, T_COUNT);
    if (rc != MW_OK)
        return rc;
    if (l.top[T_SCHEMA] != MW_NODE_NONE && mw_node_int(tape, l.top[T_SCHEMA], 0) != 1)
        return mw_keys_wrong(&l.imp, l.top[T_SCHEMA], MW_STR("/schema"), "1 is the only schema");
    bool has_services = l.top[T_SERVICES] != MW_NODE_NONE;
    l.storage_given = !mw_keys_absent(&l.imp, l.top[T_STORAGE]);
    if (l.storage_given || !has_services)
        rc = read_storage(&l, l.top[T_STORAGE], MW_STR("/storage"), &l.storage);
    if (rc == MW_OK)
        rc = read_flags(&l, &gateway_auth);
    if (rc == MW_OK)
        rc = read_top_auth(&l, gateway_auth);
    if (rc == MW_OK)
        rc = has_services ? read_services(&l) : read_single(&l);
    if (rc == MW_OK)
        rc = read_name(&l, name_wish);
    if (rc == MW_OK && !l.auth_given)
        mw_infer_note(inf, true, NULL, "auth", MW_STR("false"),
                      MW_STR("nothing is said about authentication"));
    return rc;
}
