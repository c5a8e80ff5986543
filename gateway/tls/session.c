/* One connection's session: the pump between the socket and mbedTLS. */
#include "tls/internal.h"
#include "tls/tls.h"

#include <errno.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* mbedTLS asks for a record's 5 header bytes, then for its body: two system calls a record. Reading
 * ahead makes it one. What isn't asked for while a call lasts is kept by the session; large bodies
 * go straight to mbedTLS. Nothing of it is shared: sessions belong to one thread, and each call
 * ends with an empty scratch. */
enum { READ_AHEAD = 4096 };
static _Thread_local struct {
    unsigned char data[READ_AHEAD];
    size_t at, length;
} scratch;

/* Spurious WANT_READs of mbedTLS (records without data) in a row before the caller gets its turn. */
enum { EMPTY_RECORDS_MAX = 32 };

/* mbedTLS reads on by itself past records that bring nothing (TLS 1.3's ChangeCipherSpec, warnings)
 * until the socket is empty, and whoever sends faster than that would keep the thread. So what one
 * call takes off the wire is bounded; then the socket passes for empty, and the caller comes again
 * when it is its turn. */
enum { HANDSHAKE_BYTES_IN_A_CALL = 32 << 10, OPEN_BYTES_IN_A_CALL = 512 << 10 };

/* --- the socket --------------------------------------------------------------------------- */

/* TLS's first byte is 22 (handshake) or 21 (alert); plain MLLP begins with VT, HTTP with a letter. */
static bool note_first(struct tls_session *session, const unsigned char *data, size_t length)
{
    struct tls_handshake *handshake = session->handshake;
    session->heard = true;
    if (handshake == NULL)
        return true;
    for (size_t i = 0; i < length && handshake->first_count < sizeof handshake->first; i++)
        handshake->first[handshake->first_count++] = data[i];
    session->plain = session->server != NULL && handshake->first[0] != MBEDTLS_SSL_MSG_HANDSHAKE &&
                     handshake->first[0] != MBEDTLS_SSL_MSG_ALERT;
    return !session->plain;
}

static int serve(unsigned char *data, size_t size, const unsigned char *from, size_t *at,
                 size_t length)
{
    size_t count = length - *at < size ? length - *at : size;
    memcpy(data, from + *at, count);
    *at += count;
    return (int)count;
}

static int receive(struct tls_session *session, unsigned char *data, size_t size)
{
    ssize_t got;
    session->flooded =
        session->state == TLS_HANDSHAKE && session->received >= TLS_HANDSHAKE_BYTES_MAX;
    if (session->flooded)
        return MBEDTLS_ERR_SSL_INVALID_RECORD;
    session->blocked = session->received >= session->received_before + session->allowance;
    if (session->blocked)
        return MBEDTLS_ERR_SSL_WANT_READ;
    do
        got = recv(session->fd, data, size, 0);
    while (got < 0 && errno == EINTR);
    if (got >= 0) {
        session->received += (uint64_t)got;
        return (int)got; /* 0: mbedTLS makes CONN_EOF of it */
    }
    session->blocked = errno == EAGAIN;
    if (session->blocked)
        return MBEDTLS_ERR_SSL_WANT_READ;
    session->socket_error = errno;
    return MBEDTLS_ERR_NET_CONN_RESET;
}

static int bio_receive(void *context, unsigned char *data, size_t size)
{
    struct tls_session *session = context;
    int got;
    if (session->ahead != NULL) {
        got = serve(data, size, session->ahead, &session->ahead_at, session->ahead_length);
        if (session->ahead_at == session->ahead_length) {
            free(session->ahead);
            session->ahead = NULL;
        }
    } else if (scratch.at < scratch.length) {
        return serve(data, size, scratch.data, &scratch.at, scratch.length);
    } else if (size >= READ_AHEAD) {
        got = receive(session, data, size);
    } else {
        got = receive(session, scratch.data, sizeof scratch.data);
        if (got <= 0)
            return got;
        scratch.at = 0;
        scratch.length = (size_t)got;
        if (!note_first(session, scratch.data, scratch.length))
            return MBEDTLS_ERR_SSL_INVALID_RECORD;
        return serve(data, size, scratch.data, &scratch.at, scratch.length);
    }
    if (got > 0 && !note_first(session, data, (size_t)got))
        return MBEDTLS_ERR_SSL_INVALID_RECORD;
    return got;
}

static int bio_send(void *context, const unsigned char *data, size_t length)
{
    struct tls_session *session = context;
    ssize_t sent;
    do
        sent = send(session->fd, data, length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return (int)sent;
    if (errno == EAGAIN)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    session->socket_error = errno;
    return MBEDTLS_ERR_NET_CONN_RESET;
}

/* Every call into mbedTLS that may read begins here. */
static void begin_call(struct tls_session *session, uint64_t allowance)
{
    session->received_before = session->received;
    session->allowance = allowance;
}

static int keep_ahead(struct tls_session *session, const unsigned char *data, size_t length)
{
    session->ahead = malloc(length);
    if (session->ahead == NULL)
        return -ENOMEM;
    memcpy(session->ahead, data, length);
    session->ahead_at = 0;
    session->ahead_length = length;
    return 0;
}

/* And it ends here: the scratch is the thread's, not the session's. */
static void keep_scratch(struct tls_session *session)
{
    size_t left = scratch.length - scratch.at;
    if (left > 0 && session->state != TLS_BROKEN &&
        keep_ahead(session, scratch.data + scratch.at, left) < 0) {
        session->socket_error = ENOMEM;
        (void)tls_problem_stream(session, MBEDTLS_ERR_NET_CONN_RESET);
    }
    scratch.at = scratch.length = 0;
}

/* --- the peer's certificate --------------------------------------------------------------- */

static int keep_chain(struct tls_session *session, const mbedtls_x509_crt *leaf)
{
    size_t length = 0;
    for (const mbedtls_x509_crt *at = leaf; at != NULL; at = at->next)
        length += at->raw.len;
    free(session->chain);
    session->chain_length = 0;
    session->chain = malloc(length + 1); /* never of 0 bytes, which would look like no memory */
    if (session->chain == NULL)
        return -ENOMEM;
    for (const mbedtls_x509_crt *at = leaf; at != NULL; at = at->next) {
        memcpy(session->chain + session->chain_length, at->raw.p, at->raw.len);
        session->chain_length += at->raw.len;
    }
    return 0;
}

/* Comes for each certificate of the path, the leaf last. */
static int on_certificate(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct tls_session *session = context;
    struct verify *verify = &session->handshake->verify;
    int result = session->server->client == TLS_CLIENT_OPTIONAL
                     ? verify_callback_strict(verify, certificate, depth, flags)
                     : verify_callback(verify, certificate, depth, flags);
    if (depth > 0)
        return result;
    identity_free(&session->identity);
    session->identity = identity_new(certificate, verify->root);
    if (session->identity != NULL && keep_chain(session, certificate) == 0)
        return result;
    session->handshake->out_of_memory = true;
    return MBEDTLS_ERR_X509_ALLOC_FAILED;
}

/* --- life --------------------------------------------------------------------------------- */

static struct tls_session *session_new(const mbedtls_ssl_config *config, int fd)
{
    struct tls_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->fd = fd;
    mbedtls_ssl_init(&session->ssl);
    session->handshake = calloc(1, sizeof *session->handshake);
    if (session->handshake == NULL || mbedtls_ssl_setup(&session->ssl, config) != 0)
        tls_session_free(&session);
    else
        mbedtls_ssl_set_bio(&session->ssl, session, bio_send, bio_receive, NULL);
    return session;
}

struct tls_session *tls_session_new(struct tls_server *server, int fd, struct span already)
{
    struct tls_session *session = session_new(&server->config, fd);
    if (session == NULL)
        return NULL;
    session->server = tls_server_reference(server);
    verify_init(&session->handshake->verify, server->bundle);
    if (server->client != TLS_CLIENT_OFF)
        mbedtls_ssl_set_verify(&session->ssl, on_certificate, session);
    if (already.length > 0 &&
        keep_ahead(session, (const unsigned char *)already.data, already.length) < 0)
        tls_session_free(&session);
    return session;
}

struct tls_session *tls_client_session_new(struct tls_client_context *context, int fd)
{
    struct tls_session *session = session_new(&context->config, fd);
    if (session == NULL)
        return NULL;
    session->client = context;
    /* NULL switches the check of the server's name off, and says so: else 3.6 refuses. */
    if (mbedtls_ssl_set_hostname(&session->ssl, context->server_name) != 0)
        tls_session_free(&session);
    return session;
}

void tls_session_free(struct tls_session **session)
{
    struct tls_session *gone = *session;
    *session = NULL;
    if (gone == NULL)
        return;
    mbedtls_ssl_free(&gone->ssl);
    identity_free(&gone->identity);
    free(gone->handshake);
    free(gone->chain);
    free(gone->ahead);
    free(gone->problem);
    tls_server_release(&gone->server);
    free(gone);
}

/* --- the pump ----------------------------------------------------------------------------- */

static bool must_wait(struct tls_session *session, int result)
{
    session->wants_write = result == MBEDTLS_ERR_SSL_WANT_WRITE;
    return result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static int handshake_over(struct tls_session *session)
{
    /* Where no certificate is required mbedTLS goes on with a bad one; on_certificate() made that
     * fatal. Should a flag have come behind it, it counts as well. */
    if (session->identity != NULL && mbedtls_ssl_get_verify_result(&session->ssl) != 0) {
        (void)mbedtls_ssl_send_alert_message(&session->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
        return tls_problem_handshake(session, MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    }
    session->state = TLS_OPEN;
    mbedtls_ssl_set_verify(&session->ssl, NULL, NULL);
    free(session->handshake);
    session->handshake = NULL;
    tls_quirk_drop_chain(&session->ssl);
    return 0;
}

static int handshake_failed(struct tls_session *session, int result)
{
    /* Over TLS 1.2 mbedTLS leaves it at that; RFC 5246 7.4.6 wants an alert. */
    if (result == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE &&
        mbedtls_ssl_get_version_number(&session->ssl) == MBEDTLS_SSL_VERSION_TLS1_2)
        (void)mbedtls_ssl_send_alert_message(&session->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
    return tls_problem_handshake(session, result);
}

int tls_session_handshake(struct tls_session *session)
{
    if (session->state != TLS_HANDSHAKE)
        return session->state == TLS_OPEN ? 0 : -EPROTO;
    int result = 0;
    begin_call(session, HANDSHAKE_BYTES_IN_A_CALL);
    while (!mbedtls_ssl_is_handshake_over(&session->ssl)) {
        session->blocked = false;
        result = mbedtls_ssl_handshake_step(&session->ssl);
        if (session->server != NULL)
            tls_quirk_alert_keys(&session->ssl);
        if (result != 0 && (result != MBEDTLS_ERR_SSL_WANT_READ || session->blocked))
            break;
    }
    int answer = -EAGAIN;
    if (result == 0)
        answer = handshake_over(session);
    else if (!must_wait(session, result))
        answer = handshake_failed(session, result);
    keep_scratch(session);
    return answer;
}

static ssize_t read_result(struct tls_session *session, int result)
{
    if (result >= 0)
        return result;
    if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return 0;
    if (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE)
        return -EAGAIN;
    return tls_problem_stream(session, result);
}

ssize_t tls_session_read(struct tls_session *session, void *data, size_t size)
{
    if (session->state != TLS_OPEN)
        return -EPROTO;
    int result, empty = 0;
    begin_call(session, OPEN_BYTES_IN_A_CALL);
    do {
        session->blocked = false;
        result = mbedtls_ssl_read(&session->ssl, data, size);
    } while (result == MBEDTLS_ERR_SSL_WANT_READ && !session->blocked &&
             ++empty < EMPTY_RECORDS_MAX);
    ssize_t answer = read_result(session, result);
    keep_scratch(session);
    return answer;
}

/* mbedTLS has taken (and encrypted) the bytes already when it says WANT_WRITE; it wants the call
 * again with the same length, and answers that length once they are out. */
ssize_t tls_session_write(struct tls_session *session, const void *data, size_t length)
{
    if (session->state != TLS_OPEN)
        return -EPROTO;
    const unsigned char *bytes = data;
    size_t taken = 0;
    while (taken < length) {
        size_t chunk = session->unsent > 0 ? session->unsent : length - taken;
        if (chunk > length - taken)
            return -EPROTO; /* our own caller came back with less than before */
        int result = mbedtls_ssl_write(&session->ssl, bytes + taken, chunk);
        if (result > 0) {
            session->unsent = 0;
            taken += (size_t)result;
        } else if (result == MBEDTLS_ERR_SSL_WANT_WRITE) {
            session->unsent = chunk;
            break;
        } else if (result != MBEDTLS_ERR_SSL_WANT_READ) {
            return tls_problem_stream(session, result);
        }
    }
    session->wants_write = session->unsent > 0;
    return taken > 0 || length == 0 ? (ssize_t)taken : -EAGAIN;
}

void tls_session_shutdown(struct tls_session *session)
{
    if (session->state != TLS_OPEN || session->closing)
        return;
    /* The first call only flushes a record that waited; so it may take two. */
    bool waited = session->unsent > 0;
    if (mbedtls_ssl_close_notify(&session->ssl) == 0 && waited)
        (void)mbedtls_ssl_close_notify(&session->ssl);
    session->closing = true;
}

/* --- looking at it ------------------------------------------------------------------------ */

bool tls_session_wants_write(const struct tls_session *session)
{
    return session->state != TLS_BROKEN && session->wants_write;
}

bool tls_session_has_pending(const struct tls_session *session)
{
    return session->state != TLS_BROKEN &&
           (session->ahead != NULL || mbedtls_ssl_check_pending(&session->ssl) != 0);
}

uint64_t tls_session_received(const struct tls_session *session)
{
    return session->received;
}

const struct identity *tls_session_identity(const struct tls_session *session)
{
    return session->state == TLS_OPEN ? session->identity : NULL;
}

const char *tls_session_version(const struct tls_session *session)
{
    return mbedtls_ssl_get_version(&session->ssl);
}

const char *tls_session_cipher(const struct tls_session *session)
{
    const char *name = mbedtls_ssl_get_ciphersuite(&session->ssl);
    return name == NULL ? "" : name;
}

const char *tls_session_problem(const struct tls_session *session)
{
    if (session->problem != NULL)
        return session->problem;
    return session->state == TLS_BROKEN ? "memory is out" : "";
}

const char *tls_session_subject(const struct tls_session *session)
{
    return session->identity == NULL ? NULL : session->identity->subject;
}

bool tls_session_is_plain(const struct tls_session *session)
{
    return session->plain;
}

bool tls_session_is_silent(const struct tls_session *session)
{
    return !session->heard;
}

/* --- deciding again ----------------------------------------------------------------------- */

static int parse_chain(const struct tls_session *session, mbedtls_x509_crt *chain)
{
    for (size_t at = 0; at < session->chain_length;) {
        mbedtls_x509_crt *last = chain;
        /* Each certificate's own length says where the next one begins. */
        if (mbedtls_x509_crt_parse_der(chain, session->chain + at, session->chain_length - at) != 0)
            return -EINVAL;
        while (last->next != NULL)
            last = last->next;
        at += last->raw.len;
    }
    return 0;
}

int tls_session_verify_again(struct tls_session *session, struct tls_server *server,
                             char ret_reason[160])
{
    if (session->identity == NULL)
        return 0;
    struct verify verify;
    mbedtls_x509_crt chain;
    verify_init(&verify, server->bundle);
    mbedtls_x509_crt_init(&chain);
    int result = parse_chain(session, &chain);
    if (result < 0)
        snprintf(verify.reason, sizeof verify.reason, "memory is out");
    else
        result = verify_again(&verify, &chain);
    if (result == 0)
        identity_set_root(session->identity, verify.root);
    else
        snprintf(ret_reason, 160, "%s", verify.reason);
    mbedtls_x509_crt_free(&chain);
    return result == 0 ? 0 : -EACCES;
}
