/* links: hl7 base */
/* Messages for a store that takes only UTF-8 and CR: real ones in a dozen sets, what is refused and
 * where, and the way back. Python's codecs said what the texts are (not iconv, which converts here). */
#include "hl7/recode.h"
#include "support/corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAXIMUM (16u << 20)
#define HEAD "MSH|^~\\&|APP|FAC|GW|HUB|||ADT^A01|M1|P|2.5"
#define UTF8 "UNICODE UTF-8"
#define SPAN(text) span_of(text, sizeof(text) - 1)

struct converted {
    struct recode recode;
    enum recode_problem problem;
    size_t offset;
    char *text; /* what is written, and a NUL */
    size_t length;
};

static struct converted convert_by(struct span message, const struct recode_rules *rules)
{
    struct converted each = {.offset = SIZE_MAX};

    each.problem = recode_plan(message, rules, &each.recode, &each.offset);
    if (each.problem != RECODE_OK)
        return each;
    each.length = each.recode.length;
    each.text = malloc(each.length + 1); /* ASan sees a byte more */
    assert_non_null(each.text);
    assert_int_equal(recode_write(&each.recode, message, each.text), 0);
    each.text[each.length] = '\0';
    return each;
}

static struct converted convert(struct span message, enum charset peer)
{
    return convert_by(message, &(struct recode_rules){.peer = peer});
}

static void expect(struct span message, enum charset peer, struct span wanted)
{
    struct converted each = convert(message, peer);

    if (each.problem != RECODE_OK)
        fail_msg("%.*s: %s at %zu", (int)message.length, message.data,
                 recode_problem_words(each.problem), each.offset);
    if (!span_equal(span_of(each.text, each.length), wanted))
        fail_msg("%.*s instead of %.*s", (int)each.length, each.text, (int)wanted.length,
                 wanted.data);
    free(each.text);
}

static void expect_untouched(struct span message, enum charset peer)
{
    struct converted each = convert(message, peer);

    if (each.problem != RECODE_OK || !each.recode.as_it_is)
        fail_msg("%.*s: %s at %zu", (int)message.length, message.data,
                 recode_problem_words(each.problem), each.offset);
    assert_int_equal(each.length, message.length);
    free(each.text);
}

static void expect_problem_by(struct span message, const struct recode_rules *rules,
                              enum recode_problem problem, size_t offset)
{
    struct converted each = convert_by(message, rules);

    if (each.problem != problem || (problem != RECODE_OK && each.offset != offset))
        fail_msg("%.*s: \"%s\" at %zu, not \"%s\" at %zu", (int)message.length, message.data,
                 recode_problem_words(each.problem), each.offset, recode_problem_words(problem),
                 offset);
    free(each.text);
}

static void expect_problem(struct span message, enum charset peer, enum recode_problem problem,
                           size_t offset)
{
    expect_problem_by(message, &(struct recode_rules){.peer = peer}, problem, offset);
}

/* ---- real messages ---- */

struct example {
    const char *name;
    enum charset peer, set;
    const char *patient, *note; /* PID-5 and NTE-3 */
};

static const struct example examples[] = {
    {"cs-8859-15-euro", CHARSET_NONE, CHARSET_8859_15, "Œuvre^Žofia", "100 €"},
    {"cs-8859-2-polish", CHARSET_NONE, CHARSET_8859_2, "Żółć^Gęśla", "Żółć"},
    {"cs-8859-5-cyrillic", CHARSET_NONE, CHARSET_8859_5, "Тестов^Пациент", "Тестов"},
    {"cs-8859-6-arabic", CHARSET_NONE, CHARSET_8859_6, "مريض^تجربة", "مريض"},
    {"cs-8859-7-greek", CHARSET_NONE, CHARSET_8859_7, "Δοκιμή^Ασθενής", "Δοκιμή"},
    {"cs-8859-8-hebrew", CHARSET_NONE, CHARSET_8859_8, "בדיקה^חולה", "בדיקה"},
    {"cs-8859-9-turkish", CHARSET_WINDOWS_1252, CHARSET_8859_9, "Şükrüoğlu^İrem", "Şükrüoğlu"},
    {"cs-8859-9-turkish", CHARSET_WINDOWS_1254, CHARSET_WINDOWS_1254, "Şükrüoğlu^İrem",
     "Şükrüoğlu"},
    {"cs-big5-delimiter-trail-bytes", CHARSET_NONE, CHARSET_BIG_5, "吜乞么吘^測試", "吜乞么吘"},
    {"cs-gb18030-delimiter-trail-bytes-in-pid", CHARSET_NONE, CHARSET_GB_18030, "亅乛乗亊^测试",
     "亅乛乗亊"},
    {"cs-ks-x-1001-korean", CHARSET_NONE, CHARSET_KS_X_1001, "환자^시험", "환자"},
    {"cs-shift-jis-undeclared", CHARSET_WINDOWS_31J, CHARSET_WINDOWS_31J, "倒与予円^太郎",
     "倒与予円"},
    {"cs-undeclared-windows-1251", CHARSET_WINDOWS_1251, CHARSET_WINDOWS_1251, "Тестов^Пациент",
     "Тестов"},
    {"cs-undeclared-windows-1252", CHARSET_WINDOWS_1252, CHARSET_WINDOWS_1252, "Müller–Groß^Zoë",
     "“quotes” €"},
};

static void read_message(const char *name, struct buffer *out)
{
    buffer_init(out, MAXIMUM);
    if (corpus_read(name, out) != 0)
        fail_msg("%s cannot be read", name);
}

static void expect_example(const struct example *example)
{
    char name[128], wanted[1024];
    struct converted each;
    struct buffer message;
    struct msh msh;

    snprintf(name, sizeof name, "constructed/%s.hl7", example->name);
    read_message(name, &message);
    assert_int_equal(msh_read(buffer_span(&message), &msh, NULL), MSH_OK);
    int before = (int)(msh.character_set.data - message.data);
    snprintf(wanted, sizeof wanted,
             "%.*s" UTF8 "\rEVN||20260101120000\rPID|1||SYNTH001^^^HOSP^MR||%s||19800101|F\r"
             "PV1|1|I|WARD^101^1\rNTE|1||%s\r",
             before, message.data, example->patient, example->note);
    each = convert(buffer_span(&message), example->peer);
    if (each.problem != RECODE_OK)
        fail_msg("%s: %s at %zu", name, recode_problem_words(each.problem), each.offset);
    assert_string_equal(each.text, wanted);
    assert_int_equal(each.recode.set, example->set);
    assert_false(each.recode.as_it_is);
    free(each.text);
    buffer_free(&message);
}

static void real_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++)
        expect_example(&examples[i]);
}

/* Each byte comes back: the way out and the way back, without its MSH-18 and with it. */
static void there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        struct buffer message, back;
        char name[128];

        snprintf(name, sizeof name, "constructed/%s.hl7", examples[i].name);
        read_message(name, &message);
        buffer_init(&back, MAXIMUM);
        struct converted each = convert(buffer_span(&message), examples[i].peer);
        assert_int_equal(each.problem, RECODE_OK);
        assert_int_equal(recode_answer(&each.recode, buffer_span(&message),
                                       span_of(each.text, each.length), &back),
                         0);
        assert_true(span_equal(buffer_span(&back), buffer_span(&message)));
        free(each.text);
        buffer_free(&message);
        buffer_free(&back);
    }
}

/* Utf-8 as it came, without a copy: the plan of nearly every message. */
static void utf8_is_not_copied(void **state)
{
    struct buffer message;

    (void)state;
    read_message("constructed/cs-utf8-4byte-and-combining.hl7", &message);
    expect_untouched(buffer_span(&message), CHARSET_NONE);
    expect_untouched(buffer_span(&message), CHARSET_8859_1); /* MSH-18 says it */
    expect_untouched(SPAN(HEAD "\rPID|1\r"), CHARSET_NONE);
    expect_untouched(SPAN(HEAD "\rPID|1\r"), CHARSET_BIG_5);
    expect_untouched(SPAN(HEAD "||||||ASCII\rPID|1\r"), CHARSET_8859_1);
    expect_untouched(SPAN(HEAD "||||||UTF-8\rPID|M\xC3\xBCller\r"), CHARSET_NONE);
    expect_untouched(SPAN(HEAD "||||||UTF-8~UNICODE\rPID|M\xC3\xBCller\r"), CHARSET_NONE);
    expect_untouched(SPAN(HEAD "\rPID|M\xC3\xBCller"), CHARSET_NONE);
    expect_untouched(SPAN(HEAD "\rPID|M\xC3\xBCller\r"), CHARSET_UTF_8);
    expect_untouched(SPAN(HEAD "||||||ASCII\rPID|M\xC3\xBCller\r"), CHARSET_NONE);
    expect_untouched(SPAN(HEAD "\rPID|\x1B(B\r"), CHARSET_NONE);
    buffer_free(&message);
}

/* ISO 2022's escapes as Japan's hospitals send them: the messages of SS-MIX2, which say ~ISO IR87. */
static void messages_of_japan(void **state)
{
    struct corpus_table table;
    const char *fields[1];
    size_t count = 0;

    (void)state;
    assert_int_equal(corpus_table_open(&table, "MANIFEST.tsv"), 0);
    while (corpus_table_next(&table, fields, 1)) {
        struct buffer message, back;
        struct converted each;

        if (strstr(fields[0], "SSMIX2") == NULL)
            continue;
        read_message(fields[0], &message);
        buffer_init(&back, MAXIMUM);
        each = convert(buffer_span(&message), CHARSET_NONE);
        if (each.problem != RECODE_OK)
            fail_msg("%s: %s at %zu", fields[0], recode_problem_words(each.problem), each.offset);
        assert_int_equal(each.recode.set, CHARSET_JIS);
        assert_null(memchr(each.text, 0x1B, each.length));
        assert_int_equal(recode_answer(&each.recode, buffer_span(&message),
                                       span_of(each.text, each.length), &back),
                         0);
        if (!span_equal(buffer_span(&back), buffer_span(&message)))
            fail_msg("%s does not come back", fields[0]);
        free(each.text);
        buffer_free(&message);
        buffer_free(&back);
        count++;
    }
    assert_int_equal(count, 16);
    corpus_table_close(&table);
    expect(SPAN(HEAD "||||||~ISO IR87\rPID|1||\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B\r"), CHARSET_NONE,
           SPAN(HEAD "||||||" UTF8 "\rPID|1||山田^太郎\r"));
    expect(SPAN(HEAD "\rPID|1||\x1B$B;3ED\x1B(B\r"), CHARSET_JIS,
           SPAN(HEAD "||||||" UTF8 "\rPID|1||山田\r"));
    expect(SPAN(HEAD "||||||~ISO IR87~ISO IR159\rPID|\x1B$(D0!\x1B(B\r"), CHARSET_NONE,
           SPAN(HEAD "||||||" UTF8 "\rPID|丂\r"));
}

/* ---- where MSH-18 is ---- */

static void msh_18(void **state)
{
    (void)state;
    expect(SPAN("MSH|^~\\&|A|B|C|D|||ADT|1|P|2.5\rPID|\xFC\r"), CHARSET_8859_1,
           SPAN("MSH|^~\\&|A|B|C|D|||ADT|1|P|2.5||||||" UTF8 "\rPID|ü\r"));
    expect(SPAN("MSH#^~\\&#A#B#C#D###ADT#1\rPID#\xFC"), CHARSET_8859_1,
           SPAN("MSH#^~\\&#A#B#C#D###ADT#1########" UTF8 "\rPID#ü"));
    expect(SPAN("MSH|^~\\&|A|B|C|D|||ADT|1|P|2.5||||||\rPID|\xFC\r"), CHARSET_8859_1,
           SPAN("MSH|^~\\&|A|B|C|D|||ADT|1|P|2.5||||||" UTF8 "\rPID|ü\r"));
    expect(SPAN("MSH|^~\\&|A|B|C|D|||ADT|1|P|2.5|||||||||X\xFC\rPID|\xFC\r"), CHARSET_8859_1,
           SPAN("MSH|^~\\&|A|B|C|D|||ADT|1|P|2.5||||||" UTF8 "|||Xü\rPID|ü\r"));
    expect(SPAN("MSH|^~\\&|A\xFC|B|C|D|||ADT|1|P|2.5||||||8859/1|||Y\rPID|1"), CHARSET_NONE,
           SPAN("MSH|^~\\&|Aü|B|C|D|||ADT|1|P|2.5||||||" UTF8 "|||Y\rPID|1"));
    /* It names another set than the store will read, though all bytes are ASCII. */
    expect(SPAN(HEAD "||||||8859/1\rPID|1\r"), CHARSET_NONE, SPAN(HEAD "||||||" UTF8 "\rPID|1\r"));
    expect(SPAN(HEAD "||||||EBCDIC|DEU\rPID|1\r"), CHARSET_NONE,
           SPAN(HEAD "||||||" UTF8 "|DEU\rPID|1\r"));
    expect(SPAN(HEAD "||||||ASCII~ISO IR14~ISO IR87\rPID|1\r"), CHARSET_NONE,
           SPAN(HEAD "||||||" UTF8 "\rPID|1\r"));
    /* Nobody knows the name, but the operator knows the peer. */
    expect(SPAN(HEAD "||||||EBCDIC\rPID|\xFC\r"), CHARSET_8859_1,
           SPAN(HEAD "||||||" UTF8 "\rPID|ü\r"));
    expect(SPAN(HEAD "||||||ASCII\rPID|\xFC\r"), CHARSET_8859_1,
           SPAN(HEAD "||||||" UTF8 "\rPID|ü\r"));
}

/* What MSH-18 says decides, also where the bytes could be UTF-8; so does what the operator says of the peer
 * where that may be by chance. A single letter of Latin-1 shows that it is Latin-1. */
static void the_set_is_believed(void **state)
{
    (void)state;
    expect_untouched(SPAN(HEAD "\rPID|\xC3\xBC\r"), CHARSET_8859_1);
    expect_untouched(SPAN(HEAD "||||||ASCII\rPID|\xC3\xBC\r"), CHARSET_WINDOWS_1252);
    expect(SPAN(HEAD "||||||EBCDIC\rPID|\xC3\xBC\r"), CHARSET_8859_1,
           SPAN(HEAD "||||||" UTF8 "\rPID|\xC3\xBC\r"));
    expect(SPAN(HEAD "\rPID|\xC3\xBC|\xFC\r"), CHARSET_8859_1,
           SPAN(HEAD "||||||" UTF8 "\rPID|Ã¼|ü\r"));
    expect(SPAN(HEAD "||||||8859/1\rPID|\xC3\xBC\r"), CHARSET_NONE,
           SPAN(HEAD "||||||" UTF8 "\rPID|Ã¼\r"));
    expect(SPAN(HEAD "\rPID|\xC1\xAA\xCD\xA8\r"), CHARSET_GB_18030, /* a famous one */
           SPAN(HEAD "||||||" UTF8 "\rPID|联通\r"));
}

/* ---- what is refused ---- */

#define AT(text) (sizeof(text) - 1)

static void not_known(void **state)
{
    (void)state;
    expect_problem(SPAN(HEAD "\rPID|M\xFCller\r"), CHARSET_NONE, RECODE_SET_UNKNOWN,
                   AT(HEAD "\rPID|M"));
    expect_problem(SPAN(HEAD "||||||ASCII\rPID|M\xFCller\r"), CHARSET_NONE, RECODE_SET_UNKNOWN,
                   AT(HEAD "||||||ASCII\rPID|M"));
    expect_problem(SPAN(HEAD "\rPID|\xC3\xBC|M\xFCller\r"), CHARSET_NONE, RECODE_SET_UNKNOWN,
                   AT(HEAD "\rPID|\xC3\xBC|M"));
    /* ASCII to the eye of a store, and gibberish to its reader's. */
    expect_problem(SPAN(HEAD "\rPID|\x1B$B;3ED\x1B(B\r"), CHARSET_NONE, RECODE_SET_UNKNOWN,
                   AT(HEAD "\rPID|"));
    expect_problem(SPAN(HEAD "||||||EBCDIC\rPID|\xC3\xBC\r"), CHARSET_NONE, RECODE_SET_UNSUPPORTED,
                   AT(HEAD "||||||"));
    expect_problem(SPAN(HEAD "||||||ASCII~8859/1\rPID|\xC3\xBC\r"), CHARSET_NONE,
                   RECODE_SET_UNSUPPORTED, AT(HEAD "||||||"));
    expect_problem(SPAN(HEAD "||||||UNICODE UTF-16\rPID|\xC3\xBC\r"), CHARSET_NONE,
                   RECODE_SET_UNSUPPORTED, AT(HEAD "||||||"));
    expect_problem(SPAN(HEAD "||||||8859/1~ISO IR87\rPID|\x1B$B;3\x1B(B\r"), CHARSET_NONE,
                   RECODE_SET_UNSUPPORTED, AT(HEAD "||||||"));
}

static void not_in_the_set(void **state)
{
    (void)state;
    expect_problem(SPAN(HEAD "||||||" UTF8 "\rPID|M\xFCller\r"), CHARSET_8859_1, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||" UTF8 "\rPID|M"));
    expect_problem(SPAN(HEAD "\rPID|M\xFCller\r"), CHARSET_UTF_8, RECODE_NOT_IN_SET,
                   AT(HEAD "\rPID|M"));
    expect_problem(SPAN(HEAD "\rPID|M\xC3\xBCller\r"), CHARSET_ASCII, RECODE_NOT_IN_SET,
                   AT(HEAD "\rPID|M"));
    expect_problem(SPAN(HEAD "||||||8859/6\rPID|\xA1\r"), CHARSET_NONE, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||8859/6\rPID|"));
    expect_problem(SPAN(HEAD "\rPID|\xFC\x81\r"), CHARSET_WINDOWS_1252, RECODE_NOT_IN_SET,
                   AT(HEAD "\rPID|\xFC"));
    expect_problem(SPAN(HEAD "||||||BIG-5\rPID|\xA4"), CHARSET_NONE, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||BIG-5\rPID|"));
    expect_problem(SPAN(HEAD "||||||BIG-5\rPID|\xA4\r"), CHARSET_NONE, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||BIG-5\rPID|"));
    expect_problem(SPAN(HEAD "||||||GB18030\rPID|\xFF|\r"), CHARSET_NONE, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||GB18030\rPID|"));
    expect_problem(SPAN(HEAD "||||||8859/1\rPID|\x1B$B;3ED\x1B(B\r"), CHARSET_NONE,
                   RECODE_NOT_IN_SET, AT(HEAD "||||||8859/1\rPID|"));
}

/* Latin-1 has no quotation marks there: that sender's set is windows-1252, and only the operator can
 * say so. */
static void controls_are_another_sets_letters(void **state)
{
    const struct span message = SPAN(HEAD "||||||8859/1\rPID|M\xFCller \x93x\x94\r");

    (void)state;
    expect_problem(message, CHARSET_NONE, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||8859/1\rPID|M\xFCller "));
    expect_problem(message, CHARSET_WINDOWS_1250, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||8859/1\rPID|M\xFCller "));
    expect(message, CHARSET_WINDOWS_1252, SPAN(HEAD "||||||" UTF8 "\rPID|Müller “x”\r"));
    expect_problem(SPAN(HEAD "||||||KS X 1001\rPID|\xC8\xAF\x92\r"), CHARSET_NONE,
                   RECODE_NOT_IN_SET, AT(HEAD "||||||KS X 1001\rPID|\xC8\xAF"));
    expect(SPAN(HEAD "||||||KS X 1001\rPID|\x8C\x63\r"), CHARSET_WINDOWS_949,
           SPAN(HEAD "||||||" UTF8 "\rPID|똠\r"));
}

static void escapes_that_do_not_end(void **state)
{
    (void)state;
    expect_problem(SPAN(HEAD "||||||~ISO IR87\rPID|\x1B$B;3ED\rPV1|1\r"), CHARSET_NONE,
                   RECODE_NOT_IN_SET, AT(HEAD "||||||~ISO IR87\rPID|\x1B$B;3ED"));
    expect_problem(SPAN(HEAD "||||||~ISO IR87\rPID|\xFC\r"), CHARSET_NONE, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||~ISO IR87\rPID|"));
    expect_problem(SPAN(HEAD "||||||~ISO IR87\rPID|\x1B$B;3E"), CHARSET_NONE, RECODE_NOT_IN_SET,
                   AT(HEAD "||||||~ISO IR87\rPID|\x1B$B;3"));
}

/* Two separators of the header's sixteen are halves of characters: a store would read other fields
 * than were checked here. */
static void a_header_that_changes(void **state)
{
    (void)state;
    expect_problem(SPAN("MSH|^~\\&|\xA4\x7C|FAC|GW|HUB||X|ADT^A01|M1|P|2.5|||||BIG-5\rPID|1\r"),
                   CHARSET_BIG_5, RECODE_HEADER, 9);
    expect(SPAN("MSH|^~\\&|\xA4\x5E|FAC|GW|HUB||X|ADT^A01|M1|P|2.5||||||BIG-5\rPID|1\r"),
           CHARSET_NONE,
           SPAN("MSH|^~\\&|乞|FAC|GW|HUB||X|ADT^A01|M1|P|2.5||||||" UTF8 "\rPID|1\r"));
}

/* Byte by byte they can be read, and as characters no more. */
static void delimiters_outside_of_ascii(void **state)
{
    (void)state;
    expect_problem(SPAN("MSH\xA6^~\\&\xA6"
                        "A\xA6"
                        "B\xA6"
                        "C\xA6"
                        "D\xA6\xA6\xA6"
                        "ADT\xA6"
                        "1\rPID\xA6\xFC\r"),
                   CHARSET_8859_1, RECODE_HEADER, 3);
    expect_problem(SPAN("MSH|^~\\\xA7|A|B|C|D|||ADT|1|P|2.5\rPID|1\r"), CHARSET_8859_1,
                   RECODE_HEADER, 3);
}

static void yen_or_escape_character(void **state)
{
    (void)state;
    /* 0x5C behind ESC ( J is a yen sign to the one, and HL7's escape character to the other. */
    struct converted each =
        convert(SPAN(HEAD "||||||~ISO IR87\rPID|\x1B(JA\\T\\B\x1B(B\r"), CHARSET_NONE);
    assert_int_equal(each.problem, RECODE_NOT_IN_SET);
    expect(SPAN(HEAD "||||||~ISO IR87\rPID|\x1B$B;3ED\x1B(J|1\r"), CHARSET_NONE,
           SPAN(HEAD "||||||" UTF8 "\rPID|山田|1\r"));
}

/* ---- segment ends ---- */

static void expect_normalised(struct span message, enum charset peer, const char *wanted)
{
    const struct recode_rules rules = {.peer = peer, .normalise = true};
    struct converted each = convert_by(message, &rules);

    assert_int_equal(each.problem, RECODE_OK);
    assert_string_equal(each.text, wanted);
    free(each.text);
}

static void line_ends(void **state)
{
    static const char wanted[] = HEAD "\rPID|1\rPV1|1\r";

    (void)state;
    expect_problem(SPAN(HEAD "\nPID|1\nPV1|1\n"), CHARSET_NONE, RECODE_SEGMENT_ENDS, AT(HEAD));
    expect_problem(SPAN(HEAD "\r\nPID|1\r\n"), CHARSET_NONE, RECODE_SEGMENT_ENDS, AT(HEAD));
    expect_problem(SPAN(HEAD "\rPID|1\r\n"), CHARSET_NONE, RECODE_SEGMENT_ENDS, AT(HEAD "\rPID|1"));
    expect_problem(SPAN(HEAD "\rPID|1\n"), CHARSET_NONE, RECODE_SEGMENT_ENDS, AT(HEAD "\rPID|1"));
    expect_problem(SPAN(HEAD "\rPID|a\nb\nPV1|1\r"), CHARSET_NONE, RECODE_SEGMENT_ENDS,
                   AT(HEAD "\rPID|a\nb"));
    expect_normalised(SPAN(HEAD "\nPID|1\nPV1|1\n"), CHARSET_NONE, wanted);
    expect_normalised(SPAN(HEAD "\r\nPID|1\r\nPV1|1\r\n"), CHARSET_NONE, wanted);
    expect_normalised(SPAN(HEAD "\r\n\r\nPID|1\n\nPV1|1\n\r"), CHARSET_NONE, wanted);
    expect_normalised(SPAN(HEAD "\rPID|1\rPV1|1\r\n\r\n"), CHARSET_NONE, wanted);
    expect_normalised(SPAN(HEAD "\nPID|\xFC\n\rZX1|\xFC\n"), CHARSET_8859_1,
                      HEAD "||||||" UTF8 "\rPID|ü\rZX1|ü\r");
    expect_normalised(SPAN(HEAD "\nPID|\xA4\x5C\nNTE|1\n"), CHARSET_BIG_5,
                      HEAD "||||||" UTF8 "\rPID|么\rNTE|1\r");
    expect_problem_by(SPAN(HEAD "\nPID|\xA4\nNTE|1\n"), &(struct recode_rules){CHARSET_BIG_5, true},
                      RECODE_NOT_IN_SET, AT(HEAD "\nPID|"));
}

/* A line feed inside of a text is the sender's: no segment begins behind it. Between escape sequences it is
 * not known what will stand beside it. */
static void line_feeds_in_text(void **state)
{
    (void)state;
    expect_problem(SPAN(HEAD "||||||~ISO IR87\rOBX|a\nb\x1B$B;3\x1B(B\r"), CHARSET_NONE,
                   RECODE_SEGMENT_ENDS, AT(HEAD "||||||~ISO IR87\rOBX|a"));
    expect_problem(SPAN(HEAD "||||||~ISO IR87\rOBX|a\n\x1B(BPID|\r"), CHARSET_NONE,
                   RECODE_SEGMENT_ENDS, AT(HEAD "||||||~ISO IR87\rOBX|a"));
    expect_untouched(SPAN(HEAD "\rOBX|a\nb\r"), CHARSET_JIS);
    expect_untouched(SPAN(HEAD "\rOBX|1|TX|||line 1\nline 2\nMSH6 positive|\r"), CHARSET_NONE);
    expect_normalised(SPAN(HEAD "\r\nOBX|1|TX|||line 1\nline 2|\r\n"), CHARSET_NONE,
                      HEAD "\rOBX|1|TX|||line 1\nline 2|\r");
}

/* What stands in front of MSH is no part of the message: it goes, and nothing is copied for it. */
static void before_msh(void **state)
{
    const struct span message = SPAN("\xEF\xBB\xBF\r\n " HEAD "\rPID|M\xC3\xBCller\r");
    struct converted each = convert(message, CHARSET_NONE);

    (void)state;
    assert_int_equal(each.problem, RECODE_OK);
    assert_true(each.recode.as_it_is);
    assert_string_equal(each.text, HEAD "\rPID|Müller\r");
    free(each.text);
    expect_problem(SPAN("\r\n" HEAD "\rPID|\xFC\r"), CHARSET_NONE, RECODE_SET_UNKNOWN,
                   AT("\r\n" HEAD "\rPID|"));
}

/* ---- sizes ---- */

/* The length is exact without anything being written, whatever falls on a piece's border. */
static void lengths_are_exact(void **state)
{
    static const enum charset sets[] = {CHARSET_8859_1, CHARSET_WINDOWS_1258, CHARSET_BIG_5};
    static const char *const texts[] = {"\xFC", "a\xEC", "\xA4\x5C"};

    (void)state;
    for (size_t set = 0; set < 3; set++) {
        for (size_t count = 400; count < 1100; count += 7) {
            struct buffer message;
            buffer_init(&message, MAXIMUM);
            assert_int_equal(buffer_append_string(&message, HEAD "\rOBX|"), 0);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(buffer_append_string(&message, texts[set]), 0);
                if (i % 5 == 0)
                    assert_int_equal(buffer_append_string(&message, "plain"), 0);
            }
            struct converted each = convert(buffer_span(&message), sets[set]);
            assert_int_equal(each.problem, RECODE_OK);
            assert_int_equal(each.length, strlen(each.text));
            free(each.text);
            buffer_free(&message);
        }
    }
    /* A letter of ASCII's and the accent behind it are one character of Vietnam's. */
    expect(SPAN(HEAD "\rPID|a\xEC|b\r"), CHARSET_WINDOWS_1258,
           SPAN(HEAD "||||||" UTF8 "\rPID|á|b\r"));
}

/* ---- the way back ---- */

static void expect_answer(struct span message, enum charset peer, struct span answer, int error,
                          struct span wanted)
{
    struct converted each = convert(message, peer);
    struct buffer out;

    buffer_init(&out, MAXIMUM);
    assert_int_equal(each.problem, RECODE_OK);
    assert_int_equal(recode_answer(&each.recode, message, answer, &out), error);
    if (error == 0 && !span_equal(buffer_span(&out), wanted))
        fail_msg("%.*s", (int)out.length, out.data);
    assert_true(error == 0 || out.length == 0);
    free(each.text);
    buffer_free(&out);
}

#define ANSWER(set, text) "MSH|^~\\&|GW|HUB|APP|FAC|||ACK|9|P|2.5" set "\rMSA|AE|M1|" text "\r"

static void answers(void **state)
{
    const struct span latin = SPAN(HEAD "||||||8859/1\rPID|\xFC\r");
    const struct span silent = SPAN(HEAD "\rPID|\xFC\r");

    (void)state;
    expect_answer(latin, CHARSET_NONE, SPAN(ANSWER("||||||" UTF8, "f\xC3\xBCr")), 0,
                  SPAN(ANSWER("||||||8859/1", "f\xFCr")));
    expect_answer(latin, CHARSET_NONE, SPAN(ANSWER("||||||" UTF8, "no")), 0,
                  SPAN(ANSWER("||||||8859/1", "no")));
    expect_answer(latin, CHARSET_NONE, SPAN(ANSWER("", "no")), 0, SPAN(ANSWER("", "no")));
    expect_answer(latin, CHARSET_NONE, SPAN(ANSWER("", "f\xC3\xBCr")), 0,
                  SPAN(ANSWER("||||||8859/1", "f\xFCr")));
    expect_answer(latin, CHARSET_NONE, SPAN(ANSWER("||||||", "f\xC3\xBCr")), 0,
                  SPAN(ANSWER("||||||8859/1", "f\xFCr")));
    /* What the sender's set lacks is not replaced by something else. */
    expect_answer(latin, CHARSET_NONE, SPAN(ANSWER("", "\xE2\x82\xAC")), -EILSEQ, SPAN(""));
    expect_answer(latin, CHARSET_NONE, SPAN(ANSWER("", "\xFC")), -EILSEQ, SPAN(""));
    /* The sender's MSH-18 would be two fields there. */
    expect_answer(SPAN("MSH#^~\\&#A#B#C#D###ADT#1#P#2.5######8859|1\rPID#\xFC\r"), CHARSET_8859_1,
                  SPAN(ANSWER("||||||" UTF8, "no")), -EILSEQ, SPAN(""));
    /* A sender that said nothing hears nothing of it either. */
    expect_answer(silent, CHARSET_8859_1, SPAN(ANSWER("||||||" UTF8, "f\xC3\xBCr")), 0,
                  SPAN(ANSWER("||||||", "f\xFCr")));
    expect_answer(silent, CHARSET_8859_1, SPAN(ANSWER("", "f\xC3\xBCr")), 0,
                  SPAN(ANSWER("", "f\xFCr")));
    /* ASCII all through, but the answer is not: the peer reads Latin-1 all the same. */
    expect_answer(SPAN(HEAD "\rPID|1\r"), CHARSET_8859_1, SPAN(ANSWER("", "f\xC3\xBCr")), 0,
                  SPAN(ANSWER("", "f\xFCr")));
    /* It is not called UTF-8 any more then. */
    expect_answer(SPAN(HEAD "\rPID|1\r"), CHARSET_8859_1, SPAN(ANSWER("||||||" UTF8, "f\xC3\xBCr")),
                  0, SPAN(ANSWER("||||||", "f\xFCr")));
    expect_answer(SPAN(HEAD "||||||ASCII\rPID|1\r"), CHARSET_8859_1,
                  SPAN(ANSWER("||||||" UTF8, "f\xC3\xBCr")), 0,
                  SPAN(ANSWER("||||||ASCII", "f\xFCr")));
    expect_answer(SPAN(HEAD "\rPID|1\r"), CHARSET_8859_1, SPAN(ANSWER("||||||" UTF8, "no")), 0,
                  SPAN(ANSWER("||||||" UTF8, "no")));
    expect_answer(SPAN(HEAD "||||||EBCDIC\rPID|1\r"), CHARSET_NONE, SPAN(ANSWER("", "f\xC3\xBCr")),
                  -EILSEQ, SPAN(""));
    expect_answer(SPAN(HEAD "\rPID|1\r"), CHARSET_NONE, SPAN(ANSWER("", "f\xC3\xBCr")), 0,
                  SPAN(ANSWER("", "f\xC3\xBCr")));
    expect_answer(SPAN(HEAD "||||||~ISO IR87\rPID|\x1B$B;3\x1B(B\r"), CHARSET_NONE,
                  SPAN(ANSWER("||||||" UTF8, "\xE5\xB1\xB1|1")), 0,
                  SPAN(ANSWER("||||||~ISO IR87", "\x1B$B;3\x1B(B|1")));
}

static void words(void **state)
{
    (void)state;
    for (int i = 0; i <= RECODE_OUT_OF_MEMORY; i++)
        assert_string_not_equal(recode_problem_words((enum recode_problem)i), "unknown problem");
    assert_true(recode_knows(CHARSET_8859_1));
    assert_true(recode_knows(CHARSET_UTF_8));
    assert_false(recode_knows(CHARSET_UTF_16));
    assert_false(recode_knows(CHARSET_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_messages),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(utf8_is_not_copied),
        cmocka_unit_test(messages_of_japan),
        cmocka_unit_test(msh_18),
        cmocka_unit_test(the_set_is_believed),
        cmocka_unit_test(not_known),
        cmocka_unit_test(not_in_the_set),
        cmocka_unit_test(controls_are_another_sets_letters),
        cmocka_unit_test(escapes_that_do_not_end),
        cmocka_unit_test(a_header_that_changes),
        cmocka_unit_test(delimiters_outside_of_ascii),
        cmocka_unit_test(yen_or_escape_character),
        cmocka_unit_test(line_ends),
        cmocka_unit_test(line_feeds_in_text),
        cmocka_unit_test(before_msh),
        cmocka_unit_test(lengths_are_exact),
        cmocka_unit_test(answers),
        cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
