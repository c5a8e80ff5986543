#include "config/proposal.h"

#include "config/internal.h"

#include <string.h>

#define WORD_BYTES 32
#define ESP_ONLY "HMAC_SHA2_256_96" /* charon takes it for ESP alone */
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define CIPHER(name, charon, bits, weak)                                                           \
    {                                                                                              \
        name, charon, PROPOSAL_ENCRYPTION, bits, 0, weak                                           \
    }
#define AEAD(name, charon, bits)                                                                   \
    {                                                                                              \
        name, charon, PROPOSAL_AEAD, bits, 0, false                                                \
    }
#define AEADS(aes, bits)                                                                           \
    AEAD(aes "gcm16", "AES_GCM_16", bits), AEAD(aes "gcm128", "AES_GCM_16", bits),                 \
        AEAD(aes "gcm", "AES_GCM_16", bits), AEAD(aes "ccm", "AES_CCM_16", bits),                  \
        AEAD(aes "gcm12", "AES_GCM_12", bits), AEAD(aes "gcm96", "AES_GCM_12", bits),              \
        AEAD(aes "gcm8", "AES_GCM_8", bits), AEAD(aes "gcm64", "AES_GCM_8", bits),                 \
        AEAD(aes "ccm16", "AES_CCM_16", bits), AEAD(aes "ccm128", "AES_CCM_16", bits),             \
        AEAD(aes "ccm12", "AES_CCM_12", bits), AEAD(aes "ccm96", "AES_CCM_12", bits),              \
        AEAD(aes "ccm8", "AES_CCM_8", bits), AEAD(aes "ccm64", "AES_CCM_8", bits)
#define INTEGRITY(name, charon, weak)                                                              \
    {                                                                                              \
        name, charon, PROPOSAL_INTEGRITY, 0, 0, weak                                               \
    }
#define PRF(name, charon, weak)                                                                    \
    {                                                                                              \
        name, charon, PROPOSAL_PRF, 0, 0, weak                                                     \
    }
#define GROUP(name, charon, number, weak)                                                          \
    {                                                                                              \
        name, charon, PROPOSAL_GROUP, 0, number, weak                                              \
    }

static const struct proposal_word words[] = {
    CIPHER("aes128", "AES_CBC", 128, false),
    CIPHER("aes", "AES_CBC", 128, false),
    CIPHER("aes192", "AES_CBC", 192, false),
    CIPHER("aes256", "AES_CBC", 256, false),
    CIPHER("aes128ctr", "AES_CTR", 128, false),
    CIPHER("aes192ctr", "AES_CTR", 192, false),
    CIPHER("aes256ctr", "AES_CTR", 256, false),
    CIPHER("camellia128", "CAMELLIA_CBC", 128, false),
    CIPHER("camellia", "CAMELLIA_CBC", 128, false),
    CIPHER("camellia192", "CAMELLIA_CBC", 192, false),
    CIPHER("camellia256", "CAMELLIA_CBC", 256, false),
    CIPHER("des", "DES_CBC", 0, true),
    CIPHER("3des", "3DES_CBC", 0, true),
    CIPHER("cast128", "CAST_CBC", 128, true),
    CIPHER("blowfish128", "BLOWFISH_CBC", 128, true),
    CIPHER("blowfish", "BLOWFISH_CBC", 128, true),
    CIPHER("blowfish192", "BLOWFISH_CBC", 192, true),
    CIPHER("blowfish256", "BLOWFISH_CBC", 256, true),
    CIPHER("null", "NULL", 0, true),
    AEADS("aes128", 128),
    AEADS("aes192", 192),
    AEADS("aes256", 256),
    AEAD("chacha20poly1305", "CHACHA20_POLY1305", 256),
    /* Authenticates, but encrypts nothing. */
    {"aes128gmac", "NULL_AES_GMAC", PROPOSAL_AEAD, 128, 0, true},
    {"aes192gmac", "NULL_AES_GMAC", PROPOSAL_AEAD, 192, 0, true},
    {"aes256gmac", "NULL_AES_GMAC", PROPOSAL_AEAD, 256, 0, true},
    INTEGRITY("sha256", "HMAC_SHA2_256_128", false),
    INTEGRITY("sha2_256", "HMAC_SHA2_256_128", false),
    INTEGRITY("sha384", "HMAC_SHA2_384_192", false),
    INTEGRITY("sha2_384", "HMAC_SHA2_384_192", false),
    INTEGRITY("sha512", "HMAC_SHA2_512_256", false),
    INTEGRITY("sha2_512", "HMAC_SHA2_512_256", false),
    INTEGRITY("sha256_96", ESP_ONLY, true), /* a bug of old kernels made it */
    INTEGRITY("sha2_256_96", ESP_ONLY, true),
    INTEGRITY("aesxcbc", "AES_XCBC_96", false),
    INTEGRITY("aescmac", "AES_CMAC_96", false),
    INTEGRITY("sha1", "HMAC_SHA1_96", true),
    INTEGRITY("sha", "HMAC_SHA1_96", true),
    INTEGRITY("sha1_160", "HMAC_SHA1_160", true),
    INTEGRITY("md5", "HMAC_MD5_96", true),
    INTEGRITY("md5_128", "HMAC_MD5_128", true),
    PRF("prfsha256", "PRF_HMAC_SHA2_256", false),
    PRF("prfsha384", "PRF_HMAC_SHA2_384", false),
    PRF("prfsha512", "PRF_HMAC_SHA2_512", false),
    PRF("prfaesxcbc", "PRF_AES128_XCBC", false),
    PRF("prfaescmac", "PRF_AES128_CMAC", false),
    PRF("prfsha1", "PRF_HMAC_SHA1", true),
    PRF("prfmd5", "PRF_HMAC_MD5", true),
    GROUP("modp768", "MODP_768", 1, true),
    GROUP("modp1024", "MODP_1024", 2, true),
    GROUP("modp1536", "MODP_1536", 5, true),
    GROUP("modp2048", "MODP_2048", 14, false),
    GROUP("modp3072", "MODP_3072", 15, false),
    GROUP("modp4096", "MODP_4096", 16, false),
    GROUP("modp6144", "MODP_6144", 17, false),
    GROUP("modp8192", "MODP_8192", 18, false),
    /* Small subgroups of unknown origin: RFC 8247 advises against all three. */
    GROUP("modp1024s160", "MODP_1024_160", 22, true),
    GROUP("modp2048s224", "MODP_2048_224", 23, true),
    GROUP("modp2048s256", "MODP_2048_256", 24, true),
    GROUP("ecp192", "ECP_192", 25, true),
    GROUP("ecp224", "ECP_224", 26, false),
    GROUP("ecp256", "ECP_256", 19, false),
    GROUP("ecp384", "ECP_384", 20, false),
    GROUP("ecp521", "ECP_521", 21, false),
    GROUP("ecp224bp", "ECP_224_BP", 27, false),
    GROUP("ecp256bp", "ECP_256_BP", 28, false),
    GROUP("ecp384bp", "ECP_384_BP", 29, false),
    GROUP("ecp512bp", "ECP_512_BP", 30, false),
    GROUP("curve25519", "CURVE_25519", 31, false),
    GROUP("x25519", "CURVE_25519", 31, false),
    GROUP("curve448", "CURVE_448", 32, false),
    GROUP("x448", "CURVE_448", 32, false),
    {"esn", "", PROPOSAL_ESN, 0, 0, false},
    {"noesn", "", PROPOSAL_ESN, 0, 0, false},
};

const struct proposal_word *proposal_word(const char *name)
{
    for (size_t i = 0; i < COUNT(words); i++) {
        if (strcmp(words[i].name, name) == 0) {
            return &words[i];
        }
    }
    return NULL;
}

const struct proposal_word *proposal_next(const struct proposal *proposal, enum proposal_kind kind,
                                          const struct proposal_word *after)
{
    size_t i = 0;
    while (after && i < proposal->count && proposal->words[i] != after) {
        i++;
    }
    for (i += after ? 1 : 0; i < proposal->count; i++) {
        if (proposal->words[i]->kind == kind) {
            return proposal->words[i];
        }
    }
    return NULL;
}

static bool has(const struct proposal *proposal, enum proposal_kind kind)
{
    return proposal_next(proposal, kind, NULL) != NULL;
}

static __attribute__((format(printf, 2, 3))) const char *wrong(char *ret_error, const char *format,
                                                               ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_error, PROPOSAL_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return ret_error;
}

/* "ke1_mlkem768": RFC 9370's further exchanges, and the one that they are mostly made for. */
static bool is_of_strongswan_6(const char *name)
{
    return strncmp(name, "mlkem", 5) == 0 ||
           (strncmp(name, "ke", 2) == 0 && name[2] >= '1' && name[2] <= '7' && name[3] == '_');
}

static const char *unknown_word(const char *name, size_t position, char *ret_error)
{
    if (is_of_strongswan_6(name)) {
        return wrong(
            ret_error,
            "\"%s\", its word %zu, is a key exchange that strongSwan has from 6.0 on only, and none that can "
            "be set here: leave it out, and name a group that 5.9 has, too, as ecp384",
            name, position);
    }
    const char *names[COUNT(words)];
    char guess[SUGGESTION_BYTES];
    for (size_t i = 0; i < COUNT(words); i++) {
        names[i] = words[i].name;
    }
    return wrong(ret_error, "\"%s\", its word %zu, is none of strongSwan's keywords%s", name,
                 position, suggest(name, names, COUNT(words), guess));
}

static bool is_there(const struct proposal *proposal, const struct proposal_word *word)
{
    for (size_t i = 0; i < proposal->count; i++) {
        if (proposal->words[i] == word) {
            return true;
        }
    }
    return false;
}

static bool is_allowed(const char *name, const char *const *allowed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (allowed[i] && strcmp(allowed[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* One word: known, at home in this protocol, strong or allowed. */
static const char *check_word(const struct proposal_word *word, enum proposal_protocol protocol,
                              const char *const *allowed, size_t allowed_count, char *ret_error)
{
    if (protocol == PROPOSAL_ESP && word->kind == PROPOSAL_PRF) {
        return wrong(ret_error, "\"%s\" is a PRF, which ESP has not: leave it out", word->name);
    }
    if (protocol == PROPOSAL_IKE &&
        (word->kind == PROPOSAL_ESN || strcmp(word->charon, ESP_ONLY) == 0)) {
        return wrong(ret_error, "\"%s\" belongs to ESP: leave it out", word->name);
    }
    if (word->weak && !is_allowed(word->name, allowed, allowed_count)) {
        return wrong(
            ret_error,
            "\"%s\" is weak and refused: choose a stronger one (presets have them), or, if "
            "the other side can do no better, add \"%s\" to allow_weak",
            word->name, word->name);
    }
    return NULL;
}

static const char *take_words(const char *text, const char *const *allowed, size_t allowed_count,
                              struct proposal *proposal, char *ret_error)
{
    const char *from = text;
    for (;;) {
        char name[WORD_BYTES];
        size_t length = strcspn(from, "-");
        (void)snprintf(name, sizeof name, "%.*s", (int)(length < 1000 ? length : 1000), from);
        if (length == 0) {
            return wrong(ret_error, "word %zu is empty: one '-' between two words",
                         proposal->count + 1);
        }
        const struct proposal_word *word = length < sizeof name ? proposal_word(name) : NULL;
        if (!word) {
            return unknown_word(name, proposal->count + 1, ret_error);
        }
        const char *problem =
            check_word(word, proposal->protocol, allowed, allowed_count, ret_error);
        if (problem) {
            return problem;
        }
        if (is_there(proposal, word)) {
            return wrong(ret_error, "has \"%s\" twice", word->name);
        }
        /* Room is kept for a PRF for each integrity algorithm. */
        if (proposal->count == PROPOSAL_WORDS / 2) {
            return wrong(ret_error, "has more than %d words: write several proposals",
                         PROPOSAL_WORDS / 2);
        }
        proposal->words[proposal->count++] = word;
        if (from[length] == '\0') {
            return NULL;
        }
        from += length + 1;
    }
}

/* "HMAC_SHA2_256_128" -> "PRF_HMAC_SHA2_256", as charon derives them. */
static const struct proposal_word *prf_of(const struct proposal_word *integrity)
{
    static const char *const pairs[][2] = {
        {"HMAC_SHA2_256_128", "prfsha256"}, {"HMAC_SHA2_384_192", "prfsha384"},
        {"HMAC_SHA2_512_256", "prfsha512"}, {"HMAC_SHA1_96", "prfsha1"},
        {"HMAC_SHA1_160", "prfsha1"},       {"HMAC_MD5_96", "prfmd5"},
        {"HMAC_MD5_128", "prfmd5"},         {"AES_XCBC_96", "prfaesxcbc"},
        {"AES_CMAC_96", "prfaescmac"}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        if (strcmp(integrity->charon, pairs[i][0]) == 0) {
            return proposal_word(pairs[i][1]);
        }
    }
    return NULL;
}

static void derive_prf(struct proposal *proposal)
{
    size_t count = proposal->count;
    if (proposal->protocol == PROPOSAL_ESP || has(proposal, PROPOSAL_PRF)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (proposal->words[i]->kind == PROPOSAL_INTEGRITY) {
            const struct proposal_word *prf = prf_of(proposal->words[i]);
            if (prf && !is_there(proposal, prf)) {
                proposal->words[proposal->count++] = prf;
            }
        }
    }
}

/* Does it hang together? */
static const char *check_whole(const struct proposal *proposal, char *ret_error)
{
    bool cipher = has(proposal, PROPOSAL_ENCRYPTION), aead = has(proposal, PROPOSAL_AEAD);
    bool ike = proposal->protocol == PROPOSAL_IKE;
    if (cipher && aead) {
        return wrong(ret_error,
                     "mixes AEAD (GCM, CCM, ChaCha20) with other ciphers: two proposals, please");
    }
    if (!cipher && !aead) {
        return wrong(ret_error, "names no encryption: begin with aes256gcm16 or aes256");
    }
    if (aead && has(proposal, PROPOSAL_INTEGRITY)) {
        return wrong(ret_error, "has an integrity algorithm beside AEAD, which has its own: %s",
                     ike ? "write the PRF, as prfsha256, instead" : "leave it out");
    }
    if (cipher && !has(proposal, PROPOSAL_INTEGRITY)) {
        return wrong(ret_error, "has no integrity algorithm, and its cipher protects nothing "
                                "without one: add sha256, or use aes256gcm16");
    }
    if (ike && !has(proposal, PROPOSAL_PRF)) {
        return wrong(ret_error, "has no PRF: add prfsha256 or prfsha384");
    }
    if (ike && !has(proposal, PROPOSAL_GROUP)) {
        return wrong(ret_error, "has no Diffie-Hellman group: add ecp384, ecp256 or modp2048");
    }
    return NULL;
}

const char *proposal_parse(const char *text, enum proposal_protocol protocol,
                           const char *const *allowed, size_t allowed_count,
                           struct proposal *ret_proposal, char ret_error[PROPOSAL_ERROR_BYTES])
{
    struct proposal proposal = {.protocol = protocol};
    const char *problem = take_words(text, allowed, allowed_count, &proposal, ret_error);
    if (!problem) {
        derive_prf(&proposal);
        problem = check_whole(&proposal, ret_error);
    }
    if (!problem) {
        *ret_proposal = proposal;
    }
    return problem;
}
