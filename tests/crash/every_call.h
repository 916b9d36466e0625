/*
 * every_call.h - a scene played over and over, each time with another of its calls failing, in every way in which such calls fail: those of
 * the journal's table (journal_rig.h) and those that go past it (outside_calls.h). Whoever asked hears a code that tells what to do.
 */
#ifndef MW_EVERY_CALL_H
#define MW_EVERY_CALL_H

#include "journal_rig.h"
#include "outside_calls.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct scene {
    const char *name;
    void (*before)(void); /* what is there; without faults */
    enum mw_rc (*act)(struct mw_err *err);
    enum mw_rc undisturbed; /* its answer when nothing fails */
};

static const struct {
    enum rig_fault kind; /* NO_FAULT: of a call that goes past the table */
    int error;
} every_fault[] = {
    {RIG_ERROR, EIO},
    {RIG_ERROR, ENOSPC},
    {RIG_ERROR, EINTR},
    {RIG_ERROR, EACCES},
    {RIG_ERROR, EPERM},
    {RIG_ERROR, EROFS},
    {RIG_ERROR, EEXIST},
    {RIG_ERROR, ENOENT},
    {RIG_ERROR, EDQUOT},
    {RIG_ERROR, EFBIG},
    {RIG_ERROR, EOPNOTSUPP},
    {RIG_ERROR, ENOSYS},
    {RIG_SHORT, 0},
    {RIG_DEAD, 0},
    {RIG_NO_FAULT, EIO},
    {RIG_NO_FAULT, ENOENT},
    {RIG_NO_FAULT, EINTR},
    {RIG_NO_FAULT, ENOMEM},
    {RIG_NO_FAULT, EWOULDBLOCK},
};

/* Returns how many calls failed. judge: looks at what is left, without faults; `what` names the call and the fault. */
static unsigned fail_every_call(const struct scene *scene,
                                void (*judge)(const struct scene *scene, const char *what))
{
    unsigned failed = 0;
    for (size_t f = 0; f < MW_COUNT(every_fault); f++) {
        const enum rig_fault kind = every_fault[f].kind;
        const int error = every_fault[f].error;
        bool hit = true;
        for (long at = 1; hit; at++) {
            struct mw_err err = {.text = ""};
            char what[160];
            assert_true(at < 2000);
            rig_reset(1);
            scene->before();
            rig.recording = false;
            rig_arm(kind, error, UINT32_MAX, at);
            strike_outside_at(kind == RIG_NO_FAULT ? at : 0, error);
            enum mw_rc rc = scene->act(&err);
            hit = kind == RIG_NO_FAULT ? outside.hit : rig.fault_hit;
            strike_outside_at(0, 0);
            rig_arm(RIG_NO_FAULT, 0, 0, 0);
            (void)snprintf(what, sizeof what, "call %ld: %s", at,
                           kind == RIG_SHORT  ? "short"
                           : kind == RIG_DEAD ? "killed"
                                              : strerror(error));
            /* Refused for a reason that the caller can act on, never as a mistake of its own. */
            bool known = rc == MW_OK || rc == MW_E_IO || rc == MW_E_FULL || rc == MW_E_DENIED ||
                         rc == MW_E_MISSING || rc == MW_E_CORRUPT || rc == MW_E_CONFLICT;
            if (!known || (rc != MW_OK && err.text[0] == '\0') ||
                (!hit && rc != scene->undisturbed))
                fail_msg("%s, %s: %s: %s", scene->name, what, mw_rc_name(rc), err.text);
            judge(scene, what);
            failed += hit;
        }
    }
    return failed;
}

#endif
