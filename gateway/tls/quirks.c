/*
 * What mbedTLS 3.6 has no function for, or does wrongly: the only code that touches its private
 * members. Each piece names what to look at when the library changes; test_tls.c fails without it.
 */
#include "tls/internal.h"

#include <mbedtls/platform.h>
#include <string.h>

/* mbedTLS keeps the parsed chain for a resumption or renegotiation that never comes: 2 KB and more
 * a session. Its own clean-up copes with NULL. */
void tls_quirk_drop_chain(mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_session *session = ssl->MBEDTLS_PRIVATE(session);
    if (session == NULL || session->MBEDTLS_PRIVATE(peer_cert) == NULL)
        return;
    mbedtls_x509_crt_free(session->MBEDTLS_PRIVATE(peer_cert));
    mbedtls_free(session->MBEDTLS_PRIVATE(peer_cert));
    session->MBEDTLS_PRIVATE(peer_cert) = NULL;
}

/* RFC 8446 7.1: behind its Finished the server writes with the application's keys. mbedTLS changes
 * them only when the client's Finished is in, so a client that it refuses in between can't read the
 * alert ("bad record mac" instead of "certificate expired"). Nothing else is written in between,
 * and mbedTLS sets keys and counter once more at its own time, so no nonce is used twice. */
void tls_quirk_alert_keys(mbedtls_ssl_context *ssl)
{
    int state = ssl->MBEDTLS_PRIVATE(state);
    mbedtls_ssl_transform *application = ssl->MBEDTLS_PRIVATE(transform_application);
    if (application == NULL || ssl->MBEDTLS_PRIVATE(transform_out) == application ||
        (state != MBEDTLS_SSL_CLIENT_CERTIFICATE &&
         state != MBEDTLS_SSL_CLIENT_CERTIFICATE_VERIFY && state != MBEDTLS_SSL_CLIENT_FINISHED))
        return;
    ssl->MBEDTLS_PRIVATE(transform_out) = application;
    memset(ssl->MBEDTLS_PRIVATE(cur_out_ctr), 0, sizeof ssl->MBEDTLS_PRIVATE(cur_out_ctr));
}

/* Description of the alert that was read last. */
unsigned tls_quirk_alert(const mbedtls_ssl_context *ssl)
{
    const unsigned char *alert = ssl->MBEDTLS_PRIVATE(in_msg);
    return alert == NULL ? 0 : alert[1];
}

/* A TLS 1.3 client may send its alert in the clear although keys are there (mbedTLS's own does):
 * to the record layer that is garbage. Only good for words in a log; 0: it was something else. */
unsigned tls_quirk_clear_alert(const mbedtls_ssl_context *ssl)
{
    const unsigned char *record = ssl->MBEDTLS_PRIVATE(in_hdr);
    bool is_alert = record != NULL && record[0] == MBEDTLS_SSL_MSG_ALERT && record[3] == 0 &&
                    record[4] == 2 && record[5] == MBEDTLS_SSL_ALERT_LEVEL_FATAL;
    return is_alert ? record[6] : 0;
}
