/*
 * planted_crash.c - the program as it is, but for two words that end it: linked in place of two functions of the core, for the tests of P08.
 * A request whose body holds PILL-TO-DECIDE ends the process while it is decided, a record that holds PILL-TO-REPLAY while it is replayed.
 */
#include "core/core.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

void __real_mw_core_step(struct mw_core *core, const struct mw_request *request,
                         struct mw_buf *frame, struct mw_step_result *ret_result);
enum mw_rc __real_mw_core_replay(struct mw_core *core, struct mw_str line, struct mw_err *err);
void __wrap_mw_core_step(struct mw_core *core, const struct mw_request *request,
                         struct mw_buf *frame, struct mw_step_result *ret_result);
enum mw_rc __wrap_mw_core_replay(struct mw_core *core, struct mw_str line, struct mw_err *err);

static void end_at(struct mw_str text, const char *word)
{
    if (text.len > 0 && memmem(text.ptr, text.len, word, strlen(word)) != NULL)
        (void)kill(getpid(), SIGKILL);
}

void __wrap_mw_core_step(struct mw_core *core, const struct mw_request *request,
                         struct mw_buf *frame, struct mw_step_result *ret_result)
{
    const struct mw_tape *body = request->body;
    if (body != NULL && body->count > 0)
        end_at(body->nodes[request->body_node].text, "PILL-TO-DECIDE");
    __real_mw_core_step(core, request, frame, ret_result);
}

enum mw_rc __wrap_mw_core_replay(struct mw_core *core, struct mw_str line, struct mw_err *err)
{
    end_at(line, "PILL-TO-REPLAY");
    return __real_mw_core_replay(core, line, err);
}
