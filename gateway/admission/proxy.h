/*
 * proxy: PROXY protocol v1 and v2 headers. Pure, bounded (107 bytes v1; 16 + 65535 bytes v2, of
 * which at most PROXY_MAXIMUM are taken).
 * Source: the PROXY protocol, HAProxy Technologies, 2020/03/05 (sections 2.1, 2.2).
 */
#ifndef MLLPGW_ADMISSION_PROXY_H
#define MLLPGW_ADMISSION_PROXY_H

#include "base/span.h"

#include <sys/socket.h>

#define PROXY_MAXIMUM 536

enum proxy_result {
    PROXY_COMPLETE,
    PROXY_NEED_MORE,
    PROXY_LOCAL, /* LOCAL / UNKNOWN: the proxy's own health check: no address; *ret_used is set */
    PROXY_INVALID,
    PROXY_MISSING, /* the bytes can't be the start of a header */
};

/* data: what has come so far from the start. ret_used: the header's length. */
enum proxy_result proxy_parse(struct span data, struct sockaddr_storage *ret_source,
                              struct sockaddr_storage *ret_destination, size_t *ret_used);

#endif
