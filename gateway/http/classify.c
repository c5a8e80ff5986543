/* From libcurl's codes to what the rest of the gateway needs to know: see enum http_failure. */
#include "http/private.h"

#include <errno.h>
#include <stdio.h>

/* X509_V_ERR_… of OpenSSL's x509_vfy.h; the numbers are part of its ABI. */
static const char *http_verify_words(long verify_result)
{
    switch (verify_result) {
    case 9:
        return "the server's certificate is not valid yet";
    case 10:
        return "the server's certificate has expired";
    case 18:
    case 19:
        return "the server's certificate is self-signed and not in the CA file";
    case 2:
    case 20:
    case 21:
        return "the server's certificate does not chain to the CA file";
    case 23:
        return "the server's certificate is revoked";
    case 62:
    case 64:
        return "the server's certificate is for another name";
    default:
        return NULL;
    }
}

/* The server's alert: with TLS 1.3 it may come after our first request bytes, as a read error. */
static const struct {
    const char *libcurl, *words;
} http_alerts[] = {
    {"alert certificate required", "the server demands a client certificate"},
    {"alert bad certificate", "the server refused our certificate"},
    {"alert unsupported certificate", "the server refused our certificate"},
    {"alert certificate revoked", "the server says that our certificate is revoked"},
    {"alert certificate expired", "the server says that our certificate has expired"},
    {"alert certificate unknown", "the server refused our certificate"},
    {"alert unknown ca", "the server does not know the CA of our certificate"},
    {"alert access denied", "the server refused our certificate"},
    {"alert handshake failure", "the server ended the TLS handshake"},
    {"alert protocol version", "the server speaks no TLS version that is allowed"},
    {"alert unrecognized name", "the server does not know its name in the URL"},
};

static const char *http_alert_words(const char *error)
{
    for (size_t i = 0; i < sizeof(http_alerts) / sizeof(http_alerts[0]); i++) {
        if (strstr(error, http_alerts[i].libcurl) != NULL)
            return http_alerts[i].words;
    }
    return NULL;
}

static const char *http_tls_words(const struct http_ending *ending)
{
    const char *words = http_alert_words(ending->error);

    if (words != NULL)
        return words;
    switch (ending->code) {
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return "the server's public key is not the pinned one";
    case CURLE_SSL_CACERT_BADFILE:
        return "the CA file cannot be read";
    case CURLE_SSL_CERTPROBLEM:
        return "our certificate or key cannot be used";
    case CURLE_PEER_FAILED_VERIFICATION:
        words = http_verify_words(ending->verify_result);
        return words != NULL ? words : "the server's certificate is for another name";
    default:
        words = http_verify_words(ending->verify_result);
        return words != NULL ? words : "TLS handshake failed";
    }
}

static bool http_is_tls(const struct http_ending *ending)
{
    switch (ending->code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_INITFAILED:
        return true;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return http_alert_words(ending->error) != NULL;
    default:
        return false;
    }
}

static const char *http_connect_words(int os_error)
{
    switch (os_error) {
    case ECONNREFUSED:
        return "connection refused";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "no route to the host";
    case ECONNRESET:
        return "connection reset while connecting";
    case EACCES:
    case EPERM:
        return "connecting is not permitted here";
    default:
        return "cannot connect";
    }
}

static enum http_failure http_failure_of(const struct http_ending *ending, const char **ret_words)
{
    /* A handshake that breaks off is no verdict on certificates: the server may be restarting. */
    if (ending->code == CURLE_SSL_CONNECT_ERROR && ending->os_error != 0 &&
        http_alert_words(ending->error) == NULL && http_verify_words(ending->verify_result) == NULL)
        return *ret_words = "connection lost in the TLS handshake", HTTP_CONNECT;
    if (http_is_tls(ending))
        return *ret_words = http_tls_words(ending), HTTP_TLS;
    switch (ending->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return *ret_words = "the host's name cannot be resolved", HTTP_RESOLVE;
    case CURLE_COULDNT_RESOLVE_PROXY:
        return *ret_words = "the proxy's name cannot be resolved", HTTP_RESOLVE;
    case CURLE_COULDNT_CONNECT:
        return *ret_words = http_connect_words(ending->os_error), HTTP_CONNECT;
    case CURLE_PROXY:
        return *ret_words = "the proxy refused", HTTP_PROXY;
    case CURLE_OPERATION_TIMEDOUT:
        if (!ending->reached_sending)
            return *ret_words = "no connection in time", HTTP_CONNECT;
        return *ret_words = "no whole answer in time", HTTP_TIMEOUT;
    case CURLE_GOT_NOTHING:
        return *ret_words = "connection closed without an answer", HTTP_TRANSPORT;
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return *ret_words = "HTTP/2 stream or connection ended early", HTTP_TRANSPORT;
    case CURLE_PARTIAL_FILE:
        return *ret_words = "connection closed within the answer", HTTP_TRANSPORT;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return *ret_words = "connection lost", HTTP_TRANSPORT;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return *ret_words = "the answer is not HTTP", HTTP_TRANSPORT;
    case CURLE_OUT_OF_MEMORY:
        return *ret_words = "out of memory", HTTP_INTERNAL;
    case CURLE_URL_MALFORMAT:
        return *ret_words = "the URL is not valid", HTTP_INTERNAL;
    default:
        return *ret_words = NULL, HTTP_TRANSPORT;
    }
}

static void http_classify_proxy(const struct http_ending *ending, struct http_result *result,
                                char words[96])
{
    result->failure = HTTP_PROXY;
    result->status = ending->proxy_status;
    snprintf(words, 96, "HTTP %d from the proxy", ending->proxy_status);
}

void http_classify(const struct http_ending *ending, struct http_result *result, char words[96])
{
    const char *text = NULL;

    result->words = words;
    result->status = ending->status;
    result->not_sent = ending->code != CURLE_OK && !ending->reached_sending;
    if (ending->code == CURLE_OK) {
        result->failure = HTTP_OK;
        snprintf(words, 96, "HTTP %d", ending->status);
    } else if (ending->too_large) {
        result->failure = HTTP_ANSWER_TOO_LARGE;
        snprintf(words, 96, "HTTP %d, the answer is too large", ending->status);
    } else if (ending->proxy_status >= 300) {
        http_classify_proxy(ending, result, words);
    } else {
        result->failure = http_failure_of(ending, &text);
        if (text != NULL)
            snprintf(words, 96, "%s", text);
        else
            snprintf(words, 96, "transport error (libcurl %d)", (int)ending->code);
    }
}
