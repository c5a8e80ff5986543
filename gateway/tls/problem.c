/* Why a session failed, in words that an engineer can act on. No message content. */
#include "tls/internal.h"

#include "certs/pem.h"

#include <errno.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct tls_session *session, int answer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct tls_session *session, int answer, const char *format, ...)
{
    char text[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    free(session->problem);
    session->problem = strdup(text);
    session->state = TLS_BROKEN;
    return answer;
}

static const char *peer_of(const struct tls_session *session)
{
    return session->server != NULL ? "the client" : "the server";
}

/* --- alerts ------------------------------------------------------------------------------- */

static const struct {
    unsigned char number;
    bool about_certificate;
    const char *name;
} alerts[] = {
    {MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE, false, "unexpected_message"},
    {MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC, false, "bad_record_mac"},
    {MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW, false, "record_overflow"},
    {MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE, false, "handshake_failure"},
    {MBEDTLS_SSL_ALERT_MSG_NO_CERT, true, "no_certificate"},
    {MBEDTLS_SSL_ALERT_MSG_BAD_CERT, true, "bad_certificate"},
    {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, true, "unsupported_certificate"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED, true, "certificate_revoked"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, true, "certificate_expired"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, true, "certificate_unknown"},
    {MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER, false, "illegal_parameter"},
    {MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, true, "unknown_ca"},
    {MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED, true, "access_denied"},
    {MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR, false, "decode_error"},
    {MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR, false, "decrypt_error"},
    {MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, false, "protocol_version"},
    {MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY, false, "insufficient_security"},
    {MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR, false, "internal_error"},
    {MBEDTLS_SSL_ALERT_MSG_INAPROPRIATE_FALLBACK, false, "inappropriate_fallback"},
    {MBEDTLS_SSL_ALERT_MSG_USER_CANCELED, false, "user_canceled"},
    {MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME, false, "unrecognized_name"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_REQUIRED, true, "certificate_required"},
};

static int explain_alert(struct tls_session *session, unsigned number)
{
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
        if (alerts[i].number != number)
            continue;
        if (alerts[i].number == MBEDTLS_SSL_ALERT_MSG_CERT_REQUIRED)
            return fail(session, -EPROTO, "%s wants a certificate (alert %s)", peer_of(session),
                        alerts[i].name);
        return fail(session, -EPROTO, "%s %s (alert %s)", peer_of(session),
                    alerts[i].about_certificate ? "refused our certificate" : "gave up",
                    alerts[i].name);
    }
    return fail(session, -EPROTO, "%s gave up (alert %u)", peer_of(session), number);
}

/* --- the handshake ------------------------------------------------------------------------ */

static int explain_plain(struct tls_session *session)
{
    unsigned char first = session->handshake->first[0];
    const char *what = NULL;
    if (first == 0x0b)
        what = "plain MLLP";
    else if (first == 'M' || first == 'F' || first == 'B')
        what = "plain HL7 without MLLP";
    else if (first == 'S')
        what = "SSH or plain text";
    else if (first >= 'A' && first <= 'Z')
        what = "plain HTTP";
    if (what != NULL)
        return fail(session, -EPROTO, "the client spoke %s, not TLS", what);
    return fail(session, -EPROTO, "the client spoke something else than TLS (first byte 0x%02x)",
                first);
}

static const char *version_name(unsigned minor)
{
    static const char *const names[] = {"SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2"};
    return minor < sizeof names / sizeof names[0] ? names[minor] : "an unknown version";
}

static int explain_version(struct tls_session *session)
{
    const struct tls_handshake *handshake = session->handshake;
    if (session->server == NULL)
        return fail(session, -EPROTO, "the server takes neither TLS 1.2 nor 1.3");
    bool only_13 = session->server->bundle->profile == BUNDLE_TLS13;
    /* RFC 5246: the version in the ClientHello is the highest; 1.3 hides behind 1.2's. */
    const char *offered = handshake->first_count == sizeof handshake->first
                              ? version_name(handshake->first[10])
                              : "an old version";
    return fail(session, -EPROTO, "the client offers at most %s; this listener takes %s", offered,
                only_13 ? "TLS 1.3 only" : "TLS 1.2 and 1.3");
}

static int explain_client_certificate(struct tls_session *session)
{
    struct verify *verify = &session->handshake->verify;
    if (session->handshake->out_of_memory)
        return fail(session, -EPROTO, "memory is out");
    verify_explain(verify, mbedtls_ssl_get_verify_result(&session->ssl));
    return fail(session, -EACCES, "the client's certificate is refused: %s",
                verify->reason[0] == '\0' ? "it can't be checked" : verify->reason);
}

static int explain_server_certificate(struct tls_session *session)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&session->ssl);
    struct verify verify = {0};
    const char *name = session->client->server_name;
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
        return fail(session, -EACCES,
                    "the server's certificate is signed by a CA that is not in the CA file");
    if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
        return fail(session, -EACCES, "the server's certificate is not for \"%.100s\"",
                    name == NULL ? "" : name);
    verify_explain(&verify, flags);
    return fail(session, -EACCES, "the server's certificate is refused: %s", verify.reason);
}

static bool is_x509(int error)
{
    int code = -error & 0xff80; /* the high-level part */
    return code >= 0x2080 && code <= 0x2980;
}

static int explain_gone(struct tls_session *session, const char *when)
{
    const char *why =
        session->socket_error == 0 ? "it closed the connection" : strerror(session->socket_error);
    return fail(session, session->socket_error == EPIPE ? -EPIPE : -ECONNRESET,
                "%s went away%s: %s", peer_of(session), when, why);
}

static int explain_other(struct tls_session *session, int error, const char *what)
{
    char why[160];
    pem_mbedtls_error(error, why, sizeof why);
    return fail(session, -EPROTO, "%s: %s", what, why);
}

int tls_problem_handshake(struct tls_session *session, int error)
{
    char why[160];
    bool server = session->server != NULL;
    if (session->plain)
        return explain_plain(session);
    if (session->flooded)
        return fail(session, -EPROTO, "%s sent %u KiB and the handshake is still not over",
                    peer_of(session), (unsigned)(TLS_HANDSHAKE_BYTES_MAX >> 10));
    switch (error) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return explain_alert(session, tls_quirk_alert(&session->ssl));
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        return fail(session, -EACCES, "the client sent no certificate");
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        return explain_version(session);
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
        return fail(session, -EPROTO,
                    "no cipher suite, group or signature algorithm in common with %s",
                    peer_of(session));
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_NET_CONN_RESET:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return explain_gone(session, session->heard ? " in the middle of the handshake"
                                                    : " before the handshake began");
    case MBEDTLS_ERR_SSL_INVALID_MAC:
        if (tls_quirk_clear_alert(&session->ssl) != 0)
            return explain_alert(session, tls_quirk_clear_alert(&session->ssl));
        break;
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
    case MBEDTLS_ERR_X509_FATAL_ERROR:
        return server ? explain_client_certificate(session) : explain_server_certificate(session);
    default:
        break;
    }
    if (session->handshake->out_of_memory)
        return fail(session, -EPROTO, "memory is out");
    if (server && session->handshake->verify.reason[0] != '\0')
        return explain_client_certificate(session);
    if ((-error & 0xff80) == -MBEDTLS_ERR_X509_INVALID_EXTENSIONS)
        return fail(session, -EACCES,
                    "%s's certificate, or a CA's that came with it, has a critical extension that "
                    "is not supported (name constraints are, in a root of ours)",
                    peer_of(session));
    if (is_x509(error)) {
        pem_mbedtls_error(error, why, sizeof why);
        return fail(session, -EACCES, "%s's certificate cannot be read: %s", peer_of(session), why);
    }
    return explain_other(session, error, "the TLS handshake failed");
}

/* --- afterwards --------------------------------------------------------------------------- */

int tls_problem_stream(struct tls_session *session, int error)
{
    switch (error) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return explain_alert(session, tls_quirk_alert(&session->ssl));
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_NET_CONN_RESET:
        return explain_gone(session, "");
    default:
        return explain_other(session, error, "the TLS stream broke");
    }
}
