/*
 * internal: what the files of this folder share. Nobody else includes it.
 */
#ifndef MLLPGW_TLS_INTERNAL_H
#define MLLPGW_TLS_INTERNAL_H

#include "certs/verify.h"
#include "tls/tls.h"

#include <mbedtls/ssl.h>

struct tls_server {
    mbedtls_ssl_config config;
    struct bundle *bundle;
    enum tls_client client;
    int references; /* atomic */
};

struct tls_client_context {
    mbedtls_ssl_config config;
    mbedtls_x509_crt chain, roots;
    mbedtls_pk_context key;
    char *server_name;
};

enum tls_state {
    TLS_HANDSHAKE, /* until mbedTLS says that it is over */
    TLS_OPEN,      /* bytes go both ways */
    TLS_BROKEN     /* problem says why; nothing more may be called on mbedTLS */
};

/* All that a handshake may take off the wire. mbedTLS takes no handshake message over 16 KiB, and a peer
 * has two or three to send, so this leaves room for one that sends them in very small records. */
#define TLS_HANDSHAKE_BYTES_MAX ((uint64_t)128 << 10)

/* Only while the handshake lasts. */
struct tls_handshake {
    struct verify verify;
    bool out_of_memory;
    unsigned char first[11]; /* of the peer: record header, ClientHello's header and version */
    size_t first_count;
};

struct tls_session {
    mbedtls_ssl_context ssl;
    struct tls_server *server;         /* one of these two */
    struct tls_client_context *client; /* the caller's */
    int fd;
    int socket_error; /* errno of the last failed call, positive */
    enum tls_state state;
    bool wants_write, plain, heard, closing;
    bool blocked; /* the socket is empty, or the call has read its share */
    bool flooded; /* the handshake has read its share */
    /* Bytes off the wire: all, those before this call, and how many this call may add. */
    uint64_t received, received_before, allowance;
    struct tls_handshake *handshake;
    struct identity *identity;
    /* The peer's certificates as they came (DER, one behind the other), for verify_again. */
    unsigned char *chain;
    size_t chain_length;
    /* Bytes read from the socket that mbedTLS hasn't asked for yet. */
    unsigned char *ahead;
    size_t ahead_at, ahead_length;
    size_t unsent; /* length of the write that mbedTLS wants repeated */
    char *problem;
};

/* Sentences for the session's problem; each ends the session (TLS_BROKEN) and answers the errno that the
 * caller passes on. */
int tls_problem_handshake(struct tls_session *session, int error);
int tls_problem_stream(struct tls_session *session, int error);

/* quirks.c: private members of mbedTLS */
void tls_quirk_drop_chain(mbedtls_ssl_context *ssl);
void tls_quirk_alert_keys(mbedtls_ssl_context *ssl);
unsigned tls_quirk_alert(const mbedtls_ssl_context *ssl);
unsigned tls_quirk_clear_alert(const mbedtls_ssl_context *ssl);

#endif
