/*
 * private: what the files of this folder share; nobody else includes it.
 *
 *   client ── origins ── connections (a libcurl multi handle, its sockets, its timer) ── requests
 *
 * An origin has one current set of connections. When a request runs out of time on one that has
 * gone silent, the set is retired: its other requests end there, new ones get a new set.
 * A request's libcurl handle is configured once for its origin and used again and again: only URL,
 * headers, body and time-out change (curl_easy_reset() and 30 options each time cost more).
 * Our callers' functions never run inside libcurl's, so starting and cancelling is always allowed.
 * Threads: the loop's.
 */
#ifndef MLLPGW_HTTP_PRIVATE_H
#define MLLPGW_HTTP_PRIVATE_H

#include "http/client.h"

#include <curl/curl.h>

struct http_client {
    struct loop *loop;
    struct list_node origins;
};

/* With so many connections at most (HTTP/2 needs one or two) requests are sent together. */
#define HTTP_CORKED_MAXIMUM 8

/* One multi handle. */
struct http_connections {
    struct list_node node; /* in http_origin.connections */
    struct http_origin *origin;
    CURLM *multi;
    struct timer timer;
    bool broken; /* a callback failed: libcurl fails all that is on the multi, once it is run */
    struct list_node sockets;                /* that libcurl waits for now */
    curl_socket_t made[HTTP_CORKED_MAXIMUM]; /* that are open, up to so many */
    size_t made_count;
    struct list_node requests;
    int64_t last_answer_ms; /* monotonic: when something last came back whole */
};

struct http_origin {
    struct list_node node;
    struct http_client *client; /* NULL once the client is gone */
    char *ca_file, *certificate, *key, *pin, *proxy, *proxy_username, *proxy_password;
    int64_t connect_timeout_ms;
    long maximum_connections;
    struct list_node connections;
    struct http_connections *current; /* NULL: made when needed */
    struct list_node idle;            /* requests to use again */
    unsigned idle_count;
    unsigned version;     /* counts changes of the settings above */
    unsigned dispatching; /* on_done is on the stack */
    bool dead;            /* free when dispatching is 0 */
};

struct http_request {
    struct list_node node; /* in http_connections.requests or http_origin.idle */
    struct http_origin *origin;
    struct http_connections *connections;
    CURL *easy;
    unsigned version; /* of the origin's settings that easy has */
    void (*on_done)(void *context, const struct http_result *result);
    void *context;
    int64_t started_ms;
    const char *answer_header;
    char *url;             /* the one that easy has */
    struct buffer headers; /* the list that easy points to, nodes and texts */
    struct buffer answer;
    bool reached_sending; /* a connection was there and libcurl was about to write to it */
    bool too_large;
    char error[CURL_ERROR_SIZE];
    char words[96];
};

/* multi.c */
struct http_connections *http_connections_new(struct http_origin *origin);
void http_connections_free(struct http_connections **connections);
/* Frees those that were retired and whose requests have ended. Not from inside a dispatch. */
void http_connections_sweep(struct http_origin *origin);

void http_connections_socket_made(struct http_connections *connections, curl_socket_t fd);
void http_connections_socket_closed(struct http_connections *connections, curl_socket_t fd);

/* request.c */
void http_request_finish(struct http_request *request, CURLcode code);
void http_request_drop(struct http_request *request);
void http_request_free(struct http_request **request);

/* options.c: what a handle keeps over all its requests. */
__attribute__((warn_unused_result)) int http_options_apply(struct http_request *request);

/* What libcurl says about a transfer that has ended. */
struct http_ending {
    CURLcode code;
    bool reached_sending;
    bool too_large;
    int status;
    int proxy_status;
    int os_error;
    long verify_result; /* OpenSSL's X509_V_ERR_… */
    const char *error;  /* libcurl's text: looked at for known alerts, never passed on */
};
/* classify.c: failure, not_sent, status and words (which fit into 96 bytes). Pure. */
void http_classify(const struct http_ending *ending, struct http_result *result, char words[96]);

#endif
