/*
 * tls: the only folder that calls mbedTLS's TLS API (its 4.x successor changes it).
 *
 * struct tls_server is an immutable snapshot (protocol settings made from a certs/ bundle), shared
 * by all threads and reference-counted. struct tls_session is one connection's and belongs to one
 * thread. The session reads and writes its socket itself (non-blocking); the caller waits for what
 * tls_session_wants() says.
 *
 * Hazards: after WANT_READ/WRITE a call is repeated with the same arguments; decrypted bytes may
 * wait inside although the socket is not readable: read until -EAGAIN. TLS 1.3 tickets, PSK modes
 * and every cache are off: resumption would lose the client's identity (facts/dependencies.md).
 */
#ifndef MLLPGW_TLS_TLS_H
#define MLLPGW_TLS_TLS_H

#include "base/span.h"
#include "certs/bundle.h"
#include "certs/identity.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum tls_client { TLS_CLIENT_REQUIRED, TLS_CLIENT_OPTIONAL, TLS_CLIENT_OFF };

struct tls_server;
struct tls_session;

/* psa_crypto_init() once for the process, before any thread. 0 or -EIO. */
__attribute__((warn_unused_result)) int tls_global_init(void);

/* Takes its own reference of the bundle. NULL with a sentence in ret_error. */
struct tls_server *tls_server_new(struct bundle *bundle, enum tls_client client,
                                  char ret_error[256]);
struct tls_server *tls_server_reference(struct tls_server *server);
void tls_server_release(struct tls_server **server);
const struct bundle *tls_server_bundle(const struct tls_server *server);

/* already: bytes read from the socket before TLS began (behind a PROXY header); copied.
 * fd stays the caller's. NULL when memory is out. */
struct tls_session *tls_session_new(struct tls_server *server, int fd, struct span already);
void tls_session_free(struct tls_session **session);

/* 0: done. -EAGAIN: see wants; or enough for one call, though the socket has more. A peer that has sent
 * 128 KiB and isn't done by then is refused (-EPROTO). -EACCES: the client's certificate was refused. -EPROTO: anything
 * else in the handshake. -ECONNRESET: the peer went away. After an error tls_session_problem()
 * says why in words and the alert, where one is due, has been given to the socket. */
__attribute__((warn_unused_result)) int tls_session_handshake(struct tls_session *session);

/* Bytes (> 0), 0: the peer ended the stream (close_notify or TCP FIN), -EAGAIN, -EPROTO, -ECONNRESET.
 * -EAGAIN may also mean enough for one call: 512 KiB of records without data, and the socket has more. */
ssize_t tls_session_read(struct tls_session *session, void *data, size_t size);
/* Bytes taken (may be fewer than length), -EAGAIN, -EPROTO, -ECONNRESET, -EPIPE. After -EAGAIN or
 * a short count come again with the same bytes, at the first one not taken; more may follow them. */
ssize_t tls_session_write(struct tls_session *session, const void *data, size_t length);
/* Sends close_notify if the socket takes it at once; never waits. */
void tls_session_shutdown(struct tls_session *session);

bool tls_session_wants_write(const struct tls_session *session);
/* Decrypted or buffered bytes wait inside. */
bool tls_session_has_pending(const struct tls_session *session);
/* Bytes read from the socket so far: what the peer's records cost, however little is in them. */
uint64_t tls_session_received(const struct tls_session *session);

/* The client's identity after the handshake; NULL when no certificate came. The session's own. */
const struct identity *tls_session_identity(const struct tls_session *session);
/* "TLSv1.3", "TLS1-3-AES-256-GCM-SHA384" */
const char *tls_session_version(const struct tls_session *session);
const char *tls_session_cipher(const struct tls_session *session);
/* Why the handshake failed or the session broke, in words; "" when it didn't. Holds the
 * certificate's subject apart (NULL where none came). No message content. */
const char *tls_session_problem(const struct tls_session *session);
const char *tls_session_subject(const struct tls_session *session);
/* The handshake failed because the peer's first bytes were no TLS (plain MLLP, HTTP, ...). */
bool tls_session_is_plain(const struct tls_session *session);
/* Not a single byte came from the peer: a load balancer's probe, not worth a log line. */
bool tls_session_is_silent(const struct tls_session *session);
/* The first bytes were no TLS record: the client spoke MLLP, HTTP or something else in clear. */
bool tls_session_is_plain(const struct tls_session *session);

/* Is the client's certificate still good by (another) server snapshot? 0, or -EACCES with the
 * reason in ret_reason. No certificate: 0. The identity's root becomes the one found now; the
 * session keeps its own snapshot. */
__attribute__((warn_unused_result)) int tls_session_verify_again(struct tls_session *session,
                                                                 struct tls_server *server,
                                                                 char ret_reason[160]);

/* The client's side (mllpctl send, tests): chain may be NULL files; server_name is checked. */
struct tls_client_settings {
    const char *certificate, *key; /* NULL: no client certificate */
    const char *ca;                /* required */
    const char *server_name;       /* checked against the server's SAN (dNSName or iPAddress) */
};
struct tls_client_context;
struct tls_client_context *tls_client_new(const struct tls_client_settings *settings,
                                          char ret_error[256]);
void tls_client_free(struct tls_client_context **context);
/* As tls_session_new, for the client's role; all tls_session_ functions work on it. */
struct tls_session *tls_client_session_new(struct tls_client_context *context, int fd);

#endif
