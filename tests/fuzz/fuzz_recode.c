/* links: hl7 base */
/* Messages for a store that takes only UTF-8: what is planned is what is written, it is UTF-8, and a second
 * conversion finds nothing to do. The first two bytes are the rules. */
#include "hl7/recode.h"
#include "hl7/utf8.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_written(struct span text)
{
    const struct recode_rules rules = {.peer = CHARSET_UTF_8};
    struct recode again;
    struct utf8_look look;

    utf8_look_at(text, &look);
    check(look.broken == text.length);
    check(recode_plan(text, &rules, &again, NULL) == RECODE_OK);
    check(again.as_it_is && again.length == text.length);
}

static void check_answer(const struct recode *recode, struct span message, struct span answer)
{
    struct buffer out;

    buffer_init(&out, 1u << 24);
    (void)!recode_answer(recode, message, answer, &out);
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recode_rules rules;
    struct recode recode;
    size_t offset = SIZE_MAX;

    if (size < 2)
        return 0;
    rules = (struct recode_rules){(enum charset)(data[0] % CHARSET_COUNT), (data[1] & 1) != 0};
    struct span message = span_of(data + 2, size - 2);
    enum recode_problem problem = recode_plan(message, &rules, &recode, &offset);
    check(problem == RECODE_OK ? offset == SIZE_MAX : offset <= message.length);
    if (problem != RECODE_OK)
        return 0;
    char *text = malloc(recode.length + 1);
    check(text != NULL);
    check(recode_write(&recode, message, text) == 0);
    struct msh msh;
    if (msh_read(message, &msh, NULL) == MSH_OK) /* as every listener demands */
        check_written(span_of(text, recode.length));
    check_answer(&recode, message, span_of(text, recode.length));
    free(text);
    return 0;
}
