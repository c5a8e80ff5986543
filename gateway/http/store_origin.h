/*
 * store_origin: where a store's settings say that it is to be reached, for those who deliver to it and
 * for `mllpctl check --online`.
 */
#ifndef MLLPGW_HTTP_STORE_ORIGIN_H
#define MLLPGW_HTTP_STORE_ORIGIN_H

#include "config/config.h"
#include "http/client.h"

/* token: of its token endpoint, which is another party: our certificate and the store's pin are not for
 * it. NULL when memory is out. */
struct http_origin *store_origin_new(struct http_client *client, const struct config_store *config,
                                     const char *proxy_password, bool token);
/* For the metadata server and other plain http beside Google's endpoints: no proxy. Likewise. */
struct http_origin *store_origin_direct_new(struct http_client *client,
                                            const struct config_store *config);

#endif
