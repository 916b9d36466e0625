/*
 * render_words.h - a name in another spelling: SendNotification, send-notification, SEND_NOTIFICATION.
 *
 * Words end where a capital follows a small letter or digit, where the last capital of several begins a word (JWTAuth: jwt, auth), and at
 * everything that is neither ASCII letter nor digit. Bytes of other scripts count as letters without case.
 */
#ifndef MW_RENDER_WORDS_H
#define MW_RENDER_WORDS_H

#include "base/buf.h"

enum mw_render_words_style {
    MW_RENDER_WORDS_KEBAB,  /* send-notification */
    MW_RENDER_WORDS_SNAKE,  /* send_notification */
    MW_RENDER_WORDS_CAMEL,  /* sendNotification */
    MW_RENDER_WORDS_PASCAL, /* SendNotification */
    MW_RENDER_WORDS_TITLE,  /* Send Notification */
    MW_RENDER_WORDS_UPPER,  /* SEND_NOTIFICATION */
    MW_RENDER_WORDS_LOWER,  /* send notification */
    MW_RENDER_WORDS_STYLE_COUNT
};

struct mw_str mw_render_words_style_name(enum mw_render_words_style style); /* "kebab" … */
void mw_render_words_put(struct mw_buf *out, struct mw_str text, enum mw_render_words_style style);

#endif
