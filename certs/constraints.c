/* The name constraints of names.h: RFC 5280 4.2.1.10, read from the raw extension. */
#include "certs/names.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SEQUENCE = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE };
enum { SET = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET };
/* GeneralName's choices. */
enum kind { EMAIL = 1, DNS = 2, DIRECTORY = 4, URI = 6, ADDRESS = 7 };

struct bytes {
    const unsigned char *at, *end;
};

static size_t left(struct bytes bytes)
{
    return (size_t)(bytes.end - bytes.at);
}

/* Takes one TLV off the front: its tag and content. */
static bool take(struct bytes *from, int *ret_tag, struct bytes *ret_content)
{
    if (left(*from) < 2)
        return false;
    unsigned char *at = (unsigned char *)(uintptr_t)from->at; /* mbedTLS only moves it */
    size_t length;
    *ret_tag = *at++;
    if (mbedtls_asn1_get_len(&at, from->end, &length) != 0)
        return false;
    *ret_content = (struct bytes){at, at + length};
    from->at = at + length;
    return true;
}

static bool take_tag(struct bytes *from, int tag, struct bytes *ret_content)
{
    int found;
    struct bytes rest = *from;
    if (!take(&rest, &found, ret_content) || found != tag)
        return false;
    *from = rest;
    return true;
}

/* --- finding them ------------------------------------------------------------------------- */

struct constraints {
    bool present;
    struct bytes permitted, excluded; /* GeneralSubtrees */
};

static bool is_name_constraints(struct bytes oid)
{
    return left(oid) == MBEDTLS_OID_SIZE(MBEDTLS_OID_NAME_CONSTRAINTS) &&
           memcmp(oid.at, MBEDTLS_OID_NAME_CONSTRAINTS, left(oid)) == 0;
}

/* NameConstraints ::= SEQUENCE { permitted [0] OPTIONAL, excluded [1] OPTIONAL } */
static bool read_constraints(struct bytes value, struct constraints *constraints)
{
    struct bytes sequence, unused;
    enum { CONTEXT = MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED };
    if (constraints->present || !take_tag(&value, SEQUENCE, &sequence) || left(value) != 0)
        return false;
    constraints->present = true;
    if (!take_tag(&sequence, CONTEXT | 0, &constraints->permitted))
        constraints->permitted = (struct bytes){0};
    if (!take_tag(&sequence, CONTEXT | 1, &constraints->excluded))
        constraints->excluded = (struct bytes){0};
    return left(sequence) == 0 && !take_tag(&sequence, SEQUENCE, &unused);
}

static bool find_constraints(const mbedtls_x509_crt *authority, struct constraints *ret)
{
    *ret = (struct constraints){0};
    if (authority->v3_ext.p == NULL || authority->v3_ext.len == 0)
        return true;
    struct bytes all = {authority->v3_ext.p, authority->v3_ext.p + authority->v3_ext.len};
    struct bytes list, extension, oid, value, unused;
    if (!take_tag(&all, SEQUENCE, &list))
        return false;
    while (left(list) > 0) {
        if (!take_tag(&list, SEQUENCE, &extension) || !take_tag(&extension, MBEDTLS_ASN1_OID, &oid))
            return false;
        if (!is_name_constraints(oid))
            continue;
        (void)take_tag(&extension, MBEDTLS_ASN1_BOOLEAN, &unused);
        if (!take_tag(&extension, MBEDTLS_ASN1_OCTET_STRING, &value) ||
            !read_constraints(value, ret))
            return false;
    }
    return true;
}

/* GeneralSubtree ::= SEQUENCE { base, minimum [0] DEFAULT 0, maximum [1] OPTIONAL }; DER leaves
 * minimum out, so anything behind the base is something that we don't know. */
static bool take_base(struct bytes *subtrees, enum kind *ret_kind, struct bytes *ret_base)
{
    struct bytes subtree;
    int tag;
    if (!take_tag(subtrees, SEQUENCE, &subtree) || !take(&subtree, &tag, ret_base) ||
        left(subtree) != 0 || (tag & MBEDTLS_ASN1_TAG_CLASS_MASK) != MBEDTLS_ASN1_CONTEXT_SPECIFIC)
        return false;
    *ret_kind = (enum kind)(tag & MBEDTLS_ASN1_TAG_VALUE_MASK);
    switch (*ret_kind) {
    case EMAIL:
    case DNS:
    case URI:
        return names_printable(ret_base->at, left(*ret_base)) || left(*ret_base) == 0;
    case DIRECTORY:
        return true;
    case ADDRESS:
        return left(*ret_base) == 8 || left(*ret_base) == 32;
    }
    return false;
}

static bool subtrees_understood(struct bytes subtrees, char ret_why[96])
{
    enum kind kind;
    struct bytes base;
    while (left(subtrees) > 0) {
        if (take_base(&subtrees, &kind, &base))
            continue;
        snprintf(ret_why, 96, "name constraints of a kind that can't be honoured here");
        return false;
    }
    return true;
}

bool names_constraints_understood(const mbedtls_x509_crt *authority, char ret_why[96])
{
    struct constraints constraints;
    if (!find_constraints(authority, &constraints)) {
        snprintf(ret_why, 96, "broken name constraints");
        return false;
    }
    return subtrees_understood(constraints.permitted, ret_why) &&
           subtrees_understood(constraints.excluded, ret_why);
}

/* --- comparing ---------------------------------------------------------------------------- */

static bool same_text(struct bytes a, struct bytes b)
{
    return left(a) == left(b) && strncasecmp((const char *)a.at, (const char *)b.at, left(a)) == 0;
}

static bool ends_with(struct bytes name, struct bytes end)
{
    if (left(name) < left(end))
        return false;
    name.at = name.end - left(end);
    return same_text(name, end);
}

/* base "a.b" holds a.b and what is below it; ".a.b" only what is below; "" everything. */
static bool dns_within(struct bytes name, struct bytes base)
{
    if (left(base) == 0 || same_text(name, base))
        return true;
    if (!ends_with(name, base) || left(name) == left(base))
        return false;
    return base.at[0] == '.' || *(name.end - left(base) - 1) == '.';
}

/* For hosts in e-mail addresses and URIs: "a.b" is that host alone, ".a.b" what is below. */
static bool host_within(struct bytes host, struct bytes base)
{
    if (left(base) > 0 && base.at[0] == '.')
        return left(host) > left(base) && ends_with(host, base);
    return left(base) == 0 || same_text(host, base);
}

static const unsigned char *last_of(struct bytes bytes, char c)
{
    return bytes.at == bytes.end ? NULL : memrchr(bytes.at, c, left(bytes));
}

static bool email_within(struct bytes name, struct bytes base)
{
    const unsigned char *at = last_of(name, '@'), *base_at = last_of(base, '@');
    if (at == NULL)
        return false;
    struct bytes host = {at + 1, name.end};
    if (base_at == NULL)
        return host_within(host, base);
    return at - name.at == base_at - base.at &&
           memcmp(name.at, base.at, (size_t)(at - name.at)) == 0 &&
           same_text(host, (struct bytes){base_at + 1, base.end});
}

/* The host of a URI: behind "//", without user and port; false where there is none or it is an
 * address: RFC 5280 refuses such URIs under a URI constraint. */
static bool uri_host(struct bytes uri, struct bytes *ret_host)
{
    const unsigned char *slashes = memmem(uri.at, left(uri), "//", 2);
    if (slashes == NULL)
        return false;
    struct bytes host = {slashes + 2, slashes + 2};
    while (host.end < uri.end && strchr("/?#", *host.end) == NULL)
        host.end++;
    const unsigned char *user = last_of(host, '@');
    if (user != NULL)
        host.at = user + 1;
    const unsigned char *port = last_of(host, ':');
    if (port != NULL)
        host.end = port;
    *ret_host = host;
    return left(host) > 0 && host.at[0] != '[' &&
           strspn((const char *)host.at, "0123456789.") < left(host);
}

static bool address_within(struct bytes address, struct bytes base)
{
    size_t length = left(address);
    if (left(base) != 2 * length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if ((address.at[i] & base.at[length + i]) != (base.at[i] & base.at[length + i]))
            return false;
    }
    return true;
}

/* The next character of a name's value: ASCII without case, spaces folded and trimmed (RFC 5280
 * 7.1, RFC 4518); -1 at the end. */
static int next_folded(struct bytes *value, bool first)
{
    bool space = false;
    while (value->at < value->end && *value->at == ' ') {
        space = true;
        value->at++;
    }
    if (value->at == value->end)
        return -1;
    if (space && !first) {
        value->at--; /* one space stands for all */
        unsigned char c = *value->at++;
        return c;
    }
    unsigned char c = *value->at++;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool same_value(struct bytes a, struct bytes b)
{
    for (bool first = true;; first = false) {
        int x = next_folded(&a, first), y = next_folded(&b, first);
        if (x != y)
            return false;
        if (x == -1)
            return true;
    }
}

/* AttributeTypeAndValue: the same type, and the same text whatever string type it is in. */
static bool same_attribute(struct bytes a, struct bytes b)
{
    struct bytes oid_a, oid_b, value_a, value_b;
    int tag_a, tag_b;
    return take_tag(&a, MBEDTLS_ASN1_OID, &oid_a) && take_tag(&b, MBEDTLS_ASN1_OID, &oid_b) &&
           take(&a, &tag_a, &value_a) && take(&b, &tag_b, &value_b) && left(oid_a) == left(oid_b) &&
           memcmp(oid_a.at, oid_b.at, left(oid_a)) == 0 && same_value(value_a, value_b);
}

/* Are base's RDNs the first ones of name's? Both point at the Name's TLV. */
static bool directory_within(struct bytes name, struct bytes base)
{
    struct bytes names, bases, rdn, base_rdn, a, b;
    if (!take_tag(&name, SEQUENCE, &names) || !take_tag(&base, SEQUENCE, &bases))
        return false;
    while (left(bases) > 0) {
        if (!take_tag(&bases, SET, &base_rdn) || !take_tag(&names, SET, &rdn))
            return false;
        while (left(base_rdn) > 0) {
            if (!take_tag(&base_rdn, SEQUENCE, &b) || !take_tag(&rdn, SEQUENCE, &a) ||
                !same_attribute(a, b))
                return false;
        }
        if (left(rdn) > 0)
            return false;
    }
    return true;
}

static bool within(enum kind kind, struct bytes name, struct bytes base)
{
    struct bytes host;
    switch (kind) {
    case EMAIL:
        return email_within(name, base);
    case DNS:
        return dns_within(name, base);
    case DIRECTORY:
        return directory_within(name, base);
    case URI:
        return uri_host(name, &host) && host_within(host, base);
    case ADDRESS:
        return address_within(name, base);
    }
    return false;
}

/* --- deciding ----------------------------------------------------------------------------- */

/* One name against both lists: any of the excluded refuses; where permitted names its kind, one
 * has to hold it. */
static bool name_allowed(const struct constraints *constraints, enum kind kind, struct bytes name)
{
    struct bytes subtrees = constraints->excluded, base, host;
    enum kind base_kind;
    bool constrained = false, permitted = false;
    while (left(subtrees) > 0 && take_base(&subtrees, &base_kind, &base)) {
        constrained = constrained || base_kind == kind;
        if (base_kind == kind && within(kind, name, base))
            return false;
    }
    bool limited = false;
    for (subtrees = constraints->permitted;
         left(subtrees) > 0 && take_base(&subtrees, &base_kind, &base);) {
        limited = limited || base_kind == kind;
        permitted = permitted || (base_kind == kind && within(kind, name, base));
    }
    if (kind == URI && (constrained || limited) && !uri_host(name, &host))
        return false;
    return permitted || !limited;
}

static bool all_alternative_names_allowed(const struct constraints *constraints,
                                          const mbedtls_x509_crt *certificate, bool *ret_named)
{
    if (!mbedtls_x509_crt_has_ext_type(certificate, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
        return true;
    for (const mbedtls_x509_sequence *at = &certificate->subject_alt_names; at != NULL;
         at = at->next) {
        enum kind kind = (enum kind)(at->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK);
        struct bytes name = {at->buf.p, at->buf.p + at->buf.len};
        *ret_named = *ret_named || kind == EMAIL || kind == DNS || kind == URI;
        if (!name_allowed(constraints, kind, name))
            return false;
    }
    return true;
}

/* Without a SAN the subject's commonName (which cn: matches) counts as a host name where it looks
 * like one, and its emailAddress as an address, so that a constrained CA can't go round its limits. */
static bool all_subject_names_allowed(const struct constraints *constraints,
                                      const mbedtls_x509_crt *certificate, bool named)
{
    struct bytes subject = {certificate->subject_raw.p,
                            certificate->subject_raw.p + certificate->subject_raw.len};
    if (certificate->subject.oid.p != NULL && !name_allowed(constraints, DIRECTORY, subject))
        return false;
    for (const mbedtls_x509_name *at = &certificate->subject;
         at != NULL && at->oid.p != NULL && !named; at = at->next) {
        struct bytes value = {at->val.p, at->val.p + at->val.len};
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_PKCS9_EMAIL, &at->oid) == 0 &&
            !name_allowed(constraints, EMAIL, value))
            return false;
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &at->oid) == 0 && left(value) > 0 &&
            memchr(value.at, ' ', left(value)) == NULL && !name_allowed(constraints, DNS, value))
            return false;
    }
    return true;
}

bool names_constraints_allow(const mbedtls_x509_crt *authority, const mbedtls_x509_crt *certificate,
                             char ret_why[96])
{
    struct constraints constraints;
    bool named = false;
    if (!names_constraints_understood(authority, ret_why))
        return false;
    (void)find_constraints(authority, &constraints);
    if (!constraints.present)
        return true;
    if (all_alternative_names_allowed(&constraints, certificate, &named) &&
        all_subject_names_allowed(&constraints, certificate, named))
        return true;
    snprintf(ret_why, 96, "a name outside the name constraints");
    return false;
}
