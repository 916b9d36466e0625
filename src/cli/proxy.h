/*
 * proxy.h - the development proxy of `up` and `preview`: one address on 127.0.0.1 for all services of an app.
 *
 * `millwright __proxy PORT SLUG=PORT…`: GET / lists the services; /SLUG/… goes to 127.0.0.1:PORT with /SLUG taken off. Says
 * {"event":"listening","port":N} on standard output, and ends when standard input closes, so it never outlives who started it.
 *
 * Owns:     framing of requests, limits, one request a connection. Does not: look into bodies or tokens, cache, speak TLS.
 * Limits:   named below. Refused: both Content-Length and Transfer-Encoding, two lengths, bare CR or LF in the head, an unknown service.
 */
#ifndef MW_CLI_PROXY_H
#define MW_CLI_PROXY_H

#include "base/str.h"

#define MW_PROXY_HEAD_BYTES_MAX (64u * 1024)
#define MW_PROXY_BODY_BYTES_MAX (64u * 1024 * 1024)
#define MW_PROXY_CONNECTIONS_MAX 256u
#define MW_PROXY_SERVICES_MAX 64u
#define MW_PROXY_IDLE_MS 60000
#define MW_PROXY_HEAD_MS 10000

int mw_proxy_main(int argc, char **argv);

#endif
