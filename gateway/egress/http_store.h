/*
 * http_store: what the two files of the store of type http share.
 */
#ifndef MLLPGW_EGRESS_HTTP_STORE_H
#define MLLPGW_EGRESS_HTTP_STORE_H

#include "egress/credential.h"
#include "egress/meter.h"
#include "egress/types.h"
#include "http/client_credentials.h"

#define HTTP_STORE_DATE_BYTES 48

struct http_store {
    struct store store; /* first */
    struct meter meter;
    struct http_client *http;
    struct loop *loop;
    struct http_origin *origin;       /* NULL: made when needed */
    struct http_origin *token_origin; /* NULL: no OAuth2 */
    struct token_source *tokens;      /* NULL: no OAuth2 */
    struct token_grant *grant;        /* of tokens, which owns it */
    struct credential password, bearer, proxy_password, client_secret;
    const char **headers; /* the configured ones, then places for a request's own, then NULL */
    size_t header_count;  /* the configured ones */
    char date[HTTP_STORE_DATE_BYTES];
    int64_t date_s; /* the second that date says */
    struct list_node attempts;
};

/* http_setup.c */

/* NULL with a sentence. */
struct http_store *http_store_make(const struct config_store *config,
                                   const struct store_context *context, char ret_error[512]);
/* There are no attempts left. */
void http_store_free(struct http_store *http);
/* Takes note of secrets that have changed on disk. Cheap. */
void http_store_refresh(struct http_store *http);

#endif
