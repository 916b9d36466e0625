/* What a return code is over HTTP: its status and the body that says it. */
#include "api/api.h"

static const struct {
    enum mw_rc rc;
    unsigned status;
} status_table[] = {
    {MW_OK, 200},        {MW_E_USAGE, 400},    {MW_E_INPUT, 400},   {MW_E_DENIED, 403},
    {MW_E_MISSING, 404}, {MW_E_CONFLICT, 409}, {MW_E_TIMEOUT, 410}, {MW_E_CONFIG, 422},
    {MW_E_CORRUPT, 423}, {MW_E_LIMIT, 429},    {MW_E_FULL, 507},
};

unsigned mw_api_status_of(enum mw_rc rc)
{
    for (size_t i = 0; i < MW_COUNT(status_table); i++)
        if (status_table[i].rc == rc)
            return status_table[i].status;
    return 500;
}

void mw_api_error_body(struct mw_buf *out, enum mw_rc rc, struct mw_str message,
                       struct mw_str pointer)
{
    struct mw_json json;
    mw_json_init(&json, out);
    mw_json_object(&json);
    mw_json_kobject(&json, "error");
    mw_json_kstr(&json, "code", mw_str_of(mw_rc_name(rc)));
    mw_json_kstr(&json, "message", message);
    mw_json_kstr(&json, "pointer", pointer.ptr != NULL ? pointer : MW_STR(""));
    mw_json_object_end(&json);
    mw_json_object_end(&json);
}
