#include "vpn/proposal.h"

#include <stdio.h>
#include <string.h>

struct word {
    const char *name;
    const char *keyword;
    const char *suffix; /* ciphers: behind the key's bits; NULL: no bits */
};

static const struct word ciphers[] = {
    {"AES_CBC", "aes", ""},
    {"AES_CTR", "aes", "ctr"},
    {"AES_CCM_8", "aes", "ccm8"},
    {"AES_CCM_12", "aes", "ccm12"},
    {"AES_CCM_16", "aes", "ccm16"},
    {"AES_GCM_8", "aes", "gcm8"},
    {"AES_GCM_12", "aes", "gcm12"},
    {"AES_GCM_16", "aes", "gcm16"},
    {"NULL_AES_GMAC", "aes", "gmac"},
    {"CAMELLIA_CBC", "camellia", ""},
    {"CAMELLIA_CTR", "camellia", "ctr"},
    {"CAMELLIA_CCM_8", "camellia", "ccm8"},
    {"CAMELLIA_CCM_12", "camellia", "ccm12"},
    {"CAMELLIA_CCM_16", "camellia", "ccm16"},
    {"CHACHA20_POLY1305", "chacha20poly1305", NULL},
    {"3DES_CBC", "3des", NULL},
    {"DES_CBC", "des", NULL},
    {"CAST_CBC", "cast", ""},
    {"BLOWFISH_CBC", "blowfish", ""},
    {"NULL", "null", NULL},
};

static const struct word digests[] = {
    {"HMAC_MD5_96", "md5", NULL},
    {"HMAC_MD5_128", "md5_128", NULL},
    {"HMAC_SHA1_96", "sha1", NULL},
    {"HMAC_SHA1_160", "sha1_160", NULL},
    {"HMAC_SHA2_256_96", "sha256_96", NULL},
    {"HMAC_SHA2_256_128", "sha256", NULL},
    {"HMAC_SHA2_384_192", "sha384", NULL},
    {"HMAC_SHA2_512_256", "sha512", NULL},
    {"AES_XCBC_96", "aesxcbc", NULL},
    {"AES_CMAC_96", "aescmac", NULL},
    {"CAMELLIA_XCBC_96", "camelliaxcbc", NULL},
    {"PRF_HMAC_MD5", "prfmd5", NULL},
    {"PRF_HMAC_SHA1", "prfsha1", NULL},
    {"PRF_HMAC_SHA2_256", "prfsha256", NULL},
    {"PRF_HMAC_SHA2_384", "prfsha384", NULL},
    {"PRF_HMAC_SHA2_512", "prfsha512", NULL},
    {"PRF_AES128_XCBC", "prfaesxcbc", NULL},
    {"PRF_AES128_CMAC", "prfaescmac", NULL},
    {"PRF_CAMELLIA128_XCBC", "prfcamelliaxcbc", NULL},
};

/* Other spellings of the same keyword. */
static const char *const aliases[][2] = {
    {"aes", "aes128"},
    {"aes128gcm", "aes128gcm16"},
    {"aes192gcm", "aes192gcm16"},
    {"aes256gcm", "aes256gcm16"},
    {"aes128gcm128", "aes128gcm16"},
    {"aes192gcm128", "aes192gcm16"},
    {"aes256gcm128", "aes256gcm16"},
    {"aes128gcm96", "aes128gcm12"},
    {"aes192gcm96", "aes192gcm12"},
    {"aes256gcm96", "aes256gcm12"},
    {"aes128gcm64", "aes128gcm8"},
    {"aes192gcm64", "aes192gcm8"},
    {"aes256gcm64", "aes256gcm8"},
    {"aes128ccm", "aes128ccm16"},
    {"aes192ccm", "aes192ccm16"},
    {"aes256ccm", "aes256ccm16"},
    {"aes128ccm128", "aes128ccm16"},
    {"aes192ccm128", "aes192ccm16"},
    {"aes256ccm128", "aes256ccm16"},
    {"camellia", "camellia128"},
    {"blowfish", "blowfish128"},
    {"sha", "sha1"},
    {"sha2_256", "sha256"},
    {"sha2_384", "sha384"},
    {"sha2_512", "sha512"},
    {"sha2_256_96", "sha256_96"},
    {"x25519", "curve25519"},
    {"x448", "curve448"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- writing ------------------------------------------------------------------------------ */

static const struct word *find(const struct word *words, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i].name, name) == 0)
            return &words[i];
    }
    return NULL;
}

static void lower(const char *name, bool underscores, char ret_text[PROPOSAL_NAME_BYTES])
{
    size_t used = 0;

    for (; *name != '\0' && used < PROPOSAL_NAME_BYTES - 1; name++) {
        if (*name >= 'A' && *name <= 'Z')
            ret_text[used++] = (char)(*name - 'A' + 'a');
        else if (*name != '_' || underscores)
            ret_text[used++] = *name;
    }
    ret_text[used] = '\0';
}

/* "MODP_2048" modp2048, "MODP_2048_224" modp2048s224, "ECP_256_BP" ecp256bp, "ML_KEM_768" mlkem768 */
static void exchange_keyword(const char *name, char ret_text[PROPOSAL_NAME_BYTES])
{
    const char *subgroup = strncmp(name, "MODP_", 5) == 0 ? strchr(name + 5, '_') : NULL;
    char bits[PROPOSAL_NAME_BYTES];

    if (subgroup == NULL) {
        lower(name, false, ret_text);
        return;
    }
    snprintf(bits, sizeof bits, "%.*s", (int)(subgroup - name - 5), name + 5);
    snprintf(ret_text, PROPOSAL_NAME_BYTES, "modp%.12ss%.12s", bits, subgroup + 1);
}

static void add(char *text, const char *prefix, const char *keyword)
{
    size_t used = strlen(text);
    snprintf(text + used, PROPOSAL_TEXT_BYTES - used, "%s%s%s", used > 0 ? "-" : "", prefix,
             keyword);
}

static void add_cipher(const struct proposal_names *names, char *text)
{
    const struct word *word = find(ciphers, COUNT(ciphers), names->encryption);
    char keyword[3 * PROPOSAL_NAME_BYTES], other[PROPOSAL_NAME_BYTES];

    if (word != NULL && word->suffix != NULL) {
        snprintf(keyword, sizeof keyword, "%s%s%s", word->keyword, names->key_bits, word->suffix);
        add(text, "", keyword);
    } else if (word != NULL) {
        add(text, "", word->keyword);
    } else if (names->encryption[0] != '\0') {
        lower(names->encryption, true, other);
        snprintf(keyword, sizeof keyword, "%s%s", other, names->key_bits);
        add(text, "", keyword);
    }
}

static void add_digest(const char *name, char *text)
{
    const struct word *word = find(digests, COUNT(digests), name);
    char other[PROPOSAL_NAME_BYTES];

    if (name[0] == '\0')
        return;
    lower(name, true, other);
    add(text, "", word != NULL ? word->keyword : other);
}

void proposal_text(const struct proposal_names *names, char ret_text[PROPOSAL_TEXT_BYTES])
{
    char keyword[PROPOSAL_NAME_BYTES], prefix[8];

    ret_text[0] = '\0';
    add_cipher(names, ret_text);
    add_digest(names->integrity, ret_text);
    add_digest(names->random, ret_text);
    if (names->exchange[0] != '\0') {
        exchange_keyword(names->exchange, keyword);
        add(ret_text, "", keyword);
    }
    for (unsigned i = 0; i < PROPOSAL_MORE_EXCHANGES; i++) {
        if (names->more[i][0] == '\0')
            continue;
        exchange_keyword(names->more[i], keyword);
        snprintf(prefix, sizeof prefix, "ke%u_", i + 1);
        add(ret_text, prefix, keyword);
    }
}

/* --- comparing ---------------------------------------------------------------------------- */

/* The next keyword of a proposal, in its usual spelling; false behind the last. */
static bool next_keyword(const char **at, char ret_keyword[PROPOSAL_NAME_BYTES])
{
    size_t length = strcspn(*at, "-");

    if (**at == '\0')
        return false;
    snprintf(ret_keyword, PROPOSAL_NAME_BYTES, "%.*s", (int)length, *at);
    *at += length + ((*at)[length] == '-');
    for (size_t i = 0; i < COUNT(aliases); i++) {
        if (strcmp(aliases[i][0], ret_keyword) == 0) {
            snprintf(ret_keyword, PROPOSAL_NAME_BYTES, "%s", aliases[i][1]);
            break;
        }
    }
    return true;
}

static bool names_keyword(const char *proposal, const char *keyword)
{
    char each[PROPOSAL_NAME_BYTES];

    while (next_keyword(&proposal, each)) {
        if (strcmp(each, keyword) == 0)
            return true;
    }
    return false;
}

/* "sha1" where the proposal has "sha1_160", whose PRF that is. */
static bool names_longer_digest(const char *proposal, const char *keyword)
{
    static const char *const longer[][2] = {{"sha1", "sha1_160"}, {"md5", "md5_128"}};

    for (size_t i = 0; i < COUNT(longer); i++) {
        if (strcmp(keyword, longer[i][0]) == 0)
            return names_keyword(proposal, longer[i][1]);
    }
    return false;
}

static bool names_any_prf(const char *proposal)
{
    char each[PROPOSAL_NAME_BYTES];

    while (next_keyword(&proposal, each)) {
        if (strncmp(each, "prf", 3) == 0)
            return true;
    }
    return false;
}

bool proposal_allows(const char *wanted, const char *agreed)
{
    bool own_prf = names_any_prf(wanted);
    char keyword[PROPOSAL_NAME_BYTES];

    if (strcmp(wanted, "default") == 0)
        return true;
    while (next_keyword(&agreed, keyword)) {
        const char *name = keyword;
        if (!own_prf && strncmp(keyword, "prf", 3) == 0)
            name += 3;
        if (!names_keyword(wanted, name) && (name == keyword || !names_longer_digest(wanted, name)))
            return false;
    }
    return true;
}
