/* links: hl7 base */
/* Header and batch readers: what they point at lies in the content and in the header's segment, and
 * batch_each() agrees with batch_read(). */
#include "hl7/batch.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static bool lies_in(struct span inner, struct span outer)
{
    return inner.length == 0 ||
           (inner.data >= outer.data && inner.data + inner.length <= outer.data + outer.length);
}

static void check_field(struct span field, const struct msh *msh)
{
    check(lies_in(field, msh->segment));
    check(field.length == 0 || (memchr(field.data, '\r', field.length) == NULL &&
                                memchr(field.data, '\n', field.length) == NULL &&
                                memchr(field.data, msh->field, field.length) == NULL));
}

static void check_header(const struct msh *msh, struct span content, enum msh_problem problem)
{
    const struct span fields[] = {
        msh->sending_application,
        msh->sending_facility,
        msh->receiving_application,
        msh->receiving_facility,
        msh->message_type,
        msh->message_code,
        msh->trigger_event,
        msh->structure,
        msh->control_id,
        msh->processing_id,
        msh->version,
        msh->version_id,
        msh->sequence_number,
        msh->accept_condition,
        msh->application_condition,
        msh->sending_application_id,
        msh->sending_facility_id,
        msh->character_set,
    };

    check(lies_in(msh->segment, content));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        check_field(fields[i], msh);
    check(msh->control_id.length <= MSH_CONTROL_ID_MAXIMUM);
    check((msh->field == '\0') == (msh->encoding.length == 0));
    if (problem == MSH_OK) {
        check(lies_in(msh->encoding, msh->segment));
        check(msh->message_code.length > 0);
    }
}

struct walk {
    struct span content;
    const char *end; /* of the message before */
    size_t messages;
};

static int see_message(struct span message, size_t index, void *context)
{
    struct walk *walk = context;

    check(index == walk->messages++);
    check(lies_in(message, walk->content) && message.length >= 3);
    check(walk->end == NULL || message.data >= walk->end);
    check(memcmp(message.data, "MSH", 3) == 0);
    walk->end = message.data + message.length;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span content = span_of(data, size);
    struct walk walk = {.content = content};
    size_t at_header = 0, at_batch = 0;
    struct batch batch;
    struct msh msh;

    enum msh_problem problem = msh_read(content, &msh, &at_header);
    check(at_header <= size);
    check_header(&msh, content, problem);

    enum msh_problem batch_problem = batch_read(content, &batch, &at_batch);
    check(at_batch <= size);
    check(lies_in(batch.control_id, content));
    check(batch.has_header == (batch.messages > 0));
    if (batch.envelope == MSH_ENVELOPE_NONE && batch.messages == 1)
        check(batch_problem == problem && at_batch == at_header);
    if (batch.has_header)
        check_header(&batch.header, content, MSH_NOT_HL7);
    check(batch_each(content, see_message, &walk) == 0);
    check(walk.messages == batch.messages);
    return 0;
}
