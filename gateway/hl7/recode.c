#include "hl7/recode.h"

#include "hl7/recode_run.h"
#include "hl7/utf8.h"

#include <errno.h>

#define RECODE_SET_FIELD 18u

/* What is known of a message before any byte is converted. */
struct recode_case {
    struct span message; /* from MSH on */
    struct recode recode;
    const struct recode_rules *rules;
    struct utf8_look look;
    struct msh msh;
    size_t bad; /* where the problem is */
};

/* ---- which set ---- */

static bool recode_is_ascii(const struct recode_case *each)
{
    return each->look.high == each->message.length && each->look.escape == each->message.length;
}

/* Where nothing says which set it is, the bytes must say it themselves. */
static enum recode_problem recode_of_nothing(struct recode_case *each)
{
    const size_t none = each->message.length;

    if (each->look.escape == none && each->look.broken == none)
        return RECODE_OK;
    each->bad = each->look.escape < each->look.broken ? each->look.escape : each->look.broken;
    return RECODE_SET_UNKNOWN;
}

/* Each switch must have been taken back where a segment ends, as HL7 wants it: a reader begins anew
 * behind it. */
static enum recode_problem recode_of_escapes(struct recode_case *each)
{
    const struct span text = each->message;
    bool switched = false;

    each->recode.converts = each->look.high < text.length;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == 0x1B) {
            each->recode.converts = true;
            switched = i + 1 < text.length && text.data[i + 1] == '$';
        } else if (switched && (text.data[i] == '\r' || text.data[i] == '\n')) {
            each->bad = i;
            return RECODE_NOT_IN_SET;
        }
    }
    return RECODE_OK;
}

static enum recode_problem recode_of_set(struct recode_case *each, enum charset set)
{
    const size_t none = each->message.length;

    each->recode.set = set;
    if (set == CHARSET_UTF_8) {
        each->bad = each->look.broken;
        return each->look.broken == none ? RECODE_OK : RECODE_NOT_IN_SET;
    }
    if (recode_is_ascii(each) && !charset_has_escapes(set))
        return RECODE_OK; /* a part of every set */
    if (set == CHARSET_ASCII || (each->look.escape < none && !charset_has_escapes(set))) {
        each->bad = each->look.escape < each->look.high ? each->look.escape : each->look.high;
        return RECODE_NOT_IN_SET;
    }
    if (charset_iconv(set) == NULL)
        return RECODE_SET_UNSUPPORTED;
    if (charset_has_escapes(set))
        return recode_of_escapes(each);
    each->recode.converts = true;
    return RECODE_OK;
}

/* What the operator says of the peer. Two bytes of GBK may be UTF-8 by chance, and then they are GBK's. */
static enum recode_problem recode_of_peer(struct recode_case *each, enum charset peer)
{
    const size_t none = each->message.length;
    bool utf8 = each->look.high < none && each->look.broken == none && each->look.escape == none;

    return recode_of_set(each, utf8 && charset_has_single_bytes(peer) ? CHARSET_UTF_8 : peer);
}

static enum recode_problem recode_choose_set(struct recode_case *each)
{
    enum charset peer = each->rules->peer, named = CHARSET_NONE;

    switch (charset_of_header(&each->msh, &named)) {
    case CHARSET_CLAIM_NOTHING:
        return peer == CHARSET_NONE ? recode_of_nothing(each) : recode_of_peer(each, peer);
    case CHARSET_CLAIM_ONE:
        each->recode.rename = named != CHARSET_UTF_8;
        return recode_of_set(each, charset_is_part_of(named, peer) ? peer : named);
    default:
        each->recode.rename = true;
        if (peer != CHARSET_NONE)
            return recode_of_peer(each, peer);
        if (recode_is_ascii(each))
            return recode_of_set(each, CHARSET_ASCII);
        return RECODE_SET_UNSUPPORTED;
    }
}

/* ---- the header ---- */

/* Where MSH-18 is, or is to be, and how many separators are missing in front of it. */
static unsigned recode_find_name(struct span text, const struct msh *msh, struct span *ret_name)
{
    unsigned separators = 0;

    *ret_name = msh->character_set;
    if (msh->character_set.data != NULL)
        return 0;
    for (size_t i = 0; i < msh->segment.length; i++)
        separators += msh->segment.data[i] == msh->field;
    *ret_name =
        span_of(msh->segment.length == 0 ? text.data : msh->segment.data + msh->segment.length, 0);
    return RECODE_SET_FIELD - 1 > separators ? RECODE_SET_FIELD - 1 - separators : 0;
}

static void recode_read_header(struct recode_case *each)
{
    struct recode *recode = &each->recode;
    struct span name;

    (void)msh_read(each->message, &each->msh, NULL);
    recode->field = each->msh.field;
    recode->separators = recode_find_name(each->message, &each->msh, &name);
    recode->set_start = name.data == NULL ? 0 : (size_t)(name.data - each->message.data);
    recode->set_end = recode->set_start + name.length;
}

/* Delimiters are single characters, and in UTF-8 only ASCII's are single bytes. None may be the hyphen that
 * the name in MSH-18 is to have. */
static enum recode_problem recode_check_delimiters(struct recode_case *each)
{
    const struct span encoding = each->msh.encoding;
    bool bad = (signed char)each->msh.field < 0 || (each->recode.rename && each->msh.field == '-');

    for (size_t i = 0; i < encoding.length; i++)
        bad |=
            (signed char)encoding.data[i] < 0 || (each->recode.rename && encoding.data[i] == '-');
    if (!bad)
        return RECODE_OK;
    each->bad = 3;
    return RECODE_HEADER;
}

/* ---- planning ---- */

static enum recode_problem recode_check_ends(struct recode_case *each)
{
    struct span rest = span_of(each->message.data + each->look.line_feed,
                               each->message.length - each->look.line_feed);
    struct span end;

    if (each->look.line_feed == each->message.length)
        return RECODE_OK;
    /* The line feed may be the second half of a line end. */
    while (rest.data > each->message.data && rest.data[-1] == '\r')
        rest = span_of(rest.data - 1, rest.length + 1);
    if (!recode_next_end(&each->recode, rest, &end))
        return RECODE_OK;
    each->recode.normalise = each->rules->normalise;
    each->bad = (size_t)(end.data - each->message.data);
    return each->recode.normalise ? RECODE_OK : RECODE_SEGMENT_ENDS;
}

static enum recode_problem recode_measure(struct recode_case *each)
{
    struct recode_run run = {.out = NULL};
    struct recode *recode = &each->recode;
    enum recode_problem problem = RECODE_OK;

    recode->as_it_is = !recode->converts && !recode->rename && !recode->normalise;
    if (recode->as_it_is) {
        recode->length = each->message.length;
        return RECODE_OK;
    }
    if (recode->converts)
        problem = recode_run_open(&run, recode->set, true);
    if (problem == RECODE_OK)
        problem = recode_run_message(&run, recode, each->message);
    recode_run_close(&run);
    recode->length = run.length;
    if (problem != RECODE_OK && run.bad != NULL)
        each->bad = (size_t)(run.bad - each->message.data);
    return problem;
}

static size_t recode_lead(struct span message)
{
    size_t lead = msh_lead(message);

    return message.length - lead >= 3 && memcmp(message.data + lead, "MSH", 3) == 0 ? lead : 0;
}

enum recode_problem recode_plan(struct span message, const struct recode_rules *rules,
                                struct recode *ret_recode, size_t *ret_offset)
{
    size_t lead = recode_lead(message);
    struct recode_case each = {
        .message = lead == 0 ? message : span_of(message.data + lead, message.length - lead),
        .recode = {.lead = lead},
        .rules = rules,
    };
    enum recode_problem problem;

    recode_read_header(&each);
    each.bad = each.recode.set_start;
    utf8_look_at(each.message, &each.look);
    problem = recode_choose_set(&each);
    if (problem == RECODE_OK)
        problem = recode_check_ends(&each);
    if (problem == RECODE_OK) {
        each.recode.rename |= each.recode.converts;
        each.recode.rename &= each.recode.field != '\0';
        problem = recode_check_delimiters(&each);
    }
    if (problem == RECODE_OK)
        problem = recode_measure(&each);
    if (problem == RECODE_OK)
        *ret_recode = each.recode;
    else if (ret_offset != NULL)
        *ret_offset = lead + each.bad;
    return problem;
}

int recode_write(const struct recode *recode, struct span message, char *out)
{
    struct recode_run run = {.out = out};
    struct span own = span_of(message.data + recode->lead, message.length - recode->lead);
    enum recode_problem problem = RECODE_OK;

    if (recode->as_it_is) {
        memcpy(out, own.data, own.length);
        return 0;
    }
    if (recode->converts)
        problem = recode_run_open(&run, recode->set, true);
    if (problem == RECODE_OK)
        problem = recode_run_message(&run, recode, own);
    recode_run_close(&run);
    return problem == RECODE_OK && run.length == recode->length ? 0 : -ENOMEM;
}

/* ---- the way back ---- */

struct recode_back {
    enum charset set;
    struct span answer;
    struct span name; /* what MSH-18 becomes; data NULL: it stays */
    struct msh msh;   /* the answer's */
    bool high;        /* it has more than ASCII */
};

/* An answer that says no set, and needs none, is left alone. */
static int recode_back_pieces(struct recode_run *run, const struct recode_back *back)
{
    struct span old, answer = back->answer;
    unsigned separators = recode_find_name(answer, &back->msh, &old);
    size_t before = old.data == NULL ? 0 : (size_t)(old.data - answer.data);

    if (back->name.data == NULL || back->msh.field == '\0' || (old.length == 0 && !back->high))
        return recode_run_piece(run, answer) == RECODE_OK ? 0 : -EILSEQ;
    if (recode_run_piece(run, span_of(answer.data, before)) != RECODE_OK)
        return -EILSEQ;
    for (unsigned i = 0; i < separators && back->name.length > 0; i++)
        recode_run_emit(run, span_of(&back->msh.field, 1));
    recode_run_emit(run, back->name);
    before += old.length;
    return recode_run_piece(run, span_of(answer.data + before, answer.length - before)) == RECODE_OK
               ? 0
               : -EILSEQ;
}

static int recode_back_run(struct recode_run *run, const struct recode_back *back)
{
    enum recode_problem problem = RECODE_OK;
    int error;

    if (back->high && back->set == CHARSET_ASCII)
        return -EILSEQ;
    if (back->high && charset_iconv(back->set) != NULL)
        problem = recode_run_open(run, back->set, false);
    if (problem != RECODE_OK)
        return problem == RECODE_OUT_OF_MEMORY ? -ENOMEM : -EILSEQ;
    error = recode_back_pieces(run, back);
    recode_run_close(run);
    return error;
}

int recode_answer(const struct recode *recode, struct span message, struct span answer,
                  struct buffer *out)
{
    struct recode_back back = {.set = recode->set, .answer = answer};
    struct recode_run run = {.out = NULL};
    struct utf8_look look;
    int error;

    utf8_look_at(answer, &look);
    if (look.broken < answer.length)
        return -EILSEQ;
    back.high = look.high < answer.length;
    (void)msh_read(answer, &back.msh, NULL);
    if (recode->rename || (back.high && charset_iconv(recode->set) != NULL))
        back.name = span_of(message.data + recode->lead + recode->set_start,
                            recode->set_end - recode->set_start);
    if (back.name.length > 0 && memchr(back.name.data, back.msh.field, back.name.length) != NULL)
        return -EILSEQ; /* written with other delimiters than the message was */
    error = recode_back_run(&run, &back);
    if (error == 0)
        error = buffer_reserve(out, run.length);
    if (error != 0 || run.length == 0)
        return error;
    run = (struct recode_run){.out = out->data + out->length};
    error = recode_back_run(&run, &back);
    if (error == 0)
        out->length += run.length;
    return error;
}

const char *recode_problem_words(enum recode_problem problem)
{
    switch (problem) {
    case RECODE_OK:
        return "no problem";
    case RECODE_SET_UNKNOWN:
        return "its bytes are not UTF-8, and its character set is not known";
    case RECODE_SET_UNSUPPORTED:
        return "nothing can be converted from what MSH-18 names";
    case RECODE_NOT_IN_SET:
        return "it has bytes that its character set does not have";
    case RECODE_SEGMENT_ENDS:
        return "its segments end with LF, and the store takes only CR";
    case RECODE_HEADER:
        return "its MSH would be read otherwise in UTF-8";
    case RECODE_NOT_HERE:
        return "this system cannot convert from its character set (iconv)";
    case RECODE_OUT_OF_MEMORY:
        return "memory is out";
    }
    return "unknown problem";
}
