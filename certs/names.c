#include "certs/names.h"

#include <mbedtls/oid.h>
#include <stdio.h>
#include <string.h>

bool names_printable(const unsigned char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return length > 0;
}

static bool is_text(const mbedtls_x509_buf *value)
{
    return value->tag == MBEDTLS_ASN1_UTF8_STRING || value->tag == MBEDTLS_ASN1_PRINTABLE_STRING ||
           value->tag == MBEDTLS_ASN1_IA5_STRING || value->tag == MBEDTLS_ASN1_T61_STRING;
}

const mbedtls_x509_name *names_only_common_name(const mbedtls_x509_name *subject)
{
    const mbedtls_x509_name *found = NULL;
    for (; subject != NULL; subject = subject->next) {
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &subject->oid) != 0)
            continue;
        if (found != NULL || !is_text(&subject->val))
            return NULL;
        found = subject;
    }
    return found;
}

/* --- as text ------------------------------------------------------------------------------ */

struct text {
    char *data;
    size_t length, size;
    bool cut;
};

/* Whole pieces only: half an escape would read as something else. */
static void put(struct text *text, const char *piece, size_t length)
{
    if (text->cut || text->length + length + 4 > text->size) { /* "..." and NUL */
        text->cut = true;
        return;
    }
    memcpy(text->data + text->length, piece, length);
    text->length += length;
}

static void put_value(struct text *text, const mbedtls_x509_buf *value)
{
    char piece[8];
    for (size_t i = 0; i < value->len; i++) {
        unsigned char c = value->p[i];
        int length;
        if (c < 0x20 || c >= 0x7f)
            length = snprintf(piece, sizeof piece, "\\%02X", c);
        else if (strchr(",=+<>;\"\\", c) != NULL || (i == 0 && (c == '#' || c == ' ')))
            length = snprintf(piece, sizeof piece, "\\%c", c);
        else
            length = snprintf(piece, sizeof piece, "%c", c);
        put(text, piece, (size_t)length);
    }
}

static void put_type(struct text *text, const mbedtls_x509_buf *oid)
{
    char numbers[64];
    const char *name = NULL;
    if (mbedtls_oid_get_attr_short_name(oid, &name) != 0) {
        name = "?";
        if (mbedtls_oid_get_numeric_string(numbers, sizeof numbers, oid) > 0)
            name = numbers;
    }
    put(text, name, strlen(name));
    put(text, "=", 1);
}

void names_text(const mbedtls_x509_name *name, char *ret_text, size_t size)
{
    struct text text = {.data = ret_text, .size = size};
    const char *separator = "";
    for (; name != NULL && name->oid.p != NULL; name = name->next) {
        put(&text, separator, strlen(separator));
        put_type(&text, &name->oid);
        put_value(&text, &name->val);
        separator = ", ";
    }
    if (text.cut)
        text.length += (size_t)snprintf(text.data + text.length, 4, "...");
    if (text.length == 0)
        text.length = (size_t)snprintf(text.data, size, "(empty)");
    text.data[text.length] = '\0';
}

/* --- parsing ------------------------------------------------------------------------------ */

/* Asked about extensions that mbedTLS doesn't know; 0: it may be critical. */
static int allow_name_constraints(void *context, mbedtls_x509_crt const *certificate,
                                  mbedtls_x509_buf const *oid, int critical,
                                  const unsigned char *begin, const unsigned char *end)
{
    (void)context;
    (void)certificate;
    (void)begin;
    (void)end;
    if (critical && MBEDTLS_OID_CMP(MBEDTLS_OID_NAME_CONSTRAINTS, oid) != 0)
        return MBEDTLS_ERR_X509_INVALID_EXTENSIONS;
    return 0;
}

int names_parse_root(mbedtls_x509_crt *chain, const unsigned char *der, size_t length)
{
    return mbedtls_x509_crt_parse_der_with_ext_cb(chain, der, length, 1, allow_name_constraints,
                                                  NULL);
}
