/*
 * identity: who a certificate says its holder is, and whether a peer's list names it.
 *
 * Matchers, as written in a peer's `certificates`:
 *   dns:NAME     a dNSName of the subjectAltName, compared case-insensitively, exactly (a wildcard in
 *                a client's certificate matches nothing)
 *   email:ADDR   rfc822Name; the domain case-insensitively
 *   uri:URI      uniformResourceIdentifier, bytewise
 *   cn:NAME      the subject's only commonName, and only when there is no SAN of a kind above
 *   sha256:HEX   SHA-256 of the certificate's DER (colons allowed)
 *   spki:BASE64  SHA-256 of the SubjectPublicKeyInfo (RFC 7469's pin)
 * A pin never replaces the chain check: matching comes after it.
 * Names with NUL or control characters match nothing.
 * Ownership: struct identity owns its copies. Threads: plain data; pure.
 * Sources: RFC 5280 4.2.1.6, RFC 6125 6.4.4, RFC 7469 2.4.
 */
#ifndef MLLPGW_CERTS_IDENTITY_H
#define MLLPGW_CERTS_IDENTITY_H

#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct identity {
    char *subject;     /* RFC 4514-like text, escaped, at most 512 bytes: for logs */
    char *issuer;      /* likewise */
    char *common_name; /* NULL when none or several */
    char **dns, **email, **uri;
    size_t dns_count, email_count, uri_count;
    /* A SAN of one of these kinds came, even where no name of it was fit to be kept: cn: is off. */
    bool has_alternative_names;
    uint8_t sha256[32];      /* of the DER */
    uint8_t spki_sha256[32]; /* of the SubjectPublicKeyInfo */
    uint8_t
        root_sha256[32]; /* DER digest of the root that the chain ended in; zeros when unknown */
    int64_t not_before_s, not_after_s;
};

/* root: the trust anchor found by verification, may be NULL. NULL when memory is out. */
struct identity *identity_new(const mbedtls_x509_crt *certificate, const mbedtls_x509_crt *root);
void identity_free(struct identity **identity);
/* The chain ended in another root (a verification anew). */
void identity_set_root(struct identity *identity, const mbedtls_x509_crt *root);

enum identity_kind {
    IDENTITY_DNS,
    IDENTITY_EMAIL,
    IDENTITY_URI,
    IDENTITY_CN,
    IDENTITY_SHA256,
    IDENTITY_SPKI
};

struct identity_matcher {
    enum identity_kind kind;
    char *name;         /* dns, email, uri, cn */
    uint8_t digest[32]; /* sha256, spki */
};

/* 0, or -EINVAL with one sentence in ret_error (what is wrong and how it is written). */
__attribute__((warn_unused_result)) int
identity_matcher_parse(const char *text, struct identity_matcher *ret_matcher, char ret_error[256]);
void identity_matcher_free(struct identity_matcher *matcher);
bool identity_matches(const struct identity *identity, const struct identity_matcher *matcher);

/* DER digests of every certificate in a PEM (or DER) file (a peer's `ca`): an array to free().
 * 0, or a negative errno with a sentence (without the file's name) in ret_error. */
__attribute__((warn_unused_result)) int identity_file_digests(const char *path,
                                                              uint8_t (**ret_digests)[32],
                                                              size_t *ret_count,
                                                              char ret_error[256]);

#endif
