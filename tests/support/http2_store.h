/*
 * http2_store: runs tests/support/http2_store.mjs (its header comment has the answers that it can
 * give) with a PKI of certs/make_pki, for the tests of one program.
 *
 * Ownership: everything lies in one temporary directory, removed by http2_store_stop().
 */
#ifndef MLLPGW_TESTS_SUPPORT_HTTP2_STORE_H
#define MLLPGW_TESTS_SUPPORT_HTTP2_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct http2_store {
    char directory[64];               /* the PKI is in it */
    char requests[96];                /* NNNN.json and NNNN.body */
    int port, proxy_port, plain_port; /* plain_port: without TLS, where there is one */
    pid_t pid;
    int input; /* closing it ends the server */
};

/* The PKI alone; test_data: MLLPGW_TEST_DATA. False when openssl or the script fail. */
bool http2_store_make_pki(struct http2_store *store, const char *test_data);
/* options: more arguments for the server, NULL-terminated. "@ca.pem" stands for that file of the
 * PKI. False when node is missing (the caller skips, and says so) or the server doesn't start. */
bool http2_store_start(struct http2_store *store, const char *test_data,
                       const char *const *options);
/* tests/support/google_store.mjs instead, whose credential files are put into the directory. */
bool http2_store_start_google(struct http2_store *store, const char *test_data,
                              const char *const *options);
/* nginx instead, by tests/support/nginx_store: a real server that answers everything with 204 and
 * keeps no record but, with "--bodies", the bodies. False when it is missing. */
bool http2_store_start_nginx(struct http2_store *store, const char *test_data,
                             const char *const *options);
/* The server alone; the directory stays. */
void http2_store_end(struct http2_store *store);
void http2_store_stop(struct http2_store *store);

/* A file of the PKI; the text is good for 32 more calls of these two. */
const char *http2_store_file(const struct http2_store *store, const char *name);
/* "https://localhost:PORT/NAME?steps=STEPS"; likewise. */
const char *http2_store_url(const struct http2_store *store, const char *name, const char *steps);
/* How many requests have been recorded. */
unsigned http2_store_requests(const struct http2_store *store);
/* The recorded request (from 1) as text: "json" or "body"; NULL when it isn't there. free() it. */
char *http2_store_request(const struct http2_store *store, unsigned number, const char *kind,
                          size_t *ret_length);

#endif
