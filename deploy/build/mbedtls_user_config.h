/*
 * mbedTLS configuration of mllp-gateway: what differs from mbedTLS 3.6's own defaults.
 *
 * deploy/install-dependencies builds the library with it and installs a copy beside the library's headers;
 * whoever includes <mbedtls/...> must compile with MBEDTLS_USER_CONFIG_FILE="mbedtls_user_config.h"
 * (the CMake target mllpgw::mbedtls does that). Changing this file makes the next run build anew.
 */
#ifndef MLLPGW_MBEDTLS_USER_CONFIG_H
#define MLLPGW_MBEDTLS_USER_CONFIG_H

/* Threads: worker threads share one configuration, CA chain and random generator. */
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_PTHREAD

/* Everything that PSA can do goes through PSA. */
#define MBEDTLS_USE_PSA_CRYPTO
/* No keys in files: without this the library would keep persistent keys in the working directory. */
#undef MBEDTLS_PSA_CRYPTO_STORAGE_C
#undef MBEDTLS_PSA_ITS_FILE_C

/*
 * Record buffers. A peer may send 16 KiB records, so IN can't shrink; OUT also bounds our own Certificate
 * message. Variable buffers stay off: with OUT < IN they break reading 16 KiB records over TLS 1.2.
 */
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384
#define MBEDTLS_SSL_OUT_CONTENT_LEN 8192
#undef MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH

/*
 * No resumption at all: a session resumed over TLS 1.3 has no client certificate, so admission could not decide
 * (mbedtls_ssl_get_peer_cert() is NULL, no verification callback runs).
 */
#undef MBEDTLS_SSL_SESSION_TICKETS
#undef MBEDTLS_SSL_TICKET_C
#undef MBEDTLS_SSL_CACHE_C
#undef MBEDTLS_SSL_EARLY_DATA
#undef MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_ENABLED
#undef MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#undef MBEDTLS_SSL_CONTEXT_SERIALIZATION

/* TLS 1.2: ECDHE and certificates only; no renegotiation. */
#undef MBEDTLS_SSL_RENEGOTIATION
#undef MBEDTLS_KEY_EXCHANGE_DHE_RSA_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_DHE_PSK_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_ECDHE_PSK_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_RSA_PSK_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_RSA_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_ECDH_ECDSA_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_ECDH_RSA_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_ECJPAKE_ENABLED
#undef MBEDTLS_ECJPAKE_C

/* No DTLS. */
#undef MBEDTLS_SSL_PROTO_DTLS
#undef MBEDTLS_SSL_DTLS_ANTI_REPLAY
#undef MBEDTLS_SSL_DTLS_HELLO_VERIFY
#undef MBEDTLS_SSL_DTLS_CLIENT_PORT_REUSE
#undef MBEDTLS_SSL_DTLS_CONNECTION_ID
#undef MBEDTLS_SSL_DTLS_CONNECTION_ID_COMPAT
#undef MBEDTLS_SSL_COOKIE_C

/*
 * Obsolete or unused algorithms. SHA-1 stays: private roots that sign themselves with it are common and have to
 * parse; the certificate profiles refuse it below the root. CBC stays for encrypted key files.
 */
#undef MBEDTLS_DES_C
#undef MBEDTLS_MD5_C
#undef MBEDTLS_RIPEMD160_C
#undef MBEDTLS_CAMELLIA_C
#undef MBEDTLS_ARIA_C
#undef MBEDTLS_CIPHER_NULL_CIPHER
#undef MBEDTLS_CIPHER_MODE_CFB
#undef MBEDTLS_CIPHER_MODE_OFB
#undef MBEDTLS_CIPHER_MODE_XTS
#undef MBEDTLS_NIST_KW_C
#undef MBEDTLS_PKCS7_C
#undef MBEDTLS_PKCS12_C
#undef MBEDTLS_LMS_C
#undef MBEDTLS_ECP_DP_SECP192R1_ENABLED
#undef MBEDTLS_ECP_DP_SECP224R1_ENABLED
#undef MBEDTLS_ECP_DP_SECP192K1_ENABLED
#undef MBEDTLS_ECP_DP_SECP224K1_ENABLED
#undef MBEDTLS_ECP_DP_SECP256K1_ENABLED
#undef MBEDTLS_ECP_DP_CURVE448_ENABLED
/*
 * Brainpool has no fast reduction: a signature costs a multiple of P-384's, and every CA certificate that a client
 * sends may cost one before anybody knows who it is.
 */
#undef MBEDTLS_ECP_DP_BP256R1_ENABLED
#undef MBEDTLS_ECP_DP_BP384R1_ENABLED
#undef MBEDTLS_ECP_DP_BP512R1_ENABLED

/* Not for a daemon with its own sockets and clock; and a debug trace of TLS would carry content. */
#undef MBEDTLS_NET_C
#undef MBEDTLS_TIMING_C
#undef MBEDTLS_DEBUG_C
#undef MBEDTLS_SELF_TEST
#undef MBEDTLS_PADLOCK_C

/*
 * Speed, measured on x86-64. AES-NI and PCLMUL are chosen at run time; the tables serve machines without them.
 * Everest's X25519, what most TLS 1.3 clients ask for first, is 1.7 times as fast as the generic one; the p256-m
 * driver is three times slower than the generic P-256, and wider ECP and MPI windows gain nothing. No large table for
 * GCM: PSA sets up and wipes GCM's state for each record, and its 4 KB cost more there than they save.
 */
#define MBEDTLS_AESNI_C
#undef MBEDTLS_AES_FEWER_TABLES
#undef MBEDTLS_AES_USE_HARDWARE_ONLY
#undef MBEDTLS_GCM_LARGE_TABLE
#define MBEDTLS_ECDH_VARIANT_EVEREST_ENABLED
#undef MBEDTLS_PSA_P256M_DRIVER_ENABLED

#endif
