/*
 * names: X.509 names inside certs/: as text for logs, and as name constraints see them.
 *
 * mbedTLS refuses a CA whose name constraints are critical and ignores those that are not. Here
 * both are read and applied (RFC 5280 4.2.1.10), so roots are parsed with names_parse_root().
 * Certificates that come in a handshake are parsed by mbedTLS: critical ones among them stay refused.
 * Pure. Threads: no shared state.
 */
#ifndef MLLPGW_CERTS_NAMES_H
#define MLLPGW_CERTS_NAMES_H

#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stddef.h>

enum { NAMES_TEXT_MAX = 512 };

/* No NUL, control character or emptiness; bytes >= 0x80 are allowed (UTF-8). */
bool names_printable(const unsigned char *text, size_t length);
/* "C=DE, O=St. Mary's, CN=lab": escaped as RFC 4514 does, "..." where it was cut; never fails. */
void names_text(const mbedtls_x509_name *name, char *ret_text, size_t size);
/* The commonName if there is just one, of a string type in ASCII or UTF-8. */
const mbedtls_x509_name *names_only_common_name(const mbedtls_x509_name *subject);

/* A certificate of our own files: as mbedTLS, but critical name constraints are no error.
 * 0 or mbedTLS's error. */
__attribute__((warn_unused_result)) int names_parse_root(mbedtls_x509_crt *chain,
                                                         const unsigned char *der, size_t length);

/* Can the name constraints of this CA be honoured (or has it none)? Else why, in ret_why. */
bool names_constraints_understood(const mbedtls_x509_crt *authority, char ret_why[96]);
/* Does the CA's constraints allow the names of this certificate below it? Else why. */
bool names_constraints_allow(const mbedtls_x509_crt *authority, const mbedtls_x509_crt *certificate,
                             char ret_why[96]);

#endif
