/*
 * http_library.h - libmicrohttpd, loaded when the first server starts.
 *
 * It brings some twelve libraries (TLS, which a unix socket never uses), and most processes of this program serve nobody: commands,
 * agents, and the supervisor of every attempt. They would be most of their start.
 *
 * Owns:     the table of its functions, filled once. Does not: use them.
 */
#ifndef MW_HTTP_LIBRARY_H
#define MW_HTTP_LIBRARY_H

#include <microhttpd.h>
#include <stdbool.h>

#define MW_HTTP_LIBRARY "libmicrohttpd.so.12"
#define MW_HTTP_FUNCTIONS(each)                                                                    \
    each(add_response_header) each(create_response_from_buffer)                                    \
        each(create_response_from_callback) each(destroy_response) each(get_connection_info)       \
            each(get_connection_values) each(get_daemon_info) each(get_timeout)                    \
                each(lookup_connection_value) each(queue_response) each(resume_connection)         \
                    each(run) each(start_daemon) each(stop_daemon) each(suspend_connection)

struct mw_http_library {
#define MW_HTTP_MEMBER(name) __typeof__(MHD_##name) *name;
    MW_HTTP_FUNCTIONS(MW_HTTP_MEMBER)
#undef MW_HTTP_MEMBER
};
extern struct mw_http_library mhd; /* valid after mw_http_library_load was true */

/* True when the library is there with all of it. From the host's thread only. */
bool mw_http_library_load(void);

#endif
