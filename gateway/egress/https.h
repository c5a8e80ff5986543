/*
 * https: what the stores behind HTTPS (http, google) share.
 *
 * An attempt sends the message's parts one after the other, one POST each, with a bearer token where
 * the store wants one. A 401 is tried once more at once when there is a newer token to try it with.
 * What is sent, and what an answer means, is the kind's. So is what it adds to its struct, which
 * begins with a struct https_store.
 * Threads: the delivery thread.
 */
#ifndef MLLPGW_EGRESS_HTTPS_H
#define MLLPGW_EGRESS_HTTPS_H

#include "egress/credential.h"
#include "egress/hl7_answer.h"
#include "egress/meter.h"
#include "egress/parts.h"
#include "egress/types.h"
#include "egress/utf8_part.h"
#include "http/token.h"

struct https_attempt;
struct https_store;

/* What a request is made of; all of it stays until the attempt goes on or ends. */
struct https_request {
    const char *url;
    struct span body;
    const char *basic_username, *basic_password; /* NULL: none */
};

struct https_kind {
    size_t headers; /* most that prepare() writes */
    /* Takes note of secrets that have changed on disk; cheap. now: whenever it was done last. */
    void (*refresh)(struct https_store *https, bool now);
    /* The bearer token of a store without a token source; NULL: none. May be NULL. */
    const char *(*bearer)(const struct https_store *https);
    /* The request for the part at attempt->index; its own headers into headers, how many into
     * *ret_count. False: nothing can be sent, for the reason in ret_verdict. */
    bool (*prepare)(struct https_attempt *attempt, struct https_request *ret_request,
                    const char **headers, size_t *ret_count, struct verdict *ret_verdict);
    void (*judge)(const struct https_attempt *attempt, const struct http_result *result,
                  struct verdict *ret_verdict);
    void (*free)(struct https_store *https); /* there are no attempts left */
};

struct https_store {
    struct store store; /* first */
    const struct https_kind *kind;
    struct meter meter;
    struct http_client *http;
    struct loop *loop;
    struct http_origin *origin;
    struct http_origin *token_origin; /* NULL: no tokens */
    struct token_source *tokens;      /* NULL: no tokens */
    struct credential proxy_password;
    const char **headers; /* the configured ones, then places for a request's own, then NULL */
    size_t header_count;  /* the configured ones */
    struct list_node attempts;
};

struct https_attempt {
    struct store_attempt attempt; /* first */
    struct list_node node;        /* in https_store.attempts */
    struct https_store *https;
    struct message *message;
    struct parts parts;
    size_t index;                    /* of the part that is on its way */
    struct store_progress *progress; /* the caller's, or own_progress */
    struct store_progress own_progress;
    int64_t deadline_ms; /* monotonic; 0: none */
    int64_t started_ns;  /* of the request */
    struct http_request *request;
    char *body;            /* the kind's, for the request; free()d with the part */
    struct utf8_part utf8; /* the kind's, where the store takes only that; likewise */
    struct token_waiter waiter;
    char *authorization; /* the header with the token that the request carries; NULL: none */
    bool tried_again;
    struct deferred deferred;
    struct verdict verdict; /* for deferred */
    void (*on_done)(void *context, struct verdict *verdict);
    void *context;
};

/* https.c */

extern const struct store_operations https_operations;

/* The part that is on its way; with its MSH-10 (of a batch as a whole: the message's). */
struct span https_attempt_part(const struct https_attempt *attempt);
struct hl7_sent https_attempt_sent(const struct https_attempt *attempt);
/* May the part be at the store already, by an earlier attempt whose outcome is not known? */
bool https_attempt_in_doubt(const struct https_attempt *attempt);

/* https_setup.c */

/* Everything that the settings of all kinds say: origin, headers, secrets. https is zeroed. 0, or negative
 * with a sentence; https_close() also then. */
__attribute__((warn_unused_result)) int https_open(struct https_store *https,
                                                   const struct https_kind *kind,
                                                   const struct config_store *config,
                                                   const struct store_context *context,
                                                   char ret_error[512]);
void https_close(struct https_store *https);
/* With it tokens are asked for: the store's CA and proxy, but not its pin and our certificate. */
__attribute__((warn_unused_result)) int https_open_token_origin(struct https_store *https,
                                                                const struct config_store *config);
/* Secrets of all kinds, and the kind's own. */
void https_refresh(struct https_store *https, bool now);

#endif
