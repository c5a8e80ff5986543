/*
 * x509time: a certificate's dates as seconds since 1970, and as text.
 *
 * Pure. Threads: any.
 */
#ifndef MLLPGW_CERTS_X509TIME_H
#define MLLPGW_CERTS_X509TIME_H

#include <mbedtls/x509.h>
#include <stdint.h>

int64_t x509time_s(const mbedtls_x509_time *time);
/* "2026-11-22", or "2026-11-22 14:05 UTC" when it is within two days of now_s. */
void x509time_text(const mbedtls_x509_time *time, int64_t now_s, char ret_text[32]);

#endif
