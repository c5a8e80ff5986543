/*
 * client: HTTPS requests by libcurl's multi interface on a loop.
 *
 * One client a loop: connections are kept and shared, HTTP/2 streams multiplexed. TLS >= 1.2 with
 * an explicit CA bundle, optional client certificate, pin and proxy. No redirects are followed, no
 * Expect: 100-continue, no cookies, no environment proxies. Nothing of a body or an Authorization
 * header is ever logged.
 * A request that ran out of time on a connection that has been silent since makes the following
 * ones open a new connection: HTTP/2 would go on using a dead one.
 * Ownership: an origin outlives its requests (freeing it cancels them), the client its origins.
 * Threads: the loop's own thread. http_global_init() once for the process.
 * on_done may start and cancel requests and free its origin, not the client.
 * Hazards: libcurl's 0 ms timer is a 0 ms timer here too (6x slower otherwise); a transport error
 * says nothing about whether the request arrived, except where not_sent is true.
 */
#ifndef MLLPGW_HTTP_CLIENT_H
#define MLLPGW_HTTP_CLIENT_H

#include "base/buffer.h"
#include "loop/loop.h"

#include <stdbool.h>

struct http_client;
struct http_request;

/* What requests to one origin have in common. Strings are copied. */
struct http_origin_settings {
    const char *ca_file;           /* NULL: the system's bundle */
    const char *certificate, *key; /* mutual TLS; NULL: none */
    const char *pin;               /* "sha256//…"; NULL: none */
    const char *proxy;             /* NULL: none */
    const char *proxy_username, *proxy_password;
    int64_t connect_timeout_ms;
    long maximum_connections;
};
struct http_origin;

struct http_parameters {
    struct http_origin *origin;
    const char *method; /* "POST", "GET", "PUT" */
    const char *url;
    struct span body;           /* must live until on_done or cancel */
    const char *const *headers; /* "Name: value", copied; NULL-terminated; may be NULL */
    const char *basic_username, *basic_password; /* copied; NULL: none */
    const char *answer_header; /* a header of the answer that is wanted, a literal; NULL: none */
    int64_t timeout_ms;
    size_t maximum_answer_bytes;
};

enum http_failure {
    HTTP_OK,        /* an answer came: see status */
    HTTP_RESOLVE,   /* name resolution failed */
    HTTP_CONNECT,   /* connection refused, unreachable, timed out while connecting */
    HTTP_TLS,       /* handshake, certificate or pin: the operator's fault */
    HTTP_PROXY,     /* the proxy refused (status may be 407) */
    HTTP_TIMEOUT,   /* no whole answer in time */
    HTTP_TRANSPORT, /* anything else on the wire */
    HTTP_ANSWER_TOO_LARGE,
    HTTP_INTERNAL, /* memory, bad parameters */
    HTTP_CREDENTIALS, /* of tokens: nothing was sent, the credentials are unusable: the operator's fault */
};

struct http_result {
    enum http_failure failure;
    bool not_sent;            /* for certain no byte of the request was sent to the origin */
    int status;               /* 0 when none came; the proxy's where failure is HTTP_PROXY */
    const char *content_type; /* "" when none */
    int64_t retry_after_ms;   /* 0: none; both forms of Retry-After (RFC 9110 10.2.3) */
    struct span body;
    const char *answer_header; /* the value of the wanted one (the first); NULL: not there */
    const char *words;         /* "connection refused", "HTTP 503": no content, may be logged */
    int http_version;          /* 1 or 2; 0: no answer */
    int new_connections;       /* how many were opened for this request */
};

/* Also makes jansson wipe all memory that it gives back: tokens, keys and answers of stores pass
 * through it.
 * 0; -ENOTSUP when the libcurl at hand is older than 8.14 or lacks TLS, HTTP/2 or a resolver that
 * doesn't block. Before there are threads. */
__attribute__((warn_unused_result)) int http_global_init(void);

/* 0, or -EINVAL: not an http or https URL with a host, or it holds a password. */
__attribute__((warn_unused_result)) int http_check_url(const char *url);
/* As that, and -EPERM for plain http to a host that isn't a loopback address or, if that is
 * allowed, a link-local IPv4 address (a cloud's metadata server). For URLs that secrets go to. */
__attribute__((warn_unused_result)) int http_check_secret_url(const char *url,
                                                              bool link_local_allowed);

struct http_client *http_client_new(struct loop *loop);
/* Cancels what is under way. */
void http_client_free(struct http_client **client);
struct loop *http_client_loop(const struct http_client *client);

struct http_origin *http_origin_new(struct http_client *client,
                                    const struct http_origin_settings *settings);
void http_origin_free(struct http_origin **origin);
/* For new connections; those that are there go on until their requests have ended. NULL origin: no
 * effect. Out of memory: the old password stays. */
void http_origin_set_proxy_password(struct http_origin *origin, const char *password);

/* on_done comes later, exactly once, on the loop's thread, never from inside this call; result is
 * valid during the callback. NULL when memory is out. */
struct http_request *
http_request_start(struct http_client *client, const struct http_parameters *parameters,
                   void (*on_done)(void *context, const struct http_result *result), void *context);
/* on_done won't come; nothing more is sent. */
void http_request_cancel(struct http_request **request);

#endif
