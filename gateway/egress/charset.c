#include "egress/charset.h"

static const struct {
    const char *table_0211, *iana;
} charset_names[] = {
    {"ASCII", "us-ascii"},        {"8859/1", "iso-8859-1"},
    {"8859/2", "iso-8859-2"},     {"8859/3", "iso-8859-3"},
    {"8859/4", "iso-8859-4"},     {"8859/5", "iso-8859-5"},
    {"8859/6", "iso-8859-6"},     {"8859/7", "iso-8859-7"},
    {"8859/8", "iso-8859-8"},     {"8859/9", "iso-8859-9"},
    {"8859/15", "iso-8859-15"},   {"GB 18030-2000", "gb18030"},
    {"KS X 1001", "euc-kr"},      {"BIG-5", "big5"},
    {"UNICODE UTF-8", "utf-8"},   {"UNICODE UTF-16", "utf-16"},
    {"UNICODE UTF-32", "utf-32"},
};

const char *charset_of(const struct msh *msh)
{
    for (size_t i = 0; i < sizeof(charset_names) / sizeof(charset_names[0]); i++) {
        if (span_equal_string(msh->character_set, charset_names[i].table_0211))
            return charset_names[i].iana;
    }
    return NULL;
}
