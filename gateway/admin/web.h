/*
 * web: /metrics, /livez, /readyz and the status page, by libmicrohttpd on the admin loop.
 *
 * GET and HEAD only. Connections, memory for each and time for each request are bounded: a request
 * that isn't through after WEB_REQUEST_MS is cut off, however busily its bytes trickle.
 * Private to admin/. Threads as in control.h.
 */
#ifndef MLLPGW_ADMIN_WEB_H
#define MLLPGW_ADMIN_WEB_H

#include "admin/admin.h"

#define WEB_CONNECTIONS 64
#define WEB_CONNECTION_BYTES 16384
#define WEB_REQUEST_MS 10000

struct web;

/* address: "127.0.0.1:8080", "[::1]:8080". NULL with a sentence. */
struct web *web_new(const struct admin_gateway *gateway, struct loop *loop, const char *address,
                    char ret_error[512]);
__attribute__((warn_unused_result)) int web_start(struct web *web);
/* From here on the status page is not available: those who make it are ending. */
void web_end(struct web *web);
void web_free(struct web **web);
int web_port(const struct web *web);

#endif
