#include "hl7/charset.h"

#include "hl7/segment.h"

struct charset_row {
    const char *name, *iana, *iconv;
    enum charset part_of;
};

static const struct charset_row charset_rows[CHARSET_COUNT] = {
    [CHARSET_NONE] = {"none", NULL, NULL, CHARSET_NONE},
    [CHARSET_ASCII] = {"ASCII", "us-ascii", NULL, CHARSET_NONE},
    [CHARSET_8859_1] = {"8859/1", "iso-8859-1", "ISO-8859-1", CHARSET_WINDOWS_1252},
    [CHARSET_8859_2] = {"8859/2", "iso-8859-2", "ISO-8859-2", CHARSET_NONE},
    [CHARSET_8859_3] = {"8859/3", "iso-8859-3", "ISO-8859-3", CHARSET_NONE},
    [CHARSET_8859_4] = {"8859/4", "iso-8859-4", "ISO-8859-4", CHARSET_NONE},
    [CHARSET_8859_5] = {"8859/5", "iso-8859-5", "ISO-8859-5", CHARSET_NONE},
    [CHARSET_8859_6] = {"8859/6", "iso-8859-6", "ISO-8859-6", CHARSET_NONE},
    [CHARSET_8859_7] = {"8859/7", "iso-8859-7", "ISO-8859-7", CHARSET_NONE},
    [CHARSET_8859_8] = {"8859/8", "iso-8859-8", "ISO-8859-8", CHARSET_NONE},
    [CHARSET_8859_9] = {"8859/9", "iso-8859-9", "ISO-8859-9", CHARSET_WINDOWS_1254},
    [CHARSET_8859_15] = {"8859/15", "iso-8859-15", "ISO-8859-15", CHARSET_NONE},
    [CHARSET_JIS] = {"ISO IR87", "iso-2022-jp", "ISO-2022-JP", CHARSET_NONE},
    [CHARSET_JIS_MORE] = {"ISO IR159", "iso-2022-jp-2", "ISO-2022-JP-2", CHARSET_NONE},
    [CHARSET_GB_18030] = {"GB 18030-2000", "gb18030", "GB18030", CHARSET_NONE},
    [CHARSET_KS_X_1001] = {"KS X 1001", "euc-kr", "EUC-KR", CHARSET_WINDOWS_949},
    [CHARSET_CNS_11643] = {"CNS 11643-1992", NULL, "EUC-TW", CHARSET_NONE},
    [CHARSET_BIG_5] = {"BIG-5", "big5", "BIG5", CHARSET_NONE},
    [CHARSET_UTF_8] = {"UNICODE UTF-8", "utf-8", NULL, CHARSET_NONE},
    [CHARSET_WINDOWS_1250] = {"WINDOWS-1250", "windows-1250", "CP1250", CHARSET_NONE},
    [CHARSET_WINDOWS_1251] = {"WINDOWS-1251", "windows-1251", "CP1251", CHARSET_NONE},
    [CHARSET_WINDOWS_1252] = {"WINDOWS-1252", "windows-1252", "CP1252", CHARSET_NONE},
    [CHARSET_WINDOWS_1253] = {"WINDOWS-1253", "windows-1253", "CP1253", CHARSET_NONE},
    [CHARSET_WINDOWS_1254] = {"WINDOWS-1254", "windows-1254", "CP1254", CHARSET_NONE},
    [CHARSET_WINDOWS_1255] = {"WINDOWS-1255", "windows-1255", "CP1255", CHARSET_NONE},
    [CHARSET_WINDOWS_1256] = {"WINDOWS-1256", "windows-1256", "CP1256", CHARSET_NONE},
    [CHARSET_WINDOWS_1257] = {"WINDOWS-1257", "windows-1257", "CP1257", CHARSET_NONE},
    [CHARSET_WINDOWS_1258] = {"WINDOWS-1258", "windows-1258", "CP1258", CHARSET_NONE},
    [CHARSET_WINDOWS_874] = {"WINDOWS-874", "windows-874", "CP874", CHARSET_NONE},
    [CHARSET_WINDOWS_31J] = {"WINDOWS-31J", "windows-31j", "CP932", CHARSET_NONE},
    [CHARSET_WINDOWS_949] = {"WINDOWS-949", NULL, "CP949", CHARSET_NONE},
    [CHARSET_UTF_16] = {"UNICODE UTF-16", "utf-16", NULL, CHARSET_NONE},
    [CHARSET_UTF_32] = {"UNICODE UTF-32", "utf-32", NULL, CHARSET_NONE},
};

/* Other names that senders write, without spaces and punctuation, in capitals. UNICODE alone (it is
 * in table 0211) says no encoding: none but UTF-8 lets the header be read as bytes. */
static const struct {
    const char *name;
    enum charset charset;
} charset_aliases[] = {
    {"USASCII", CHARSET_ASCII},
    {"ISOIR6", CHARSET_ASCII},
    {"UTF8", CHARSET_UTF_8},
    {"UNICODE", CHARSET_UTF_8},
    {"LATIN1", CHARSET_8859_1},
    {"ISO2022JP", CHARSET_JIS},
    {"ISO2022JP2", CHARSET_JIS_MORE},
    {"ISOIR14", CHARSET_JIS}, /* JIS X 0201's letters, by an escape */
    {"GB18030", CHARSET_GB_18030},
    {"GBK", CHARSET_GB_18030},
    {"GB2312", CHARSET_GB_18030},
    {"EUCKR", CHARSET_KS_X_1001},
    {"SHIFTJIS", CHARSET_WINDOWS_31J},
    {"CP949", CHARSET_WINDOWS_949},
};

#define CHARSET_NAME_BYTES 24

/* Letters and digits, in capitals. */
static bool charset_fold(struct span name, char ret_folded[CHARSET_NAME_BYTES])
{
    size_t used = 0;

    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9')) {
            if (c == ' ' || c == '/' || c == '-' || c == '_')
                continue;
            return false;
        }
        if (used + 1 == CHARSET_NAME_BYTES)
            return false;
        ret_folded[used++] = c;
    }
    ret_folded[used] = '\0';
    return used > 0;
}

static bool charset_is_called(const char *folded, const char *name)
{
    char other[CHARSET_NAME_BYTES];

    return name != NULL && charset_fold(span_of_string(name), other) && strcmp(folded, other) == 0;
}

enum charset charset_find(struct span name)
{
    char folded[CHARSET_NAME_BYTES];

    if (!charset_fold(name, folded))
        return CHARSET_NONE;
    for (int i = CHARSET_NONE + 1; i < CHARSET_COUNT; i++) {
        const struct charset_row *row = &charset_rows[i];

        if (charset_is_called(folded, row->name) || charset_is_called(folded, row->iana) ||
            charset_is_called(folded, row->iconv))
            return (enum charset)i;
    }
    for (size_t i = 0; i < sizeof charset_aliases / sizeof charset_aliases[0]; i++)
        if (strcmp(folded, charset_aliases[i].name) == 0)
            return charset_aliases[i].charset;
    return CHARSET_NONE;
}

static const struct charset_row *charset_row(enum charset charset)
{
    return &charset_rows[(unsigned)charset < CHARSET_COUNT ? charset : CHARSET_NONE];
}

const char *charset_name(enum charset charset)
{
    return charset_row(charset)->name;
}

const char *charset_iana(enum charset charset)
{
    return charset_row(charset)->iana;
}

const char *charset_iconv(enum charset charset)
{
    return charset_row(charset)->iconv;
}

bool charset_has_escapes(enum charset charset)
{
    return charset == CHARSET_JIS || charset == CHARSET_JIS_MORE;
}

bool charset_has_single_bytes(enum charset charset)
{
    return (charset >= CHARSET_8859_1 && charset <= CHARSET_8859_15) ||
           (charset >= CHARSET_WINDOWS_1250 && charset <= CHARSET_WINDOWS_874);
}

bool charset_is_part_of(enum charset charset, enum charset larger)
{
    return larger != CHARSET_NONE && charset_row(charset)->part_of == larger;
}

static bool charset_is_blank(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] != ' ')
            return false;
    return true;
}

/* HL7's explicit null says nothing either. */
static bool charset_is_empty(struct span text)
{
    return charset_is_blank(text) || span_equal_string(text, "\"\"");
}

/* ASCII is a part of them all, and JIS X 0208 of what 0212 is added to. */
static bool charset_join(enum charset *set, enum charset other)
{
    if (*set == CHARSET_ASCII || (*set == CHARSET_JIS && other == CHARSET_JIS_MORE))
        *set = other;
    return other == CHARSET_ASCII || *set == other ||
           (*set == CHARSET_JIS_MORE && other == CHARSET_JIS);
}

static enum charset_claim charset_of_repetitions(const struct msh *msh, enum charset *ret_set,
                                                 size_t *ret_count)
{
    struct span rest = msh->character_set;
    bool more = msh->repetition != '\0';

    *ret_set = CHARSET_ASCII;
    *ret_count = 0;
    do {
        struct span name = more ? segment_split(&rest, msh->repetition, &more) : rest;
        enum charset set = charset_is_empty(name) ? CHARSET_ASCII : charset_find(name);

        (*ret_count)++;
        if (set == CHARSET_NONE)
            return *ret_count == 1 && !more ? CHARSET_CLAIM_UNKNOWN : CHARSET_CLAIM_SEVERAL;
        if (!charset_join(ret_set, set))
            return CHARSET_CLAIM_SEVERAL;
    } while (more);
    return CHARSET_CLAIM_ONE;
}

enum charset_claim charset_of_header(const struct msh *msh, enum charset *ret_charset)
{
    enum charset set;
    size_t count;
    enum charset_claim claim = charset_of_repetitions(msh, &set, &count);

    if (claim != CHARSET_CLAIM_ONE)
        return claim;
    if (set == CHARSET_ASCII)
        return CHARSET_CLAIM_NOTHING;
    /* Several sets are switched between by escapes, which only these have. */
    if (count > 1 && set != CHARSET_UTF_8 && !charset_has_escapes(set))
        return CHARSET_CLAIM_SEVERAL;
    *ret_charset = set;
    return CHARSET_CLAIM_ONE;
}
