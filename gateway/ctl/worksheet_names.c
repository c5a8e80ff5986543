/* The same algorithm in everybody's words. Sources: the vendors' command references. */
#include "ctl/worksheet.h"

#include <ctype.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct names {
    const char *charon;
    unsigned bits;
    const char *names[WORKSHEET_KINDS]; /* swanctl's are the tunnel's own words */
};

#define NAMES(charon, bits, words, aws, google, azure, fortigate, asa)                             \
    {                                                                                              \
        charon, bits,                                                                              \
        {                                                                                          \
            words, NULL, aws, google, azure, fortigate, asa                                        \
        }                                                                                          \
    }

static const struct names all_names[] = {
    NAMES("AES_CBC", 128, "AES-128 (CBC)", "AES128", "AES-CBC-128", "AES128", "aes128", "aes"),
    NAMES("AES_CBC", 192, "AES-192 (CBC)", NULL, "AES-CBC-192", "AES192", "aes192", "aes-192"),
    NAMES("AES_CBC", 256, "AES-256 (CBC)", "AES256", "AES-CBC-256", "AES256", "aes256", "aes-256"),
    NAMES("AES_GCM_16", 128, "AES-128-GCM (16-byte tag)", "AES128-GCM-16", "AES-GCM-16-128",
          "GCMAES128", "aes128gcm", "aes-gcm"),
    NAMES("AES_GCM_16", 192, "AES-192-GCM (16-byte tag)", NULL, "AES-GCM-16-192", "GCMAES192", NULL,
          "aes-gcm-192"),
    NAMES("AES_GCM_16", 256, "AES-256-GCM (16-byte tag)", "AES256-GCM-16", "AES-GCM-16-256",
          "GCMAES256", "aes256gcm", "aes-gcm-256"),
    NAMES("CHACHA20_POLY1305", 256, "ChaCha20-Poly1305", NULL, NULL, NULL, "chacha20poly1305",
          NULL),
    NAMES("3DES_CBC", 0, "3DES", NULL, NULL, "DES3", "3des", "3des"),
    NAMES("DES_CBC", 0, "DES", NULL, NULL, "DES", "des", "des"),
    NAMES("NULL", 0, "no encryption", NULL, NULL, NULL, "null", "null"),
    NAMES("HMAC_MD5_96", 0, "MD5", NULL, NULL, "MD5", "md5", "md5"),
    NAMES("HMAC_SHA1_96", 0, "SHA-1", "SHA1", "HMAC-SHA1-96", "SHA1", "sha1", "sha"),
    NAMES("HMAC_SHA2_256_128", 0, "SHA-256", "SHA2-256", "HMAC-SHA2-256-128", "SHA256", "sha256",
          "sha256"),
    NAMES("HMAC_SHA2_384_192", 0, "SHA-384", "SHA2-384", "HMAC-SHA2-384-192", "SHA384", "sha384",
          "sha384"),
    NAMES("HMAC_SHA2_512_256", 0, "SHA-512", "SHA2-512", "HMAC-SHA2-512-256", NULL, "sha512",
          "sha512"),
    NAMES("PRF_HMAC_MD5", 0, "PRF MD5", NULL, NULL, "MD5", NULL, "md5"),
    NAMES("PRF_HMAC_SHA1", 0, "PRF SHA-1", "SHA1", "PRF-HMAC-SHA1", "SHA1", "prfsha1", "sha"),
    NAMES("PRF_HMAC_SHA2_256", 0, "PRF SHA-256", "SHA2-256", "PRF-HMAC-SHA2-256", "SHA256",
          "prfsha256", "sha256"),
    NAMES("PRF_HMAC_SHA2_384", 0, "PRF SHA-384", "SHA2-384", "PRF-HMAC-SHA2-384", "SHA384",
          "prfsha384", "sha384"),
    NAMES("PRF_HMAC_SHA2_512", 0, "PRF SHA-512", "SHA2-512", "PRF-HMAC-SHA2-512", NULL, "prfsha512",
          "sha512"),
};

/* ESP is said differently here and there. */
static const char *esp_name(enum worksheet_kind kind, const char *charon)
{
    static const char *const asa[][2] = {{"HMAC_SHA1_96", "sha-1"},
                                         {"HMAC_SHA2_256_128", "sha-256"},
                                         {"HMAC_SHA2_384_192", "sha-384"},
                                         {"HMAC_SHA2_512_256", "sha-512"}};
    for (size_t i = 0; kind == WORKSHEET_ASA && i < COUNT(asa); i++)
        if (strcmp(asa[i][0], charon) == 0)
            return asa[i][1];
    return NULL;
}

const char *worksheet_name(enum worksheet_kind kind, enum proposal_protocol protocol,
                           const struct proposal_word *word)
{
    if (kind == WORKSHEET_SWANCTL || word->kind == PROPOSAL_ESN)
        return word->name;
    if (word->kind == PROPOSAL_GROUP)
        return worksheet_group(kind, protocol, word);
    /* Azure's IKE has no GCM of 192 bits, its ESP has SHA-384 for GCM's own sake only. */
    if (kind == WORKSHEET_AZURE && protocol == PROPOSAL_IKE && word->kind == PROPOSAL_AEAD &&
        word->bits == 192)
        return NULL;
    if (kind == WORKSHEET_AZURE && protocol == PROPOSAL_ESP &&
        strcmp(word->charon, "HMAC_SHA2_384_192") == 0)
        return NULL;
    if (protocol == PROPOSAL_ESP && esp_name(kind, word->charon) != NULL)
        return esp_name(kind, word->charon);
    for (size_t i = 0; i < COUNT(all_names); i++) {
        const struct names *each = &all_names[i];
        if (strcmp(each->charon, word->charon) == 0 && each->bits == word->bits)
            return each->names[kind];
    }
    return kind == WORKSHEET_WORDS ? word->name : NULL;
}

struct group {
    const char *words, *number_text, *google, *azure_ike, *azure_esp;
    unsigned number;
    bool aws, fortigate, asa;
};

static const struct group groups[] = {
    {"DH group 1 (MODP 768)", "1", NULL, "DHGroup1", "PFS1", 1, false, true, true},
    {"DH group 2 (MODP 1024)", "2", "Group-2", "DHGroup2", "PFS2", 2, true, true, true},
    {"DH group 5 (MODP 1536)", "5", "Group-5", NULL, NULL, 5, false, true, true},
    {"DH group 14 (MODP 2048)", "14", "Group-14", "DHGroup14", "PFS2048", 14, true, true, true},
    {"DH group 15 (MODP 3072)", "15", "Group-15", NULL, NULL, 15, true, true, true},
    {"DH group 16 (MODP 4096)", "16", "Group-16", NULL, NULL, 16, true, true, true},
    {"DH group 17 (MODP 6144)", "17", NULL, NULL, NULL, 17, true, true, false},
    {"DH group 18 (MODP 8192)", "18", "Group-18", NULL, NULL, 18, true, true, false},
    {"DH group 19 (ECP 256)", "19", "Group-19", "ECP256", "ECP256", 19, true, true, true},
    {"DH group 20 (ECP 384)", "20", "Group-20", "ECP384", "ECP384", 20, true, true, true},
    {"DH group 21 (ECP 521)", "21", "Group-21", NULL, NULL, 21, true, true, true},
    {"DH group 22", "22", NULL, NULL, NULL, 22, true, false, false},
    {"DH group 23", "23", NULL, NULL, NULL, 23, true, false, false},
    {"DH group 24", "24", "Group-24", "DHGroup24", "PFS24", 24, true, false, true},
    {"DH group 27 (brainpool 224)", "27", NULL, NULL, NULL, 27, false, true, false},
    {"DH group 28 (brainpool 256)", "28", NULL, NULL, NULL, 28, false, true, false},
    {"DH group 29 (brainpool 384)", "29", NULL, NULL, NULL, 29, false, true, false},
    {"DH group 30 (brainpool 512)", "30", NULL, NULL, NULL, 30, false, true, false},
    {"DH group 31 (Curve25519)", "31", NULL, NULL, NULL, 31, false, true, true},
    {"DH group 32 (Curve448)", "32", NULL, NULL, NULL, 32, false, true, false},
};

const char *worksheet_group(enum worksheet_kind kind, enum proposal_protocol protocol,
                            const struct proposal_word *word)
{
    const struct group *found = NULL;

    for (size_t i = 0; i < COUNT(groups); i++)
        if (groups[i].number == word->group)
            found = &groups[i];
    if (found == NULL)
        return kind == WORKSHEET_WORDS || kind == WORKSHEET_SWANCTL ? word->name : NULL;
    switch (kind) {
    case WORKSHEET_WORDS:
        return found->words;
    case WORKSHEET_AWS: /* 5 is there in phase 2 only */
        return found->aws || (found->number == 5 && protocol == PROPOSAL_ESP) ? found->number_text
                                                                              : NULL;
    case WORKSHEET_GOOGLE:
        return found->google;
    case WORKSHEET_AZURE:
        return protocol == PROPOSAL_IKE ? found->azure_ike : found->azure_esp;
    case WORKSHEET_FORTIGATE:
        return found->fortigate ? found->number_text : NULL;
    case WORKSHEET_ASA:
        return found->asa ? found->number_text : NULL;
    default:
        return word->name;
    }
}

const char *worksheet_misfit(enum worksheet_kind kind, const struct proposal *proposal)
{
    for (size_t i = 0; i < proposal->count; i++) {
        const struct proposal_word *word = proposal->words[i];
        if (worksheet_name(kind, proposal->protocol, word) == NULL)
            return word->name;
        /* "esn" alone cannot be asked for there. */
        if (kind > WORKSHEET_SWANCTL && strcmp(word->name, "esn") == 0)
            return word->name;
    }
    return NULL;
}

/* FNV-1a, folded. */
static unsigned number_of(const char *name)
{
    uint32_t number = 2166136261u;

    for (; *name != '\0'; name++)
        number = (number ^ (unsigned char)*name) * 16777619u;
    return (number >> 16 ^ number) & 0xffff;
}

#define NUMBER_BYTES 5 /* "-1f2e" */

const char *worksheet_plain_name(const char *name, size_t most, char ret_name[WORKSHEET_NAME_BYTES])
{
    bool cut = strlen(name) > most;
    size_t length = 0;

    if (cut)
        most -= NUMBER_BYTES;
    for (; name[length] != '\0' && length < most && length < WORKSHEET_NAME_BYTES - 1; length++)
        ret_name[length] =
            isalnum((unsigned char)name[length]) ? (char)tolower((unsigned char)name[length]) : '-';
    /* A name must not end in one there. */
    while (length > 1 && ret_name[length - 1] == '-')
        length--;
    ret_name[length] = '\0';
    if (cut)
        snprintf(ret_name + length, WORKSHEET_NAME_BYTES - length, "-%04x", number_of(name));
    return ret_name;
}

#define EACH_MAXIMUM (WORKSHEET_PROPOSALS * PROPOSAL_WORDS)

size_t worksheet_each(const struct worksheet *sheet, const struct proposal *proposals, size_t count,
                      unsigned kinds, void (*take)(FILE *out, size_t n, const char *name))
{
    const char *seen[EACH_MAXIMUM];
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < proposals[i].count; j++) {
            const struct proposal_word *word = proposals[i].words[j];
            const char *name = (kinds & WORKSHEET_KIND_BIT(word->kind)) == 0
                                   ? NULL
                                   : worksheet_name(sheet->kind, proposals[i].protocol, word);
            bool known = name == NULL;
            for (size_t k = 0; k < found && !known; k++)
                known = strcmp(seen[k], name) == 0;
            if (!known) {
                take(sheet->out, found, name);
                seen[found++] = name;
            }
        }
    }
    return found;
}
